"""The shell: keys that work everywhere, themes, the palette, and how it ends."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib import import_module

import pytest
from textual.binding import Binding

from refusal_tui.errors import InputError
from refusal_tui.store.jobs import JobState
from refusal_tui.store.query import list_selections, save_selection
from refusal_tui.tui import themes
from refusal_tui.tui.actions import actions_of
from refusal_tui.tui.app import SCREENS_BY_NAME, RefusalApp, screen_class
from refusal_tui.tui.clipboard import LIMIT, osc52
from refusal_tui.tui.go import GoOverlay
from refusal_tui.tui.help import HelpOverlay
from refusal_tui.tui.palette import Palette
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.datasets import DatasetsScreen
from refusal_tui.tui.widgets.bars import HeaderLine
from refusal_tui.tui.widgets.text_view import TextView
from refusal_tui.tui.widgets.window_table import WindowTable
from tests.tui.conftest import SIZES, settle
from tests.tui.job_rows import add_job, change_job
from tests.tui.small_workspace import EPOCH


@pytest.mark.parametrize("name", SCREENS_BY_NAME)
def test_every_screen_of_the_registry_is_there(name: str) -> None:
    assert issubclass(screen_class(name), WorkScreen)


@pytest.mark.parametrize("name", SCREENS_BY_NAME)
def test_every_binding_can_be_rebound_by_its_id(name: str) -> None:
    import_module(SCREENS_BY_NAME[name].partition(":")[0])
    classes = [screen_class(name), RefusalApp, WindowTable, TextView, GoOverlay, HelpOverlay, Palette]
    bindings = [b for cls in classes for c in cls.__mro__ if c.__module__.startswith("refusal_tui.") for b in
                c.__dict__.get("BINDINGS", ())]  # fmt: skip
    assert all(isinstance(binding, Binding) and binding.id for binding in bindings)


# --- going about -----------------------------------------------------------------------------------------------------


async def test_g_and_a_letter_open_a_screen_and_escape_leads_back(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("g", "b")
        await settle(pilot)
        assert isinstance(pilot.app.screen, BrowseScreen)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, DatasetsScreen)


async def test_going_to_a_screen_that_is_open_below_returns_to_it_as_it_was(workspace, open_app) -> None:
    async with open_app(workspace, "browse", filter="judge:hard") as pilot:
        browse = pilot.app.screen
        await pilot.press("enter")
        await settle(pilot)
        await pilot.press("g", "b")
        await settle(pilot)
        assert pilot.app.screen is browse
        assert len(pilot.app.screen_stack) == 2


async def test_gg_goes_to_the_top_even_when_typed_in_one_burst(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        for key in ("G", "g", "g", "j"):
            pilot.app.simulate_key(key)
        await settle(pilot)
        assert pilot.app.screen.table.cursor == 1


async def test_another_letter_closes_the_go_line(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("g", "z")
        assert isinstance(pilot.app.screen, DatasetsScreen)
        await pilot.press("g", "escape")
        assert isinstance(pilot.app.screen, DatasetsScreen)


async def test_escape_never_quits_and_q_does_on_the_first_screen(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("escape")
        assert pilot.app.is_running and not pilot.app._exit
        await pilot.press("q")
        assert pilot.app._exit


async def test_ctrl_c_stops_nothing_and_says_so(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("ctrl+c")
        assert "Nothing was stopped" in next(iter(pilot.app._notifications)).message
        assert not pilot.app._exit


# --- help and palette ------------------------------------------------------------------------------------------------


async def test_help_lists_every_key_of_the_screen(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        groups = actions_of(pilot.app.screen)
        await pilot.press("question_mark")
        await settle(pilot)
        shown = pilot.app.screen.query_one("#help-text", TextView).content.plain
        for action in [*groups["This screen"], *groups["Everywhere"], *groups["Facets"]]:
            assert action.what[:20] in shown


async def test_the_palette_holds_hidden_actions_and_runs_them(workspace, open_app) -> None:
    async with open_app(workspace, "browse") as pilot:
        await pilot.press("ctrl+p", *"mark all", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert len(pilot.app.screen.state.marks) == 44


async def test_the_palette_starts_a_job_on_the_selection(workspace, open_app, monkeypatch) -> None:
    async with open_app(workspace, "browse", filter="judge:hard") as pilot:
        pushed = []
        monkeypatch.setattr(pilot.app, "push", lambda name, then=None, **given: pushed.append((name, given)))
        await pilot.press("ctrl+p", *"start a job on", "enter")
        await settle(pilot)
        assert pushed == [("new_job", {"selection": "judge:hard", "kind": None})]


async def test_the_palette_says_when_nothing_matches(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("ctrl+p", *"zzzz")
        await pilot.pause()
        assert "No action has such a name." in pilot.app.screen.query_one(WindowTable).render_line(1).text
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, DatasetsScreen)


# --- themes, pictures, clipboard -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "theme"),
    [("truecolor", "refusal-dark"), ("256", "refusal-dark"), ("standard", "refusal-16"), (None, "refusal-16")],
)
def test_the_terminal_chooses_the_theme(system: str | None, theme: str) -> None:
    assert themes.choose(system) == theme


async def test_t_goes_round_the_themes(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        seen = [pilot.app.theme]
        for _ in themes.CYCLE:
            await pilot.press("T")
            seen.append(pilot.app.theme)
        assert seen[0] == seen[-1] == "refusal-dark"
        assert set(seen) == set(themes.CYCLE)


async def test_f8_saves_a_picture(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        await pilot.press("f8")
        (picture,) = workspace.artifacts.glob("screen-*.svg")
        assert "frindle" in picture.read_text()


def test_osc52_goes_twice_inside_tmux_and_not_at_all_when_too_long() -> None:
    assert osc52("hi", tmux=False) == "\x1b]52;c;aGk=\a"
    assert osc52("hi", tmux=True) == "\x1b]52;c;aGk=\a\x1bPtmux;\x1b\x1b]52;c;aGk=\a\x1b\\"
    assert osc52("x" * LIMIT, tmux=False) is not None
    assert osc52("x" * (LIMIT + 1), tmux=False) is None


async def test_a_text_too_long_for_the_terminal_is_left_in_a_file(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        pilot.app.copy("x" * (LIMIT + 1), "response")
        await pilot.pause()
        assert (workspace.artifacts / "clipboard.txt").stat().st_size == LIMIT + 1
        assert "too long for the terminal's clipboard" in next(iter(pilot.app._notifications)).message


# --- errors and the end ----------------------------------------------------------------------------------------------


async def test_an_error_is_a_sentence_and_a_next_step_without_markup(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        pilot.app.notify_error(InputError("No [/INST] here\x1b[2J.", "Try again."))
        await pilot.pause()
        (notice,) = pilot.app._notifications
        assert (notice.message, notice.markup) == ("No [/INST] here␛[2J.\nTry again.", False)


async def test_write_is_durable_and_seen_by_the_screens(workspace, open_app) -> None:
    async with open_app(workspace) as pilot:
        with pilot.app.write() as connection:
            save_selection(connection, "mine", "gold:hard")
        with closing(workspace.open(read_only=True)) as other:
            assert [s.name for s in list_selections(other)] == ["mine"]


async def test_nothing_is_read_or_painted_while_nobody_writes(workspace, open_app, monkeypatch) -> None:
    async with open_app(workspace) as pilot:
        pilot.app._poll()
        monkeypatch.setattr(pilot.app, "store_changed", lambda: pytest.fail("the store has not changed"))
        pilot.app._poll()


def crashing_app(workspace, error: Exception) -> RefusalApp:
    app = RefusalApp(workspace, clock=lambda: EPOCH, start="datasets")
    app.call_later(app.crash, error)
    return app


def test_a_crash_leaves_a_log_without_secrets_and_exits_with_1(workspace, monkeypatch, capsys) -> None:
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2")
    app = crashing_app(workspace, RuntimeError("sent hunter2hunter2 to nobody"))
    app.run(headless=True)
    (log,) = workspace.logs.glob("crash-*.log")
    assert app.return_code == 1
    assert "RuntimeError: sent [masked MY_API_KEY] to nobody" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    said = capsys.readouterr().err
    assert "refusal-tui has crashed (RuntimeError)" in said
    assert "Traceback" not in said


def test_an_error_of_the_family_exits_with_its_own_code_and_no_log(workspace, capsys) -> None:
    app = crashing_app(workspace, InputError("That cannot be.", "Do this."))
    app.run(headless=True)
    assert app.return_code == 4
    assert "That cannot be.\nDo this." in capsys.readouterr().err
    assert not list(workspace.logs.glob("crash-*.log"))


def test_a_database_that_cannot_be_read_is_told_and_not_called_a_crash(workspace, capsys) -> None:
    app = crashing_app(workspace, sqlite3.DatabaseError("database disk image is malformed"))
    app.run(headless=True)
    assert app.return_code == 8
    assert "Run: refusal-tui doctor" in capsys.readouterr().err


# --- without colour --------------------------------------------------------------------------------------------------

NO_COLOR = """
import asyncio, sys
from pathlib import Path
from refusal_tui.store.workspace import Workspace
from refusal_tui.tui.app import RefusalApp

async def main():
    app = RefusalApp(Workspace(Path(sys.argv[1])), start="browse")
    async with app.run_test(size=(80, 24)) as pilot:
        for _ in range(3):
            await pilot.pause()
            await app.workers.wait_for_complete()
        await pilot.press("space", "v", "j")
        await pilot.pause()
        styles = [s.style for strip in app.screen._compositor.render_strips() for s in strip if s.style]
        coloured = [str(s) for s in styles if any(c is not None and not c.is_default for c in (s.color, s.bgcolor))]
        print("coloured:", coloured[:3])
        print("cursor is reversed:", any(s.reverse for s in styles))
        print("\\n".join(strip.text for strip in app.screen._compositor.render_strips()))

asyncio.run(main())
"""


def test_no_color_leaves_out_every_colour_and_the_words_remain(workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_COLOR, str(workspace.root)],
        env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert "coloured: []" in done.stdout
    assert "cursor is reversed: True" in done.stdout
    for word in ("● hard", "◐ soft", "○ none", "· —", "›✓"):
        assert word in done.stdout


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize(
    ("name", "keys"),
    [("help", ["question_mark"]), ("go", ["g"]), ("palette", ["ctrl+p"]), ("palette-search", ["ctrl+p", *"copy"]),
     ("notice", ["ctrl+c"])],
)  # fmt: skip
async def test_the_shell_looks_right(workspace, open_app, svg, size, name: str, keys: list[str]) -> None:
    async with open_app(workspace, "browse", size=size, notices=True) as pilot:
        await pilot.press(*keys)
        await settle(pilot)
        assert svg(pilot.app, name)


@pytest.mark.parametrize("theme", ["refusal-16", "textual-light"])
async def test_other_themes_look_right(workspace, open_app, svg, theme: str) -> None:
    async with open_app(workspace, "browse") as pilot:
        pilot.app.theme = theme
        await pilot.press("j", "p", "space")
        await settle(pilot)
        assert svg(pilot.app, theme)


async def test_only_the_newest_notice_is_shown(workspace) -> None:
    app = RefusalApp(workspace)
    async with app.run_test(notifications=True) as pilot:
        for number in range(3):
            app.say(f"notice {number}")
        await pilot.pause()
        assert [note.message for note in app._notifications] == ["notice 2"]


async def test_a_screen_that_comes_back_does_not_name_a_job_that_has_ended(workspace) -> None:
    job_id = add_job(workspace, JobState.RUNNING)
    app = RefusalApp(workspace, start="jobs")
    async with app.run_test() as pilot:
        await settle(pilot)
        header = app.screen.query_one(HeaderLine)
        assert f"job {job_id}" in header.render().plain
        await pilot.press("enter")
        with closing(workspace.open()) as connection:
            change_job(connection, job_id, state="done", n_ok=32)
        app._poll()
        await pilot.press("escape")
        await settle(pilot)
        assert f"job {job_id}" not in "".join(segment.text for segment in header.render_line(0))


async def test_a_job_that_ends_while_the_workbench_is_open_is_told(workspace) -> None:
    job_id = add_job(workspace, JobState.RUNNING)
    app = RefusalApp(workspace)
    async with app.run_test() as pilot:
        await settle(pilot)
        with closing(workspace.open()) as connection:
            change_job(connection, job_id, state="done", n_ok=30, n_failed=2)
        app._poll()
        await pilot.pause()
        assert [note.message for note in app._notifications] == ["Job 2 (label) is done: 30 rows ok, 2 not."]
        app.clear_notifications()
        app.store_changed()
        await pilot.pause()
        assert not app._notifications, "once"
