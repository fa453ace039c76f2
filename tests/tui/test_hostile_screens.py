"""The hostile corpus on every screen of the data area: no crash, nothing that a terminal obeys, nothing hidden."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store import datasets, items, labels
from refusal_tui.store.connect import transaction
from refusal_tui.store.items import storable
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.text.hostile import HOSTILE
from refusal_tui.text.safe import safe_text
from refusal_tui.tui.widgets.facet_panel import FacetPanel
from refusal_tui.tui.widgets.text_view import TextView
from tests.tui.conftest import settle
from tests.tui.small_workspace import NewRow

OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
NAMES = [h.text for h in HOSTILE if 0 < len(h.text) < 2000]


@pytest.fixture(scope="module")
def hostile_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every hostile string as prompt, response, key, model, category, metadata, rationale, dataset and bad row."""
    workspace = create_workspace(tmp_path_factory.mktemp("hostile") / "w")
    rows = [
        (
            h.text[:500] + str(n),
            NewRow(h.text or "empty", h.text, h.text[:500], h.name, h.text[:500], {h.text[:99]: h.text}),
        )
        for n, h in enumerate(HOSTILE)
    ]
    with closing(workspace.open()) as connection, transaction(connection):
        first = datasets.begin_dataset(connection, "corpus", datasets.Provenance("generic", "1", "x", sha256="a"))
        added = items.add_items(connection, first.id, rows)
        bad = [(n, storable(h.text[:400]), h.text[:400]) for n, h in enumerate(HOSTILE)]
        datasets.add_quarantine(connection, first.id, bad)
        datasets.record_progress(connection, first.id, records_read=1, added=added.count, rejected=len(bad), done=True)
        for n, name in enumerate(NAMES):
            where = datasets.Provenance("generic", "1", storable(name), sha256=str(n), licence=storable(name)[:100])
            datasets.begin_dataset(connection, f"{storable(name)}{n}", where)
        labels.add_verdicts(connection, [
            Verdict(item_id, "judge:lexical", "refusal3", "1", {"refusal3": Answer("hard", 0.5)},
                    raw=storable(h.text[:9000]), rationale=storable(h.text[:9000]))
            for item_id, h in zip(added.ids, HOSTILE, strict=True) if item_id is not None
        ])  # fmt: skip
    return workspace.root


@pytest.fixture
def hostile(hostile_root: Path) -> Workspace:
    return Workspace(hostile_root)


def assert_harmless(pilot) -> None:
    for strip in pilot.app.screen._compositor.render_strips():
        found = OBEYED.search(strip.text)
        assert found is None, f"{found!r} in {strip.text!r}"
        assert strip.cell_length == pilot.app.size.width


SIZES = pytest.mark.parametrize(
    ("size", "every"),
    [pytest.param((80, 24), 1, id="80x24"), pytest.param((140, 40), 5, id="140x40", marks=pytest.mark.nightly)],
)


@SIZES
async def test_browse_with_every_text_facet_and_label(hostile, open_app, size, every: int) -> None:
    async with open_app(hostile, "browse", filter="dataset:corpus", size=size) as pilot:
        await pilot.press("f", "p")
        await settle(pilot)
        table = pilot.app.screen.table
        table.focus()
        view = pilot.app.screen.query_one("#text", TextView)
        for index, entry in list(enumerate(HOSTILE))[::every]:
            table.move_to(index)
            await pilot.pause()
            assert safe_text(storable(entry.text)) in view.content.plain, entry.name
            assert_harmless(pilot)


async def test_a_facet_of_every_hostile_model_can_be_chosen(hostile, open_app) -> None:
    async with open_app(hostile, "browse", filter="dataset:corpus") as pilot:
        await pilot.press("f")
        await settle(pilot)
        panel = pilot.app.screen.query_one(FacetPanel)
        chosen = [facet for facet in panel._facets if facet.field in ("model", "category")]
        assert len(chosen) > 10
        for facet in chosen[::2]:
            panel.post_message(FacetPanel.Chosen(facet, exclude=False))
            await settle(pilot)
            state = pilot.app.screen.state
            assert state.error is None, facet
            assert len(state.ids) >= facet.count
            assert_harmless(pilot)
            pilot.app.screen.state.want_filter("dataset:corpus")


@SIZES
async def test_dossiers_of_every_text(hostile, open_app, size, every: int) -> None:
    async with open_app(hostile, "browse", filter="dataset:corpus", size=size) as pilot:
        await pilot.press("enter")
        await settle(pilot)
        screen = pilot.app.screen
        view = screen.query_one("#text", TextView)
        for entry in HOSTILE[::every]:
            assert safe_text(storable(entry.text)) in view.content.plain, entry.name
            assert_harmless(pilot)
            screen.action_facts()
            await pilot.pause()
            assert_harmless(pilot)
            screen.action_row(every)
            await pilot.pause()


async def test_datasets_and_bad_rows_with_hostile_names(hostile, open_app) -> None:
    async with open_app(hostile) as pilot:
        table = pilot.app.screen.table
        for index in range(len(NAMES) + 1):
            table.move_to(index)
            await pilot.pause()
            assert_harmless(pilot)
        corpus = next(line.dataset for line in pilot.app.screen._lines if line.name == "corpus")
        pilot.app.push("quarantine", dataset=corpus)
        await settle(pilot)
        for index in range(len(HOSTILE)):
            pilot.app.screen.table.move_to(index)
            await pilot.pause()
            assert_harmless(pilot)


async def test_a_hostile_filter_is_shown_in_the_editor_and_in_its_error(hostile, open_app) -> None:
    async with open_app(hostile, "browse") as pilot:
        for text in NAMES[::4]:
            bar = pilot.app.screen.query_one("FilterBar")
            bar.show_filter(text)
            pilot.app.screen.state.want_filter(text)
            pilot.app.screen._ask()
            await settle(pilot)
            assert_harmless(pilot)


async def test_a_hostile_notice(hostile, open_app) -> None:
    async with open_app(hostile, notices=True) as pilot:
        for text in NAMES[:20]:
            pilot.app.say(text)
            await pilot.pause()
            assert_harmless(pilot)
            pilot.app.clear_notifications()
