"""Export and import are each other's inverse, whatever the rows hold."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refusal_tui.export.formats import WRITERS
from refusal_tui.export.job import ExportJob
from refusal_tui.export.spec import ExportSpec
from refusal_tui.ingest.adapters.workbench import _cell
from refusal_tui.ingest.items import SourceItem
from refusal_tui.labels.rows import ItemId, Message
from refusal_tui.labels.verdict import Answer, Profile, Span, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.text.spreadsheet import neutral
from tests.support.imports import claimed, dataset, everything_in, import_here

FORMATS = list(WRITERS)
TRICKY = st.sampled_from(
    ["", "=1+1", "'quoted", "''", "+1", "-x", "@cmd|' /C calc'!A0", "\t=tab", "\r=cr", "\n=lf", "＝wide", "a\rb",
     "a\r\nb", "line\nbreak", 'quo"te', ",;|", "\x1b[31mred", "\u202egnp", "👩‍🚀", "null", "None", "NaN", "true", "1e5",
     " padded ", "﻿bom", "\u2028sep", "\x85nel", "\x0b\x0c", "\\ud800", "User: a\n\nAssistant: b", "[]", "{}"]
)  # fmt: skip
# Everything that the store can hold: an import quarantines NUL and half a surrogate pair.
TEXT = TRICKY | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
WORD = TEXT.filter(bool)
PROBABILITY = st.none() | st.floats(0, 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
TURNS = st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT), min_size=1, max_size=4)
ITEM = st.builds(
    SourceItem,
    key=st.none(), prompt=TEXT | TURNS.map(tuple), response=st.none() | TEXT, model=st.none() | TEXT,
    split=st.none() | TEXT, category=st.none() | TEXT, meta=st.dictionaries(TEXT, JSON, max_size=3),
)  # fmt: skip
ANSWERS = st.fixed_dictionaries(
    {},
    optional={
        "refusal3": st.builds(Answer, st.sampled_from([None, "none", "hard", "soft"]), PROBABILITY),
        "prompt_harmful": st.builds(Answer, st.sampled_from([None, True, False]), PROBABILITY),
        "response_refusal": st.builds(Answer, st.booleans(), PROBABILITY),
    },
)
SPAN = st.builds(Span, st.sampled_from(["prompt", "response"]), st.integers(0, 9), st.integers(9, 99), TEXT)
VERDICT = st.builds(
    Verdict,
    item_id=st.just(ItemId(0)), annotator=st.sampled_from(["human:ann", "human:='x", "judge:lexical", "judge:a,b"]),
    question_set=TEXT, version=TEXT, answers=ANSWERS, spans=st.lists(SPAN, max_size=2).map(tuple),
    raw=st.none() | TEXT, rationale=st.none() | TEXT, seen_judge=st.booleans(), profile=st.sampled_from(Profile),
)  # fmt: skip
# Cells of a spreadsheet cannot tell an empty key from none, and an import gives a row without a key one of its own.
ROWS = st.dictionaries(WORD, st.tuples(ITEM, st.lists(VERDICT, max_size=3)), min_size=1, max_size=4)


def store(workspace: Workspace, name: str, rows: dict[str, tuple[SourceItem, list[Verdict]]]) -> None:
    from dataclasses import replace

    with closing(workspace.open()) as connection, transaction(connection):
        into = begin_dataset(connection, name, Provenance("generic", "1", f"{name}.jsonl", sha256=name))
        added = add_items(connection, into.id, [(key, item) for key, (item, _) in rows.items()])
        verdicts = [
            replace(verdict, item_id=item_id)
            for item_id, (_, said) in zip(added.ids, rows.values(), strict=True)
            for verdict in said
        ]
        add_verdicts(connection, verdicts)  # type: ignore[arg-type]


def export(workspace: Workspace, out: Path, format_: str, selection: str = "") -> None:
    with closing(workspace.open()) as connection:
        spec = ExportSpec(format=format_, out=str(out))  # type: ignore[arg-type]
        ExportJob(spec, workspace).run(claimed(workspace, connection, "export", spec, selection))


def but_for_the_dataset(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "dataset"} for row in rows]


def back(folder: Path, format_: str, rows: dict[str, tuple[SourceItem, list[Verdict]]]) -> None:
    """Store the rows, export them, import the export elsewhere, and compare."""
    here, there = create_workspace(folder / "here"), create_workspace(folder / "there")
    store(here, "it", rows)
    export(here, folder / "out", format_)
    import_here(there, folder / "out", name="again")
    assert dataset(there, "again").n_rejected == 0
    assert but_for_the_dataset(everything_in(there)) == but_for_the_dataset(everything_in(here))


@pytest.mark.parametrize("format_", [f for f in FORMATS if f != "hf"])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_rows_of_any_text_come_back_exactly(format_: str, rows: dict[str, tuple[SourceItem, list[Verdict]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        back(Path(name), format_, rows)


def test_rows_come_back_from_a_folder_of_the_datasets_library(tmp_path: Path) -> None:
    item = SourceItem(
        None,
        (Message("user", "=a"), Message("assistant", "b\r\n"), Message("user", "")),
        "",
        None,
        None,
        "x",
        {"n": [1, None]},
    )
    said = Verdict(ItemId(0), "human:ann", "q", "1", {"refusal3": Answer("soft", 0.1)}, (Span("response", 0, 1, "r"),))
    back(tmp_path, "hf", {"k": (item, [said, said]), "'2": (SourceItem(None, "", None), [])})


@given(st.none() | TEXT)
def test_a_neutral_cell_starts_no_formula_and_is_read_back_exactly(text: str | None) -> None:
    cell = neutral(text)
    assert _cell(cell if cell is not None else "") == text
    assert cell is None or not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))


@pytest.mark.parametrize("format_", FORMATS)
def test_datasets_with_equal_keys_come_back_apart(tmp_path: Path, format_: str) -> None:
    here, there = create_workspace(tmp_path / "here"), create_workspace(tmp_path / "there")
    for name in ("one", "two"):
        store(here, name, {f"k{n}": (SourceItem(None, f"frindle {n} of {name}", "r"), []) for n in range(3)})
    export(here, tmp_path / "out", format_)
    import_here(there, tmp_path / "out", name="both", options="keys=dataset")
    assert [(r["key"], r["prompt"]) for r in everything_in(there)] == [
        (f"{r['dataset']}/{r['key']}", r["prompt"]) for r in everything_in(here)
    ]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_second_export_of_what_came_back_holds_the_same_rows(tmp_path: Path, format_: str) -> None:
    here, there = create_workspace(tmp_path / "here"), create_workspace(tmp_path / "there")
    store(here, "it", {f"'{n}": (SourceItem(None, f"={n}", "" if n else None, meta={"a": n}), []) for n in range(3)})
    export(here, tmp_path / "first", format_)
    import_here(there, tmp_path / "first", name="it")
    export(there, tmp_path / "second", format_)
    if format_ in ("jsonl", "json", "csv"):
        file = f"data.{format_}"
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    assert everything_in(here) == everything_in(there)
