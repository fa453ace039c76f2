"""A workspace, the shipped tiny chat model and its dialogues: runs of all kinds of jobs without a supervisor."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.finetune.adapter_spec import RefusalAdapterSpec
from refusal_tui.finetune.cleaned.spec import RawVsCleanedSpec
from refusal_tui.finetune.report import Run, read_run
from refusal_tui.finetune.spec import RobustnessSpec
from refusal_tui.jobs import worker
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.store.jobs import Job, create_job, get_job, requeue_job
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.conftest import ROOT

TINY = ROOT / "data" / "tiny_chat"
_KINDS = {RobustnessSpec: "robustness", RefusalAdapterSpec: "refusal-adapter", RawVsCleanedSpec: "raw-vs-cleaned"}


@dataclass(frozen=True)
class Bench:
    workspace: Workspace

    def adapter_spec(self, **changes: Any) -> RefusalAdapterSpec:
        settings = {
            "name": "tiny", "model": str(TINY), "refusals": str(TINY / "refusals.jsonl"), "rank": 4, "alpha": 8,
            "learning_rate": 3e-3, "steps": 4, "batch_size": 8, "seeds": 2, "max_tokens": 64, "device": "cpu",
            "save_every": 2, **changes,
        }  # fmt: skip
        return RefusalAdapterSpec(**settings)

    def spec(self, **changes: Any) -> RobustnessSpec:
        settings = {
            "name": "robust", "model": str(TINY), "adapter": "tiny", "task": str(TINY / "task.jsonl"),
            "prompts": str(TINY / "asked.jsonl"), "harmless": str(TINY / "harmless.jsonl"), "arms": "orthogonal",
            "n": 10, "seeds": 1, "checkpoints": 2, "steps": "6", "learning_rate": "3e-3", "rank": 4, "alpha": 8,
            "batch_size": 8, "subspace_rank": 4, "max_tokens": 64, "answer_tokens": 8, "device": "cpu", "save_every": 2,
            **changes,
        }  # fmt: skip
        return RobustnessSpec(**settings)

    def cleaned_spec(self, **changes: Any) -> RawVsCleanedSpec:
        settings = {
            "name": "clean-run", "model": str(TINY), "raw": str(TINY / "raw.jsonl"),
            "cleaned": str(TINY / "cleaned.jsonl"), "prompts": str(TINY / "asked.jsonl"),
            "benign": str(TINY / "benign.jsonl"), "n": 10, "seeds": 1, "steps": 6, "learning_rate": 3e-3, "rank": 4,
            "alpha": 8, "batch_size": 8, "max_tokens": 64, "answer_tokens": 8, "device": "cpu", "save_every": 2,
            **changes,
        }  # fmt: skip
        return RawVsCleanedSpec(**settings)

    def start(self, spec: JobSpec) -> int:
        """Checked and queued as `submit` does it, without a supervisor."""
        spec.check()
        kind = _KINDS[type(spec)]
        with closing(self.workspace.open()) as connection:
            spec.check_in(connection)
            return create_job(
                connection, kind=kind, title=spec.title(), lane="gpu", spec=spec.model_dump_json(),
                spec_version=spec.VERSION, item_ids=spec.make_rows(connection),
            )  # fmt: skip

    def run(self, spec: JobSpec) -> tuple[Job, Path]:
        job_id = self.start(spec)
        worker.run_job(self.workspace, job_id)
        return self.job(job_id), self.folder(job_id)

    def again(self, job_id: int) -> Job:
        """A job that was interrupted, resumed."""
        with closing(self.workspace.open()) as connection:
            requeue_job(connection, job_id)
        worker.run_job(self.workspace, job_id)
        return self.job(job_id)

    def job(self, job_id: int) -> Job:
        with closing(self.workspace.open()) as connection:
            return get_job(connection, job_id)

    def folder(self, job_id: int) -> Path:
        return self.workspace.artifacts / f"job-{job_id}"

    def report(self, job_id: int) -> Run:
        return read_run(self.folder(job_id))


def make_bench(folder: Path) -> Bench:
    return Bench(create_workspace(folder))
