"""Datasets and their bad rows by keys, on the small workspace."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import record_progress
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.datasets import DatasetsScreen
from refusal_tui.tui.widgets.text_view import TextView
from tests.tui.conftest import SIZES, settle


def screen(pilot) -> DatasetsScreen:
    assert isinstance(pilot.app.screen, DatasetsScreen)
    return pilot.app.screen


def line(pilot, y: int) -> list[str]:
    return screen(pilot).table.render_line(y).text.split()


async def test_imported_datasets_show_rows_labels_and_bad_records(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        assert line(pilot, 0) == ["›", "●", "ready", "frindle-qa", "32", "31", "12", "2", "CC-BY-4.0"]
        assert line(pilot, 1) == ["●", "ready", "vault-prompts", "12", "—", "—", "MIT"]


async def test_the_catalogue_follows(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        names = [shown.name for shown in screen(pilot)._lines]
        assert names[:2] == ["frindle-qa", "vault-prompts"]
        assert {"xstest", "sorry-bench", "hh-rlhf"} <= set(names[2:])


async def test_the_text_beside_says_where_a_dataset_comes_from(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("j")
        await settle(pilot)
        about = screen(pilot).query_one("#about", TextView).content.plain
        assert "hf:example/vault-prompts" in about
        assert "0f3c2a1" in about
        assert "evaluation only: never train on it" in about


async def test_enter_browses_the_dataset(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("j", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert pilot.app.screen.state.status() == "12 of 44 rows"


async def test_enter_on_a_known_dataset_imports_it(workspace, open_app, monkeypatch) -> None:
    async with open_app(workspace) as pilot:
        pushed = []
        monkeypatch.setattr(pilot.app, "push", lambda name, then=None, **given: pushed.append((name, given)))
        entry = screen(pilot)._lines[2].entry
        await pilot.press("j", "j", "enter")
        assert pushed == [("import", {"source": entry.source})]


async def test_bad_rows_show_line_reason_and_the_record(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("Q", "j")
        await settle(pilot)
        excerpt = pilot.app.screen.query_one("#excerpt", TextView).content.plain
        assert "Line 19" in excerpt
        assert "the field 'prompt' is missing" in excerpt
        assert '{"question": "␛[31mred␛[0m"}' in excerpt
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, DatasetsScreen)


async def test_a_dataset_without_bad_rows_says_so(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("j", "Q")
        await settle(pilot)
        assert "Every record of this source could be used." in pilot.app.screen.table.render_line(1).text


async def test_an_import_that_goes_on_is_seen(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        with closing(workspace.open()) as writer, transaction(writer):
            record_progress(writer, 2, records_read=99, added=30, rejected=1)
        pilot.app._poll()
        await settle(pilot)
        assert line(pilot, 1)[:4] == ["●", "ready", "vault-prompts", "42"]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(
    ("name", "keys"), [("list", []), ("known", ["j"] * 5), ("about-hidden", ["p"]), ("bad-rows", ["Q"])]
)
async def test_datasets_look_right(workspace, open_app, svg, size, name: str, keys: list[str]) -> None:
    async with open_app(workspace, size=size) as pilot:
        await pilot.press(*keys)
        await settle(pilot)
        assert svg(pilot.app, name)
