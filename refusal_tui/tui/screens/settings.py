"""Settings: which language models may be asked, and what do they obey? No file needs editing."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.llm.detect import Candidate, detect
from refusal_tui.store.endpoints import list_endpoints, remove_endpoint
from refusal_tui.tui import paint
from refusal_tui.tui.confirm import Confirm
from refusal_tui.tui.own_process import run_command
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.settings_lines import CANDIDATE, POINT, details, settings_lines
from refusal_tui.tui.state.settings import EndpointForm, SettingsState, endpoint_lines, own_command, problem_of
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.text_view import TextView


class SettingsScreen(WorkScreen):
    """`ports` are looked at for servers (the usual ones when left out)."""

    AREA = "Settings"
    NAME = "End points"
    CSS_PATH = "settings.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add", tooltip="Add an end point", id="settings.add"),
        Binding("e", "edit", "edit", tooltip="Change the end point", id="settings.edit"),
        Binding("p", "probe", "probe", tooltip="Ask the end point what it obeys", id="settings.probe"),
        Binding("x", "remove", "remove", tooltip="Forget the end point (asks first)", id="settings.remove"),
        Binding("d", "detect", "detect", tooltip="Look on this machine again", id="settings.detect"),
        Binding("tab", "other_part", "To the facts and back", show=False, id="settings.other_part"),
    ]

    def __init__(self, ports: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self._ports = ports
        self._state = SettingsState()

    def compose_body(self) -> ComposeResult:
        yield LineList(id="settings-list")
        yield TextView(id="settings-facts")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()
        self._look()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    @property
    def _folders(self) -> list[Path]:
        return [Path.cwd(), self.work.workspace.root]

    def store_changed(self) -> None:
        self._state.lines = endpoint_lines(list_endpoints(self.work.connection), self._folders)
        self._show()

    def _show(self) -> None:
        if not self.whole:
            return
        lines = self.query_one(LineList)
        lines.set_lines(settings_lines(self._state, lines.line_width or self.size.width - 3))
        self._show_details()

    @on(LineList.Moved)
    def _show_details(self) -> None:
        if not self.whole:
            return
        self.query_one(TextView).show(details(self._state, self.query_one(LineList).key), keep_place=True)

    # --- what is within reach ----------------------------------------------------------------------------------------

    @work(thread=True, exclusive=True, exit_on_error=False, group="detect")
    def _look(self) -> None:
        """A closed port answers at once; one that hangs holds this thread for two seconds."""
        folders = self._folders
        found = detect(folders=folders) if self._ports is None else detect(self._ports, folders=folders)
        self.call_later(self._looked, found)

    def _looked(self, found: list[Candidate]) -> None:
        self._state.candidates = found
        self._show()

    def action_detect(self) -> None:
        self._state.candidates = None
        self._show()
        self._look()

    # --- end points --------------------------------------------------------------------------------------------------

    @property
    def _chosen(self) -> str | None:
        """The name of the end point that the cursor stands on."""
        key = self.query_one(LineList).key or ""
        return key.removeprefix(POINT) if key.startswith(POINT) else None

    @on(LineList.Opened)
    def open_line(self, event: LineList.Opened) -> None:
        key = event.key or ""
        if key.startswith(CANDIDATE):
            self._add(EndpointForm.of_candidate(self._state.offered[int(key.removeprefix(CANDIDATE))]))
        else:
            self.action_edit()

    def action_add(self) -> None:
        offered = self._state.offered
        self._add(EndpointForm.of_candidate(offered[0]) if offered else EndpointForm.empty("vllm"))

    def _add(self, form: EndpointForm) -> None:
        self._form(form.beside(line.endpoint.name for line in self._state.lines))

    def action_edit(self) -> None:
        line = self._state.line(self._chosen)
        if line is None:
            self.work.say("There is no end point on this line; a adds one")
        else:
            self._form(EndpointForm.of_endpoint(line.endpoint))

    def _form(self, form: EndpointForm) -> None:
        def closed(name: str | None) -> None:
            self.store_changed()
            if name is not None:
                self.query_one(LineList).choose(POINT + name)
                self.work.say(f"{name} is saved; p finds out what it obeys")

        self.work.push("endpoint_form", closed, form=form)

    def action_remove(self) -> None:
        name = self._chosen
        if name is None:
            self.work.say("There is no end point on this line")
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._remove(name)

        question = paint.words(("Forget ", paint.STRONG), paint.line(name, 24), ("? Its requests stay known.", ""))
        self.app.push_screen(Confirm(question, "x"), answered)

    @work(thread=True, exit_on_error=False, group="remove")
    def _remove(self, name: str) -> None:
        with closing(self.work.workspace.open()) as connection:
            remove_endpoint(connection, name)
        self.call_later(self.store_changed)

    def action_probe(self) -> None:
        name = self._chosen
        if name is None:
            self.work.say("There is no end point on this line; a adds one")
        elif self._state.probing is not None:
            self.work.say(f"{self._state.probing} is being probed")
        else:
            self._state.probing, self._state.steps, self._state.problem = name, [], ""
            self._show()
            self._probe(name)

    @work(exit_on_error=False, group="probe")
    async def _probe(self, name: str) -> None:
        """In a process of its own: it loads an SDK, or weights. Leaving the screen ends it."""
        command = own_command(self.work.workspace.root, "endpoint", "probe", "--json", "--", name)
        code, _, errors = await run_command(command, self._told)
        self._state.probing = None
        if code:
            self._state.problem, self._state.problem_of = problem_of(code, errors), name
        self.store_changed()

    def _told(self, line: str) -> None:
        if line.startswith("  "):  # a step; its error comes with its end
            self._state.steps.append(line.strip())
            self._show_details()

    def action_other_part(self) -> None:
        lines, text = self.query_one(LineList), self.query_one(TextView)
        (text if lines.has_focus else lines).focus()
