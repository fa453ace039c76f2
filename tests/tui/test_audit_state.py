"""What the Audit screen makes of a report, without an app: lines, what they open, what a key would start."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from refusal_tui.audit.actions import Does
from refusal_tui.audit.report import Finding, Level, NotRun, Report, Statistic, report_json, report_of
from refusal_tui.audit.sections import sections_of
from refusal_tui.errors import InputError
from refusal_tui.text.block_lines import bar
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.audit_lines import audit_lines, below, head, tabs
from refusal_tui.tui.state.audit import TABS, AuditState

OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e]")
REPEATS = Finding(
    "repeated-rows", Level.WARNING, "9 rows repeat the prompt and the response of an earlier row.",
    Statistic("share of repeated rows", 0.1, 0.05, 0.2), 9, tuple(range(1, 10)), "@audit-7-repeated-rows",
    "Leave the repeats out.", "refusal-tui audit drop 7 repeated-rows", "repeated-rows", tuple(range(1, 10)),
    "@audit-7-repeated-rows",
)  # fmt: skip
TIED = Finding(
    "source-label", Level.ALARM, "The source of a row nearly tells its refusal3.", Statistic("V", 0.8, p_value=1e-9),
    advice="Report every figure by source.", command="refusal-tui results --by dataset", name="source-label",
)  # fmt: skip
SMALL = Finding("small-sources", Level.NOTE, "2 data sets are small.", advice="Import more.", name="small-sources")
CLUSTER = {"name": "cluster-4", "item_id": 4, "prompts": 3, "rows": 8, "item_ids": "4-11", "later": "6-11"}
REPORT = Report(
    7, "dataset:own", 90, (TIED, REPEATS, SMALL), (NotRun("source-probe", "It needs scikit-learn."),),
    {
        "duplicates": {
            "rows": 90, "repeated_rows": 9, "distinct_prompts": 40, "prompt_clusters": 1, "near_duplicate_prompts": 2,
            "largest_prompt_clusters": [CLUSTER], "response_clusters": [], "between_sources": [],
        },
        "review_samples": {"rows": 20, "filter": "@audit-7-sample", "queue": "", "file": "f", "command": "c"},
    },
)  # fmt: skip


def state_of(report: Report = REPORT, tab: str = "findings") -> AuditState:
    report = report_of(json.loads(json.dumps(report_json(report))))
    return AuditState(7, [7], report, {one.name: one for one in sections_of(report)}, tab=tab)


def texts(state: AuditState, width: int = 76) -> list[str]:
    return [line.content.plain for line in audit_lines(state, width)]


def key_of(state: AuditState, part: str) -> str:
    return next(line.key for line in audit_lines(state, 76) if part in line.content.plain and line.key)


def test_findings_come_in_the_order_of_the_report_with_level_rows_and_sentence() -> None:
    shown = texts(state_of())
    assert shown[0].startswith("▲ alarm") and "nearly tells" in shown[0]
    assert re.fullmatch(r"△ warning +9  9 rows repeat the prompt .*", shown[1])
    assert any(line.startswith("– not run") and "scikit-learn" in line for line in shown)


def test_the_level_is_told_by_a_glyph_and_a_word() -> None:
    assert "▲ 1 alarm   △ 1 warning   · 1 note" in head(state_of()).plain


@pytest.mark.parametrize(
    ("name", "does"), [("source-label", Does.RESULTS), ("repeated-rows", Does.LEAVE_OUT), ("small-sources", None)]
)
def test_the_key_starts_what_the_command_beside_it_says(name: str, does: Does | None) -> None:
    action = state_of().action(f"finding:{name}")
    assert (action.does if action else None) is does


def test_only_what_has_rows_to_spare_can_be_left_out() -> None:
    state = state_of()
    assert state.surplus("finding:repeated-rows") == "repeated-rows"
    assert state.surplus("finding:source-label") is None
    state.toggle("repeated-rows")
    assert state.without == ["repeated-rows"]
    state.toggle("repeated-rows")
    assert state.without == []


def test_what_is_left_out_is_said_on_its_line_in_the_head_and_below() -> None:
    state = state_of()
    state.without, state.kept = ["repeated-rows"], 81
    assert "1 left out, 81 kept" in head(state).plain
    assert "left out: 9 rows" in texts(state)[1]
    assert "takes these rows in again" in below(state, "finding:repeated-rows", 76).plain
    assert state.rows("kept") == "@audit-7-kept"


def test_a_cluster_opens_its_rows_and_can_be_left_out() -> None:
    state = state_of(tab="copies")
    key = key_of(state, "cluster-4")
    assert (state.rows(key), state.surplus(key)) == ("id:4-11", "cluster-4")
    assert "enter opens id:4-11" in below(state, key, 76).plain


def test_every_section_has_something_to_say_of_an_empty_report() -> None:
    for tab in TABS:
        assert any(texts(state_of(replace(REPORT, findings=(), sections={"review_samples": REPORT.sections[
            "review_samples"]}), tab)))  # fmt: skip


def test_the_names_of_all_sections_are_seen_at_80_cells_whichever_is_chosen() -> None:
    for tab in TABS:
        assert tabs(state_of(tab=tab)).cell_length <= 76


def test_sections_turn_round_and_round() -> None:
    state = state_of()
    state.turn(-1)
    assert state.tab == TABS[-1]
    state.turn(1)
    assert state.tab == TABS[0]


def test_the_sample_says_which_key_makes_or_opens_its_queue() -> None:
    state = state_of()
    assert any("v makes a review queue" in line for line in texts(state))
    state.queue = "audit-7"
    assert any("v opens their queue, audit-7" in line for line in texts(state))


def test_without_an_audit_it_says_what_to_press() -> None:
    assert any("g n" in line for line in texts(AuditState()))
    lost = AuditState(3, error=InputError("The report is gone.", "Audit again."))
    assert "The report is gone." in texts(lost)[1]


def test_hostile_words_are_harmless_and_stay_within_the_line() -> None:
    bad = "\x1b[31m\u202e\x00 [bold]very long name " * 20
    finding = replace(REPEATS, sentence=bad, advice=bad, command=f"refusal-tui results {bad}", name="bad")
    state = state_of(replace(REPORT, findings=(finding,), selection=bad))
    for content in (*(line.content for line in audit_lines(state, 76)), head(state)):
        assert not OBEYED.search(content.plain)
    for line in below(state, "finding:bad", 76).plain.split("\n"):
        assert not OBEYED.search(line) and cell_width(line) <= 76


def test_a_bar_of_little_is_seen_and_a_bar_of_nothing_is_not() -> None:
    assert (bar(1e-9, 40), bar(0.0, 40), bar(1.0, 3)) == ("▏", "", "███")
