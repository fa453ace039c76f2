"""A new job: which kind, on which rows, with which settings? The command that does the same stands below the form."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.worker import get_current_worker

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs import control
from refusal_tui.store.endpoints import list_endpoints
from refusal_tui.tui import paint
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.new_job import (
    CostCheck,
    NewJobState,
    check_cost,
    offered_kinds,
)
from refusal_tui.tui.widgets.choice import Choice
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.rows_field import RowsField
from refusal_tui.tui.widgets.spec_form import FieldRow, SpecForm, focused_remark

if TYPE_CHECKING:
    from refusal_tui.jobs.spec import JobSpec
    from refusal_tui.store.lengths import Lengths

PILOT_ROWS = control.PILOT_ROWS


class NewJobScreen(WorkScreen):
    """`selection`, `kind` and `values` (settings by name) fill the form in advance."""

    AREA = "Jobs"
    NAME = "New job"
    CSS_PATH = "new_job.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "start", "start", tooltip="Start the job", priority=True, id="new_job.start"),
        Binding(
            "f5", "pilot", "pilot", tooltip="Try 20 rows first, in the same job", priority=True, id="new_job.pilot"
        ),
        Binding("p", "pilot", show=False, id="new_job.pilot_p"),
        Binding("escape", "escape", "back", tooltip="Back; nothing is started", id="new_job.back"),
        Binding("i", "import", "Import a dataset instead", show=False, id="new_job.import"),
        Binding("down", "app.focus_next", "Next field", show=False, id="new_job.next"),
        Binding("up", "app.focus_previous", "Previous field", show=False, id="new_job.previous"),
    ]

    def __init__(
        self, selection: str = "", kind: str | None = None, values: Mapping[str, object] | None = None
    ) -> None:
        super().__init__()
        self._selection = selection
        self._state = NewJobState.of_kind(kind or offered_kinds()[0].name, selection, values)
        self._starting = False

    def compose_body(self) -> ComposeResult:
        kinds = offered_kinds()
        names = [kind.title for kind in kinds]
        choice = Choice([kind.name for kind in kinds], self._state.kind.name, names=names, id="kind")
        with Vertical(id="new-job"):
            yield FieldRow("job", choice)
            yield RowsField(self._selection, id="selection")
            yield self._form()
            yield Remark(id="hint")
            yield Remark(id="cost")
            yield Remark(id="ready")
            yield Remark(id="command")

    def _form(self) -> SpecForm:
        known = [one.name for one in list_endpoints(self.work.connection)]
        return SpecForm(self._state.fields, self._state.values, endpoints=known)

    def on_mount(self) -> None:
        needed = [f.name for f in self._state.fields if f.required and not self._state.values.get(f.name)]
        self.query_one(f"#field-{needed[0]}" if needed else "#kind").focus()
        self._estimate()
        self._show()

    @on(Choice.Changed, "#kind")
    async def change_kind(self, event: Choice.Changed) -> None:
        counted = self._state.check
        self._state = NewJobState.of_kind(event.choice.value, self._selection)
        self._state.check = counted
        self.refresh_bindings()
        old = self.query_one(SpecForm)
        await self.mount(self._form(), after=old)
        await old.remove()
        self._estimate()
        self._show()

    @on(RowsField.Changed)
    def change_selection(self, event: RowsField.Changed) -> None:
        self._selection = self._state.selection = event.selection
        self._state.check = event.check
        self._estimate()
        self._show()

    @on(LineInput.Submitted, "#selection")
    @on(SpecForm.Entered)
    def leave_field(self) -> None:
        """Enter goes to the next field, so that a form is filled from top to bottom."""
        self.focus_next()

    @on(SpecForm.Edited)
    def edit(self, event: SpecForm.Edited) -> None:
        self._state.put(event.name or "", event.value)
        self._estimate()
        self._show()

    def _estimate(self) -> None:
        """What it would take now; nothing while a setting is wrong or the rows are not counted."""
        state = self._state
        spec = state.validate()
        state.cost = CostCheck()
        if spec is not None and (state.check.usable or not state.kind.selects):
            self._read_cost(spec, self._selection, state.check.lengths)

    @work(thread=True, exclusive=True, exit_on_error=False, group="cost")
    def _read_cost(self, spec: JobSpec, selection: str, lengths: Lengths | None) -> None:
        worker = get_current_worker()
        with closing(self.work.workspace.open(read_only=True)) as connection:
            found = check_cost(connection, spec, selection, lengths)
        if not worker.is_cancelled:
            self.call_later(self._estimated, found)

    def _estimated(self, found: CostCheck) -> None:
        self._state.cost = found
        self._show()

    def _show(self) -> None:
        if not self.is_attached:  # closed while something ran beside it
            return
        state = self._state
        self.query(FieldRow).first().remark.say(paint.words((state.kind.help, paint.MUTED)))
        self.query_one(RowsField).display = state.kind.selects
        form = self.query_one(SpecForm)
        form.show_errors(state.errors)
        form.show_only(state.applying)
        self.query_one("#cost", Remark).say(_cost(state.cost))
        self.query_one("#command", Remark).say(paint.words(("$ ", paint.MUTED), paint.line(state.command, 400)))
        self.query_one("#ready", Remark).say(self._ready())
        self._hint()

    @on(events.DescendantFocus)
    def _hint(self) -> None:
        """The whole of what stands beside the field that is edited: there it may be cut."""
        self.query_one("#hint", Remark).say(focused_remark(self))

    def _ready(self) -> Content:
        if self._starting:
            return paint.words("The rows are being recorded…")
        if self._state.problem:
            return paint.words(("Not yet: ", paint.WARN), paint.line(self._state.problem, 200))
        pilot = [("F5", f"try {PILOT_ROWS} rows first")] if self._state.can_pilot else []
        return paint.keys(("ctrl+s", "start"), *pilot)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key for a pilot where there is none."""
        return action != "pilot" or self._state.can_pilot

    def action_import(self) -> None:
        self.work.push("import")

    def action_start(self) -> None:
        self._submit(None)

    def action_pilot(self) -> None:
        self._submit(PILOT_ROWS)

    def _submit(self, pilot: int | None) -> None:
        spec = self._state.validate()
        if spec is None or self._state.problem or self._starting:
            self._show()
            return
        self._starting = True
        self._show()
        self._start(spec, self._selection if self._state.kind.selects else "", pilot)

    @work(thread=True, exit_on_error=False, group="submit")
    def _start(self, spec: JobSpec, selection: str, pilot: int | None) -> None:
        """Freezing a million rows takes seconds: in a thread."""
        try:
            job_id = control.submit(self.work.workspace, self._state.kind.name, spec, selection=selection, pilot=pilot)
        except RefusalTuiError as error:
            self.call_later(self._not_started, error)
            return
        self.call_later(self._started, job_id)

    def _not_started(self, error: RefusalTuiError) -> None:
        """What is wrong with a field stands beside it; anything else is a notice."""
        self._starting = False
        if not self._state.refused(error):
            self.work.notify_error(error)
        self._show()

    def _started(self, job_id: int) -> None:
        """The job's own screen takes this one's place, so that escape leads back to where the job was asked for."""
        work = self.work
        self.dismiss(None)
        work.push("job", job_id=job_id)


def _cost(cost: CostCheck) -> Content:
    """What it takes in all, and what a pilot takes."""
    pilot = f"\nA pilot: {cost.pilot}." if cost.pilot else ""
    return paint.words(paint.line(cost.says, 400, "" if cost.known else paint.WARN), (pilot, paint.MUTED))
