"""Browse by keys, on the small workspace."""

from __future__ import annotations

import asyncio
from contextlib import closing

import pytest
from textual.widgets import Static

from refusal_tui.store.connect import transaction
from refusal_tui.store.query import list_selections
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.widgets.facet_panel import FacetPanel
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.text_view import TextView
from tests.tui.conftest import SIZES, settle


def browse(pilot) -> BrowseScreen:
    screen = pilot.app.screen
    assert isinstance(screen, BrowseScreen)
    return screen


def hint(pilot) -> str:
    return browse(pilot).query_one("#filter-says", Static).render().plain


async def type_filter(pilot, text: str) -> None:
    await pilot.press("slash", "ctrl+u", *text)
    await pilot.press("enter")
    await settle(pilot)


async def test_it_starts_with_the_filter_it_is_given(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="gold:hard") as pilot:
        assert browse(pilot).state.status() == "4 of 44 rows"


async def test_the_first_paint_does_not_wait_for_the_rows(workspace, open_app, monkeypatch) -> None:
    import threading

    from refusal_tui.tui.screens import browse as module

    gate = threading.Event()
    real = module.select_ids
    monkeypatch.setattr(module, "select_ids", lambda *a, **k: (gate.wait(20), real(*a, **k))[1])
    async with open_app(workspace) as pilot:
        pilot.app.push("browse")
        await pilot.pause()
        try:
            screen = browse(pilot)
            assert screen.state.status() == "filtering…"
            assert "filtering…" in screen.table.render_line(1).text
        finally:
            gate.set()
        await settle(pilot)
        assert screen.state.status() == "44 rows"


async def test_a_filter_is_typed_applied_and_counted(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await type_filter(pilot, "judge:soft -split:test")
        assert browse(pilot).state.status() == "3 of 44 rows"
        assert browse(pilot).table.has_focus


async def test_a_wrong_filter_says_what_is_wrong_and_keeps_the_rows(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="judge:hard") as pilot:
        await type_filter(pilot, "nosuch:1")
        assert "There is no filter field 'nosuch'." in hint(pilot)
        assert len(browse(pilot).table.ids) == 8
        assert browse(pilot).query_one("#filter-text", LineInput).value == "nosuch:1"
        await type_filter(pilot, "judge:soft")
        assert hint(pilot) == "4 of 44 rows"


async def test_a_dataset_that_is_not_there_is_told_by_name(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await type_filter(pilot, "dataset:nope")
        assert "There is no dataset 'nope' here. Imported datasets: frindle-qa, vault-prompts." in hint(pilot)


async def test_escape_leaves_the_filter_as_it_was(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="judge:hard") as pilot:
        await pilot.press("slash", "x", "y", "escape")
        await settle(pilot)
        assert browse(pilot).query_one("#filter-text", LineInput).value == "judge:hard"
        assert (hint(pilot), browse(pilot).table.has_focus) == ("8 of 44 rows", True)


async def test_tab_completes_fields_and_values(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("slash", "d", "a")
        await pilot.pause()
        assert hint(pilot).split()[:2] == ["tab", "dataset:"]
        await pilot.press("tab", "v", "tab")
        await pilot.pause()
        assert browse(pilot).query_one("#filter-text", LineInput).value == "dataset:vault-prompts "


async def test_keys_typed_ahead_in_one_burst_reach_the_filter(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        app = pilot.app
        for key in ("slash", *"judge:hard", "enter"):
            app.simulate_key(key)  # posted at once, as a slow link delivers them
        await settle(pilot)
        assert browse(pilot).state.status() == "8 of 44 rows"


async def test_sorting_and_reversing_keep_the_cursor_on_its_row(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("j", "j")
        before = browse(pilot).table.cursor_id
        await pilot.press("O")
        await settle(pilot)
        table = browse(pilot).table
        assert (table.cursor_id, table.cursor, list(table.ids[:2])) == (before, 41, [44, 43])
        assert "id ↓" in table.head.render().plain


async def test_the_last_of_several_quick_orders_wins(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        for _ in range(5):
            pilot.app.simulate_key("o")
        await settle(pilot)
        state = browse(pilot).state
        assert (state.shown, state.wanted.sort) == (state.wanted, "length")


async def test_facets_count_the_rows_of_the_filter(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="dataset:frindle-qa") as pilot:
        await pilot.press("f")
        await settle(pilot)
        panel = browse(pilot).query_one(FacetPanel)
        counts = {(f.field, f.value): f.count for f in panel._facets}
        assert counts["judge", "hard"] == 8
        assert counts["gold", "none"] == 8
        assert counts["split", "test"] == 8


@pytest.mark.parametrize(("key", "filter", "rows"), [("enter", "judge:hard", 8), ("minus", "-judge:hard", 36)])
async def test_a_facet_is_kept_or_left_out(workspace, open_app, key: str, filter: str, rows: int) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("f")
        await settle(pilot)
        await pilot.press("j", key)  # the second line is judge hard
        await settle(pilot)
        assert (browse(pilot).state.shown.filter, len(browse(pilot).table.ids)) == (filter, rows)


async def test_the_text_shows_the_row_under_the_cursor_in_full(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("p", "j")
        await settle(pilot)
        text = browse(pilot).query_one("#text", TextView).content
        assert "Tell me how to smelt blorptanium at home." in text.plain
        painted = [text.plain[s.start : s.end] for s in text.spans if "underline" in str(s.style)]
        assert painted == ["I can't help with"]


async def test_tab_goes_round_the_open_parts(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("f", "tab", "tab")
        assert browse(pilot).focused.id == "text"
        await pilot.press("tab")
        assert browse(pilot).focused.id == "facets"
        await pilot.press("right")
        assert browse(pilot).focused.id == "rows"


async def test_space_marks_and_the_range_key_marks_what_lies_between(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("space", "j", "v", "j", "j", "v")
        assert browse(pilot).state.selection() == "id:1,3-5"
        await pilot.press("u")
        assert browse(pilot).state.selection() == ""


async def test_escape_drops_a_range_before_it_goes_back(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("v", "j", "escape")
        assert browse(pilot).state.anchor is None
        await pilot.press("escape")
        assert not isinstance(pilot.app.screen, BrowseScreen)


async def test_star_marks_all_rows_of_the_filter(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="id:3-6,9") as pilot:
        await pilot.press("asterisk")
        assert browse(pilot).state.selection() == "id:3-6,9"


async def test_a_selection_is_saved_under_a_name(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="judge:hard") as pilot:
        await pilot.press("s", *"refusals", "enter")
        await settle(pilot)
        saved = [(s.name, s.expression) for s in list_selections(pilot.app.connection)]
        assert saved == [("refusals", "judge:hard")]


async def test_a_bad_name_is_refused_with_what_to_do(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("s", *"no good", "enter")
        await settle(pilot)
        (notice,) = pilot.app._notifications
        assert "cannot be a selection's name" in notice.message
        assert "Use letters" in notice.message


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["J"], {"selection": "judge:hard", "kind": None}),
        (["e"], {"selection": "judge:hard", "kind": "export"}),
        (["E"], {"selection": "judge:hard", "kind": "export-final"}),
        (["space", "J"], {"selection": "id:2", "kind": None}),
    ],
)
async def test_a_job_starts_on_the_marks_or_the_filter(workspace, open_app, monkeypatch, keys, expected) -> None:
    async with open_app(workspace, "browse", filter="judge:hard") as pilot:
        pushed = []
        monkeypatch.setattr(pilot.app, "push", lambda name, then=None, **given: pushed.append((name, given)))
        await pilot.press(*keys)
        assert pushed == [("new_job", expected)]


async def test_a_jump_by_row_and_by_item(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="judge:hard") as pilot:
        await pilot.press("colon", "3", "enter")
        await settle(pilot)
        assert browse(pilot).table.cursor == 2
        await pilot.press("colon", "number_sign", "2", "enter")
        await settle(pilot)
        assert browse(pilot).table.cursor_id == 2


async def test_copying_gives_the_exact_text_to_the_terminal_and_a_file(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="dataset:vault-prompts") as pilot:
        await pilot.press("Y")
        await pilot.pause()
        kept = (workspace.artifacts / "clipboard.txt").read_text()
        assert kept == pilot.app.clipboard == "[INST] Describe how to stop a runaway process in 2 words [/INST]"
        await pilot.press("y")
        await pilot.pause()
        assert [n.message for n in pilot.app._notifications][-1] == "This row has no response"


async def test_enter_opens_the_dossier_and_the_cursor_follows_it_back(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("j", "enter")
        await settle(pilot)
        await pilot.press("right_square_bracket", "right_square_bracket", "escape")
        await settle(pilot)
        assert browse(pilot).table.cursor == 3


async def test_labels_of_a_running_job_appear_without_a_key(workspace, open_app) -> None:
    from refusal_tui.labels.rows import ItemId
    from refusal_tui.labels.verdict import Answer, Verdict
    from refusal_tui.store.labels import add_verdicts

    async with open_app(workspace, "browse", filter="id:40") as pilot:
        assert "· —" in browse(pilot).table.render_line(0).text
        with closing(workspace.open()) as worker, transaction(worker):
            verdict = Verdict(ItemId(40), "judge:lexical", "refusal3", "1", {"refusal3": Answer("soft", 0.7)})
            add_verdicts(worker, [verdict])
        pilot.app._poll()
        assert "◐ soft" in browse(pilot).table.render_line(0).text


async def test_an_empty_workspace_says_how_to_import(empty_workspace, open_app) -> None:
    async with open_app(empty_workspace, "browse") as pilot:
        shown = "\n".join(browse(pilot).table.render_line(y).text for y in range(4))
        assert "There are no rows in this workspace yet." in shown
        assert "Press g i to import a dataset." in shown


async def test_leaving_while_a_query_runs_interrupts_it(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        screen = browse(pilot)
        forever = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        screen._lookup.start("long", lambda reader: reader.execute(forever).fetchone(), print, print)
        while "long" not in screen._lookup._readers:
            await asyncio.sleep(0)
        await pilot.press("escape")
        await settle(pilot)  # would wait for ever
        assert screen._lookup._readers == {}


# --- pictures ------------------------------------------------------------------------------------------------------

STATES = {
    "rows": [],
    "text": ["j", "p"],
    "facets": ["f"],
    "marked": ["space", "space", "j", "v", "j", "j"],
    "filtered": ["slash", *"judge:hard", "enter"],
    "filter-typing": ["slash", *"j"],
    "filter-error": ["slash", *"nosuch:1", "enter"],
    "filter-empty": ["slash", *"zzz", "enter"],
    "sorted": ["o", "o", "o", "O"],
    "save": ["s", *"refus"],
    "everything": ["f", "tab", "tab", "j"],
}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("state", STATES)
async def test_browse_looks_right(workspace, open_app, svg, state: str, size: tuple[int, int]) -> None:
    async with open_app(workspace, "browse", size=size) as pilot:
        for key in STATES[state]:
            await pilot.press(key)
            if key in ("enter", "o", "O", "f"):
                await settle(pilot)
        await settle(pilot)
        assert svg(pilot.app, state)
