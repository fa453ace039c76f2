"""What would a pipeline do now, and why? Step by step, with requests, tokens and cost; nothing is started."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from refusal_tui.errors import InputError, RefusalTuiError
from refusal_tui.jobs.estimate import Estimate, brief_words, estimate_job, tokens
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.pipeline.config import PipelineConfig, Source
from refusal_tui.pipeline.elsewhere import labelled_by
from refusal_tui.pipeline.graph import Step, StepKind, graph_of, sources_of
from refusal_tui.pipeline.history import History
from refusal_tui.pipeline.mistakes import ConfigError, Mistake
from refusal_tui.pipeline.work import Desk, Work, is_there, work_of
from refusal_tui.store.datasets import find_dataset
from refusal_tui.store.endpoints import list_endpoints
from refusal_tui.store.jobs import JobState, get_job
from refusal_tui.store.lengths import Lengths
from refusal_tui.store.pipelines import StepRecord
from refusal_tui.store.query import compile_filter
from refusal_tui.store.workspace import Workspace

_CHARS_A_TOKEN = 4


class Does(StrEnum):
    """What becomes of a step."""

    RUN = "runs"
    GO_ON = "goes on"  # an unfinished job of an earlier run has its inputs
    KEEP = "up to date"
    SKIP = "nothing to do"


@dataclass(frozen=True)
class Decision:
    """`earlier`: the step of an earlier run that is kept or gone on with; `job`: whose work is kept."""

    does: Does
    why: str
    work: Work
    earlier: StepRecord | None = None
    job: int | None = None


@dataclass(frozen=True)
class PlannedStep:
    """`rows` and `estimate` are None where they are not known before the steps before it have run; `asks`: it asks
    models, known or not how often; `product`: what an earlier run has made."""

    step: Step
    does: Does
    why: str
    rows: int | None = None
    estimate: Estimate | None = None
    asks: bool = False
    product: Mapping[str, str] = field(default_factory=dict)

    @property
    def to_do(self) -> bool:
        return self.does in (Does.RUN, Does.GO_ON)


@dataclass(frozen=True)
class Plan:
    """The whole graph. `usd` is None where a price or a number of requests is unknown."""

    steps: tuple[PlannedStep, ...]
    notes: tuple[str, ...] = ()

    @property
    def to_do(self) -> list[PlannedStep]:
        return [step for step in self.steps if step.to_do]

    @property
    def estimates(self) -> list[Estimate]:
        return [step.estimate for step in self.steps if step.estimate is not None]

    @property
    def unknown(self) -> list[str]:
        """The steps that will ask models, nobody knows yet how often."""
        return [one.step.name for one in self.steps if one.asks and one.estimate is None]

    @property
    def requests(self) -> int:
        return sum(one.requests for one in self.estimates)

    @property
    def tokens(self) -> int:
        return sum(one.prompt_tokens + one.answer_tokens for one in self.estimates)

    @property
    def usd(self) -> float | None:
        known = [one.usd for one in self.estimates] + [None] * bool(self.unknown)
        return None if None in known else sum(cost for cost in known if cost is not None)

    @property
    def summary(self) -> str:
        """`7 of 11 steps have something to do: about 1,200 requests, 1.1M tokens, 0.42 USD`."""
        number = len(self.steps)
        if not self.to_do:
            return f"Nothing to do: {f'all {number} steps are' if number > 1 else 'its only step is'} up to date."
        said = f"{len(self.to_do)} of {number} steps {'have' if len(self.to_do) > 1 else 'has'} something to do"
        more = (
            f"; how often {', '.join(self.unknown)} will ask is known when the rows are there" if self.unknown else ""
        )
        if not self.requests:
            return f"{said}{more or '; no model is asked'}."
        cost = "cost unknown" if self.usd is None else f"{self.usd:,.2f} USD"
        return f"{said}: about {self.requests:,} requests, {tokens(self.tokens)} tokens, {cost}{more}."

    def as_json(self) -> dict[str, Any]:
        return {
            "steps": [
                {
                    "step": one.step.name, "kind": one.step.kind.value, "does": one.does.value, "why": one.why,
                    "after": list(one.step.after), "rows": one.rows,
                    "requests": one.estimate.requests if one.estimate else 0,
                    "usd": one.estimate.usd if one.estimate else 0.0,
                }
                for one in self.steps
            ],
            "to_do": len(self.to_do), "requests": self.requests, "tokens": self.tokens, "usd": self.usd,
            "notes": list(self.notes),
        }  # fmt: skip


def cost_words(step: PlannedStep) -> str:
    """What a step asks of models, "" for nothing."""
    return brief_words(step.estimate) if step.estimate is not None and step.estimate.requests else ""


def in_workspace(config: PipelineConfig, connection: sqlite3.Connection) -> PipelineConfig:
    """The config with its end points as the workspace knows them: a model's name stands for its only end point.

    Raises ConfigError with everything that is not there.
    """
    known = {one.name for one in list_endpoints(connection)}
    by_model: dict[str, list[str]] = {}
    for one in list_endpoints(connection):
        by_model.setdefault(one.model, []).append(one.name)
    wrong: list[Mistake] = []

    def named(section: str, key: str, value: str | None) -> str | None:
        if not value:
            return value
        found = []
        for name in (part.strip() for part in value.split(",") if part.strip()):
            others = by_model.get(name, [])
            if name not in known and len(others) != 1:
                there = ", ".join(sorted(known)) or "none yet"
                wrong.append(config.where.mistake(
                    (section, key), f"there is no end point {name!r} (known: {there}); add it with: refusal-tui "
                    f"endpoint add NAME --model {name}, or run with --offline"))  # fmt: skip
                continue
            found.append(name if name in known else others[0])
        return ",".join(found)

    def resolved(section: str, spec: JobSpec | None, keys: Collection[str]) -> Any:
        if spec is None:
            return None
        return spec.model_copy(update={key: named(section, key, getattr(spec, key)) for key in keys})

    config = replace(
        config,
        generate=resolved("generate", config.generate, ("endpoints",)),
        clean=resolved("clean", config.clean, ("endpoint", "answerer", "judge_endpoint")),
        label=resolved("label", config.label, ("endpoint", "panel", "arbiter")),
    )
    for number, source in enumerate(config.sources):
        if source.spec is None and find_dataset(connection, source.name) is None:
            place = ("datasets", number, "name")
            wrong.append(config.where.mistake(place, f"there is no dataset {source.name!r} here, and no source of it"))
    checks = [("select", config.select)] + ([("audit", config.audit.against)] if config.audit is not None else [])
    for section, text in checks:
        try:
            compile_filter(connection, text)
        except InputError as error:
            wrong.append(config.where.mistake((section, *(("against",) if section == "audit" else ())), str(error)))
    if config.label is not None and not wrong:
        try:
            config.label.check_in(connection)
        except RefusalTuiError as error:
            wrong.append(config.where.mistake(("label",), f"{error} {error.next_step}".strip()))
    if wrong:
        raise ConfigError(wrong)
    return config


def decide(desk: Desk, step: Step) -> Decision:
    """What becomes of a step whose predecessors are over. Raises InputError where what it needs is not there."""
    work = work_of(desk, step)
    if work.skip:
        return Decision(Does.SKIP, work.skip, work)
    if work.found:
        name = work.product.get("dataset")
        return Decision(Does.KEEP, f"imported as {name}" if name else "in force", work)
    gone = False
    for earlier in desk.history.with_key(work.key):
        if earlier.kind != step.kind:
            continue
        job = get_job(desk.connection, earlier.job) if earlier.job is not None else None
        if earlier.over or (job is not None and job.state is JobState.DONE):
            if is_there(desk, step.kind, earlier.product):
                return Decision(Does.KEEP, f"job {job.id}" if job is not None else "", work, earlier, earlier.job)
            gone = True
        elif job is not None and job.state is not JobState.CANCELLED:
            return Decision(Does.GO_ON, f"job {job.id} is {job.state.value}", work, earlier)
    elsewhere = _elsewhere(desk, work) if step.kind is StepKind.LABEL else None
    if elsewhere is not None:
        return Decision(Does.KEEP, f"job {elsewhere}", work, job=elsewhere)
    changed = desk.history.changed(step.name, step.kind, work.inputs)
    why = "what it made is gone" if gone else f"changed: {', '.join(changed)}" if changed else "not done yet"
    return Decision(Does.RUN, why, work)


def _elsewhere(desk: Desk, work: Work) -> int | None:
    """The job outside of pipelines that has labelled these rows."""
    assert isinstance(work.spec, LabelSpec)
    return labelled_by(desk.connection, work.spec, work.selection)


def make_plan(workspace: Workspace, connection: sqlite3.Connection, config: PipelineConfig) -> Plan:
    """Raises ConfigError for what is not in the workspace."""
    config = in_workspace(config, connection)
    history = History(connection)
    sources = sources_of(connection, config, history)
    if not sources:
        raise InputError("There is no dataset to work on.", "Import one first, or name files in a config.")
    products: dict[str, dict[str, str]] = {}
    desk = Desk(workspace, connection, config, history, sources, products)
    pending: dict[str, StepKind] = {}
    planned: list[PlannedStep] = []
    for step in graph_of(config, sources):
        waits = [name for name in step.after if _matters(pending.get(name), step.kind)]
        if waits:
            pending[step.name] = step.kind
            planned.append(_after(desk, step, waits))
            continue
        decision = decide(desk, step)
        spec = decision.work.spec
        if decision.does in (Does.RUN, Does.GO_ON):
            pending[step.name] = step.kind
            estimate = None if spec is None else estimate_job(connection, spec, decision.work.selection)
            asks = estimate is not None
            planned.append(PlannedStep(step, decision.does, decision.why, decision.work.rows, estimate, asks))
            continue
        earlier = decision.earlier
        product = products[step.name] = dict(earlier.product if earlier is not None else decision.work.product)
        planned.append(PlannedStep(step, decision.does, decision.why, decision.work.rows, product=product))
    return Plan(tuple(planned), config.notes)


def _matters(before: StepKind | None, kind: StepKind) -> bool:
    """Whether a step must run because one before it runs: other rules alone make nobody answer again."""
    if before is StepKind.CONSTITUTION:
        return kind in (StepKind.AUDIT, StepKind.REVIEW, StepKind.EXPORT)
    return before is not None


def _after(desk: Desk, step: Step, waits: list[str]) -> PlannedStep:
    """A step whose rows are not there yet."""
    config = desk.config
    specs = {StepKind.GENERATE: config.generate, StepKind.CLEAN: config.clean, StepKind.LABEL: config.label}
    spec = specs.get(step.kind)
    condition = ", for prompts without a response" if step.kind is StepKind.GENERATE else ""
    why = f"after {', '.join(waits)}{condition}"
    if spec is None or step.source is None or not spec.asks(desk.connection):
        return PlannedStep(step, Does.RUN, why)
    lengths = _lengths_of_source(step.source) if step.source.spec is not None else None
    if lengths is None:
        return PlannedStep(step, Does.RUN, why, asks=True)
    if step.kind is not StepKind.GENERATE:
        lengths = _with_answers(lengths, config)
    found = estimate_job(desk.connection, spec, lengths=lengths)
    return PlannedStep(step, Does.RUN, why, lengths.rows, found, asks=True)


def _lengths_of_source(source: Source) -> Lengths | None:
    """How long the rows of a file will be, from its head; None where that cannot be told cheaply."""
    assert source.spec is not None
    if source.spec.source.startswith("hf:"):
        return None
    try:
        plan = source.spec.plan()
    except RefusalTuiError:
        return None
    if plan.estimated_rows is None or not plan.preview:
        return None
    prompts = [len(item.prompt) if isinstance(item.prompt, str) else sum(len(t.content) for t in item.prompt)
               for item in plan.preview]  # fmt: skip
    answers = [len(item.response) for item in plan.preview if item.response]
    return Lengths(
        plan.estimated_rows, sum(prompts) / len(prompts), sum(answers) / len(answers) if answers else 0.0,
        len(answers) / len(plan.preview),
    )  # fmt: skip


def _with_answers(lengths: Lengths, config: PipelineConfig) -> Lengths:
    """The rows that have a response, once prompts without one have been answered where that is wanted."""
    if lengths.answered == 1.0:
        return lengths
    rows, chars = lengths.rows * lengths.answered, lengths.response_chars
    if config.generate is not None:
        spec = config.generate
        rows += lengths.rows * (1 - lengths.answered) * len(spec.models) * len(spec.system_texts()) * spec.samples
        chars = chars or spec.answer_tokens / 2 * _CHARS_A_TOKEN
    return Lengths(round(rows), lengths.prompt_chars, chars)
