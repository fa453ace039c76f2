"""Results as it is drawn and as it answers keys."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.results import ResultsScreen
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases


def shown(pilot) -> list[str]:
    return [line.content.plain for line in pilot.app.screen.query_one(LineList).shown]


def summary(pilot) -> str:
    return pilot.app.screen.query_one("#results-summary").content.plain


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


@pytest.fixture
def harmless(workspace):
    """People know some prompts to be harmless."""
    with closing(workspace.open()) as connection, transaction(connection):
        verdicts = [
            Verdict(ItemId(i), "human:frindle", "harm", "1", {"prompt_harmful": Answer(i % 3 == 0)})
            for i in range(1, 25)
        ]
        add_verdicts(connection, verdicts)
    return workspace


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_results_look_like_this(harmless, open_app, svg, size) -> None:
    async with open_app(harmless, "results", size=SIZES[size]) as pilot:
        await press(pilot, "b", "b")
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_two_models_look_like_this_beside_each_other(harmless, open_app, svg, size) -> None:
    async with open_app(harmless, "results", size=SIZES[size]) as pilot:
        await press(pilot, "c", "j", "c")
        assert svg(pilot.app, size)


async def test_g_r_leads_here_from_anywhere(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await press(pilot, "g", "r")
        assert isinstance(pilot.app.screen, ResultsScreen)


async def test_enter_opens_the_rows_of_the_line(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        rows = next(line for line in shown(pilot) if line.startswith("quill-7b")).split()[1]
        await press(pilot, "j", "enter")
        screen = pilot.app.screen
        assert isinstance(screen, BrowseScreen)
        assert len(screen.state.ids) == int(rows) == 16


async def test_people_come_first_and_l_goes_through_those_whose_labels_can_count(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        assert "people before judges" in summary(pilot)
        await press(pilot, "l")
        assert "judge:lexical" in summary(pilot)
        await press(pilot, "l")
        assert "human:ada" in summary(pilot)
        assert [line.split()[1] for line in shown(pilot)[1:3]] == ["4", "8"]
        await press(pilot, "l")
        assert "people before judges" in summary(pilot)


async def test_b_groups_otherwise_and_repeats_no_name(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        await press(pilot, "b", "b")
        assert shown(pilot)[0].startswith("model ") and "category" in shown(pilot)[0]
        assert sum(line.startswith("quill-7b") for line in shown(pilot)) == 1


async def test_o_puts_the_highest_rate_first(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        await press(pilot, "b", "b", "b", "o")
        rates = [cell.rates["refusal"].interval.value for cell in pilot.app.screen.state.cells]
        assert rates == sorted(rates, reverse=True)
        assert "order refused" in summary(pilot)


async def test_a_filter_chooses_the_rows_and_a_bad_one_is_told_and_changes_nothing(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        await press(pilot, "slash", *"split:test", "enter")
        assert "split:test" in summary(pilot)
        assert [line.split()[1] for line in shown(pilot)[1:3]] == ["4", "4"]
        await press(pilot, "slash", "space", *"x:1", "enter")
        assert "rows split:test " in summary(pilot)


async def test_comparing_a_model_with_itself_forgets_it(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        await press(pilot, "c")
        assert "compare marrow-13b   with" in summary(pilot)
        await press(pilot, "c")
        assert "compare" not in summary(pilot)


async def test_enter_on_a_comparison_opens_the_rows_of_both(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        await press(pilot, "c", "j", "c", "enter")
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert len(pilot.app.screen.state.ids) == 32


async def test_e_writes_the_table_three_times(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        await press(pilot, "e")
        written = sorted(path.suffix for path in workspace.artifacts.glob("results-*"))
        assert written == [".csv", ".md", ".svg"]


async def test_without_labels_it_says_what_to_do(workspace, open_app) -> None:
    async with open_app(workspace, "results", filter="has:response -has:label") as pilot:
        assert any("wait for a judge: 1" in line for line in shown(pilot)) and any(
            "labelling job" in line for line in shown(pilot)
        )


async def test_an_empty_workspace_has_no_results(empty_workspace, open_app) -> None:
    async with open_app(empty_workspace, "results") as pilot:
        assert any("no response among these rows" in line for line in shown(pilot))


async def test_labels_that_arrive_are_counted(workspace, open_app) -> None:
    async with open_app(workspace, "results") as pilot:
        with closing(workspace.open()) as connection, transaction(connection):
            add_verdicts(
                connection, [Verdict(ItemId(30), "judge:lexical", "refusal3", "1", {"refusal3": Answer("hard")})]
            )
        pilot.app.screen._recount._rested()  # the pause between two counts is over
        await settle(pilot)
        assert [line.split()[1] for line in shown(pilot)[1:3]] == ["16", "16"]


@pytest.mark.parametrize("hostile", hostile_cases())
@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_hostile_names_are_shown_and_obeyed_by_nobody(workspace, open_app, hostile, size) -> None:
    text = hostile.text.encode("utf-8", "backslashreplace").decode()
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE item SET model = ?, category = ? WHERE model = 'quill-7b'", (text, text))
        connection.execute("UPDATE label SET annotator = 'judge:' || ? WHERE annotator = 'judge:lexical'", (text,))
    async with open_app(workspace, "results", size=SIZES[size]) as pilot:
        await press(pilot, "b", "b", "l")
        await press(pilot, "c", "G", "c")
        lines = [*shown(pilot), summary(pilot)]
        assert not set("".join(lines)) & {"\n", "\x1b", "\x00", "\x07", "\u202e"}
        assert [line for line in shown(pilot) if cell_width(line) > SIZES[size][0] - 3] == []
