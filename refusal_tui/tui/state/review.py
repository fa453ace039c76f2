"""What do the queues and the New queue form show? Plain values; no Textual."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refusal_tui.store.review_answers import OwnProgress, own_progress
from refusal_tui.store.review_queues import Purpose, QueueProgress, list_queues, progress_of
from refusal_tui.tui.state.figures import count
from refusal_tui.tui.state.new_job import SelectionCheck

if TYPE_CHECKING:  # pydantic and numpy are imported when the form opens
    from refusal_tui.jobs.spec import SpecField
    from refusal_tui.review.spec import QueueSpec


@dataclass(frozen=True, slots=True)
class QueueLine:
    """One queue with its progress, and how far this annotator is."""

    progress: QueueProgress
    own: OwnProgress

    @property
    def name(self) -> str:
        return self.progress.queue.name

    @property
    def share(self) -> float:
        return self.progress.done / self.progress.cards if self.progress.cards else 0.0

    @property
    def says(self) -> str:
        """What is left for the annotator, and who else has labelled."""
        left = f"{count(self.own.left)} cards for you" if self.own.left else "nothing left for you"
        people = ", ".join(f"{name.removeprefix('human:')} {count(n)}" for name, n in self.progress.annotators.items())
        return f"{left} · {people}" if people else left

    @property
    def settles(self) -> bool:
        """Whether the queue is there to settle disagreements."""
        return self.progress.queue.settings.purpose is Purpose.ADJUDICATE


def queue_lines(connection: sqlite3.Connection, annotator: str) -> list[QueueLine]:
    """Newest first."""
    return [
        QueueLine(progress_of(connection, queue), own_progress(connection, queue, annotator))
        for queue in list_queues(connection)
    ]


@dataclass(slots=True)
class NewQueueState:
    """The form: values as typed, what is wrong with each, and the command that does the same."""

    fields: list[SpecField]
    selection: str = ""
    values: dict[str, object] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    check: SelectionCheck = field(default_factory=SelectionCheck)

    @classmethod
    def with_defaults(cls, selection: str = "", values: Mapping[str, object] | None = None) -> NewQueueState:
        from refusal_tui.jobs.spec import spec_fields
        from refusal_tui.review.spec import QueueSpec

        state = cls(spec_fields(QueueSpec), selection)
        for one in state.fields:
            given = (values or {}).get(one.name, one.default)
            state.values[one.name] = bool(given) if one.kind == "bool" else str(getattr(given, "value", given))
        return state

    def put(self, name: str, value: object) -> None:
        self.values[name] = value
        self.spec()

    def spec(self) -> QueueSpec | None:
        """The settings, or None with `errors` saying what is wrong, field by field."""
        from refusal_tui.jobs.spec import SpecError, build_spec
        from refusal_tui.review.spec import QueueSpec

        try:
            built = build_spec(QueueSpec, self.values)
        except SpecError as error:
            self.errors = error.fields
            return None
        self.errors = {}
        assert isinstance(built, QueueSpec)
        return built

    @property
    def problem(self) -> str:
        """Why the queue cannot be made as it stands; "" when it can."""
        if self.errors:
            name, what = next(iter(self.errors.items()))
            return f"{name.replace('_', ' ')} {what}"
        if self.check.rows == 0:
            return "the selection holds no rows"
        return self.check.problem

    @property
    def command(self) -> str:
        """The command line that makes the same queue."""
        words = ["refusal-tui", "review", "new", *([self.selection] if self.selection else [])]
        for one in self.fields:
            value = self.values[one.name]
            if one.kind == "bool" and bool(value) != one.default:
                words.append(one.option if value else f"--no-{one.option.removeprefix('--')}")
            elif one.kind != "bool" and value != str(getattr(one.default, "value", one.default)):
                words += [one.option, str(value)]
        return shlex.join(words)
