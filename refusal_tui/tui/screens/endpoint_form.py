"""The form for an end point: the kind of server first, then what that kind needs. It is tried before it is saved."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from refusal_tui.errors import ExitCode
from refusal_tui.llm.presets import PRESETS
from refusal_tui.tui import paint
from refusal_tui.tui.own_process import run_command
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.settings import EndpointForm, added_name, own_command, problem_of
from refusal_tui.tui.widgets.choice import Choice
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.spec_form import FieldRow, SpecForm, focused_remark


class EndpointFormScreen(WorkScreen):
    """Tells the screen below the name of the end point that was saved, or None."""

    AREA = "Settings"
    NAME = "End point"
    CSS_PATH = "endpoint_form.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "save", "test and save", tooltip="Ask it a small question, then save", priority=True,
                id="endpoint.save"),
        Binding("escape", "escape", "back", tooltip="Back; nothing is saved", id="endpoint.back"),
        Binding("down", "app.focus_next", "Next field", show=False, id="endpoint.next"),
        Binding("up", "app.focus_previous", "Previous field", show=False, id="endpoint.previous"),
    ]  # fmt: skip

    def __init__(self, form: EndpointForm | None = None) -> None:
        super().__init__()
        self._form = form or EndpointForm.empty("vllm")
        self._busy = False
        self._problem = ""
        self._failed_with: list[str] | None = None  # what was tried in vain: saved all the same when asked again
        self._saved: str | None = None

    def crumbs(self) -> str:
        return f"Settings › {self._form.values['name']}" if self._form.fixed else "Settings › New end point"

    def compose_body(self) -> ComposeResult:
        titles = [preset.title for preset in PRESETS.values()]
        with Vertical(id="endpoint-form"):
            yield FieldRow("kind", Choice(list(PRESETS), self._form.preset, names=titles, id="preset"))
            yield SpecForm(self._form.fields, self._form.values)
            yield Remark(id="hint")
            yield Remark(id="ready")
            yield Remark(id="problem")
            yield Remark(id="command")

    def on_mount(self) -> None:
        kind = self.query(FieldRow).first()
        kind.remark.say(paint.words(("what kind of server it is: ← → choose", paint.MUTED)))
        needed = [name for name in self._form.errors if name != "name"]
        self.query_one(f"#field-{needed[0]}" if needed else "#preset").focus()
        self._show()

    @on(Choice.Changed, "#preset")
    async def change_preset(self, event: Choice.Changed) -> None:
        self._form = self._form.as_preset(event.choice.value)
        old = self.query_one(SpecForm)
        await self.mount(SpecForm(self._form.fields, self._form.values), after=old)
        await old.remove()
        self._problem = ""
        self._show()

    @on(SpecForm.Edited)
    def edit(self, event: SpecForm.Edited) -> None:
        self._form.values[event.name or ""] = str(event.value)
        self._problem = ""
        self._show()

    @on(SpecForm.Entered)
    def leave_field(self) -> None:
        self.focus_next()

    def _show(self) -> None:
        if not self.whole:
            return
        errors = self._form.errors
        self.query_one(SpecForm).show_errors({name: what for name, what in errors.items() if self._form.values[name]})
        self.query_one("#ready", Remark).say(self._ready(errors))
        self.query_one("#problem", Remark).say(paint.text(self._problem, paint.BAD))
        self.query_one("#command", Remark).say(paint.words(("$ ", paint.MUTED), paint.line(self._form.command, 400)))
        self._hint()

    @on(events.DescendantFocus)
    def _hint(self) -> None:
        self.query_one("#hint", Remark).say(focused_remark(self))

    def _ready(self, errors: dict[str, str]) -> Content:
        if self._busy:
            return paint.words("It is asked a small question…")
        if errors:
            name, what = next(iter(errors.items()))
            return paint.words(("Not yet: ", paint.WARN), f"{name.replace('_', ' ')} {what}")
        if self._failed_with == self._form.arguments:
            return paint.keys(("ctrl+s", "save it all the same"))
        return paint.keys(("ctrl+s", "ask it a small question, and save it when it answers"))

    def action_save(self) -> None:
        if self._busy or self._form.errors:
            self._show()
            return
        arguments = self._form.arguments
        self._busy, self._problem = True, ""
        self._show()
        self._add(arguments, tested=arguments != self._failed_with)

    @work(exit_on_error=False, group="add")
    async def _add(self, arguments: list[str], *, tested: bool) -> None:
        """The command that the screen shows, in a process of its own; escape ends it."""
        command = own_command(self.work.workspace.root, *arguments, "--json", *(["--test"] if tested else []))
        code, output, errors = await run_command(command)
        self._busy = False
        if code == 0:
            self._saved = added_name(output)
            self.dismiss(self._saved)
            return
        self._problem = problem_of(code, errors)
        self._failed_with = arguments if tested and code == ExitCode.UNAVAILABLE else None
        self._show()
