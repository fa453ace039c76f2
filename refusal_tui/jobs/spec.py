"""What may a user set for a job? One pydantic model per kind, rendered as CLI options, form fields and JSON.

A setting is written once: its type, default, bounds and help text live in the model.
"""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from refusal_tui.errors import ExitCode, JobError, UsageError
from refusal_tui.store.outcomes import ONE_UNIT, Unit

if TYPE_CHECKING:
    from refusal_tui.jobs.estimate import Asks
    from refusal_tui.store.lengths import Lengths

FieldKind = Literal["text", "int", "float", "bool", "choice"]


class JobSpec(BaseModel):
    """Base of all specs: unknown settings are refused, values are checked and then fixed.

    `VERSION` is stored with every job. A spec of an older version goes through `upgrade` first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    VERSION: ClassVar[int] = 1
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset()  # what may be changed between two runs of a job

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        """Settings written by `version` as settings of VERSION; override when a version changes their meaning."""
        return data

    def check(self) -> None:
        """What must hold when the job is submitted (a free folder, an existing file). Raises SpecError."""

    def check_in(self, connection: sqlite3.Connection) -> None:
        """What must hold in the workspace when the job is submitted (an end point that exists). Raises InputError."""

    def make_rows(self, connection: sqlite3.Connection) -> Sequence[int] | None:
        """The rows of a job that makes its own when it is submitted; the caller holds the transaction."""
        return None

    def asks(self, connection: sqlite3.Connection) -> Sequence[Asks]:
        """The requests to language models that a row takes, for the estimate; none for a job that asks nobody.

        Raises InputError for an end point that is not there.
        """
        return ()

    def units(self) -> Sequence[Unit]:
        """What every row of a RowJob has an outcome for, in order: what its counts count."""
        return ONE_UNIT

    def own_rows(self) -> Lengths | None:
        """The rows of a job that makes its own, as they will be; None for one that works on a selection."""
        return None

    def lane(self, connection: sqlite3.Connection) -> str | None:
        """The lane of a job with these settings, where it is not that of its kind. Raises InputError, as `check_in`."""
        return None

    def title(self) -> str:
        """A few words that tell this job from others of its kind."""
        return type(self).__name__.removesuffix("Spec").lower()


ENDPOINTS = "(refusal-tui endpoint list)"  # in the help of a setting; a form shows the names themselves


@dataclass(frozen=True, slots=True)
class Condition:
    """A setting means something only when another one has (or `negated`: has not) one of these values."""

    field: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, values: Mapping[str, object]) -> bool:
        value = values.get(self.field)
        return (str(getattr(value, "value", value)) in self.values) is not self.negated

    @property
    def says(self) -> str:
        """
        >>> Condition("judge", ("lexical",), negated=True).says
        'not for --judge lexical'
        """
        return f"{'not' if self.negated else 'only'} for --{self.field.replace('_', '-')} {' or '.join(self.values)}"


def only_for(**condition: str | tuple[str, ...]) -> dict[str, Any]:
    """`Field(..., json_schema_extra=only_for(judge="atoms"))`: the setting is for those values of another one."""
    return _applies(condition, negated=False)


def not_for(**condition: str | tuple[str, ...]) -> dict[str, Any]:
    """`Field(..., json_schema_extra=not_for(judge="lexical"))`: the setting is for every other value."""
    return _applies(condition, negated=True)


def _applies(condition: Mapping[str, str | tuple[str, ...]], *, negated: bool) -> dict[str, Any]:
    ((name, values),) = condition.items()
    return {"applies": [name, [values] if isinstance(values, str) else list(values), negated]}


@dataclass(frozen=True, slots=True)
class SpecField:
    """One setting as a face shows it."""

    name: str
    kind: FieldKind
    help: str
    required: bool
    default: object
    choices: tuple[str, ...] = ()
    condition: Condition | None = None

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")

    def applies(self, values: Mapping[str, object]) -> bool:
        """Whether the setting means anything beside these values of the others."""
        return self.condition is None or self.condition.holds(values)


class SpecError(UsageError):
    """Values that do not fit; `fields` maps a setting to what is wrong with it."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self.fields = dict(fields)
        text = "; ".join(f"--{name.replace('_', '-')}{_colon(what)} {what}" for name, what in fields.items())
        super().__init__(f"These settings cannot be used: {text.rstrip('.')}.", "Correct them and start again.")


def _colon(what: str) -> str:
    """Behind the setting, where what is wrong is a sentence of its own."""
    return ":" if what[:1].isupper() else ""


class MissingInput(SpecError):
    """A setting names a file that is not there: the input is wrong, not the use of the command."""

    exit_code = ExitCode.INPUT


def spec_fields(spec_type: type[JobSpec]) -> list[SpecField]:
    """The settings in the order in which they are written."""
    return [_field(name, info) for name, info in spec_type.model_fields.items()]


def _field(name: str, info: FieldInfo) -> SpecField:
    kind, choices = _kind(info.annotation)
    required = info.is_required()
    default = None if required else info.get_default(call_default_factory=True)
    extra = info.json_schema_extra
    given = extra.get("applies") if isinstance(extra, dict) else None
    condition = Condition(given[0], tuple(given[1]), given[2]) if isinstance(given, list) else None  # type: ignore[arg-type]
    return SpecField(name, kind, info.description or "", required, default, choices, condition)


def _kind(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(get_args(annotation)[0])
    if origin is Literal:
        return "choice", tuple(str(value) for value in get_args(annotation))
    if origin is Union or str(origin) == "<class 'types.UnionType'>":
        inner = [a for a in get_args(annotation) if a is not type(None)]
        return _kind(inner[0]) if len(inner) == 1 else ("text", ())
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return "choice", tuple(str(member.value) for member in annotation)
        if issubclass(annotation, bool):
            return "bool", ()
        if issubclass(annotation, int):
            return "int", ()
        if issubclass(annotation, float):
            return "float", ()
    return "text", ()


def build_spec(spec_type: type[JobSpec], values: Mapping[str, object]) -> JobSpec:
    """A checked spec from what a form or a command line holds; empty text means "not given".

    Raises SpecError, field by field.
    """
    given = {name: value for name, value in values.items() if value is not None and value != ""}
    try:
        return spec_type.model_validate(given)
    except ValidationError as error:
        raise SpecError({_where(e["loc"]): _message(e) for e in error.errors()}) from error


def _where(location: tuple[int | str, ...]) -> str:
    return str(location[0]) if location else "settings"


def _message(error: Any) -> str:
    known = {"missing": "is needed", "extra_forbidden": "is not a setting of this job"}
    text = known.get(error["type"], error["msg"])
    return str(text[0].lower() + text[1:]).removeprefix("value error, ")


def load_spec(spec_type: type[JobSpec], text: str, version: int) -> JobSpec:
    """A stored spec, upgraded from an older version. Raises JobError for one of a newer program."""
    import json

    if version > spec_type.VERSION:
        raise JobError(
            f"This job was made by a newer refusal-tui (settings version {version}, known: {spec_type.VERSION}).",
            "Upgrade this installation and resume the job.",
        )
    data = json.loads(text)
    return build_spec(spec_type, spec_type.upgrade(data, version) if version < spec_type.VERSION else data)


def command_line(kind: str, spec: JobSpec, *, selection: str = "", pilot: int | None = None) -> str:
    """The command that does the same as a form: settings at their default are left out."""
    words = ["refusal-tui", "run", kind]
    if selection:
        words.append(selection)
    for field in spec_fields(type(spec)):
        value = getattr(spec, field.name)
        if value == field.default:
            continue
        if field.kind == "bool":
            words.append(field.option if value else f"--no-{field.option.removeprefix('--')}")
        else:
            words += [field.option, str(value.value if isinstance(value, Enum) else value)]
    if pilot is not None:
        words += ["--pilot", str(pilot)]
    return shlex.join(words)
