"""What does a row's dossier say, and where is its evidence? Plain values from a `store.browse.Dossier`."""

from __future__ import annotations

import json
import time
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from refusal_tui.labels.verdict import Span
from refusal_tui.store.browse import Dossier
from refusal_tui.store.labels import StoredVerdict

if TYPE_CHECKING:
    from refusal_tui.judge.attribution import Why


@dataclass
class DossierState:
    """The row being read, among the rows of the selection it was opened from."""

    ids: array[int] = field(default_factory=lambda: array("q"))
    index: int = 0
    dossier: Dossier | None = None
    wants_why: bool = False  # why the offline judge says what it says, in place of the evidence
    why: Why | None = None

    @property
    def item_id(self) -> int | None:
        return self.ids[self.index] if self.ids else None

    def step(self, rows: int) -> bool:
        """Go to another row; returns whether there is one."""
        index = min(max(self.index + rows, 0), max(len(self.ids) - 1, 0))
        moved, self.index = index != self.index, index
        return moved

    def place(self) -> str:
        return f"row {self.index + 1:,} of {len(self.ids):,}" if self.ids else "no row"


def evidence(dossier: Dossier) -> list[Span]:
    """The spans of the latest judge's verdict that stands, in reading order: prompt first, then response."""
    standing = [v for v in dossier.verdicts if not v.superseded and v.verdict.annotator.startswith("judge:")]
    if not standing:
        return []
    return sorted(standing[-1].verdict.spans, key=lambda span: (span.field, span.start))


def answers(stored: StoredVerdict) -> list[tuple[str, str | None, float | None]]:
    """(question, answer, probability); None: the question was left open."""
    found = []
    for question, answer in stored.verdict.answers.items():
        value = answer.value
        shown = None if value is None else ("yes" if value is True else "no" if value is False else str(value))
        found.append((question, shown, answer.probability))
    return found


def moment(when: float) -> str:
    """UTC, so that two annotators read the same time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(when))


def meta_lines(dossier: Dossier) -> list[tuple[str, str]]:
    """Metadata as (key, value); texts as they are, the rest as JSON."""
    return [
        (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
        for key, value in dossier.row.meta.items()
    ]
