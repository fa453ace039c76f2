"""How does a pipeline run? One small worker that starts the job of each step when those before it are over, and waits.

Every step is an ordinary job that can be watched, paused and resumed by itself; a failed or paused one stops the graph
with its reason. kill -9 of this worker stops no job: the next run of the pipeline finds them by the record of its
steps. A step is recorded as asked for before its job is made, so that a death in between makes no second job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from refusal_tui.errors import ConflictError, JobError, RefusalTuiError
from refusal_tui.jobs import control
from refusal_tui.jobs.compute import ComputeContext, Stopped, write_atomically
from refusal_tui.jobs.stop import StopReason
from refusal_tui.pipeline.config import PipelineConfig, read_config
from refusal_tui.pipeline.graph import Step, StepKind, graph_of, sources_of
from refusal_tui.pipeline.history import History
from refusal_tui.pipeline.plan import Decision, Does, decide, in_workspace
from refusal_tui.pipeline.spec import PipelineSpec, default_config
from refusal_tui.pipeline.work import Desk, Work
from refusal_tui.store.jobs import Job, JobState, get_job, list_jobs
from refusal_tui.store.labels import rebuild_labels
from refusal_tui.store.pipelines import StepRecord, save_steps, steps_of
from refusal_tui.store.review_queues import queue_items
from refusal_tui.store.settings import put_in_force

FROZEN = "pipeline.json"  # the config as it was when the run began
POLL_SECONDS = 0.2
_REAP_SECONDS = 5.0
_ASKED = "spec"  # beside a step's product until its job is made: by this it is found again


class PipelineJob:
    """A ComputeJob."""

    def __init__(self, spec: PipelineSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        config = in_workspace(self._frozen(context.folder / FROZEN), context.connection)
        return _Run(context, config).to_the_end()

    def _frozen(self, path: Path) -> PipelineConfig:
        """The config of the first run: a resumed one does not take up what was changed meanwhile."""
        if not self._spec.config:
            return default_config()
        if not path.exists():
            self._spec.read()
            source = Path(self._spec.config)
            kept = {"text": source.read_text(encoding="utf-8-sig"), "config": str(source)}
            write_atomically(path, json.dumps(kept).encode())
        kept = json.loads(path.read_text(encoding="utf-8"))
        source = Path(kept["config"])
        format = "json" if source.suffix.lower() == ".json" else "toml"
        config = read_config(kept["text"], format, folder=source.parent, file=source.name)
        return config.offline() if self._spec.offline else config


class _Run:
    def __init__(self, context: ComputeContext, config: PipelineConfig) -> None:
        self._context, self._config = context, config
        history = History(context.connection)
        self._sources = sources_of(context.connection, config, history)
        self._history = history
        self._graph = graph_of(config, self._sources)
        known = {record.name: record for record in steps_of(context.connection, context.job.id)}
        self._records = {
            step.name: known.get(step.name, StepRecord(step.name, step.kind.value, step.after)) for step in self._graph
        }
        self._next_reap = 0.0

    def to_the_end(self) -> str:
        self._save()
        try:
            self._bring_on()
            while not all(record.over for record in self._records.values()):
                self._look()
                self._context.check()
                time.sleep(POLL_SECONDS)
        except Stopped as stopped:
            if not stopped.note:  # somebody wished it; a step that stands still stops no other job
                self._stop_jobs(stopped.reason)
            raise
        return self._closing_note()

    # --- looking ---------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take note of jobs that have ended, and start what can be started now."""
        if time.monotonic() > self._next_reap:
            control.reap(self._context.connection)
            self._next_reap = time.monotonic() + _REAP_SECONDS
        for step in self._graph:
            record = self._records[step.name]
            if record.over:
                continue
            if record.job is not None:
                self._look_at(record, get_job(self._context.connection, record.job))
            elif all(self._records[name].over for name in step.after):
                self._begin(step)

    def _look_at(self, record: StepRecord, job: Job) -> None:
        """Raises JobError for a job that has failed, Stopped for one that somebody has to resume."""
        if job.state.active:
            return
        if job.state is JobState.DONE:
            self._set(replace(record, over=True, note=job.note, product={**record.product, "job": str(job.id)}))
            return
        why = f" ({job.note})" if job.note else ""
        reason = f"{record.name} stands still: job {job.id} is {job.state.value}{why}"
        next_step = f"Look at it with: refusal-tui jobs show {job.id}, then: refusal-tui pipeline resume"
        if job.state in (JobState.PAUSED, JobState.INTERRUPTED):
            raise Stopped(StopReason.PAUSE, f"{reason}. {next_step}")
        raise JobError(f"{reason}.", next_step)

    def _bring_on(self) -> None:
        """At the beginning of a run: what stood still goes on, and a cancelled step is begun anew."""
        for record in list(self._records.values()):
            if record.over:
                continue
            found = self._asked_for(record) if record.job is None and record.asked_after is not None else record.job
            job = get_job(self._context.connection, found) if found is not None else None
            if job is None or job.state is JobState.CANCELLED:
                self._set(replace(record, job=None, asked_after=None))
                continue
            product = {name: made for name, made in record.product.items() if name != _ASKED}
            self._set(replace(record, job=job.id, product=product))
            if job.state is not JobState.DONE:
                control.resume(self._context.workspace, job.id)

    def _asked_for(self, record: StepRecord) -> int | None:
        """The job of a step that was asked for by a worker which died before it could write down its number."""
        assert record.asked_after is not None
        for job in list_jobs(self._context.connection, limit=1000):
            if job.id <= record.asked_after:
                return None
            if job.kind == record.kind and job.spec == record.product.get(_ASKED):
                if not job.state.active and job.run == 0:  # its rows were being recorded; nobody records them any more
                    control.cancel(self._context.workspace, job.id)
                    return None
                return job.id
        return None

    # --- beginning -------------------------------------------------------------------------------------------------

    def _begin(self, step: Step) -> None:
        record = self._records[step.name]
        try:
            decision = decide(self._desk(), step)
            record = replace(record, key=decision.work.key, inputs=decision.work.inputs, note=decision.why)
            if decision.does is Does.SKIP:
                self._set(replace(record, over=True, skipped=True))
            elif decision.does is Does.KEEP:
                earlier, job = decision.earlier, decision.job
                product = earlier.product if earlier is not None else decision.work.product
                if job is not None:
                    product = {**product, "job": str(job)}
                self._set(replace(record, over=True, reused=True, product=product, job=job))
            elif decision.does is Does.GO_ON:
                self._go_on(record, decision)
            elif step.kind.has_job:
                self._submit(record, step.kind, decision.work)
            else:
                self._do(record, step.kind)
        except (Stopped, ConflictError):
            raise
        except RefusalTuiError as error:
            raise JobError(f"{step.name} cannot be done: {error}", error.next_step) from error

    def _desk(self) -> Desk:
        products = {name: record.product for name, record in self._records.items() if record.over}
        context = self._context
        return Desk(context.workspace, context.connection, self._config, self._history, self._sources, products)

    def _go_on(self, record: StepRecord, decision: Decision) -> None:
        """An unfinished job of an earlier run, with the budgets of now."""
        earlier, spec = decision.earlier, decision.work.spec
        assert earlier is not None and earlier.job is not None and spec is not None
        workspace = self._context.workspace
        job = get_job(self._context.connection, earlier.job)
        budgets = {name: "" if getattr(spec, name) is None else str(getattr(spec, name)) for name in spec.CHANGEABLE}
        if not job.state.active and budgets:
            control.change_settings(workspace, job.id, budgets)
        control.resume(workspace, job.id)
        self._set(replace(record, job=job.id, product=earlier.product))

    def _submit(self, record: StepRecord, kind: StepKind, work: Work) -> None:
        assert work.spec is not None
        newest = max((job.id for job in list_jobs(self._context.connection, limit=1)), default=0)
        asked = {**work.product, _ASKED: work.spec.model_dump_json()}
        self._set(replace(record, asked_after=newest, product=asked))
        job = control.submit(self._context.workspace, kind.value, work.spec, selection=work.selection)
        self._set(replace(record, job=job, product=work.product))

    def _do(self, record: StepRecord, kind: StepKind) -> None:
        """A step without a job is one transaction with the record of it."""
        product = {StepKind.CONSTITUTION: self._put_in_force, StepKind.REVIEW: self._draw_queue}[kind]
        with self._context.commit():
            made, note = product()
            self._records[record.name] = replace(record, over=True, product=made, note=note)
            save_steps(self._context.connection, self._context.job.id, list(self._records.values()))
        self._save()

    def _put_in_force(self) -> tuple[Mapping[str, str], str]:
        found = self._config.constitution
        assert found is not None
        put_in_force(self._context.connection, found.text, found.format, Path(found.path).stem)
        count = rebuild_labels(self._context.connection)
        return {"constitution": found.rules.hash}, f"{count:,} labels derived again"

    def _draw_queue(self) -> tuple[Mapping[str, str], str]:
        from refusal_tui.audit.queue import queue_name, queue_of_sample
        from refusal_tui.audit.report import read_report

        connection = self._context.connection
        audit = int(self._records["audit"].product["job"])
        taken = {row[0] for row in connection.execute("SELECT name FROM queue")}
        wanted = self._config.queue or queue_name(audit)
        name, number = wanted, 1
        while name in taken:
            number += 1
            name = f"{wanted}-{number}"
        report = read_report(connection, self._context.workspace.root, audit)
        queue = queue_of_sample(connection, self._context.workspace.root, report, name)
        rows = len(queue_items(connection, queue.id))
        return {"queue": queue.name}, f"{rows:,} rows for people: refusal-tui review open {queue.name}"

    # --- recording -------------------------------------------------------------------------------------------------

    def _set(self, record: StepRecord) -> None:
        if record != self._records[record.name]:
            self._records[record.name] = record
            self._save()

    def _save(self) -> None:
        with self._context.commit() as connection:
            save_steps(connection, self._context.job.id, list(self._records.values()))
        over = sum(record.over for record in self._records.values())
        working = [record.name for record in self._records.values() if record.job is not None and not record.over]
        self._context.report(over, len(self._records), ", ".join(working), now=True)

    def _stop_jobs(self, reason: StopReason) -> None:
        """What a user wishes for the pipeline holds for its jobs; when this process alone has to end, they go on."""
        wish: Callable[[Any, int], Job] | None = {
            StopReason.PAUSE: control.pause, StopReason.CANCEL: control.cancel,
        }.get(reason)  # fmt: skip
        for record in self._records.values():
            if wish is None or record.job is None or record.over:
                continue
            if get_job(self._context.connection, record.job).state.active:
                wish(self._context.workspace, record.job)

    def _closing_note(self) -> str:
        records = self._records.values()
        skipped = sum(record.skipped for record in records)
        kept = sum(record.reused for record in records)
        done = len(self._records) - skipped - kept
        out = next((record.product["out"] for record in records if "out" in record.product), "")
        said = f"{done} step{'s' if done != 1 else ''} done"
        said += (f", {kept} up to date" if kept else "") + (f", {skipped} with nothing to do" if skipped else "")
        return said + (f"; the final dataset is in {out}" if out else "")
