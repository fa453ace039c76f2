"""What a cleaning job has changed, and its rows as a file."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.clean.report import clean_report
from refusal_tui.errors import ExitCode
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import ANSWER, FORBIDDEN, SORRY
from tests.clean.test_clean_job import EMPTY, FINE, HARMFUL, OVER, clean
from tests.store.building import add, queue
from tests.support.commands import call_here


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def row(n: int, response: str, original: str, decision: str = "keep", reason: str = "answered", **meta) -> Row:
    known = {"original_instruction": f"p{n}", "original_response": original, "decision": decision, "reason": reason,
             "was_refused": original == SORRY, **meta}  # fmt: skip
    return Row(ItemId(n), f"p{n}", response, meta=known)


def report(*rows: Row, **counts: int):
    return clean_report(rows, **{"rows": len(rows), "failed": 0, "answers": 0, "answers_refused": 0, **counts})


def test_refusals_before_are_those_of_all_rows_and_after_those_of_the_kept_ones() -> None:
    found = report(row(1, "Dew.", SORRY), row(2, SORRY, SORRY, "drop", "refused"), row(3, "Mist.", "Mist."))
    assert (found.before.responses, found.before.refused.value) == (3, pytest.approx(2 / 3))
    assert (found.after.responses, found.after.refused.value) == (2, 0)
    assert found.states == {"keep": 2, "review": 0, "drop": 1}
    assert found.reasons == {("keep", "answered"): 2, ("drop", "refused"): 1}


def test_a_kept_refusal_still_counts_as_one() -> None:
    assert report(row(1, SORRY, SORRY, "keep", "refusal_kept")).after.refused.value == 1


def test_diversity_is_compared_on_as_many_words() -> None:
    found = report(row(1, "alpha beta gamma delta alpha beta", "alpha alpha"), row(2, "beta beta", ""))
    assert (found.before.distinct_1, found.after.distinct_1) == (0.5, 1.0)


def test_the_collapse_into_one_opening_is_seen() -> None:
    found = report(*(row(n, f"alpha beta {n} gamma delta", SORRY) for n in range(10)))
    assert (found.before.same_opening, found.after.same_opening) == (1, 0)


def test_answers_that_refused_again_have_an_interval() -> None:
    found = report(answers=10, answers_refused=3).refused_again
    assert found.low < found.value == 0.3 < found.high


def test_a_job_that_has_made_nothing_has_a_report() -> None:
    found = report(rows=7)
    assert (found.decided, found.before.responses, found.similarity) == (0, 0, None)


def test_the_command_shows_the_report_and_writes_the_three_keys(workspace: Workspace, tmp_path: Path, capsys) -> None:
    job, _ = clean(workspace, HARMFUL, OVER, FINE, EMPTY)
    out = tmp_path / "clean.jsonl"
    answer = call_here(workspace, "cleaned", job.id, "--out", out, capsys=capsys)
    assert answer.code == 0 and "4 rows: 4 keep, 0 review, 0 drop, 0 failed" in answer.out
    records = [json.loads(line) for line in out.read_text().splitlines()]
    assert records[0] == {
        "original_instruction": HARMFUL.prompt,
        "rewritten_instruction": f"What is the history of {FORBIDDEN}?",
        "response": ANSWER,
    }
    assert [set(record) for record in records] == [set(records[0])] * 4
    found = call_here(workspace, "cleaned", job.id, "--json", capsys=capsys).json
    assert found["decisions"] == {"keep": 4, "review": 0, "drop": 0}
    assert found["before"]["refused"]["rate"] == pytest.approx(2 / 3) and found["after"]["refused"]["rate"] == 0


def test_dropped_rows_are_in_the_full_file_alone(workspace: Workspace, tmp_path: Path, capsys) -> None:
    job, _ = clean(workspace, HARMFUL, FINE, judge="lexical", rounds=1)
    for words, count in (([], 1), (["--full"], 2)):
        out = tmp_path / f"clean{count}.jsonl"
        call_here(workspace, "cleaned", job.id, "--out", out, *words, capsys=capsys)
        assert len(out.read_text().splitlines()) == count
    full = json.loads(out.read_text().splitlines()[0])
    assert (full["decision"], full["reason"], full["source_key"]) == ("review", "safety_not_judged", "k1")


def test_a_job_of_another_kind_and_a_file_that_cannot_be_written_are_told(workspace: Workspace, capsys) -> None:
    with closing(workspace.open()) as connection:
        queue(connection, add(connection, FINE))
    answer = call_here(workspace, "cleaned", 1, capsys=capsys)
    assert answer.code == ExitCode.INPUT and "no cleaning job" in answer.err
    job, _ = clean(workspace, OVER)
    answer = call_here(workspace, "cleaned", job.id, "--out", "/nowhere/x.jsonl", capsys=capsys)
    assert answer.code == ExitCode.STORAGE
