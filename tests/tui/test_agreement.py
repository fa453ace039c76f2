"""Agreement as it is drawn and as it answers keys."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.review_queues import QueueItem, QueueSettings, create_queue
from refusal_tui.store.review_work import Place, Said, decide
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.agreement import AgreementScreen
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.widgets.grid import Grid
from refusal_tui.tui.widgets.line_list import LineList
from tests.store.building import NewRow, add
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle


def shown(pilot) -> list[str]:
    return [line.content.plain for line in pilot.app.screen.query_one(LineList).shown]


def below(pilot) -> str:
    return pilot.app.screen.query_one("#agreement-words").content.plain


def summary(pilot) -> str:
    return pilot.app.screen.query_one("#agreement-summary").content.plain


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


def add_labels(workspace, who: str, values: dict[int, str], **more: bool) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(
            connection,
            [Verdict(ItemId(i), who, "refusal3", "1", {"refusal3": Answer(v)}, **more) for i, v in values.items()],
        )


@pytest.fixture
def reviewed(workspace):
    """Two people beside the judge; the second calls two rows otherwise. A queue with a repeat, of 16 of 32 rows."""
    with closing(workspace.open()) as connection:
        said = dict(connection.execute("SELECT item_id, value FROM label WHERE annotator = 'human:ada'").fetchall())
        add_labels(workspace, "human:bea", said | {2: "soft", 5: "soft"})
        add_labels(workspace, "human:bea", {13: "none", 14: "none"}, seen_judge=True)
        with transaction(connection):
            items = [QueueItem(n, ItemId(2 * n + 1), "random", 0.5) for n in range(16)]
            settings = QueueSettings("dataset:frindle-qa", 32)
            queue = create_queue(connection, "first", settings, [*items, QueueItem(16, ItemId(1), "random", 0.5, 1, 0)])
        judged = dict(connection.execute("SELECT item_id, value FROM label WHERE annotator = 'judge:lexical'"))
        for n in range(17):
            item_id = 1 if n == 16 else 2 * n + 1
            value = "soft" if n in (4, 16) else judged.get(item_id, "none")
            with transaction(connection):
                decide(connection, Place(queue, n, "human:cleo"), Said({"refusal3": Answer(value)}))
    return workspace


@pytest.fixture
def busy(reviewed):
    """40 rows more, each of a prompt of its own, labelled by ada, bea and the judge."""
    with closing(reviewed.open()) as connection:
        rows = [NewRow(f"What is glimmer {n}?", f"Glimmer {n} is a vault.", "quill-7b") for n in range(40)]
        ids = add(connection, *rows, dataset="glimmer")
    for who, kinds in (
        ("human:ada", ["hard", "none", "none", "soft", "hard"]),
        ("human:bea", ["hard", "none", "none", "soft", "hard", "hard", "none", "none", "hard", "hard"]),
        ("judge:lexical", ["hard", "none", "none", "none", "hard", "hard", "none", "hard"]),
    ):
        add_labels(reviewed, who, {item_id: kinds[n % len(kinds)] for n, item_id in enumerate(ids)})
    return reviewed


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_agreement_looks_like_this(busy, open_app, svg, size) -> None:
    async with open_app(busy, "agreement", size=SIZES[size]) as pilot:
        await press(pilot, "j", "j")
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_matrix_looks_like_this_with_its_parts(busy, open_app, svg, size) -> None:
    async with open_app(busy, "agreement", size=SIZES[size]) as pilot:
        await press(pilot, "j", "j", "s", "enter")
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_the_errors_of_a_judge_look_like_this(busy, open_app, svg, size) -> None:
    async with open_app(busy, "agreement", size=SIZES[size]) as pilot:
        await press(pilot, "G")
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_without_labels_it_looks_like_this(empty_workspace, open_app, svg, size) -> None:
    async with open_app(empty_workspace, "agreement", size=SIZES[size]) as pilot:
        assert svg(pilot.app, size)


async def test_g_a_leads_here_from_anywhere(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await press(pilot, "g", "a")
        assert isinstance(pilot.app.screen, AgreementScreen)


async def test_the_cursor_enters_the_matrix_at_the_most_frequent_disagreement(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        await press(pilot, "j", "j", "enter")
        assert "lines ada   columns bea   2 apart" in below(pilot)
        grid = pilot.app.screen.query_one(Grid)
        assert grid.has_focus
        line, column = grid.cell
        assert line != column and pilot.app.screen.state.matrix[line][column] > 0


async def test_a_cell_opens_its_rows_and_escape_comes_back_to_it(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        await press(pilot, "j", "j", "enter")
        state, (line, column) = pilot.app.screen.state, pilot.app.screen.query_one(Grid).cell
        rows = state.matrix[line][column]
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, BrowseScreen) and len(pilot.app.screen.state.ids) == rows
        await press(pilot, "escape")
        assert pilot.app.screen.query_one(Grid).has_focus
        await press(pilot, "escape")
        assert pilot.app.screen.query_one(LineList).has_focus
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, AgreementScreen)


async def test_an_empty_cell_says_so_and_opens_nothing(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement", notices=True) as pilot:
        await press(pilot, "j", "j", "enter")
        pilot.app.screen.query_one(Grid).choose(1, 0)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, AgreementScreen)


async def test_arrows_move_in_the_matrix_and_stop_at_its_edges(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        await press(pilot, "j", "j", "enter", *["up", "h"] * 3)
        assert pilot.app.screen.query_one(Grid).cell == (0, 0)
        await press(pilot, *["down", "l"] * 4)
        assert pilot.app.screen.query_one(Grid).cell == (2, 2)


async def test_d_opens_all_rows_on_which_the_two_differ(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        await press(pilot, "j", "j", "d")
        assert isinstance(pilot.app.screen, BrowseScreen) and len(pilot.app.screen.state.ids) == 2


async def test_b_goes_through_the_heads(reviewed, open_app) -> None:
    with closing(reviewed.open()) as connection, transaction(connection):
        for who in ("human:ada", "human:bea"):
            add_verdicts(
                connection, [Verdict(ItemId(i), who, "harm", "1", {"prompt_harmful": Answer(True)}) for i in (1, 2)]
            )
    async with open_app(reviewed, "agreement") as pilot:
        assert "head refusal3" in summary(pilot)
        await press(pilot, "b")
        assert "head prompt_harmful" in summary(pilot)
        await press(pilot, "b")
        assert "head refusal3" in summary(pilot)


async def test_u_chooses_the_rows_of_a_queue(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        await press(pilot, "u")
        assert "queue first" in summary(pilot)
        assert next(line for line in shown(pilot) if line.startswith("ada × bea")).split()[3] == "6"
        await press(pilot, "u")
        assert "queue" not in summary(pilot)


async def test_a_filter_chooses_the_rows_and_a_bad_one_is_told_and_changes_nothing(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        await press(pilot, "slash", *"split:test", "enter")
        assert "rows split:test" in summary(pilot)
        await press(pilot, "slash", "space", *"x:1", "enter")
        assert "rows split:test " in summary(pilot)


async def test_labels_that_arrive_are_counted(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        before = next(line for line in shown(pilot) if line.startswith("ada × bea"))
        add_labels(reviewed, "human:bea", {2: "hard", 5: "hard"})
        screen = pilot.app.screen
        screen._recount._rested()  # the rest between two counts is over
        await settle(pilot)
        after = next(line for line in shown(pilot) if line.startswith("ada × bea"))
        assert before.split()[4] == ".833" and after.split()[4] == "1.000"


async def test_nothing_is_painted_when_a_label_changes_no_figure(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        screen = pilot.app.screen
        painted: list[object] = []
        for widget in (screen.query_one(LineList), screen.query_one(Grid)):
            widget.refresh = lambda *a, **k: painted.append(a)  # type: ignore[method-assign]
            widget.refresh_line = lambda y: painted.append(y)  # type: ignore[attr-defined]
        add_labels(reviewed, "human:bea", {40: "hard"})  # nobody else has this row
        screen._recount._rested()
        await settle(pilot)
        assert painted == []


async def test_e_writes_what_the_command_prints(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement") as pilot:
        await press(pilot, "e")
    (file,) = reviewed.artifacts.glob("agreement-*.json")
    (head, *_) = json.loads(file.read_text())["heads"]
    assert head["head"] == "refusal3" and head["self"][0]["annotator"] == "human:cleo"


async def test_an_unknown_queue_is_told(reviewed, open_app) -> None:
    async with open_app(reviewed, "agreement", queue="lost") as pilot:
        assert any("no review queue 'lost'" in line for line in shown(pilot))


@pytest.mark.parametrize("name", ["[bold]x", "\x1b[31mred", "wide 漢字" * 9])
async def test_names_of_any_kind_are_shown_and_not_obeyed(reviewed, open_app, name) -> None:
    add_labels(reviewed, f"human:{name}", dict.fromkeys(range(1, 9), "hard"))
    async with open_app(reviewed, "agreement") as pilot:
        assert all("\x1b" not in line and cell_width(line) <= 78 for line in shown(pilot))
        assert sum("× " in line for line in shown(pilot)) >= 6
