"""The queues, the New queue form and the review card by keys, on the small workspace."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Span, Verdict
from refusal_tui.review.queues import new_queue
from refusal_tui.review.spec import QueueSpec
from refusal_tui.store import items
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.review_answers import decisions
from refusal_tui.store.review_queues import QueueItem, QueueSettings, create_queue, get_queue, list_queues
from refusal_tui.store.review_work import CardState, Place, Said, claim, decide
from refusal_tui.tui.screens.home import HomeScreen
from refusal_tui.tui.screens.review import ReviewScreen
from refusal_tui.tui.screens.review_card import ReviewCardScreen
from refusal_tui.tui.screens.review_new import ReviewNewScreen
from refusal_tui.tui.widgets.text_view import TextView
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.small_workspace import NewRow

ADA = "human:ada"
LONG = "You asked for the ritual. " + "It is old and there is much to say about it. " * 60
REFUSES = "I can't go through every step of that."


@pytest.fixture
def queue(workspace):
    """Thirty rows in the order of their numbers, so that every card is known."""
    with closing(workspace.open()) as connection, transaction(connection):
        cards = [QueueItem(n, ItemId(n), "random", 1.0) for n in range(1, 31)]
        return create_queue(connection, "thirty", QueueSettings("dataset:frindle-qa", 32), cards)


def ask(workspace, questions: str, name: str, rows: int = 5, **settings) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        cards = [QueueItem(n, ItemId(n), "random", 1.0) for n in range(1, rows + 1)]
        create_queue(connection, name, QueueSettings("", 32, questions, **settings), cards)


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
    await settle(pilot)


def screen(pilot) -> ReviewCardScreen:
    assert isinstance(pilot.app.screen, ReviewCardScreen)
    return pilot.app.screen


def shown(pilot, name: str) -> str:
    return screen(pilot).query_one(f"#{name}").content.plain


def said(workspace, name: str = "thirty", who: str | None = ADA):
    with closing(workspace.open(read_only=True)) as connection:
        return decisions(connection, get_queue(connection, name), annotator=who)


def card(open_app, workspace, name: str = "thirty", **more):
    return open_app(workspace, "review_card", queue=name, annotator="ada", **more)


# --- looks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_card_looks_like_this(workspace, queue, open_app, svg, size) -> None:
    async with card(open_app, workspace, size=SIZES[size]) as pilot:
        await press(pilot, "o")
        assert svg(pilot.app, f"blind-{size}")
        await press(pilot, "r")
        assert svg(pilot.app, f"judges-{size}")
        await press(pilot, "h", "b")
        assert svg(pilot.app, f"looking-back-{size}")
        await press(pilot, "escape", "i")
        assert svg(pilot.app, f"guidelines-{size}")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_many_labels_and_blurred_text_look_like_this(workspace, open_app, svg, size) -> None:
    ask(workspace, "head_c_a", "harms", blur=True)
    async with card(open_app, workspace, "harms", size=SIZES[size]) as pilot:
        await press(pilot, "z", "w", "a", "z")
        assert svg(pilot.app, f"harms-{size}")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_queues_and_the_form_look_like_this(workspace, queue, open_app, svg, size, monkeypatch) -> None:
    monkeypatch.setenv("REFUSAL_ANNOTATOR", "ada")
    with closing(workspace.open()) as connection, transaction(connection):
        decide(connection, Place(queue, 1, ADA), Said({"refusal3": Answer("hard")}))
        decide(connection, Place(queue, 2, "human:bob"), Said({"refusal3": Answer("soft")}))
    async with open_app(workspace, "review", size=SIZES[size]) as pilot:
        assert svg(pilot.app, f"queues-{size}")
        await press(pilot, "n")
        assert svg(pilot.app, f"new-{size}")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_no_queue_and_nothing_left_look_like_this(workspace, open_app, svg, size, monkeypatch) -> None:
    monkeypatch.setenv("REFUSAL_ANNOTATOR", "ada")
    async with open_app(workspace, "review", size=SIZES[size]) as pilot:
        assert svg(pilot.app, f"no-queue-{size}")
    ask(workspace, "refusal3", "short", rows=1)
    async with card(open_app, workspace, "short", size=SIZES[size]) as pilot:
        await press(pilot, "h")
        assert svg(pilot.app, f"nothing-left-{size}")


# --- getting there -------------------------------------------------------------------------------------------------


async def test_three_keys_lead_from_home_to_the_first_card(workspace, open_app) -> None:
    async with open_app(workspace, "home") as pilot:
        assert isinstance(pilot.app.screen, HomeScreen)
        for key in ("r", "n", "ctrl+s"):
            await press(pilot, key)
        assert screen(pilot).desk.card is not None


async def test_four_keys_lead_from_a_finished_job_to_the_first_card(workspace, open_app) -> None:
    async with open_app(workspace, "job", job_id=1) as pilot:
        for key in ("g", "v", "n", "ctrl+s"):
            await press(pilot, key)
        assert screen(pilot).desk.card is not None


async def test_a_selection_in_browse_becomes_a_queue(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="label:hard") as pilot:
        await press(pilot, "R")
        assert isinstance(pilot.app.screen, ReviewNewScreen)
        await press(pilot, "ctrl+s")
        assert {d.row.response.startswith("I'm sorry") for d in [screen(pilot).desk.card, *screen(pilot).desk.ahead]}
        with closing(workspace.open()) as connection:
            assert list_queues(connection)[0].settings.selection == "label:hard"


async def test_a_wrong_setting_keeps_the_form_open_and_says_what_is_wrong(workspace, open_app) -> None:
    async with open_app(workspace, "review_new", selection="label:hard model:nobody") as pilot:
        await press(pilot, "ctrl+s")
        assert isinstance(pilot.app.screen, ReviewNewScreen)
        assert "the selection holds no rows" in pilot.app.screen.query_one("#review-ready").content.plain


async def test_enter_opens_a_queue_and_a_changes_who_labels(workspace, queue, open_app) -> None:
    async with open_app(workspace, "review") as pilot:
        await press(pilot, "a")
        await press(pilot, *(["backspace"] * 30), *"bob", "enter")
        await press(pilot, "enter")
        await press(pilot, "h")
        assert said(workspace, who="human:bob")[0].state is CardState.LABEL


async def test_a_queue_is_forgotten_only_when_the_key_is_pressed_again(workspace, queue, open_app) -> None:
    async with open_app(workspace, "review") as pilot:
        assert isinstance(pilot.app.screen, ReviewScreen)
        await press(pilot, "x", "n")
        with closing(workspace.open()) as connection:
            assert len(list_queues(connection)) == 1
        await press(pilot, "x", "x")
        with closing(workspace.open()) as connection:
            assert list_queues(connection) == []


async def test_a_queue_that_is_gone_is_told(workspace, open_app) -> None:
    async with open_app(workspace, "review_card", queue="nowhere") as pilot:
        assert not isinstance(pilot.app.screen, ReviewCardScreen)


# --- answering -----------------------------------------------------------------------------------------------------


async def test_one_key_is_a_label_on_the_disk_and_the_next_card(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        await press(pilot, "h")
        (decision,) = said(workspace)
        assert decision.verdict.answers["refusal3"].value == "hard"
        assert not decision.verdict.seen_judge
        assert "card 2" in screen(pilot).crumbs()


async def test_keys_typed_ahead_answer_one_card_each(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        for key in "hsohsohsohsohsohsohsohsohsohso":
            pilot.app._driver.process_message(_key(pilot.app, key))
        await settle(pilot)
        values = [decision.verdict.answers["refusal3"].value for decision in said(workspace)]
        assert values == ["hard", "soft", "none"] * 10
        assert "Nothing is left" in shown(pilot, "response")


def _key(app, key: str):
    from textual.events import Key

    event = Key(key, key)
    event.set_sender(app)
    return event


async def test_what_was_seen_of_the_judges_is_stored_with_the_label(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        assert not screen(pilot).query_one("#judges").display
        await press(pilot, "r")
        assert "lexical" in shown(pilot, "judges")
        await press(pilot, "r", "h", "h")
        assert [decision.verdict.seen_judge for decision in said(workspace)] == [True, False]


async def test_undo_goes_back_through_earlier_sessions(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        await press(pilot, "h", "s")
    async with card(open_app, workspace) as pilot:
        await press(pilot, "u")
        assert "card 2" in screen(pilot).crumbs()
        await press(pilot, "u", "u")
        assert "card 1" in screen(pilot).crumbs()
        assert {decision.state for decision in said(workspace)} == {CardState.OPEN}
        await press(pilot, "o", "o")
        assert [decision.verdict.answers["refusal3"].value for decision in said(workspace)] == ["none", "none"]


async def test_an_earlier_card_can_be_answered_anew(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        await press(pilot, "h", "h", "b", "b")
        assert "card 1" in screen(pilot).crumbs() and "looking back" in shown(pilot, "status")
        await press(pilot, "s")
        assert "card 3" in screen(pilot).crumbs()
        assert [d.verdict.answers["refusal3"].value for d in said(workspace)] == ["soft", "hard"]
        assert [d.verdict.seen_judge for d in said(workspace)] == [True, False]


async def test_escape_leads_from_an_earlier_card_to_the_one_that_waits(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        await press(pilot, "h", "b", "escape")
        assert "card 2" in screen(pilot).crumbs()


async def test_skip_flag_and_note_are_kept(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        await press(pilot, "f", "m")
        await press(pilot, *"odd", "enter")
        assert "flagged" in shown(pilot, "status") and "odd" in shown(pilot, "status")
        await press(pilot, "space")
        (decision,) = said(workspace)
        assert (decision.state, decision.flagged, decision.note) == (CardState.SKIP, True, "odd")
        assert "1 skipped" in shown(pilot, "status")


async def test_twelve_atoms_are_twelve_keys_and_labels_follow(workspace, open_app) -> None:
    ask(workspace, "atoms", "atoms")
    async with card(open_app, workspace, "atoms") as pilot:
        await press(pilot, *"xxyx", "p", "o", *"xxxxx")
        assert shown(pilot, "question").startswith("12/12")
        await press(pilot, "backspace")
        assert shown(pilot, "question").startswith("11/12")
        await press(pilot, "x", "x")
        with closing(workspace.open(read_only=True)) as connection:
            found = dict(
                connection.execute("SELECT head, value FROM label WHERE annotator = ? AND item_id = 1", (ADA,))
            )
        assert found["head_a"] == "REFUSAL.OVER" and found["refusal3"] == "hard"


async def test_a_card_that_others_have_taken_is_passed_over(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        with closing(workspace.open()) as connection:
            later = claim(connection, queue, "human:bob", 1, now=9e9)  # every lease of ada has run out by then
            with transaction(connection):
                decide(connection, Place(queue, later[0], "human:bob"), Said({"refusal3": Answer("none")}))
                connection.execute("DELETE FROM lease WHERE annotator = ?", (ADA,))
        await press(pilot, "h")
        assert "card 2" in screen(pilot).crumbs()
        assert [(d.annotator, d.item.position) for d in said(workspace, who=None)] == [("human:bob", 1)]


async def test_what_the_same_person_answers_at_another_terminal_stands_and_is_not_asked_again(
    workspace, queue, open_app
) -> None:
    async with card(open_app, workspace) as pilot:
        with closing(workspace.open()) as connection, transaction(connection):
            for position in (1, 2, 3):
                decide(connection, Place(queue, position, ADA), Said({"refusal3": Answer("none")}))
        await press(pilot, "h")
        assert "card 4" in screen(pilot).crumbs()
        await press(pilot, "h")
        values = [d.verdict.answers["refusal3"].value for d in said(workspace)]
        assert values == ["none", "none", "none", "hard"]


@pytest.mark.parametrize("colours", ["refusal-16", "none"])
async def test_the_card_needs_no_more_than_16_colours_and_works_without_any(
    workspace, queue, open_app, svg, monkeypatch, colours
) -> None:
    """The answer given before, evidence and judges are told by glyphs, words and underlines."""
    if colours == "none":
        monkeypatch.setenv("NO_COLOR", "1")
    async with card(open_app, workspace) as pilot:
        if colours != "none":
            pilot.app.theme = colours
        await press(pilot, "o", "h", "b")
        assert svg(pilot.app, f"card-{colours}")
        assert "▸h ● hard" in shown(pilot, "question") and "1 mark" in shown(pilot, "response")


async def test_a_repeat_comes_silently_and_is_compared_with_the_first_answer(workspace, open_app) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        cards = [
            QueueItem(1, ItemId(1), "all"),
            QueueItem(2, ItemId(2), "all"),
            QueueItem(3, ItemId(1), "all", repeat_of=1),
        ]
        create_queue(connection, "again", QueueSettings(), cards)
    async with card(open_app, workspace, "again") as pilot:
        assert shown(pilot, "status").startswith(" 0 of 3")
        await press(pilot, "h")
        assert "lexical" not in shown(pilot, "status")  # the row comes again: no judge is told
        await press(pilot, "h")
        assert "lexical" in shown(pilot, "status")
        await press(pilot, "s")
        found = {d.item.position: d for d in said(workspace, "again")}
        assert [found[n].verdict.answers["refusal3"].value for n in (1, 3)] == ["hard", "soft"]
        assert not found[3].verdict.seen_judge


async def test_leaving_gives_the_cards_back(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        with closing(workspace.open()) as connection:
            assert connection.execute("SELECT count(*) FROM lease").fetchone()[0] >= 20
        await press(pilot, "escape")
        with closing(workspace.open()) as connection:
            assert connection.execute("SELECT count(*) FROM lease").fetchone()[0] == 0


# --- reading -------------------------------------------------------------------------------------------------------


async def test_a_long_answer_opens_at_its_evidence_and_n_goes_round(workspace, queue, open_app) -> None:
    response = LONG + REFUSES + LONG + REFUSES
    starts = [response.find(REFUSES), response.rfind(REFUSES)]
    spans = tuple(Span("response", start, start + len(REFUSES), "cannot") for start in starts)
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE item_body SET response = ? WHERE item_id = 1", (response,))
        add_verdicts(
            connection, [Verdict(ItemId(1), "judge:new", "refusal3", "1", {"refusal3": Answer("soft")}, spans)]
        )
    async with card(open_app, workspace) as pilot:
        view = screen(pilot).query_one("#response", TextView)
        places = [view.content.plain.find(REFUSES), view.content.plain.rfind(REFUSES)]
        assert view.shows(places[0]) and not view.shows(places[1])
        await press(pilot, "n")
        await press(pilot, "n")
        assert view.shows(places[1])
        await press(pilot, "N")
        assert view.shows(places[0])


async def test_an_answer_taken_back_is_told(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        await press(pilot, "h", "u")
        assert "1 taken back: answer anew" in shown(pilot, "status")


async def test_text_is_shown_exactly_as_it_is(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        desk = screen(pilot).desk
        assert desk.card.row.prompt in shown(pilot, "prompt")
        assert desk.card.row.response in shown(pilot, "response")


async def test_blurred_text_is_shown_on_a_key_for_one_card(workspace, open_app) -> None:
    ask(workspace, "refusal3", "blurred", blur=True)
    async with card(open_app, workspace, "blurred") as pilot:
        assert "░░░" in shown(pilot, "response") and "frindle" not in shown(pilot, "prompt")
        await press(pilot, "z")
        assert "░" not in shown(pilot, "response")
        await press(pilot, "o")
        assert "░░░" in shown(pilot, "response")
        await press(pilot, "h", "Z")
        assert "░" not in shown(pilot, "response")


async def test_blurred_text_is_labelled_only_when_it_has_been_looked_at(workspace, open_app) -> None:
    ask(workspace, "refusal3", "blurred", blur=True)
    async with card(open_app, workspace, "blurred") as pilot:
        await press(pilot, "h")
        assert "card 1" in screen(pilot).crumbs() and not said(workspace, "blurred")
        await press(pilot, "z", "z", "h")  # looked at, and hidden again
        assert "card 2" in screen(pilot).crumbs()
        await press(pilot, "space")  # who does not want to look may skip
        assert [d.state for d in said(workspace, "blurred")] == [CardState.LABEL, CardState.SKIP]


async def test_v_shows_the_prompt_the_response_or_both(workspace, queue, open_app) -> None:
    async with card(open_app, workspace) as pilot:
        views = []
        for _ in range(3):
            await press(pilot, "v")
            views.append([screen(pilot).query_one(f"#{name}").display for name in ("prompt", "response")])
        assert views == [[True, False], [False, True], [True, True]]


async def test_guidelines_of_the_queue_take_the_place_of_the_constitutions(workspace, open_app) -> None:
    ask(workspace, "refusal3", "own", guidelines="Ask [Ada] when in doubt.")
    async with card(open_app, workspace, "own") as pilot:
        await press(pilot, "i")
        assert pilot.app.screen.query_one("#guidelines-text", TextView).content.plain == "Ask [Ada] when in doubt."
        await press(pilot, "R")
        assert "How to label" in pilot.app.screen.query_one("#guidelines-text", TextView).content.plain
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, ReviewCardScreen)


async def test_hostile_text_is_shown_and_obeyed_by_nobody(workspace, open_app) -> None:
    texts = [
        case.values[0].text.encode("utf-8", "backslashreplace").decode() for case in hostile_cases(longest=200_000)
    ]
    with closing(workspace.open()) as connection, transaction(connection):
        first = items.add_items(
            connection, 1, [(f"hostile-{n}", NewRow(text, text + " ", "m")) for n, text in enumerate(texts)]
        ).ids
        for item_id, text in zip(first, texts, strict=True):
            verdict = Verdict(item_id, "judge:x", "refusal3", "1", {"refusal3": Answer("soft")}, rationale=text)
            add_verdicts(connection, [verdict])
        cards = [QueueItem(n, item_id, "random", 1.0) for n, item_id in enumerate(first, 1)]
        create_queue(connection, "hostile", QueueSettings("", len(cards)), cards)
    async with card(open_app, workspace, "hostile") as pilot:
        for _ in texts:
            await pilot.press("r")
            everything = "".join(shown(pilot, name) for name in ("prompt", "response", "judges", "question", "status"))
            assert not set(everything) & {"\x1b", "\x00", "\x07", "\u202e"}
            await pilot.press("s")
        await settle(pilot)
        assert "Nothing is left" in shown(pilot, "response")


def test_a_queue_of_the_small_workspace_can_be_drawn(workspace) -> None:
    with closing(workspace.open()) as connection:
        queue = new_queue(connection, "", QueueSpec(size=20))
        assert queue.settings.population == 32
