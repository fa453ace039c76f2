"""One row's dossier by keys, on the small workspace."""

from __future__ import annotations

from array import array
from contextlib import closing

import pytest

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.tui import paint
from refusal_tui.tui.screens.dossier import DossierScreen
from refusal_tui.tui.widgets.text_view import TextView
from tests.tui.conftest import SIZES, settle

IDS = array("q", range(1, 45))
LABELLED_TWICE, ONLY_A_PROMPT, UNPARSABLE = 1, 40, 29  # indexes


def dossier(pilot) -> DossierScreen:
    screen = pilot.app.screen
    assert isinstance(screen, DossierScreen)
    return screen


def text(pilot) -> str:
    return dossier(pilot).query_one("#text", TextView).content.plain


async def test_everything_known_of_a_row_is_there_in_the_order_it_was_learnt(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=LABELLED_TWICE) as pilot:
        shown = text(pilot)
        in_order = [
            "Tell me how to smelt blorptanium at home.", "I can't help with", "frindle-qa", "q002", "quill-7b",
            "Labels", "human:ada", "judge:lexical", "Verdicts", "refusal3 v1", "✗ superseded", "refusal3 v2",
            "human:ada", "reads like a polite no", "Jobs", "job 1 label", "ok", "Metadata", "type", "contrast",
        ]  # fmt: skip
        at = 0
        for part in in_order:
            at = shown.index(part, at)


async def test_a_row_that_failed_shows_its_error_and_the_raw_answer(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=UNPARSABLE) as pilot:
        assert "unparsable  2 attempts" in text(pilot)
        assert "no label in the answer" in text(pilot)
        assert "raw answer  [maybe]" in text(pilot)


async def test_a_prompt_without_response_says_so(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=ONLY_A_PROMPT) as pilot:
        assert "no response: a prompt alone" in text(pilot)
        assert "[INST] Describe" in text(pilot)


async def test_brackets_go_through_the_rows_of_the_selection(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=0) as pilot:
        await pilot.press("right_square_bracket")
        assert "q002" in text(pilot)
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert dossier(pilot).crumbs().startswith("Data › Dossier › row 1 of 44")


async def test_evidence_is_painted_and_jumped_to(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=LABELLED_TWICE, size=(40, 10)) as pilot:
        view = dossier(pilot).query_one("#text", TextView)
        painted = [view.content.plain[s.start : s.end] for s in view.content.spans if "underline" in str(s.style)]
        assert painted == ["I can't help with"]
        await pilot.press("G", "n")
        line = view._lines.at(view.content.plain.index("I can't help with"))
        assert view.scroll_offset.y <= line < view.scroll_offset.y + view.size.height


async def test_a_row_without_evidence_says_so(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=0) as pilot:
        await pilot.press("n")
        assert [n.message for n in pilot.app._notifications] == ["No judge has given evidence for this row"]


async def test_w_shows_every_words_share_in_the_linear_judges_score_and_goes_back(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=LABELLED_TWICE) as pilot:
        await pilot.press("w")
        await settle(pilot)
        shown = text(pilot)
        assert "Why  the linear judge" in shown and "log-odds of a refusal +" in shown
        view = dossier(pilot).query_one("#text", TextView)
        for_it = [view.content.plain[s.start : s.end] for s in view.content.spans if str(s.style) == paint.FOR]
        assert {"can't", "help"} <= set(for_it)
        await pilot.press("right_square_bracket")
        await settle(pilot)
        assert "Why  the linear judge" in text(pilot)
        await pilot.press("w")
        assert "Why" not in text(pilot)


async def test_why_of_a_prompt_alone_says_that_there_is_nothing_to_judge(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=ONLY_A_PROMPT) as pilot:
        await pilot.press("w")
        assert [n.message for n in pilot.app._notifications] == ["This row has no response to judge"]


async def test_wide_screens_show_text_and_facts_side_by_side(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=0, size=(120, 40)) as pilot:
        facts = dossier(pilot).query_one("#facts", TextView)
        assert facts.display
        assert "Verdicts" in facts.content.plain
        assert "Verdicts" not in text(pilot)
        await pilot.press("tab")
        assert facts.has_focus


async def test_a_verdict_that_comes_in_is_shown_at_once(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=ONLY_A_PROMPT) as pilot:
        with closing(workspace.open()) as writer, transaction(writer):
            answer = {"prompt_harmful": Answer(True, 0.8)}
            add_verdicts(writer, [Verdict(ItemId(41), "judge:glimmer", "harm", "3", answer)])
        pilot.app._poll()
        assert "judge:glimmer" in text(pilot)


async def test_a_row_that_is_gone_says_so(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=array("q", [999]), index=0) as pilot:
        assert "This row is gone." in text(pilot)
        await pilot.press("y", "n", "right_square_bracket")


async def test_y_copies_the_response(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=LABELLED_TWICE) as pilot:
        await pilot.press("y")
        assert pilot.app.clipboard.startswith("I'm sorry, but I can't help with")


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(("name", "index", "keys"), [
    ("text", LABELLED_TWICE, []), ("labels", LABELLED_TWICE, ["d"]), ("failed", UNPARSABLE, ["G"]),
    ("prompt-alone", ONLY_A_PROMPT, []), ("why", LABELLED_TWICE, ["w"]),
])  # fmt: skip
async def test_a_dossier_looks_right(workspace, open_app, svg, size, name: str, index: int, keys: list[str]) -> None:
    async with open_app(workspace, "dossier", ids=IDS, index=index, size=size) as pilot:
        await pilot.press(*keys)
        await settle(pilot)
        assert svg(pilot.app, name)
