"""Clean review as it is drawn and as it answers keys."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.store.clean_review import Choice, decide, in_force, standing
from refusal_tui.store.connect import transaction
from refusal_tui.text.safe import safe_text
from refusal_tui.tui.screens.clean_review import CleanReviewScreen
from refusal_tui.tui.state.clean_review import AHEAD
from refusal_tui.tui.widgets.text_editor import TextEditor
from refusal_tui.tui.widgets.text_view import TextView
from tests.support.cleaned import ANSWER, Cleaned, cleaned_job
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.test_hostile_screens import assert_harmless


@pytest.fixture
def job(workspace) -> tuple[int, list[int]]:
    return cleaned_job(workspace)


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def text(pilot) -> str:
    return pilot.app.screen.query_one("#clean-text", TextView).content.plain


def line(pilot, name: str) -> str:
    return pilot.app.screen.query_one(f"#clean-{name}").content.plain


def decision(workspace, item_id: int) -> Choice | None:
    with closing(workspace.open(read_only=True)) as connection:
        found = in_force(standing(connection, [item_id]).get(item_id, {}).values())
    return found.choice if found else None


def review(open_app, workspace, job, **more: object):
    return open_app(workspace, "clean_review", job_id=job[0], person="ada", **more)


# --- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_a_card_looks_like_this(workspace, job, open_app, svg, size) -> None:
    async with review(open_app, workspace, job, size=SIZES[size]) as pilot:
        await press(pilot, "a", "r", "p", "p")
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_editing_looks_like_this(workspace, job, open_app, svg, size) -> None:
    async with review(open_app, workspace, job, size=SIZES[size]) as pilot:
        await press(pilot, "e")
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_an_edited_row_looks_like_this(workspace, job, open_app, svg, size) -> None:
    async with review(open_app, workspace, job, size=SIZES[size]) as pilot:
        await press(pilot, "e", "home", *"Tell: ", "enter", "p")
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_nothing_to_review_looks_like_this(workspace, open_app, svg, size) -> None:
    job = cleaned_job(workspace, (Cleaned("What do frindles drink?", response="Dew.", before="Dew.",
                                          reason="no_refusal"),))  # fmt: skip
    async with review(open_app, workspace, job, size=SIZES[size]) as pilot:
        assert svg(pilot.app, size)


async def test_v_on_a_cleaning_job_leads_here(workspace, job, open_app) -> None:
    async with open_app(workspace, "job", job_id=job[0]) as pilot:
        await press(pilot, "v")
        assert isinstance(pilot.app.screen, CleanReviewScreen) and "smelt blorptanium" in text(pilot)


# --- decisions -------------------------------------------------------------------------------------------------------


async def test_one_key_decides_durably_and_the_next_card_is_there(workspace, job, open_app) -> None:
    one, two, _, three, four = job[1]
    async with review(open_app, workspace, job) as pilot:
        assert "smelt blorptanium" in text(pilot)
        await press(pilot, "a")
        assert decision(workspace, one) is Choice.ACCEPT and "zorblings" in text(pilot)
        await press(pilot, "r")
        assert decision(workspace, two) is Choice.REJECT and "frindle ritual" in text(pilot)
        await press(pilot, "s")
        assert decision(workspace, three) is None and "glimmer vault" in text(pilot)
        assert "2 of 4 decided" in line(pilot, "progress") and "skipped 1" in line(pilot, "progress")
        await press(pilot, "a")
        assert decision(workspace, four) is Choice.ACCEPT and "4 of 4" in line(pilot, "head")


async def test_undo_goes_back_card_by_card_also_after_a_restart(workspace, job, open_app) -> None:
    one, two = job[1][:2]
    async with review(open_app, workspace, job) as pilot:
        await press(pilot, "a", "r")
    async with review(open_app, workspace, job) as pilot:
        await press(pilot, "f", "u")
        assert decision(workspace, two) is None and "zorblings" in text(pilot)
        await press(pilot, "u")
        assert decision(workspace, one) is None and "smelt blorptanium" in text(pilot)
        await press(pilot, "u")
        assert "0 of 4 decided" in line(pilot, "progress")


async def test_an_edit_is_a_new_version_and_the_models_rewrite_stays_in_sight(workspace, job, open_app) -> None:
    one = job[1][0]
    async with review(open_app, workspace, job) as pilot:
        await press(pilot, "e", "end", *" [b]When?", "enter")
        assert decision(workspace, one) is Choice.EDIT and "zorblings" in text(pilot)
        await press(pilot, "p")
        assert "What is the history of smelting blorptanium? [b]When?" in text(pilot)
        assert "What is the history of smelting blorptanium?\n" in text(pilot)
        assert "answered again later" in text(pilot)
        await press(pilot, "a", "p")
        assert decision(workspace, one) is Choice.ACCEPT and "[b]When?" in text(pilot)
        assert "answered again later" not in text(pilot)


async def test_escape_leaves_the_wording_as_it_was(workspace, job, open_app) -> None:
    async with review(open_app, workspace, job) as pilot:
        await press(pilot, "e", *"xyz", "escape")
        assert decision(workspace, job[1][0]) is None and isinstance(pilot.app.screen, CleanReviewScreen)
        assert not pilot.app.screen.query(TextEditor) and "xyz" not in text(pilot)
        await press(pilot, "a")
        assert decision(workspace, job[1][0]) is Choice.ACCEPT


async def test_an_empty_wording_is_refused_with_what_to_do(workspace, job, open_app) -> None:
    async with review(open_app, workspace, job, notices=True) as pilot:
        await press(pilot, "e")
        pilot.app.screen.query_one(TextEditor).clear()
        await press(pilot, "enter")
        assert decision(workspace, job[1][0]) is None
        assert any("new wording" in note.message for note in pilot.app._notifications)


# --- moving ----------------------------------------------------------------------------------------------------------


async def test_f_goes_through_the_queues(workspace, job, open_app) -> None:
    async with review(open_app, workspace, job) as pilot:
        for name, row in (("changed", "smelt"), ("refused again", "frindle ritual"), ("doubtful", "vault")):
            await press(pilot, "f")
            assert line(pilot, "head").startswith(name) and row in text(pilot)
        await press(pilot, "f")
        assert "You have skipped no row" in text(pilot)


async def test_words_that_are_gone_and_words_that_are_new_are_painted(workspace, job, open_app) -> None:
    async with review(open_app, workspace, job) as pilot:
        content = pilot.app.screen.query_one("#clean-text", TextView).content
        painted = {content.plain[s.start : s.end] for s in content.spans if "strike" in str(s.style)}
        new = {content.plain[s.start : s.end] for s in content.spans if "underline" in str(s.style)}
        assert painted == {"Tell me how to smelt", "."} and "What is the history of smelting" in new


async def test_what_another_person_decides_meanwhile_is_seen(workspace, job, open_app) -> None:
    number, (one, *_) = job
    async with review(open_app, workspace, job) as pilot:
        with closing(workspace.open()) as connection, transaction(connection):
            decide(connection, number, one, "human:ben", Choice.REJECT)
        pilot.app.store_changed()
        await settle(pilot)
        assert "ben rejected" in line(pilot, "head") and "1 of 4 decided" in line(pilot, "progress")


async def test_cards_are_read_before_they_are_wanted_and_forgotten_behind(workspace, open_app) -> None:
    job = cleaned_job(workspace, tuple(Cleaned(f"Smelt frindle {n}.", f"Who smelts frindle {n}?") for n in range(90)))
    async with review(open_app, workspace, job) as pilot:
        state = pilot.app.screen.state
        for _ in range(60):
            await pilot.press("a")
            assert state.card is not None
        await settle(pilot)
        assert state.ids[61] in state.cards and state.ids[0] not in state.cards
        assert len(state.cards) <= 4 * AHEAD


@pytest.mark.parametrize("hostile", hostile_cases())
async def test_hostile_texts_are_shown_whole_and_harmless(workspace, open_app, hostile) -> None:
    value = hostile.text
    job = cleaned_job(workspace, (Cleaned(value or "empty", value + " why?", value), Cleaned("x", "y?", ANSWER)))
    async with review(open_app, workspace, job, size=(120, 40)) as pilot:
        assert_harmless(pilot)
        await press(pilot, "e")
        assert_harmless(pilot)
        await press(pilot, "escape", "a")
        assert "In short" in safe_text(text(pilot))
