"""Pipelines in this process: the worker's own code for every job, without a process of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.jobs import control, worker
from refusal_tui.jobs.registry import LANES
from refusal_tui.pipeline import job as pipeline_job
from refusal_tui.pipeline.api import Pipeline, PipelineRun
from refusal_tui.store.jobs import next_queued
from refusal_tui.store.workspace import Workspace

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run_jobs_here(patch: pytest.MonkeyPatch, besides: Callable[[Workspace, int], bool] = lambda *_: False) -> None:
    """Whoever asks for a supervisor gets the lane's queued jobs done at once, but for those that `besides` says."""

    def run(workspace: Workspace, lane: str) -> None:
        assert lane in LANES
        with closing(workspace.open()) as connection:
            job_id = next_queued(connection, lane)
        if job_id is not None and not besides(workspace, job_id):
            worker.run_job(workspace, job_id)

    patch.setattr(control, "ensure_supervisor", run)
    patch.setattr(pipeline_job, "POLL_SECONDS", 0.0)


def run_config(workspace: Workspace, config: Path, *, offline: bool = False) -> PipelineRun:
    return Pipeline.load(config, offline=offline).run(workspace)


def done_anew(run: PipelineRun) -> list[str]:
    """The steps that this run has done itself."""
    return [step.name for step in run.steps if step.over and not step.reused and not step.skipped]


def copy_examples(folder: Path) -> Path:
    """The shipped examples in a folder that a test may write to."""
    return Path(shutil.copytree(EXAMPLES, folder / "examples"))
