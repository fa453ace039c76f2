"""The view that shows a long text in full."""

from __future__ import annotations

from array import array

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.text_view import TextView


async def test_no_character_is_lost_when_a_text_that_fits_is_followed_by_one_that_scrolls(workspace, open_app) -> None:
    async with open_app(workspace, "dossier", ids=array("q", [1])) as pilot:
        view = pilot.app.screen.query_one("#text", TextView)
        for width in range(view.size.width - 2, view.size.width + 2):
            view.show(paint.text("short"))
            await pilot.pause()
            assert not view.show_vertical_scrollbar
            view.show(paint.text("x" * width + " end\n" * 60))
            await pilot.pause()
            assert view.show_vertical_scrollbar
            seen = view.scrollable_content_region.width
            drawn = "".join(view.render_line(y).crop(0, seen).text.replace(" ", "") for y in range(3))
            assert drawn.startswith("x" * width + "end")
