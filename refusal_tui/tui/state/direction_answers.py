"""What did the model answer with and without its direction? The rows of the three arms, prompt by prompt."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.store.browse import read_dossier, select_ids
from refusal_tui.store.items import fetch_rows


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt with the rows of its answers. `kind`: harmful or harmless; `coefficient` of the steered arm."""

    prompt: str
    kind: str
    coefficient: float | None
    items: Mapping[Arm, int]


@dataclass(frozen=True, slots=True)
class ArmAnswer:
    """`label`: what a judge or a person has said of it, None where nobody has."""

    text: str
    label: str | None = None


@dataclass(slots=True)
class AnswersState:
    asked: list[Asked] | None = None  # None: not read yet
    index: int = 0
    answers: Mapping[Arm, ArmAnswer] = field(default_factory=dict)

    @property
    def at(self) -> Asked | None:
        return self.asked[self.index] if self.asked and self.index < len(self.asked) else None


def read_asked(dataset: str, job_id: int, connection: sqlite3.Connection) -> list[Asked]:
    """The prompts in the order in which they were stored, harmful ones first. Texts of answers are not kept."""
    found: dict[tuple[str, str], tuple[str, dict[Arm, int], list[float]]] = {}
    for row in fetch_rows(connection, select_ids(connection, f'dataset:"{dataset}"')):
        arm = row.meta.get("arm")
        if arm not in ARMS or row.meta.get("job") != job_id:
            continue
        key = row.category or "", str(row.meta.get("source", row.prompt))
        _, items, coefficients = found.setdefault(key, (row.prompt, {}, []))
        items[Arm(arm)] = row.item_id
        if "coefficient" in row.meta:
            coefficients.append(float(row.meta["coefficient"]))
    return [
        Asked(prompt, kind, coefficients[0] if coefficients else None, items)
        for (kind, _), (prompt, items, coefficients) in found.items()
    ]


def read_answers(connection: sqlite3.Connection, asked: Asked) -> dict[Arm, ArmAnswer]:
    """The texts of one prompt's answers, with their labels; a person's label goes before a judge's."""
    answers = {}
    for arm, item_id in asked.items.items():
        dossier = read_dossier(connection, item_id)
        if dossier is not None:
            labels = sorted(
                (one for one in dossier.labels if one.head == REFUSAL3), key=lambda one: one.annotator[:6] != "human:"
            )
            answers[arm] = ArmAnswer(dossier.row.response or "", labels[0].value if labels else None)
    return answers
