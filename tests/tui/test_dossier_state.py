"""What a dossier decides, without an app."""

from __future__ import annotations

from array import array

from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import Answer, Span, Verdict
from refusal_tui.store.browse import Dossier
from refusal_tui.store.labels import StoredVerdict
from refusal_tui.tui.state.dossier import DossierState, answers, evidence, meta_lines, moment


def stored(annotator: str, spans: tuple[Span, ...] = (), *, superseded: bool = False, **given: Answer) -> StoredVerdict:
    verdict = Verdict(ItemId(1), annotator, "refusal3", "1", given, spans)
    return StoredVerdict(1, verdict, None, 0.0, superseded)


def dossier(*verdicts: StoredVerdict, meta: dict | None = None) -> Dossier:
    return Dossier(Row(ItemId(1), "p", "r", meta=meta or {}), None, None, [], list(verdicts), [])


def test_evidence_is_that_of_the_latest_judge_that_stands_in_reading_order() -> None:
    old = stored("judge:a", (Span("response", 0, 1, "old"),), superseded=True)
    new = stored("judge:a", (Span("response", 5, 6, "b"), Span("response", 2, 3, "a"), Span("prompt", 9, 10, "c")))
    human = stored("human:ada", (Span("response", 7, 8, "own"),))
    assert [span.rule for span in evidence(dossier(old, new, human))] == ["c", "a", "b"]


def test_a_row_without_a_judge_has_no_evidence() -> None:
    assert evidence(dossier(stored("human:ada", (Span("response", 0, 1, "x"),)))) == []


def test_an_open_answer_is_not_an_answer() -> None:
    given = stored("judge:a", refusal3=Answer(None), prompt_harmful=Answer(False, 0.2))
    assert answers(given) == [("refusal3", None, None), ("prompt_harmful", "no", 0.2)]


def test_metadata_keeps_texts_and_writes_the_rest_as_json() -> None:
    meta = {"type": "x", "n": 2, "tags": ["a", "é"]}
    assert meta_lines(dossier(meta=meta)) == [("type", "x"), ("n", "2"), ("tags", '["a", "é"]')]


def test_stepping_stops_at_both_ends() -> None:
    state = DossierState(array("q", [4, 5]), 0)
    assert [state.step(-1), state.step(1), state.step(1)] == [False, True, False]
    assert (state.item_id, state.place()) == (5, "row 2 of 2")


def test_times_are_utc() -> None:
    assert moment(0.0) == "1970-01-01 00:00:00"
