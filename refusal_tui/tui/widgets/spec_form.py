"""A form made from a job's spec: one line per setting, with its help or what is wrong with it beside the field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from refusal_tui.tui import paint
from refusal_tui.tui.widgets.choice import Choice
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.remark import Remark

if TYPE_CHECKING:
    from refusal_tui.jobs.spec import SpecField

_YES, _NO = "yes", "no"
NAME_CELLS = 13


class FieldRow(Horizontal):
    """`name  [value]  remark`."""

    DEFAULT_CSS = f"""
    FieldRow {{ height: 1; }}
    FieldRow .field-name {{ width: {NAME_CELLS}; color: $text-muted; }}
    FieldRow:focus-within .field-name {{ color: $text-accent; text-style: bold; }}
    FieldRow .field-editor {{ width: 1fr; background: $panel; }}
    FieldRow Remark {{ width: 1fr; height: 1; margin-left: 1; text-wrap: nowrap; text-overflow: ellipsis; }}
    """

    def __init__(self, name: str, editor: Widget, remark: Content = paint.NOTHING) -> None:
        super().__init__()
        self._field = name
        editor.add_class("field-editor")
        self._editor = editor
        self.remark = Remark(remark)

    def compose(self) -> ComposeResult:
        yield Static(paint.line(self._field.replace("_", " "), NAME_CELLS - 1), classes="field-name")
        yield self._editor
        yield self.remark


def focused_remark(screen: Screen[object]) -> Content:
    """What stands beside the field that has the focus."""
    row = screen.focused.parent if screen.focused is not None else None
    shown = row.remark.content if isinstance(row, FieldRow) else None
    return shown if isinstance(shown, Content) else paint.NOTHING


class SpecForm(VerticalScroll, can_focus=False):
    """Posts `Edited` for every change; `show_errors` puts what is wrong beside the fields."""

    DEFAULT_CSS = """
    SpecForm { height: auto; max-height: 100%; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "next", "Next field", show=False, id="form.next"),
        Binding("up", "previous", "Previous field", show=False, id="form.previous"),
    ]

    class Edited(Message):
        """The user has set the field `name` to `value` (text, or a bool)."""

        def __init__(self, name: str, value: object) -> None:
            super().__init__()
            self.name = name
            self.value = value

    class Entered(Message):
        """Enter was pressed in a field."""

    def __init__(
        self,
        fields: Sequence[SpecField],
        values: Mapping[str, object],
        *,
        endpoints: Sequence[str] = (),
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._fields = list(fields)
        self._known = f"({', '.join(endpoints)})" if endpoints else "(none yet: g s adds one)"
        self._rows = {
            field.name: FieldRow(field.name, _editor(field, values.get(field.name)), self._help(field))
            for field in fields
        }

    def compose(self) -> ComposeResult:
        yield from self._rows.values()

    def editor(self, name: str) -> Widget:
        return self._rows[name].query_one(".field-editor")

    def show_errors(self, errors: Mapping[str, str]) -> None:
        for field in self._fields:
            wrong = errors.get(field.name)
            self._rows[field.name].remark.say(self._wrong(field, wrong) if wrong else self._help(field))

    def _wrong(self, field: SpecField, wrong: str) -> Content:
        """What is wrong, then the help: whoever has not typed anything yet needs that most."""
        return paint.words(("! ", paint.BAD), paint.line(wrong, 200, paint.BAD), ": ", self._help(field))

    def _help(self, field: SpecField) -> Content:
        from refusal_tui.jobs.spec import ENDPOINTS  # pydantic: whoever has fields has loaded it, the workbench has not

        return paint.line(field.help.replace(ENDPOINTS, self._known), 200, paint.MUTED)

    def show_only(self, names: Sequence[str]) -> None:
        """Hide the settings that mean nothing beside what is chosen."""
        for name, row in self._rows.items():
            if row.display is not (name in names):
                row.display = name in names

    @on(LineInput.Changed)
    def _typed(self, event: LineInput.Changed) -> None:
        event.stop()
        self.post_message(self.Edited(self._name_of(event.input), event.value))

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        event.stop()
        name = self._name_of(event.choice)
        kind = next(field.kind for field in self._fields if field.name == name)
        self.post_message(self.Edited(name, event.choice.value == _YES if kind == "bool" else event.choice.value))

    @on(LineInput.Submitted)
    def _entered(self, event: LineInput.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered())

    def _name_of(self, editor: Widget) -> str:
        return (editor.id or "").removeprefix("field-")

    def action_next(self) -> None:
        self.screen.focus_next()

    def action_previous(self) -> None:
        self.screen.focus_previous()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        event.widget.scroll_visible(animate=False)


def _editor(field: SpecField, value: object) -> Widget:
    if field.kind == "bool":
        return Choice([_YES, _NO], _YES if value else _NO, id=f"field-{field.name}")
    if field.kind == "choice":
        return Choice(field.choices, str(value), id=f"field-{field.name}")
    return LineInput(str(value or ""), id=f"field-{field.name}")
