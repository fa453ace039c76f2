"""The data area: what each command prints, and what it says about wrong words."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.ingest.items import SourceItem
from refusal_tui.labels.rows import Message
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, add_quarantine, begin_dataset
from refusal_tui.store.items import add_items
from refusal_tui.store.workspace import Workspace
from tests.support.commands import Answer
from tests.support.workspaces import make_workspace

Call = Callable[..., Answer]
HOSTILE = "\x1b[2J\x1b]52;c;Zm9v\x07 [bold red]\u202egnp\x9b31m\r\n\x00end"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Twenty rows of our own, and a dataset whose every text is hostile."""
    workspace = make_workspace(tmp_path / "ws", rows=20)
    with closing(workspace.open()) as connection, transaction(connection):
        into = begin_dataset(connection, f"evil {HOSTILE}", Provenance("generic", "1", HOSTILE, licence=HOSTILE))
        turns = (Message("user", HOSTILE), Message("assistant", "b"), Message("user", "c"))
        item = SourceItem(HOSTILE, turns, HOSTILE, HOSTILE, HOSTILE, HOSTILE, {HOSTILE: [HOSTILE]})
        add_items(connection, into.id, [(HOSTILE, item)])
        add_quarantine(connection, into.id, [(1, HOSTILE, HOSTILE)])
    return workspace


READING = [
    ["datasets"], ["datasets", "--quarantine", f"evil {HOSTILE}"], ["rows", "--limit", "0"], ["rows", "--count"],
    ["row", "21"], ["row", "1"], ["row", "21", "--why"], ["facets"], ["facets", "--by", "dataset"],
    ["selections"], ["jobs"],
]  # fmt: skip


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_no_control_character_of_the_data_reaches_standard_output(call: Call, words: list[str]) -> None:
    answer = call(*words)
    assert answer.code == 0
    raw = [c for c in answer.out + answer.err if c in "\x1b\x07\x9b\x00\r\u202e"]
    assert raw == []


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_json_is_json_and_exact(call: Call, words: list[str]) -> None:
    answer = call(*words, "--json")
    assert answer.code == 0 and "\x1b" not in answer.out
    values = [json.loads(line) for line in answer.out.splitlines()] if words[:2] == ["rows", "--limit"] else answer.json
    if words == ["rows", "--limit", "0"] or words[:2] == ["row", "21"]:
        row = values[-1] if words[0] == "rows" else values["row"]
        assert row["response"] == row["messages"][0]["content"] == HOSTILE
        assert row["messages"][1] == {"role": "assistant", "content": "b"}


@pytest.mark.parametrize("words", [w for w in READING if w[0] != "row"], ids=" ".join)
def test_everything_fits_80_columns(call: Call, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from refusal_tui.text.safe import cell_width

    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in call(*words).out.splitlines() if cell_width(line) > 80] == []


def test_why_tells_where_the_linear_judges_score_comes_from(call: Call) -> None:
    answer = call("row", "1", "--why")
    assert "WHY (linear judge: " in answer.out and "log-odds of a refusal" in answer.out
    told = call("row", "1", "--why", "--json").json["why"]
    parts = told["shares"]
    shared = sum(token["share"] for token in parts["tokens"]) + sum(parts["features"].values())
    assert parts["score"] == pytest.approx(parts["base"] + parts["absent"] + shared, abs=1e-3)
    assert sum(told["chances"].values()) == pytest.approx(1.0) and told["label"] in told["chances"]


def test_datasets_lists_what_is_imported_and_what_can_be(call: Call) -> None:
    answer = call("datasets")
    assert "blorp" in answer.out and "hf:Anthropic/hh-rlhf" in answer.out and "gated" in answer.out
    listed = call("datasets", "--json").json
    assert [d["n_items"] for d in listed["imported"] if d["name"] == "blorp"] == [20]
    assert {"wildguardmix", "xstest"} <= {entry["name"] for entry in listed["catalogue"]}


def test_rows_prints_a_table_and_says_how_many_more_there_are(call: Call) -> None:
    answer = call("rows", "dataset:blorp", "--limit", 3, "--reverse")
    assert [line.split()[0] for line in answer.out.splitlines()] == ["id", "20", "19", "18"]
    assert answer.err == "17 more rows; show them with --limit 0.\n"


def test_rows_in_json_lines(call: Call) -> None:
    rows = [json.loads(line) for line in call("rows", "dataset:blorp", "--json").out.splitlines()]
    assert len(rows) == 20 and rows[0]["key"] == "row-0"


def test_rows_of_an_empty_selection_are_no_error(call: Call) -> None:
    answer = call("rows", "zzzzz")
    assert answer.code == 0 and answer.err == "No row is in this selection.\n"
    assert call("rows", "zzzzz", "--json").out == ""
    assert call("rows", "zzzzz", "--count").out == "0\n"


def test_a_selection_is_saved_listed_and_used(call: Call) -> None:
    assert "None is saved yet" in call("selections").err
    assert call("selections", "save", "@few", "id:1-3").err == "Saved @few: 3 rows now.\n"
    assert "@few" in call("selections").out
    assert call("selections", "--json").json[0]["expression"] == "id:1-3"
    assert call("rows", "@few", "--count").out == "3\n"


def test_browse_opens_the_workbench_on_the_filter(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from refusal_tui.cli.common import Session
    from refusal_tui.cli.main import _guarded

    opened = []
    monkeypatch.setattr("sys.argv", ["refusal-tui", "--workspace", str(workspace.root), "browse", "id:1-3"])
    code = _guarded(Session(lambda workspace, selection=None: opened.append((workspace, selection)) or 0))
    assert code == 0 and opened == [(workspace, "id:1-3")]


WRONG: list[tuple[list[str], ExitCode, str]] = [
    (["rows", "frindle:x"], ExitCode.INPUT, "There is no filter field 'frindle'."),
    (["rows", "label:"], ExitCode.INPUT, "label: needs a value"),
    (["rows", "@nope"], ExitCode.INPUT, "There is no saved selection @nope."),
    (["rows", "dataset:nope"], ExitCode.INPUT, "There is no dataset 'nope' here."),
    (["rows", "--sort", "frindle"], ExitCode.USAGE, "Invalid value for '--sort'"),
    (["rows", "--limit", "-1"], ExitCode.USAGE, "Invalid value for '--limit'"),
    (["row", "999"], ExitCode.INPUT, "There is no row 999."),
    (["row", "one"], ExitCode.USAGE, "Invalid value for 'ID'"),
    (["row"], ExitCode.USAGE, "Missing argument 'ID'"),
    (["facets", "frindle:x"], ExitCode.INPUT, "There is no filter field"),
    (["facets", "--by", "frindle"], ExitCode.USAGE, "Invalid value for '--by'"),
    (["datasets", "--quarantine", "nope"], ExitCode.INPUT, "There is no dataset 'nope' here."),
    (["selections", "save", "a b", "id:1"], ExitCode.INPUT, "cannot be a selection's name"),
    (["selections", "save", "x", "frindle:x"], ExitCode.INPUT, "There is no filter field"),
    (["selections", "save", "x"], ExitCode.USAGE, "Missing argument"),
    (["browse", "frindle:x"], ExitCode.INPUT, "There is no filter field"),
    (["import"], ExitCode.USAGE, "Missing argument 'SOURCE'"),
    (["import", "nowhere.jsonl"], ExitCode.INPUT, "nowhere.jsonl does not exist"),
    (["import", "x" * 5000], ExitCode.INPUT, "does not exist"),
    (["import", "~nobody-of-this-name/x"], ExitCode.USAGE, "is in the home of nobody"),
    (["import", "caf\udce9.jsonl"], ExitCode.USAGE, "is not UTF-8 text"),
    (["import", "hf:a b"], ExitCode.USAGE, "is no address of a Hub dataset"),
    (["import", "/", "--as", "frindle"], ExitCode.USAGE, "There is no adapter 'frindle'."),
    (["import", "/", "--map", "frindle=x"], ExitCode.USAGE, "'frindle' cannot be mapped."),
    (["import", "/", "--map", "prompt"], ExitCode.USAGE, "not of the form key=value"),
    (["import", "/", "--map", '"prompt=a'], ExitCode.USAGE, "not of the form key=value"),
    (["import", "/", "--limit", "0"], ExitCode.USAGE, "Invalid value for '--limit'"),
    (["import", "/", "--option", "x"], ExitCode.USAGE, "not of the form key=value"),
    (["export", "--out", "x"], ExitCode.USAGE, "export needs a selection."),
    (["export", "id:1"], ExitCode.USAGE, "Missing option '--out'"),
    (["export", "id:1", "--out", "/proc/x"], ExitCode.USAGE, "/proc/x cannot be written"),
    (["export", "zzzzz", "--out", "x"], ExitCode.INPUT, "holds no rows"),
    (["export", "id:1", "--out", "x", "--format", "xls"], ExitCode.USAGE, "Invalid value for '--format'"),
    (["export", "id:1", "--out", "x", "--seed", "3"], ExitCode.USAGE, "--seed: only for a final dataset."),
    (["export", "--final", "--out", "x", "--format", "csv"], ExitCode.USAGE, "--final writes every format."),
    (["export", "--final", "zzzzz", "--out", "x"], ExitCode.INPUT, "holds no rows"),
    (["frindle"], ExitCode.USAGE, "No such command 'frindle'."),
    (["rows", "--frindle"], ExitCode.USAGE, "No such option"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "sentence"), WRONG, ids=[" ".join(w)[:40] for w, _, _ in WRONG])
def test_wrong_words_are_answered_with_a_sentence_a_next_step_and_their_exit_code(
    call: Call, words: list[str], code: ExitCode, sentence: str
) -> None:
    answer = call(*words)
    assert (answer.code, answer.out) == (code, "")
    assert sentence in answer.err
    assert len(answer.err.splitlines()) >= 2, "a sentence and a next step"
    assert "Traceback" not in answer.err


# --- import ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.jsonl"
    path.write_text("".join(json.dumps({"a,b": f"frindle {n}?", "c=d": "Yes."}) + "\n" for n in range(3)))
    return path


def test_a_dry_run_shows_the_plan_and_imports_nothing(call: Call, sheet: Path) -> None:
    answer = call("import", sheet, "--dry-run", "--map", '"prompt=a,b",response=c=d')
    assert answer.code == 0
    assert "generic (Any table, by column mapping)" in answer.out
    assert "prompt = a,b, response = c=d" in answer.out and "frindle 0?" in answer.out
    assert "sheet" not in call("datasets").out


def test_a_dry_run_in_json_holds_the_mapping_and_the_first_rows(call: Call, sheet: Path) -> None:
    plan = call("import", sheet, "--dry-run", "--json", "--map", '"prompt=a,b"').json
    assert plan["mapping"] == {"prompt": "a,b"} and plan["preview"][0]["prompt"] == "frindle 0?"


def test_a_dry_run_of_what_cannot_be_read_is_an_error_of_the_input(call: Call, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    answer = call("import", tmp_path / "empty.jsonl", "--dry-run")
    assert (answer.code, answer.out) == (ExitCode.INPUT, "") and "holds no row" in answer.err
