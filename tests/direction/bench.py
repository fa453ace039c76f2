"""A workspace, a model on disk and prompt files: runs of direction jobs without a supervisor."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.direction.spec import DirectionSpec
from refusal_tui.direction.tiny.world import World
from refusal_tui.jobs import worker
from refusal_tui.store.jobs import Job, create_job, get_job
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.direction.planted import write_planted

N_TRAIN, N_VAL = 40, 16


@dataclass(frozen=True)
class Bench:
    """`world` is the one of the model; all its requests lie in the two files."""

    workspace: Workspace
    model: Path
    world: World
    harmful: Path
    harmless: Path

    def spec(self, **changes: Any) -> DirectionSpec:
        settings = {
            "model": str(self.model), "harmful": str(self.harmful), "harmless": str(self.harmless),
            "n_train": N_TRAIN, "n_val": N_VAL, **changes,
        }  # fmt: skip
        return DirectionSpec(**settings)

    def start(self, spec: DirectionSpec) -> int:
        """Checked and queued as `submit` does it, without a supervisor."""
        spec.check()
        with closing(self.workspace.open()) as connection:
            spec.check_in(connection)
            return create_job(
                connection, kind="direction", title=spec.title(), lane="cpu", spec=spec.model_dump_json(),
                spec_version=spec.VERSION, item_ids=spec.make_rows(connection),
            )  # fmt: skip

    def run(self, **changes: Any) -> tuple[Job, Path]:
        job_id = self.start(self.spec(**changes))
        worker.run_job(self.workspace, job_id)
        return self.job(job_id), self.folder(job_id)

    def job(self, job_id: int) -> Job:
        with closing(self.workspace.open()) as connection:
            return get_job(connection, job_id)

    def folder(self, job_id: int) -> Path:
        return self.workspace.artifacts / f"job-{job_id}"


def make_bench(folder: Path) -> Bench:
    """With the planted model."""
    world = write_planted(folder / "model")
    harmful, harmless = world.all_requests()
    (folder / "harmful.txt").write_text("\n".join(harmful))
    (folder / "harmless.jsonl").write_text("\n".join(json.dumps({"instruction": text}) for text in harmless))
    return Bench(
        create_workspace(folder / "ws"), folder / "model", world, folder / "harmful.txt", folder / "harmless.jsonl"
    )
