"""Import a source: look at it first (adapter, columns, first rows, warnings), change what is wrong, then start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs import control
from refusal_tui.tui import paint
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.figures import count
from refusal_tui.tui.state.import_data import Look, PlanView, look_command, read_look
from refusal_tui.tui.state.new_job import NewJobState
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.line_list import Line, LineList
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.spec_form import SpecForm, focused_remark

if TYPE_CHECKING:
    from refusal_tui.jobs.spec import JobSpec

_FIELD = 9


class ImportScreen(WorkScreen):
    """`source` fills the form in advance."""

    AREA = "Data"
    NAME = "Import"
    CSS_PATH = "import_data.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "import", tooltip="Start the import", priority=True, id="import.start"),
        Binding("f5", "look", "look", tooltip="Look at the source", priority=True, id="import.look"),
        Binding("escape", "escape", "back", tooltip="Back; nothing is started", id="import.back"),
    ]

    def __init__(self, source: str = "") -> None:
        super().__init__()
        self._state = NewJobState.of_kind("import", values={"source": source} if source else None)
        self._look: Look | None = None
        self._looked_at: dict[str, object] = {}
        self._busy = ""

    def compose_body(self) -> ComposeResult:
        with Vertical(id="import"):
            yield SpecForm(self._state.fields, self._state.values)
            yield Remark(id="hint")
            yield Remark(id="ready")
            yield LineList(id="plan")
            yield Remark(id="command")

    def on_mount(self) -> None:
        self.query_one(SpecForm).editor("source").focus()
        self._show()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    @on(SpecForm.Edited)
    def edit(self, event: SpecForm.Edited) -> None:
        self._state.put(event.name or "", event.value)
        self._show()

    @on(SpecForm.Entered)
    def action_look(self) -> None:
        """Enter in any field looks again: every field may change how the source is read."""
        if self._state.errors or not self._state.values.get("source"):
            self._show()
            return
        self._looked_at = dict(self._state.values)
        self._busy = "Looking at the source…"
        self._show()
        self._run_look(look_command(self._looked_at))

    @work(exclusive=True, exit_on_error=False, group="look")
    async def _run_look(self, command: list[str]) -> None:
        """In a process of its own; leaving the screen, or looking again, ends it."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        self._looked(read_look(process.returncode or 0, output, errors))

    def _looked(self, look: Look) -> None:
        self._look = look
        self._busy = ""
        if look.plan is not None:
            self._fill(look.plan)
        self._show()

    def _fill(self, plan: PlanView) -> None:
        """What the look has found stands in the form, to be changed there; nothing that was typed is touched."""
        found = {"name": plan.name, "map": plan.mapping if plan.adapter == "generic" else ""}
        for name, value in found.items():
            editor = self.query_one(SpecForm).editor(name)
            if value and not self._state.values.get(name) and isinstance(editor, LineInput):
                self._looked_at[name] = value
                self._state.put(name, value)
                editor.value = value

    def _show(self) -> None:
        if not self.is_attached:  # closed while something ran beside it
            return
        state = self._state
        self.query_one(SpecForm).show_errors(state.errors if state.values.get("source") else {})
        self.query_one("#ready", Remark).say(self._ready())
        self._hint()
        self.query_one("#command", Remark).say(paint.words(("$ ", paint.MUTED), paint.line(state.command, 400)))
        plan = self.query_one("#plan", LineList)
        plan.set_lines(_plan_lines(self._look, plan.line_width or self.size.width - 7))

    @on(events.DescendantFocus)
    def _hint(self) -> None:
        """The whole of what stands beside the field that is edited: there it may be cut."""
        self.query_one("#hint", Remark).say(focused_remark(self))

    def _ready(self) -> Content:
        if self._busy:
            return paint.words(self._busy)
        if not self._state.values.get("source"):
            return paint.words(
                "Where are the rows? A file, a folder, or hf:owner/name. Then ", paint.keys(("enter", "look at it"))
            )
        if self._state.errors:
            return paint.words(("Not yet: ", paint.WARN), paint.line(self._state.problem, 200))
        if self._look is None or self._looked_at != self._state.values:
            return paint.keys(("enter", "look at it first"), ("ctrl+s", "import at once"))
        return paint.keys(("ctrl+s", "import"), ("enter", "look again"), ("↓ ↑", "change a field"))

    def action_start(self) -> None:
        spec = self._state.validate()
        if spec is None or self._busy:
            self._show()
            return
        self._busy = "Starting…"
        self._show()
        self._start(spec)

    @work(thread=True, exit_on_error=False, group="submit")
    def _start(self, spec: JobSpec) -> None:
        try:
            job_id = control.submit(self.work.workspace, "import", spec)
        except RefusalTuiError as error:
            self.call_later(self._not_started, error)
            return
        self.call_later(self._started, job_id)

    def _not_started(self, error: RefusalTuiError) -> None:
        """What is wrong with a field stands beside it; anything else is a notice."""
        self._busy = ""
        if not self._state.refused(error):
            self.work.notify_error(error)
        self._show()

    def _started(self, job_id: int) -> None:
        work = self.work
        self.dismiss(None)
        work.push("job", job_id=job_id)


def _plan_lines(look: Look | None, width: int) -> list[Line]:
    """What the look has found; every line can be scrolled to."""
    if look is None:
        return []
    if look.plan is None:
        said = [part for text in look.problem.splitlines() for part in paint.two_lines(text, width, paint.BAD)]
        return [Line(content, f"problem:{n}") for n, content in enumerate(said)]
    plan = look.plan
    rows = f"about {count(plan.rows)} rows, " if plan.rows else ""
    lines = [
        _field("read as", paint.line(plan.adapter, width - _FIELD, paint.STRONG)),
        _field("holds", paint.line(f"{rows}licence {plan.licence or 'not stated'}", width - _FIELD)),
    ]
    lines += [_field("columns", paint.line(plan.mapping, width - _FIELD))] if plan.mapping else []
    for name, texts, style in (("warning", plan.warnings, paint.WARN), ("bad row", plan.rejected, paint.BAD)):
        for text in texts:
            first, *more = paint.two_lines(text, width - _FIELD, style)
            lines += [_field(name, first), *(_field("", part) for part in more)]
    for row in plan.preview:
        lines.append(_field("prompt", paint.line(row.prompt, width - _FIELD)))
        lines.append(_field("response", paint.line(row.response, width - _FIELD, paint.MUTED)))
    lines += [_field("because", paint.line(reason, width - _FIELD, paint.MUTED)) for reason in plan.reasons]
    return [Line(line, f"plan:{number}") for number, line in enumerate(lines)]


def _field(name: str, value: Content) -> Content:
    return paint.words((f"{name:<{_FIELD}}", paint.MUTED), value)
