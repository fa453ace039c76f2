"""What does the New job form hold? Values as typed, what is wrong with each, and the command that does the same."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.control import PILOT_ROWS
from refusal_tui.jobs.registry import KINDS, JobKind, job_kind
from refusal_tui.store.lengths import Lengths, lengths_of
from refusal_tui.tui.state.figures import count

if TYPE_CHECKING:  # pydantic is imported when the form opens, not when the program starts
    from refusal_tui.jobs.spec import JobSpec, SpecField


@dataclass(frozen=True, slots=True)
class SelectionCheck:
    """What a selection comes to: a number of rows, or the sentence that says what is wrong."""

    rows: int | None = None
    problem: str = ""
    lengths: Lengths | None = None

    @property
    def usable(self) -> bool:
        return bool(self.rows)

    @property
    def says(self) -> str:
        if self.problem:
            return self.problem
        if self.rows is None:
            return ""
        return f"{count(self.rows)} row{'' if self.rows == 1 else 's'}" if self.rows else "no rows"


def check_selection(connection: sqlite3.Connection, text: str) -> SelectionCheck:
    """Count the rows of a selection and sample their lengths: a moment for a million rows, but not one key press."""
    try:
        found = lengths_of(connection, text)
        return SelectionCheck(found.rows, lengths=found)
    except RefusalTuiError as error:
        return SelectionCheck(None, f"{error} {error.next_step}".strip())


@dataclass(frozen=True, slots=True)
class CostCheck:
    """What all of the job and a pilot will take, in words; "" for a job that asks nobody. `known`: with its cost."""

    says: str = ""
    pilot: str = ""
    known: bool = True


def check_cost(connection: sqlite3.Connection, spec: JobSpec, selection: str, lengths: Lengths | None) -> CostCheck:
    """Estimated from the lengths of the rows; what is wrong with the selection or an end point is said as it is."""
    from refusal_tui.jobs.estimate import brief_words, estimate_job, estimate_words

    try:
        whole = estimate_job(connection, spec, selection, lengths=lengths)
        tried = estimate_job(connection, spec, selection, rows=PILOT_ROWS, lengths=lengths)
    except RefusalTuiError as error:
        return CostCheck(f"{error} {error.next_step}".strip(), known=False)
    if whole is None or tried is None or not whole.requests:
        return CostCheck()
    words = estimate_words(whole)
    return CostCheck(words[0].upper() + words[1:] + ".", brief_words(tried), whole.usd is not None)


@dataclass(slots=True)
class NewJobState:
    """A form for one kind of job; `values` holds text, or a bool for a switch."""

    kind: JobKind
    fields: list[SpecField]
    selection: str = ""
    values: dict[str, object] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    check: SelectionCheck = field(default_factory=SelectionCheck)
    cost: CostCheck = field(default_factory=CostCheck)

    @classmethod
    def of_kind(cls, name: str, selection: str = "", values: Mapping[str, object] | None = None) -> NewJobState:
        """An empty form, or one filled with `values`. Imports the kind's spec."""
        from refusal_tui.jobs.spec import spec_fields

        kind = job_kind(name)
        fields = spec_fields(kind.spec_type())
        state = cls(kind, fields, selection if kind.selects else "")
        for spec_field in fields:
            given = (values or {}).get(spec_field.name, spec_field.default)
            state.values[spec_field.name] = _typed(spec_field, given)
        state.validate()
        return state

    def put(self, name: str, value: object) -> None:
        self.values[name] = value
        self.validate()

    def validate(self) -> JobSpec | None:
        """The spec, or None with `errors` saying what is wrong, field by field."""
        spec, self.errors = self._built()
        return spec

    def _built(self) -> tuple[JobSpec | None, dict[str, str]]:
        from refusal_tui.jobs.spec import SpecError, build_spec

        try:
            return build_spec(self.kind.spec_type(), {name: self.values[name] for name in self.applying}), {}
        except SpecError as error:
            return None, error.fields

    @property
    def applying(self) -> list[str]:
        """The settings that mean something beside the others; the rest is hidden and not handed on."""
        return [spec_field.name for spec_field in self.fields if spec_field.applies(self.values)]

    def refused(self, error: RefusalTuiError) -> bool:
        """Whether `error` is about fields of this form; then they show it until one of them is edited."""
        from refusal_tui.jobs.spec import SpecError

        if not isinstance(error, SpecError):
            return False
        self.errors = error.fields
        return True

    @property
    def can_pilot(self) -> bool:
        return self.kind.mode == "rows"

    @property
    def problem(self) -> str:
        """Why the job cannot be started as it stands; "" when it can."""
        if self.errors:
            name, what = next(iter(self.errors.items()))
            return f"{name.replace('_', ' ')} {what}"
        if self.kind.selects and self.check.rows == 0:
            return "the selection holds no rows"
        if self.kind.selects and self.check.problem:
            return self.check.problem
        return ""

    @property
    def command(self) -> str:
        """The command line that starts the same job; with wrong values, as far as it goes."""
        from refusal_tui.jobs.spec import command_line

        spec = self.validate()
        if spec is None:
            return (
                shlex.join(["refusal-tui", "run", self.kind.name, *([self.selection] if self.selection else [])]) + " …"
            )
        return command_line(self.kind.name, spec, selection=self.selection)


def offered_kinds() -> list[JobKind]:
    """The kinds that a form starts; an import has a screen of its own."""
    return [kind for kind in KINDS.values() if kind.name != "import"]


def _typed(spec_field: SpecField, value: object) -> object:
    """A value as a form holds it."""
    if spec_field.kind == "bool":
        return bool(value)
    if value is None:
        return ""
    return str(getattr(value, "value", value))
