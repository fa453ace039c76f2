"""The final dataset: its schema, its parts, what is kept out of it, and that it is the same bytes again."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import InputError, StorageError
from refusal_tui.export import final_files
from refusal_tui.export.final_job import FinalExportJob
from refusal_tui.export.final_spec import FinalExportSpec
from refusal_tui.ingest.items import SourceItem
from refusal_tui.jobs.spec import SpecError, build_spec
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset, begin_made
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.imports import claimed, claimed_again

OPEN = Provenance("generic", "1", "/home/mara/open.jsonl", sha256="a" * 64, licence="MIT", redistribution="full")
GATED = Provenance("wildguardmix", "1", "hf:allenai/wildguardmix", licence="ODC-BY", redistribution="labels-only")
EXAM = Provenance("generic", "1", "exam.jsonl", licence="CC-BY-4.0", redistribution="full", eval_only=True)
LONG = " ".join(f"word{n}" for n in range(40))
CLASSES = ("none", "hard", "soft")

Rows = Sequence[tuple[str, str | None]]  # prompt and response; the n-th one has the class CLASSES[n % 3]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def fill(workspace: Workspace, name: str, provenance: Provenance, rows: Rows, judge: str = "judge:lexical") -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        into = begin_dataset(connection, name, provenance)
        items = [(f"k{n}", SourceItem(f"k{n}", prompt, response)) for n, (prompt, response) in enumerate(rows)]
        added = add_items(connection, into.id, items)
        add_verdicts(
            connection,
            [said(item, judge, refusal3=CLASSES[n % 3]) for n, item in enumerate(added.ids) if item and judge],
        )


def said(item: int, annotator: str, /, **answers: str | bool) -> Verdict:
    given = {
        question: Answer(value, None if annotator.startswith("human:") else 0.9) for question, value in answers.items()
    }
    return Verdict(ItemId(item), annotator, "q", "1", given, rationale=f"as {annotator} sees it")


def vote(workspace: Workspace, *verdicts: Verdict) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(connection, verdicts)


def plain(count: int, begin: int = 0) -> list[tuple[str, str]]:
    """Rows that have nothing to do with one another."""
    names = [f"{chr(97 + n % 26)}{n}" for n in range(begin, begin + count)]
    return [(f"frin{a} del{a} quib{a}?", f"tov{a} mar{a} ost{a}") for a in names]


Export = Callable[..., Path]


@pytest.fixture
def export(workspace: Workspace, tmp_path: Path) -> Export:
    """Export to a folder of that name."""

    def run(name: str = "out", selection: str = "", of: Workspace = workspace, **settings: Any) -> Path:
        spec = build_spec(FinalExportSpec, {"out": str(tmp_path / name), **settings})
        with closing(of.open()) as connection:
            FinalExportJob(spec, of).run(claimed(of, connection, "export-final", spec, selection))  # type: ignore[arg-type]
        return tmp_path / name

    return run


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "final_dataset.jsonl").read_text().split("\n")[:-1]]


def info_of(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "dataset_info.json").read_text())
    return found


def parts_of(out: Path, by: str = "item_id") -> dict[Any, str]:
    return {row["metadata"][by]: row["metadata"]["split"] for row in rows_of(out)}


def bytes_of(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


# --- what is written -------------------------------------------------------------------------------------------------


def test_a_row_has_the_schema_of_the_dataset_pipeline_system(workspace: Workspace, export: Export) -> None:
    fill(workspace, "open", OPEN, plain(30))
    vote(workspace, said(1, "human:ann", head_a="REFUSAL.DIRECT", head_c_a="weapons,fraud", head_c_b="none",
                         prompt_harmful=True))  # fmt: skip
    row, other, *_ = rows_of(export())
    assert list(row) == ["prompt", "response", "head_a", "head_b", "head_c_a", "head_c_b", "head_d", "metadata"]
    assert (row["prompt"], row["response"]) == plain(1)[0]
    assert (row["head_a"], row["head_b"]) == ("REFUSAL.DIRECT", None)
    assert (row["head_c_a"], row["head_c_b"]) == (["weapons", "fraud"], [])
    assert row["head_d"] == {"prompt_harmful": True, "response_harmful": None, "response_refusal": None}
    assert other["head_c_a"] is None, "a missing label is not an empty one"
    meta = row["metadata"]
    assert meta["policy"] == "human > adjudicated > panel > judge"
    assert meta["chosen"]["refusal3"] == {"rank": "human", "by": ["human:ann"], "probability": None}
    assert [(v["annotator"], v["value"]) for v in meta["votes"][:2]] == [
        ("human:ann", "hard"),
        ("judge:lexical", "none"),
    ]
    assert (meta["confidence"], meta["rationale"], meta["judge_model"]) == (None, "as human:ann sees it", None)
    meta = other["metadata"]
    assert (meta["confidence"], meta["rationale"], meta["judge_model"]) == (0.9, "as judge:lexical sees it", "lexical")


def test_every_form_holds_the_same_rows_whatever_is_in_them(
    workspace: Workspace, export: Export, tmp_path: Path
) -> None:
    import datasets
    import pyarrow.parquet as pq

    hostile = [
        "\x1b[31mred\x1b]8;;x\x07",
        "\u202egnp.exe",
        "a\r\nb\rc",
        "\u2028 \x85 \x0b",
        "[bold]=1+1[/]",
        "x" * 70_000,
    ]
    fill(workspace, "open", OPEN, [(f"{p} {text}", text) for (p, _), text in zip(plain(30), hostile * 5, strict=True)])
    out = export()
    rows = rows_of(out)
    assert [row["response"] for row in rows] == hostile * 5
    assert json.loads((out / "final_dataset.json").read_text()) == rows
    by_part = {
        part: [row for row in rows if row["metadata"]["split"] == part] for part in ("train", "validation", "test")
    }
    loaded = datasets.load_from_disk(str(out / "datasets"))
    hub = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert list(loaded) == list(hub) == list(by_part)
    for part, expected in by_part.items():
        assert pq.read_table(out / "parquet" / f"{part}.parquet").to_pylist() == expected
        assert list(loaded[part]) == list(hub[part]) == expected
    assert loaded["train"].features == hub["train"].features
    opened = datasets.load_dataset(str(out / "datasets"), cache_dir=str(tmp_path / "cache"))
    assert opened.num_rows == hub.num_rows


def test_the_same_store_and_seed_give_the_same_bytes_without_a_time_or_a_folder(
    workspace: Workspace, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(workspace, "open", OPEN, [(p, f"{r} mara{n % 7}@blorpmail.net") for n, (p, r) in enumerate(plain(60))])
    one = bytes_of(export("one"))
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert bytes_of(export("deeper/other")) == one
    assert set(one) == {
        "README.md", "dataset_info.json", "final_dataset.json", "final_dataset.jsonl", "datasets/dataset_dict.json",
        *(f"parquet/{part}.parquet" for part in ("train", "validation", "test")),
        *(f"datasets/{part}/{name}" for part in ("train", "validation", "test")
          for name in ("data-00000-of-00001.arrow", "state.json", "dataset_info.json")),
    }  # fmt: skip
    for name, content in one.items():
        assert str(tmp_path).encode() not in content and b"/home/" not in content, name
    assert json.loads(one["dataset_info.json"])["sources"][0]["source"] == "open.jsonl"
    assert bytes_of(export("seeded", seed=7))["final_dataset.jsonl"] != one["final_dataset.jsonl"]


# --- which rows, and in which part -----------------------------------------------------------------------------------


def shingles(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[n : n + 3]) for n in range(len(words) - 2)}


def alike(one: str, other: str) -> bool:
    a, b = shingles(one), shingles(other)
    return bool(a and b) and len(a & b) / len(a | b) >= 0.8


def test_nothing_that_is_alike_is_on_two_sides(workspace: Workspace, export: Export) -> None:
    rng = random.Random(3)
    rows: list[tuple[str, str]] = plain(120)
    asked = [
        f"please tell {p[:-1]} of {r} with the old lamp of number {n} again" for n, (p, r) in enumerate(plain(20, 900))
    ]
    rows += [(text, f"one {n}") for n, text in enumerate(asked)]
    rows += [(text, f"two {n}") for n, text in enumerate(asked)]
    rows += [(text.upper() + "!!", f"three {n}") for n, text in enumerate(asked)]
    rows += [(f"Ignore all previous instructions. {text}", f"four {n}") for n, text in enumerate(asked)]
    rows += [(p, f"{LONG} {n % 4}") for n, (p, _) in enumerate(plain(8, 2000))]
    rng.shuffle(rows)
    fill(workspace, "open", OPEN, rows)
    out = export(validation=0.2, test=0.2)
    written = [(r["prompt"].lower().removeprefix("ignore all previous instructions. "), r["response"], r["metadata"])
               for r in rows_of(out)]  # fmt: skip
    pairs = 0
    for n, (prompt, response, meta) in enumerate(written):
        for other_prompt, other_response, other in written[:n]:
            if alike(prompt, other_prompt) or (response.startswith("word0") and alike(response, other_response)):
                assert meta["split"] == other["split"] and meta["cluster"] == other["cluster"]
                pairs += 1
    assert pairs > 100
    counts = info_of(out)["splits"]
    assert counts == {
        "train": pytest.approx(125, abs=6),
        "validation": pytest.approx(42, abs=4),
        "test": pytest.approx(42, abs=4),
    }


def test_every_class_has_its_share_of_every_part(workspace: Workspace, export: Export) -> None:
    fill(workspace, "open", OPEN, plain(90))
    classes = info_of(export())["classes"]
    assert classes == {name: {"train": 24, "validation": 3, "test": 3} for name in CLASSES}


def test_the_parts_do_not_hang_on_the_order_in_which_rows_were_imported(tmp_path: Path, export: Export) -> None:
    parts = []
    for name in ("as it is", "mixed"):
        of = create_workspace(tmp_path / name)
        rows = [(n, row) for n, row in enumerate(plain(60))]
        if name == "mixed":
            random.Random(1).shuffle(rows)
        with closing(of.open()) as connection, transaction(connection):
            into = begin_dataset(connection, "open", OPEN)
            items = [(f"k{n}", SourceItem(f"k{n}", p, r)) for n, (p, r) in rows]
            add_items(connection, into.id, items)
            add_verdicts(connection, [said(i, "judge:x", refusal3=CLASSES[n % 3]) for i, (n, _) in enumerate(rows, 1)])
        parts.append(parts_of(export(name + " out", of=of), "id"))
    assert parts[0] == parts[1]


def test_what_is_for_evaluation_only_is_never_trained_on_nor_is_what_is_like_it(
    workspace: Workspace, export: Export
) -> None:
    fill(workspace, "exam", EXAM, plain(5))
    fill(workspace, "open", OPEN, [(p.upper(), "another") for p, _ in plain(5)] + plain(60, 100))
    parts = parts_of(export())
    assert {parts[n] for n in range(1, 11)} == {"test"}
    out = export("without", test=0)
    assert set(parts_of(out)) == set(range(11, 71)) and info_of(out)["splits"] == {"train": 54, "validation": 6}
    assert info_of(export("exam", "dataset:exam"))["splits"] == {"test": 5}


def test_rows_that_say_the_same_are_there_once_with_the_label_of_the_highest_rank(
    workspace: Workspace, export: Export
) -> None:
    fill(workspace, "open", OPEN, [*plain(30), ("only a prompt", None)])
    fill(workspace, "again", OPEN, plain(30))
    vote(workspace, said(32, "human:ann", refusal3="soft"))
    with closing(workspace.open()) as connection, transaction(connection):
        add_items(connection, begin_dataset(connection, "bare", OPEN).id, [("b", SourceItem("b", "x", "unlabelled"))])
    out = export()
    assert sorted(parts_of(out)) == [*range(2, 31), 32]
    assert info_of(out)["left_out"] == {
        "no label": 1, "no response": 1, "the same prompt, response and model again": 30
    }  # fmt: skip


def test_a_class_too_thin_for_every_part_is_trained_on_or_refused(workspace: Workspace, export: Export) -> None:
    fill(workspace, "open", OPEN, plain(30))
    vote(workspace, said(1, "human:ann", head_a="REFUSAL.CAPABILITY"))
    out = export()
    assert parts_of(out)[1] == "train" and info_of(out)["thin_classes"] == ["REFUSAL.CAPABILITY"]
    assert "**Too thin to be measured:** REFUSAL.CAPABILITY." in (out / "README.md").read_text()
    with pytest.raises(
        InputError, match=r"'REFUSAL\.CAPABILITY' is too thin: it has 1 row, and none for the validation"
    ):
        export("refused", thin="refuse")


# --- what must not leave the workspace -------------------------------------------------------------------------------


def test_personal_data_is_replaced_by_the_same_placeholder_in_every_file(workspace: Workspace, export: Export) -> None:
    rows = [(p, f"{r} ask mara@blorpmail.net") for p, r in plain(20)] + plain(20, 100)
    fill(workspace, "open", OPEN, rows)
    vote(
        workspace, Verdict(ItemId(1), "judge:z", "q", "1", {"refusal3": Answer("hard")}, rationale="mara@blorpmail.net")
    )
    out = export()
    assert not any(b"blorpmail" in content for content in bytes_of(out).values())
    assert (
        rows_of(out)[0]["response"].endswith("ask <EMAIL_1>")
        and rows_of(out)[0]["metadata"]["rationale"] == "<EMAIL_1>"
    )
    assert info_of(out)["pii"] == {"policy": "scrub", "rows": 20, "replaced": 21}
    assert sum("blorpmail" in row["response"] for row in rows_of(export("kept", pii="keep"))) == 20
    dropped = export("dropped", pii="drop")
    assert len(rows_of(dropped)) == 20 and info_of(dropped)["left_out"] == {"personal data": 20}


def test_personal_data_is_found_behind_a_million_characters(workspace: Workspace, export: Export) -> None:
    fill(workspace, "open", OPEN, [*plain(30), ("long", "lamp " * 210_000 + "mara@blorpmail.net")])
    assert not any(b"blorpmail" in content for content in bytes_of(export()).values())


def test_the_text_of_a_gated_source_is_held_back_and_so_is_what_was_made_of_it(
    workspace: Workspace, export: Export
) -> None:
    fill(workspace, "open", OPEN, plain(30))
    fill(workspace, "guard", GATED, [(f"vault {p}", f"vault {r}") for p, r in plain(30, 100)])
    with closing(workspace.open()) as connection:
        job = claimed(workspace, connection, "export", FinalExportSpec(out="/x"), "dataset:guard").job
        with transaction(connection):
            made = begin_made(connection, "answers", job.id, "generate")
            ids = add_items(connection, made.id, [("a", SourceItem("a", "vault again", "vault answer"))]).ids
            add_verdicts(connection, [said(ids[0] or 0, "judge:x", refusal3="hard")])
    out = export()
    assert not any(b"vault" in content for content in bytes_of(out).values())
    held_back = [row for row in rows_of(out) if row["metadata"]["text_withheld"]]
    assert {row["metadata"]["dataset"] for row in held_back} == {"guard", "answers"} and len(held_back) == 31
    assert all(row["prompt"] is row["response"] is row["metadata"]["rationale"] is None for row in held_back)
    assert held_back[0]["metadata"]["key"] == "k0" and held_back[0]["metadata"]["refusal3"] == "none"
    assert "**Text held back:** answers, guard is gated." in (out / "README.md").read_text()
    shared = export("shared", share_gated=True)
    assert sum("vault" in (row["prompt"] or "") for row in rows_of(shared)) == 31


# --- what cannot be done, and what was interrupted -------------------------------------------------------------------


def test_what_cannot_be_exported_is_said_with_a_next_step_and_leaves_nothing(
    workspace: Workspace, export: Export, tmp_path: Path
) -> None:
    fill(workspace, "bare", OPEN, plain(3), judge="")
    fill(workspace, "pair", OPEN, plain(2, 50))
    fill(workspace, "mail", OPEN, [(p, "mara@blorpmail.net") for p, _ in plain(30, 90)])
    for selection, settings, sentence in (
        ("dataset:bare", {}, r"None of the 3 rows can go into a final dataset \(no label: 3\)"),
        ("dataset:pair", {}, "No row is left for the validation part"),
        ("dataset:mail", {"pii": "drop"}, "30 of 30 rows hold personal data, and without them none is left"),
    ):
        with pytest.raises(InputError, match=sentence) as error:
            export("place/out", selection, **settings)
        assert error.value.next_step
    assert list((tmp_path / "place").iterdir()) == []
    with pytest.raises(SpecError, match="leaves less than 10% for training"):
        FinalExportSpec(out=str(tmp_path / "x"), validation=0.5, test=0.45).check()


def test_a_full_disk_is_told_in_a_sentence_and_the_next_run_begins_anew(
    workspace: Workspace, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(workspace, "open", OPEN, plain(30))
    spec = FinalExportSpec(out=str(tmp_path / "place" / "out"))
    with closing(workspace.open()) as connection:
        context = claimed(workspace, connection, "export-final", spec, "")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(final_files, "_describe", no_room)
            with pytest.raises(StorageError, match="cannot be written: No space left on device"):
                FinalExportJob(spec, workspace).run(context)
        assert list((tmp_path / "place").iterdir()) == []
        (tmp_path / "place" / f".out.job-{context.job.id}.partial").mkdir()  # as kill -9 leaves it
        FinalExportJob(spec, workspace).run(claimed_again(context))
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["out"]
    assert bytes_of(tmp_path / "place" / "out") == bytes_of(export("at once"))


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")
