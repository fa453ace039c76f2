"""The app: which screens there are, the keys that work everywhere, and how it ends.

It reads the store through one read-only connection and never owns work: jobs live in processes of their own.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar, cast

from rich.text import Text
from textual.actions import ActionParseResult
from textual.app import App
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.events import Event, Key
from textual.notifications import Notify
from textual.screen import Screen

from refusal_tui.errors import ExitCode, RefusalTuiError, WorkspaceError
from refusal_tui.jobs import notify as ends
from refusal_tui.store.connect import storage_error, transaction
from refusal_tui.store.jobs import Job
from refusal_tui.store.workspace import Workspace
from refusal_tui.text.notices import notice_sequence
from refusal_tui.text.safe import safe_text
from refusal_tui.tui import clipboard, themes
from refusal_tui.tui.actions import Action
from refusal_tui.tui.crash import write_crash_log
from refusal_tui.tui.go import GoOverlay
from refusal_tui.tui.help import HelpOverlay
from refusal_tui.tui.palette import Palette
from refusal_tui.tui.reaper import start_reaper
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.signals import end_on_signals
from refusal_tui.tui.state.shell import look
from refusal_tui.tui.steady import acts_now

# name -> module:class, imported when first shown so that the start stays fast
SCREENS_BY_NAME = {
    "home": "refusal_tui.tui.screens.home:HomeScreen",
    "datasets": "refusal_tui.tui.screens.datasets:DatasetsScreen",
    "quarantine": "refusal_tui.tui.screens.quarantine:QuarantineScreen",
    "import": "refusal_tui.tui.screens.import_data:ImportScreen",
    "browse": "refusal_tui.tui.screens.browse:BrowseScreen",
    "dossier": "refusal_tui.tui.screens.dossier:DossierScreen",
    "jobs": "refusal_tui.tui.screens.jobs:JobsScreen",
    "new_job": "refusal_tui.tui.screens.new_job:NewJobScreen",
    "job": "refusal_tui.tui.screens.job:JobScreen",
    "pipeline": "refusal_tui.tui.screens.pipeline:PipelineScreen",
    "results": "refusal_tui.tui.screens.results:ResultsScreen",
    "agreement": "refusal_tui.tui.screens.agreement:AgreementScreen",
    "review": "refusal_tui.tui.screens.review:ReviewScreen",
    "review_new": "refusal_tui.tui.screens.review_new:ReviewNewScreen",
    "review_card": "refusal_tui.tui.screens.review_card:ReviewCardScreen",
    "adjudicate": "refusal_tui.tui.screens.adjudicate:AdjudicateScreen",
    "adjudicate_card": "refusal_tui.tui.screens.adjudicate_card:AdjudicateCardScreen",
    "clean_review": "refusal_tui.tui.screens.clean_review:CleanReviewScreen",
    "judge_card": "refusal_tui.tui.screens.judge_card:JudgeCardScreen",
    "direction": "refusal_tui.tui.screens.direction:DirectionScreen",
    "audit": "refusal_tui.tui.screens.audit:AuditScreen",
    "direction_answers": "refusal_tui.tui.screens.direction_answers:DirectionAnswersScreen",
    "direction_bench": "refusal_tui.tui.screens.direction_bench:DirectionBenchScreen",
    "direction_pictures": "refusal_tui.tui.screens.direction_pictures:DirectionPicturesScreen",
    "direction_runs": "refusal_tui.tui.screens.direction_runs:DirectionRunsScreen",
    "direction_tokens": "refusal_tui.tui.screens.direction_tokens:DirectionTokensScreen",
    "training": "refusal_tui.tui.screens.training:TrainingScreen",
    "training_mistake": "refusal_tui.tui.screens.training_mistake:TrainingMistakeScreen",
    "robustness": "refusal_tui.tui.screens.robustness:RobustnessScreen",
    "settings": "refusal_tui.tui.screens.settings:SettingsScreen",
    "endpoint_form": "refusal_tui.tui.screens.endpoint_form:EndpointFormScreen",
}
POLL_SECONDS = 0.5
WRITE_WAIT_MS = 3_000  # a screen waits no longer for a locked database


def screen_class(name: str) -> type[WorkScreen]:
    """The class of a screen of the registry."""
    module, _, cls = SCREENS_BY_NAME[name].partition(":")
    return cast("type[WorkScreen]", getattr(import_module(module), cls))


class RefusalApp(App[None]):
    """The workbench on one workspace. `clock` and `start` are given so that tests are the same every time."""

    CSS_PATH = "app.tcss"
    TITLE = "refusal-tui"
    DEFAULT_MODE = "work"  # a default screen would come without its CSS
    ENABLE_COMMAND_PALETTE = False  # ours lists the actions of BINDINGS and stays quiet
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (120, "-wide")]
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "All keys of this screen", show=False, id="app.help"),
        Binding("ctrl+p", "palette", "Every action by name", show=False, id="app.palette"),
        Binding("g", "go", "Go to a screen, or the top", show=False, id="app.go"),
        Binding("T", "theme", "Next theme", show=False, id="app.theme"),
        Binding("f8", "picture", "Save a picture of the screen", show=False, id="app.picture"),
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="app.quit"),
        Binding("ctrl+c", "calm", show=False, system=True, id="app.calm"),
    ]

    def __init__(
        self, workspace: Workspace, *, clock: Callable[[], float] = time.time, start: str = "home", **parameters: Any
    ) -> None:
        # With NO_COLOR every colour is left out, greys too: Textual does so for native colours only.
        super().__init__(ansi_color=True if "NO_COLOR" in os.environ else None)
        workspace.open().close()  # migrates an older workspace before anything is shown
        self.workspace = workspace
        self.connection: sqlite3.Connection = workspace.open(read_only=True)
        self.clock = clock
        self._look = look(self.connection)
        self.jobs_line = self._look.line
        self.add_mode(self.DEFAULT_MODE, lambda: screen_class(start)(**parameters))
        self._writer: sqlite3.Connection | None = None
        self._data_version = -1
        self.animation_level = "none"
        for theme in themes.OURS:
            self.register_theme(theme)
        self.theme = os.environ.get("TEXTUAL_THEME") or themes.choose(self.console.color_system)

    def on_mount(self) -> None:
        self._data_version = self._read_data_version()
        self.set_interval(POLL_SECONDS, self._poll)
        start_reaper(self)
        if not self.is_headless:
            end_on_signals(self)

    def on_unmount(self) -> None:
        self.connection.close()
        if self._writer is not None:
            self._writer.close()

    # --- for the screens -------------------------------------------------------------------------------------------

    def push(self, name: str, then: Callable[[Any], None] | None = None, **parameters: Any) -> None:
        """Open a screen of the registry; `then` gets its result when it closes."""
        self.push_screen(screen_class(name)(**parameters), then)

    def go(self, name: str) -> None:
        """Back to a screen that is open below, else open it on top."""
        wanted = screen_class(name)
        open_below = [screen for screen in self.screen_stack if isinstance(screen, wanted)]
        if not open_below:
            self.push(name)
        while open_below and self.screen is not open_below[-1]:
            self.pop_screen()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One short durable write from the screen. Raises ConflictError when the database stays locked."""
        if self._writer is None:
            self._writer = self.workspace.open()
            self._writer.execute(f"PRAGMA busy_timeout={WRITE_WAIT_MS}")
        with transaction(self._writer):
            yield self._writer

    def on_notify(self, event: Notify) -> None:
        """One notice at a time, the newest: a pile of them would hide the screen. Textual adds it after this."""
        self.clear_notifications()

    def notify_error(self, error: RefusalTuiError) -> None:
        """A notice: what is wrong, and what to do now."""
        self.notify(safe_text(f"{error}\n{error.next_step}".strip()), severity="error", timeout=10, markup=False)

    def say(self, message: str) -> None:
        """A notice; `message` may hold data."""
        self.notify(safe_text(message), timeout=4, markup=False)

    def copy(self, text: str, what: str) -> None:
        """Copy data exactly as it is, to the terminal's clipboard and to artifacts/clipboard.txt."""
        sequence = clipboard.osc52(text, tmux="TMUX" in os.environ)
        try:
            clipboard.write_file(self.workspace.artifacts, text)
            kept = "artifacts/clipboard.txt"
        except OSError as error:
            kept = f"no file ({error.strerror or error})"
        if sequence is None:
            self.say(f"The {what} is too long for the terminal's clipboard: {len(text):,} characters in {kept}")
            return
        self.copy_to_clipboard(text)
        self.say(f"Copied the {what}: {len(text):,} characters (OSC 52, and {kept})")

    def copy_to_clipboard(self, text: str) -> None:
        self._clipboard = text
        sequence = clipboard.osc52(text, tmux="TMUX" in os.environ)
        if self._driver is not None and sequence is not None:
            self._driver.write(sequence)

    # --- what the store says ---------------------------------------------------------------------------------------

    def _read_data_version(self) -> int:
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    def _poll(self) -> None:
        """Look whether anybody has written; nothing is read or painted otherwise."""
        version = self._read_data_version()
        if version != self._data_version and self.screen_stack:  # it is empty while the app is taken down
            self._data_version = version
            self.store_changed()

    def store_changed(self) -> None:
        self._look = look(self.connection, self._look)
        screen = self.screen
        if self._look.line != self.jobs_line:
            self.jobs_line = self._look.line
            for header in screen.query("HeaderLine"):
                header.refresh()
        for job in self._look.ended:
            self._job_ended(job, screen)
        if isinstance(screen, WorkScreen):
            screen.store_changed()

    def _job_ended(self, job: Job, screen: Screen[Any]) -> None:
        """Somebody may look elsewhere: the terminal calls, and a notice says which job."""
        try:
            wanted = ends.read_notify(self.workspace)
        except WorkspaceError:  # what is wrong with the file is said where it is used
            wanted = ends.Notify()
        sequence = notice_sequence(ends.end_words(job), bell=wanted.bell, osc9=wanted.osc9, tmux="TMUX" in os.environ)
        if self._driver is not None and not self.is_headless and sequence:
            self._driver.write(sequence)
        if not (isinstance(screen, WorkScreen) and screen.shows_job(job.id)):
            self.say(ends.end_words(job))

    async def on_event(self, event: Event) -> None:
        """Keys that were typed ahead (a slow link delivers several at once) go where they would have gone one by one:
        bindings run here, before the next key is looked at, and not in the widget's own queue."""
        if isinstance(event, Key) and not event.is_forwarded and self.app_focus:
            focused = self.focused
            typing = focused is not None and focused.check_consume_key("a", "a")
            for priority in (True, False):
                if not typing and await self._check_bindings(event.key, priority):
                    return
        await super().on_event(event)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """A key that was typed ahead, for a screen that is no longer on top, does nothing."""
        if not acts_now(self, default_namespace):
            return False
        return await super().run_action(action, default_namespace, namespaces)

    # --- keys that work everywhere ---------------------------------------------------------------------------------

    def action_help(self) -> None:
        if isinstance(self.screen, WorkScreen):
            self.push_screen(HelpOverlay(self.screen, self.screen.crumbs()))

    def action_palette(self) -> None:
        def run(action: Action | None) -> None:
            if action is not None:
                self.call_later(self.run_action, action.action, action.node)

        if isinstance(self.screen, WorkScreen):
            self.push_screen(Palette(self.screen), run)

    def action_go(self) -> None:
        if isinstance(self.screen, WorkScreen):  # not over another overlay, when g comes twice at once
            self.push_screen(GoOverlay(self.go, self._top))

    async def _top(self) -> None:
        if self.screen.focused is not None:
            await self.run_action("scroll_home", self.screen.focused)

    def action_theme(self) -> None:
        self.theme = themes.following(self.theme)
        self.say(f"Theme: {self.theme}")

    def action_picture(self) -> None:
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.clock()))
        name = f"screen-{stamp}.svg"
        try:
            (self.workspace.artifacts / name).write_text(self.export_screenshot(), encoding="utf-8")
        except OSError as error:
            self.say(f"The picture could not be saved: {error.strerror or error}")
        else:
            self.say(f"Saved artifacts/{name}")

    def action_calm(self) -> None:
        self.say("Nothing was stopped. Jobs go on when you leave; ctrl+q quits.")

    # --- how it ends -----------------------------------------------------------------------------------------------

    def crash(self, error: Exception) -> None:
        """A defect of ours: a redacted log, the terminal restored, exit code 1."""
        self._handle_exception(error)

    def _handle_exception(self, error: Exception) -> None:
        self._return_code = int(ExitCode.CRASH)
        if self._exception is None:  # tests raise it again
            self._exception = error
            self._exception_event.set()
        if isinstance(error, sqlite3.Error):  # the disk, or another process; not a defect of ours
            error = storage_error(error)
        if isinstance(error, RefusalTuiError):
            self._return_code = int(error.exit_code)
            self.panic(Text(safe_text(f"{error}\n{error.next_step}".strip())))
            return
        path = write_crash_log(self.workspace, error, self.clock())
        where = f"The log is {path}" if path else "The log could not be written"
        self.panic(
            Text(safe_text(f"refusal-tui has crashed ({type(error).__name__}). {where}; secrets are masked.\n"
                           "Nothing that was saved is lost, and jobs go on."))
        )  # fmt: skip


def run(workspace: Workspace, *, start: str = "home") -> int:
    """Open the workbench and return its exit code: 0, 1 after a crash, 129 or 143 after a signal."""
    app = RefusalApp(workspace, start=start)
    app.run()
    return app.return_code or 0
