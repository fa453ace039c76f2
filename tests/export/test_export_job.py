"""The export job: what it writes, what it says about it, and that nothing half-written ever stands at the target."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import InputError, StorageError
from refusal_tui.export import formats
from refusal_tui.export.job import ExportJob
from refusal_tui.export.spec import ExportSpec
from refusal_tui.ingest.items import SourceItem
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.spec import SpecError, build_spec
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.imports import claimed, claimed_again

FORMATS = list(formats.WRITERS)
OPEN = Provenance("generic", "1", "open.jsonl", sha256="a" * 64, licence="MIT", redistribution="full")
CLOSED = Provenance(
    "generic", "1", "vault|1.jsonl", sha256="b" * 64, licence="terms of <blorp>", redistribution="none", eval_only=True
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two datasets with the same keys; rows 1 and 2 have labels."""
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection, transaction(connection):
        for name, provenance in (("open", OPEN), ("vault", CLOSED)):
            into = begin_dataset(connection, name, provenance)
            items = [(f"k{n}", SourceItem(f"k{n}", f"frindle {n} of {name}", "=1+1" if n else None)) for n in range(3)]
            add_items(connection, into.id, items)
        add_verdicts(
            connection,
            [
                said(1, "human:ann", refusal3="soft", prompt_harmful=True),
                said(1, "judge:late", refusal3="hard", response_refusal=False),
                said(2, "judge:early", refusal3="none"),
                said(2, "judge:late", refusal3="hard"),
            ],
        )
    return workspace


def said(item: int, annotator: str, **answers: str | bool) -> Verdict:
    return Verdict(ItemId(item), annotator, "q", "1", {question: Answer(value) for question, value in answers.items()})


Export = Callable[..., str]


@pytest.fixture
def export(workspace: Workspace) -> Export:
    def run(out: Path, format_: str = "jsonl", selection: str = "") -> str:
        with closing(workspace.open()) as connection:
            spec = ExportSpec(format=format_, out=str(out))  # type: ignore[arg-type]
            return ExportJob(spec, workspace).run(claimed(workspace, connection, "export", spec, selection))

    return run


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "data.jsonl").read_text().splitlines()]


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format_is_a_folder_with_rows_a_card_and_their_description(
    export: Export, tmp_path: Path, format_: str
) -> None:
    out = tmp_path / "deep" / "out"
    note = export(out, format_)
    data = {"hf": "data"}.get(format_, f"data.{format_}")
    assert note == f"6 rows in {out / data}"
    assert sorted(p.name for p in out.iterdir()) == sorted(["README.md", data, "dataset_info.json"])
    assert [p.name for p in out.parent.iterdir()] == ["out"], "no draft stays behind"


def test_the_label_to_train_on_is_a_human_s_or_else_the_latest_judge_s(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "out", selection="dataset:open")
    chosen = [
        (r["refusal3"], r["refusal3_by"], r["prompt_harmful"], r["response_refusal"]) for r in rows_of(tmp_path / "out")
    ]
    assert chosen == [
        ("soft", "human:ann", True, False),
        ("hard", "judge:late", None, None),
        (None, None, None, None),
    ]


def test_only_the_selection_is_written_in_its_order(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "out", selection="key:k1,k2")
    assert [(r["dataset"], r["key"]) for r in rows_of(tmp_path / "out")] == [
        ("open", "k1"), ("open", "k2"), ("vault", "k1"), ("vault", "k2"),
    ]  # fmt: skip


def test_a_spreadsheet_sees_no_formula(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "out", "csv", "dataset:open")
    with (tmp_path / "out" / "data.csv").open(newline="", encoding="utf-8") as file:
        cells = [row["response"] for row in csv.DictReader(file)]
    assert cells == ["", "'=1+1", "'=1+1"]


def test_parquet_opens_in_pyarrow_with_real_booleans(export: Export, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    export(tmp_path / "out", "parquet")
    table = pq.read_table(tmp_path / "out" / "data.parquet")
    assert table.num_rows == 6 and str(table.schema.field("prompt_harmful").type) == "bool"
    assert table.column("refusal3").to_pylist() == ["soft", "hard", None, None, None, None]


def test_the_hf_folder_opens_in_datasets(export: Export, tmp_path: Path) -> None:
    import datasets

    export(tmp_path / "out", "hf")
    data = datasets.load_from_disk(str(tmp_path / "out" / "data"))
    assert data["key"][:] == ["k0", "k1", "k2"] * 2 and data.features["response_refusal"].dtype == "bool"


@pytest.mark.parametrize("format_", FORMATS)
def test_no_rows_make_an_empty_file_that_can_be_read(tmp_path: Path, format_: str) -> None:
    import datasets
    import pyarrow.parquet as pq

    path = formats.WRITERS[format_](iter(()), tmp_path)
    readers: dict[str, Callable[[], int]] = {
        "jsonl": lambda: len(path.read_text()),
        "json": lambda: len(json.loads(path.read_text())),
        "csv": lambda: len(path.read_text().splitlines()) - 1,
        "parquet": lambda: pq.read_table(path).num_rows,
        "hf": lambda: len(datasets.load_from_disk(str(path))),
    }
    assert readers[format_]() == 0


def test_huge_rows_go_into_parquet_a_few_at_a_time(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow.parquet as pq

    monkeypatch.setattr(formats, "_BATCH_CHARACTERS", 50)
    export(tmp_path / "out", "parquet")
    assert pq.ParquetFile(tmp_path / "out" / "data.parquet").num_row_groups > 1


# --- what is said about it -------------------------------------------------------------------------------------------


def test_the_description_counts_rows_and_labels_and_names_every_source(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "out", selection="key:k0,k1")
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert (info["total_items"], info["with_response"], info["selection"]) == (4, 2, "key:k0,k1")
    assert info["refusal3"] == {"soft": 1, "hard": 1, "unlabelled": 2}
    assert info["labels"]["refusal3 by judge:late"] == {"hard": 2}
    assert [(s["name"], s["rows"], s["sha256"][:1], s["redistribution"]) for s in info["sources"]] == [
        ("open", 2, "a", "full"),
        ("vault", 2, "b", "none"),
    ]
    assert info["licences"] == ["MIT", "terms of <blorp>"]


def test_the_card_names_what_must_not_be_passed_on_and_escapes_what_it_quotes(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "**Do not pass this on as it is:** the terms of vault do not allow it." in card
    assert "**Evaluation only, never train on:** vault." in card
    assert r"vault\|1.jsonl" in card and r"terms of \<blorp\>" in card
    assert "--option keys=dataset" in card, "two datasets have the same keys"


def test_the_card_of_one_open_dataset_warns_of_nothing(export: Export, tmp_path: Path) -> None:
    export(tmp_path / "out", selection='dataset:open "frindle"')
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Do not pass" not in card and "keys=dataset" not in card


def test_the_head_of_the_card_is_yaml_that_the_hub_can_read(export: Export, tmp_path: Path) -> None:
    import yaml

    selection = 'dataset:open -"a \\ `quoted` \x85😀 word"'
    export(tmp_path / "out", selection=selection)
    card = (tmp_path / "out" / "README.md").read_text()
    head = yaml.safe_load(card.split("---\n")[1])
    assert head["pretty_name"] == f"refusal_tui export of {selection}"
    assert head["configs"] == [{"config_name": "default", "data_files": "data.jsonl"}]
    assert head["license_name"] == "MIT"


def test_every_file_is_recorded_with_its_checksum(export: Export, workspace: Workspace, tmp_path: Path) -> None:
    export(tmp_path / "out")
    with closing(workspace.open()) as connection:
        written = list_artifacts(connection)
    assert sorted(Path(a.path).name for a in written) == ["README.md", "data.jsonl", "dataset_info.json"]
    assert list((workspace.artifacts).iterdir()) == [], "the job's own folder is cleared"


# --- refused before it starts ----------------------------------------------------------------------------------------


def test_a_target_that_cannot_be_written_is_refused_before_the_job_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").write_text("")
    wrong = {
        "file": "is a file", "file/below": "cannot be written", "full": "is not empty", "x" * 300: "cannot be written",
        "/proc/out": "cannot be written",
    }  # fmt: skip
    for out, what in wrong.items():
        with pytest.raises(SpecError) as error:
            ExportSpec(out=str(tmp_path / out)).check()
        assert what in error.value.fields["out"], out


@pytest.mark.parametrize("out", ["~nobody-of-this-name/out", "caf\udce9"])
def test_a_target_that_is_no_place_is_refused(out: str) -> None:
    with pytest.raises(SpecError):
        build_spec(ExportSpec, {"out": out})


def test_looking_at_the_target_leaves_nothing_behind(tmp_path: Path) -> None:
    ExportSpec(out=str(tmp_path / "new" / "out")).check()
    assert list(tmp_path.iterdir()) == []


def test_a_relative_target_is_relative_to_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ExportSpec(out="here").out == str(tmp_path / "here")


# --- interrupted -----------------------------------------------------------------------------------------------------


class Pulled(Exception):
    """The plug is pulled."""


def test_an_interrupted_export_leaves_nothing_and_begins_anew(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ExportSpec(out=str(tmp_path / "place" / "out"))
    with closing(workspace.open()) as connection:
        context = claimed(workspace, connection, "export", spec, "")
        report = context.report

        def pulled(done: int, *arguments: Any, **named: Any) -> None:
            report(done, *arguments, **named)
            if done == 4:
                raise Pulled

        context.report = pulled  # type: ignore[method-assign]
        with pytest.raises(Pulled):
            ExportJob(spec, workspace).run(context)
        assert list((tmp_path / "place").iterdir()) == []
        ExportJob(spec, workspace).run(claimed_again(context))
    assert len(rows_of(tmp_path / "place" / "out")) == 6


def test_what_a_killed_run_left_half_written_is_swept_away(workspace: Workspace, tmp_path: Path) -> None:
    spec = ExportSpec(out=str(tmp_path / "place" / "out"))
    with closing(workspace.open()) as connection:
        context = claimed(workspace, connection, "export", spec, "")
        half = tmp_path / "place" / f".out.job-{context.job.id}.partial"
        half.mkdir(parents=True)
        (half / "data.jsonl").write_text('{"half": ')
        ExportJob(spec, workspace).run(context)
    assert [p.name for p in (tmp_path / "place").iterdir()] == ["out"]


def test_a_run_killed_right_after_the_rename_is_whole_and_only_says_so(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ExportSpec(out=str(tmp_path / "out"))
    with closing(workspace.open()) as connection:
        context = claimed(workspace, connection, "export", spec, "")

        def pulled(*_: object, **__: object) -> None:
            raise Pulled

        monkeypatch.setattr(context, "artifact", pulled)
        with pytest.raises(Pulled):
            ExportJob(spec, workspace).run(context)
        written = (tmp_path / "out" / "data.jsonl").stat().st_mtime_ns
        note = ExportJob(spec, workspace).run(claimed_again(context))
        assert note == f"6 rows in {tmp_path / 'out' / 'data.jsonl'}"
        assert (tmp_path / "out" / "data.jsonl").stat().st_mtime_ns == written
        assert len(list_artifacts(connection)) == 3


def test_a_target_that_was_filled_meanwhile_is_not_touched(workspace: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "out"
    spec = ExportSpec(out=str(out))
    with closing(workspace.open()) as connection:
        context = claimed(workspace, connection, "export", spec, "")
        out.mkdir()
        (out / "dataset_info.json").write_text("mine")
        with pytest.raises(InputError, match="has been filled meanwhile"):
            ExportJob(spec, workspace).run(context)
        with pytest.raises(InputError, match="has been filled meanwhile"):
            ExportJob(spec, workspace).run(claimed_again(context))
    assert [p.name for p in out.iterdir()] == ["dataset_info.json"] and (
        out / "dataset_info.json"
    ).read_text() == "mine"
    assert not list(tmp_path.glob(".out*"))


def test_a_disk_without_room_is_told_in_a_sentence(workspace: Workspace, tmp_path: Path) -> None:
    def full(records: Any, folder: Path) -> Path:
        raise OSError(28, "No space left on device")

    spec = ExportSpec(out=str(tmp_path / "out"))
    with closing(workspace.open()) as connection, pytest.MonkeyPatch.context() as patch:
        patch.setitem(formats.WRITERS, "jsonl", full)  # type: ignore[arg-type]
        context: ComputeContext = claimed(workspace, connection, "export", spec, "")
        with pytest.raises(StorageError, match="cannot be written: No space left on device") as error:
            ExportJob(spec, workspace).run(context)
    assert f"jobs resume {context.job.id}" in error.value.next_step
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_a_link_to_an_empty_folder_stands_for_the_folder(export: Export, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    export(tmp_path / "link")
    assert (tmp_path / "link").is_symlink() and len(rows_of(tmp_path / "real")) == 6
