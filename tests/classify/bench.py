"""A workspace with labelled rows, and training runs in it as a worker runs them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.classify.report import Run, read_run
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.jobs import worker
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import Job, create_job, get_job
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.classify.tiny import texts
from tests.store.building import NewRow, add, judge, says

ROWS = 240


@dataclass(frozen=True)
class Bench:
    workspace: Workspace
    encoder: Path | str

    def start(self, **changes: Any) -> int:
        """Checked and queued as `submit` does it, without a supervisor."""
        settings = {
            "name": "tiny", "encoder": str(self.encoder), "epochs": 6, "patience": 6, "learning_rate": 3e-3,
            "batch_tokens": 500,
            "max_tokens": 48, "device": "cpu", "save_every": 3, **changes,
        }  # fmt: skip
        spec = TrainClassifierSpec(**settings)
        spec.check()
        with closing(self.workspace.open()) as connection:
            spec.check_in(connection)
            return create_job(
                connection, kind="train-classifier", title=spec.title(), lane="gpu", spec=spec.model_dump_json(),
                spec_version=spec.VERSION, item_ids=select_ids(connection),
            )  # fmt: skip

    def run(self, **changes: Any) -> tuple[Job, Path]:
        job_id = self.start(**changes)
        worker.run_job(self.workspace, job_id)
        return self.job(job_id), self.folder(job_id)

    def job(self, job_id: int) -> Job:
        with closing(self.workspace.open()) as connection:
            return get_job(connection, job_id)

    def folder(self, job_id: int) -> Path:
        return self.workspace.artifacts / f"job-{job_id}"

    def report(self, job_id: int) -> Run:
        return read_run(self.folder(job_id))

    def losses(self, job_id: int) -> dict[int, float]:
        final = self.report(job_id).final
        assert final is not None
        return {step.step: step.loss for step in final.steps}


def make_bench(folder: Path, encoder: Path | str = "linear", rows: int = ROWS, odd: int = 0) -> Bench:
    """Every answer that helps counts as a jailbreak, half of the rows have that label. Of every `odd` rows one says
    "hard" whatever it is, so that there are mistakes."""
    workspace = create_workspace(folder)
    made = [(p, r, "hard" if odd and n % odd == 0 else label) for n, (p, r, label) in enumerate(texts(rows))]
    with closing(workspace.open()) as connection:
        ids = add(
            connection,
            *(NewRow(prompt, answer, f"m{n % 2}", category=f"c{n % 4}") for n, (prompt, answer, _) in enumerate(made)),
        )
        judge(connection, *(says(i, label, "human:ada") for i, (_, _, label) in zip(ids, made, strict=True)))
        judge(connection, *(
            Verdict(ItemId(i), "human:eve", "jailbreak_success", "1", {"jailbreak_success": Answer(label == "none")})
            for n, (i, (_, _, label)) in enumerate(zip(ids, made, strict=True)) if n % 4 < 2
        ))  # fmt: skip
    return Bench(workspace, encoder)
