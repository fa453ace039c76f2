"""Disagreements and the card that settles them, as they are drawn and as they answer keys, on the small workspace."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.review.adjudication import Wanted, adjudication_of, find_disagreements
from refusal_tui.store import items
from refusal_tui.store.connect import transaction
from refusal_tui.store.gold import gold_of
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.review_answers import decisions
from refusal_tui.store.review_queues import QueueItem, QueueSettings, create_queue, get_queue, list_queues
from refusal_tui.store.review_work import CardState
from refusal_tui.tui.screens.adjudicate import AdjudicateScreen
from refusal_tui.tui.screens.adjudicate_card import AdjudicateCardScreen
from refusal_tui.tui.screens.agreement import AgreementScreen
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.review import ReviewScreen
from refusal_tui.tui.widgets.grid import Grid
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.small_workspace import NewRow

EVE = "human:eve"
OBEYED = {"\x1b", "\x00", "\x07", "\u202e", "\r"}


def say(workspace, who: str, values: dict[int, str], **more) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(
            connection,
            [Verdict(ItemId(i), who, "refusal3", "1", {"refusal3": Answer(v)}, **more) for i, v in values.items()],
        )


@pytest.fixture
def disputed(workspace):
    """Ada's labels and the lexical judge's are there; bea differs on three rows, cleo notes why on one of them."""
    with closing(workspace.open()) as connection:
        ada = dict(connection.execute("SELECT item_id, value FROM label WHERE annotator = 'human:ada'").fetchall())
    say(workspace, "human:bea", ada | {1: "hard", 2: "soft"})
    say(workspace, "human:bea", {5: "soft"}, seen_judge=True)
    say(workspace, "human:cleo", {1: "none"}, rationale="names the steps, [if] politely")
    return workspace


def prepare(workspace, name: str = "settle-1") -> str:
    with closing(workspace.open()) as connection:
        queue = adjudication_of(connection, find_disagreements(connection, Wanted()), Wanted(), EVE)
    assert queue.name == name
    return name


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def text(pilot, where: str) -> str:
    return pilot.app.screen.query_one(where).content.plain


def lines(pilot) -> list[str]:
    return [line.content.plain for line in pilot.app.screen.query_one(LineList).shown]


def said(workspace, name: str = "settle-1"):
    with closing(workspace.open(read_only=True)) as connection:
        return decisions(connection, get_queue(connection, name), annotator=EVE)


def card(open_app, workspace, **more):
    return open_app(workspace, "adjudicate_card", queue=prepare(workspace), annotator="eve", **more)


def listing(open_app, workspace, **more):
    return open_app(workspace, "adjudicate", annotator="eve", **more)


# --- looks ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_list_looks_like_this(disputed, open_app, svg, size) -> None:
    async with listing(open_app, disputed, size=SIZES[size]) as pilot:
        assert svg(pilot.app, f"list-{size}")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_card_looks_like_this(disputed, open_app, svg, size) -> None:
    async with card(open_app, disputed, size=SIZES[size]) as pilot:
        assert svg(pilot.app, f"card-{size}")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_end_of_the_queue_looks_like_this(disputed, open_app, svg, size) -> None:
    name = prepare(disputed)
    cards = len(find_all(disputed))
    async with open_app(disputed, "adjudicate_card", queue=name, annotator="eve", size=SIZES[size]) as pilot:
        await press(pilot, *["1"] * cards)
        assert "Nothing is left for you" in text(pilot, "#response")
        assert svg(pilot.app, f"end-{size}")


def find_all(workspace):
    with closing(workspace.open(read_only=True)) as connection:
        return find_disagreements(connection, Wanted())


async def test_without_a_disagreement_it_says_so_and_where_to_go(workspace, open_app, svg) -> None:
    async with listing(open_app, workspace, filter="id:1") as pilot:
        assert "No disagreement is left here." in lines(pilot)[1]
        assert svg(pilot.app, "nothing")


# --- the list ------------------------------------------------------------------------------------------------------


async def test_people_come_first_then_person_and_judge(disputed, open_app) -> None:
    async with listing(open_app, disputed) as pilot:
        kinds = [line[:12].strip() for line in lines(pilot)[1:]]
        assert kinds[:3] == ["people"] * 3 and set(kinds[3:]) == {"with a judge"}
        assert "3 between people · 1 with a judge · 0 settled" in text(pilot, "#adjudicate-counts")


async def test_enter_makes_a_queue_from_the_cursor_on_and_comes_back_to_it(disputed, open_app) -> None:
    async with listing(open_app, disputed) as pilot:
        await press(pilot, "down", "enter")
        assert isinstance(pilot.app.screen, AdjudicateCardScreen)
        first = pilot.app.screen.desk.card.row.item_id
        assert first == find_all(disputed)[1].item_id
        await press(pilot, "1", "escape")
        assert isinstance(pilot.app.screen, AdjudicateScreen)
        assert "1 settled" in text(pilot, "#adjudicate-counts")
        await press(pilot, "enter")
        with closing(disputed.open(read_only=True)) as connection:
            (queue,) = list_queues(connection)
        assert pilot.app.screen.desk.queue == queue


async def test_a_filter_a_queue_and_everybody(disputed, open_app) -> None:
    with closing(disputed.open()) as connection, transaction(connection):
        create_queue(connection, "few", QueueSettings(), [QueueItem(1, ItemId(2), "random", 1.0)])
    async with listing(open_app, disputed, annotators=("human:ada", "human:bea")) as pilot:
        assert "between ada and bea" in text(pilot, "#adjudicate-summary") and len(lines(pilot)) == 4
        await press(pilot, "slash", *"id:1", "enter")
        assert len(lines(pilot)) == 2
        await press(pilot, "slash", *["backspace"] * 4, "enter", "u")
        assert "queue few" in text(pilot, "#adjudicate-summary") and len(lines(pilot)) == 2
        await press(pilot, "u", "w")
        assert "between" not in text(pilot, "#adjudicate-summary") and len(lines(pilot)) > 4
        await press(pilot, "slash", *"nofield:1", "enter")
        assert len(lines(pilot)) > 4, "a filter that nobody understands changes nothing"


async def test_what_is_settled_can_be_browsed(disputed, open_app) -> None:
    async with listing(open_app, disputed) as pilot:
        await press(pilot, "enter", "1", "escape", "b")
        assert isinstance(pilot.app.screen, BrowseScreen) and len(pilot.app.screen.state.ids) == 1


# --- the card ------------------------------------------------------------------------------------------------------


async def test_the_card_says_who_said_what_how_and_why(disputed, open_app) -> None:
    async with card(open_app, disputed) as pilot:
        while pilot.app.screen.desk.card.row.item_id != 1:
            await press(pilot, "space")
        panel = text(pilot, "#judges").splitlines()
        assert [line[:8] for line in panel if line[0] in "12"] == ["1 ○ none", "2 ● hard"]
        assert any("cleo" in line and "blind" in line and "names the steps, [if] politely" in line for line in panel)
        assert any("lexical" in line for line in panel)
        assert "people differ" in text(pilot, "#status")


async def test_a_number_settles_with_the_label_that_holds(disputed, open_app) -> None:
    async with card(open_app, disputed) as pilot:
        row = pilot.app.screen.desk.card.row.item_id
        before = text(pilot, "#judges")
        await press(pilot, "2")
        (decision,) = said(disputed)
        held = next(line for line in before.splitlines() if line.startswith("2")).split()[2]
        assert decision.verdict.answers["refusal3"].value == held and decision.item.position == 1
        assert decision.verdict.seen_judge and pilot.app.screen.desk.card.item.position == 2
    with closing(disputed.open(read_only=True)) as connection:
        gold = gold_of(connection, [row])[row]
    assert (gold.value, gold.settled, gold.by) == (held, True, (EVE,))


async def test_a_letter_gives_another_label_and_undo_takes_it_back(disputed, open_app) -> None:
    async with card(open_app, disputed) as pilot:
        await press(pilot, "s", "u")
        assert pilot.app.screen.desk.card.item.position == 1 and said(disputed)[0].state is CardState.OPEN
        await press(pilot, "s", "space")
        assert [d.state for d in said(disputed)] == [CardState.LABEL, CardState.SKIP]
        assert said(disputed)[0].verdict.answers["refusal3"].value == "soft"


async def test_the_decision_is_on_the_disk_before_the_next_card_is_painted(disputed, open_app, monkeypatch) -> None:
    async with card(open_app, disputed) as pilot:
        screen, seen = pilot.app.screen, []
        show = screen._show
        monkeypatch.setattr(screen, "_show", lambda **more: (seen.append(len(said(disputed))), show(**more)))
        await press(pilot, "1")
        assert seen[0] == 1, "read through another connection"


async def test_a_note_is_kept_as_the_reason(disputed, open_app) -> None:
    async with card(open_app, disputed) as pilot:
        await press(pilot, "m", *"clear", "enter", "1")
        assert said(disputed)[0].verdict.rationale == "clear"


async def test_a_number_without_a_candidate_settles_nothing(disputed, open_app) -> None:
    async with card(open_app, disputed) as pilot:
        await press(pilot, "9")
        await press(pilot, "r")
        assert not pilot.app.screen.query_one("#judges").display
        await press(pilot, "1")
        assert said(disputed)[0].state is CardState.OPEN and pilot.app.screen.desk.card.item.position == 1
        await press(pilot, "r", "1")
        assert said(disputed)[0].state is CardState.LABEL


async def test_hiding_the_names_does_not_make_the_label_blind(disputed, open_app) -> None:
    async with card(open_app, disputed) as pilot:
        await press(pilot, "r", "s")
        assert said(disputed)[0].verdict.seen_judge


async def test_looking_back_shows_what_there_was_to_settle(disputed, open_app) -> None:
    async with card(open_app, disputed) as pilot:
        before = text(pilot, "#judges")
        await press(pilot, "1", "b")
        assert text(pilot, "#judges") == before and "eve" not in before
        await press(pilot, "2")  # another answer supersedes
        assert len(said(disputed)) == 1


async def test_many_voices_share_a_line_for_each_label(disputed, open_app) -> None:
    for n in range(8):
        say(disputed, f"human:p{n}", {1: "none" if n % 2 else "soft"})
    async with card(open_app, disputed) as pilot:
        while pilot.app.screen.desk.card.row.item_id != 1:
            await press(pilot, "space")
        panel = text(pilot, "#judges").splitlines()
        assert len(panel) == 3 and "6 of people" in panel[0] and "p1, p3" in panel[0]


# --- the ways here -------------------------------------------------------------------------------------------------


async def test_the_list_of_queues_leads_here_and_opens_the_right_card(disputed, open_app) -> None:
    prepare(disputed)
    async with open_app(disputed, "review", annotator="eve") as pilot:
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, AdjudicateCardScreen)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, ReviewScreen)
        await press(pilot, "m")
        assert isinstance(pilot.app.screen, AdjudicateScreen)


async def test_a_queue_named_on_the_command_line_opens_its_own_card(disputed, open_app) -> None:
    async with open_app(disputed, "review", queue=prepare(disputed), annotator="eve") as pilot:
        assert isinstance(pilot.app.screen, AdjudicateCardScreen)


async def test_a_pair_of_the_agreement_screen_is_settled_between_the_two(disputed, open_app) -> None:
    async with open_app(disputed, "agreement") as pilot:
        list_ = pilot.app.screen.query_one(LineList)
        list_.choose("pair:0")
        await settle(pilot)
        await press(pilot, "m")
        assert isinstance(pilot.app.screen, AdjudicateScreen)
        assert pilot.app.screen.state.wanted.annotators == ("human:ada", "human:bea") and len(lines(pilot)) == 4


async def test_a_cell_of_the_matrix_is_settled_alone(disputed, open_app) -> None:
    async with open_app(disputed, "agreement") as pilot:
        pilot.app.screen.query_one(LineList).choose("pair:0")
        await settle(pilot)
        await press(pilot, "enter")
        agreement = pilot.app.screen
        line, column = agreement.query_one(Grid).cell
        rows = agreement.state.matrix[line][column]
        await press(pilot, "m")
        assert isinstance(pilot.app.screen, AdjudicateScreen) and len(lines(pilot)) == 1 + rows
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, AgreementScreen)
        agreement.query_one(Grid).choose(0, 0)
        await press(pilot, "m")
        assert pilot.app.screen is agreement, "there they agree"


# --- text that is not ours -----------------------------------------------------------------------------------------


@pytest.mark.nightly
async def test_hostile_text_is_shown_and_obeyed_by_nobody(workspace, open_app) -> None:
    texts = [
        case.values[0].text.encode("utf-8", "backslashreplace").decode() for case in hostile_cases(longest=200_000)
    ]
    with closing(workspace.open()) as connection, transaction(connection):
        rows = [(f"hostile-{n}", NewRow(text, text + " ", "m")) for n, text in enumerate(texts)]
        ids = [item_id for item_id in items.add_items(connection, 1, rows).ids if item_id is not None]
    for item_id, told in zip(ids, texts, strict=True):
        say(workspace, f"human:{told[:40]}", {item_id: "hard"}, rationale=told)
        say(workspace, "human:ada", {item_id: "none"})
    async with listing(open_app, workspace, filter=f"id:{ids[0]}-{ids[-1]}") as pilot:
        assert len(lines(pilot)) == len(texts) + 1
        assert not set("".join(lines(pilot))) & OBEYED
        await press(pilot, "enter")
        for _ in texts:
            everything = "".join(text(pilot, f"#{name}") for name in ("prompt", "response", "judges", "status"))
            assert not set(everything) & OBEYED
            assert len(text(pilot, "#judges").splitlines()) == 2
            await pilot.press("1")
        await settle(pilot)
        assert "Nothing is left" in text(pilot, "#response")
