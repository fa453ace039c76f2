"""The measurement data: from four files to the final dataset, and a second run does nothing. Skipped without it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.store.workspace import Workspace
from tests.support.pipelines import run_config

DATA = Path(__file__).resolve().parents[3] / "shared/data"
SOURCES = {
    "hh": "formats/hh_sample.jsonl",
    "oasst": "formats/oasst_sample/en_100_tree.jsonl",
    "xstest": "human/xstest_dev.jsonl",
    "do-not-answer": "human/do_not_answer_dev.jsonl",
}


@pytest.mark.nightly
@pytest.mark.skipif(not DATA.exists(), reason="the measurement data is not here")
@pytest.mark.usefixtures("jobs_here")
def test_four_sources_become_one_final_dataset(workspace: Workspace, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    config = tmp_path / "real.toml"
    config.write_text(
        "".join(f'[[datasets]]\nname = "{name}"\nsource = "{DATA / path}"\n' for name, path in SOURCES.items())
    )
    run = run_config(workspace, config)
    assert run.out is not None
    info = json.loads((run.out / "dataset_info.json").read_text())
    rows = [json.loads(line) for line in (run.out / "final_dataset.jsonl").read_text().splitlines()]
    assert info["total_items"] == len(rows) > 5000
    assert run_config(workspace, config).job is None
