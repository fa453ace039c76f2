"""What does the folder of a raw-against-cleaned run say, and what have language models graded since? No torch.

Grades of helpfulness are labels like others (`refusal-tui run label … --judge helpfulness`): they are read from the
store whenever somebody looks, people's before judges', the latest of each. Nothing is graded by the run itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refusal_tui.finetune.answers import BENIGN
from refusal_tui.finetune.cleaned.diversity import Diversity
from refusal_tui.finetune.report import Run, read_run
from refusal_tui.labels.heads import HELPFULNESS
from refusal_tui.stats.intervals import Interval

KIND = "raw-vs-cleaned"
DIVERSITY = "diversity.json"
GRADES = "grades"  # of a line: a grade from 1 to 5 per benign prompt, "-" where there is none


@dataclass(frozen=True)
class Comparison:
    """A run whose lines have `raw_loss` and `cleaned_loss`, and GRADES where somebody has graded the answers; `graders`
    says who. `diversity`: None until the run has ended."""

    run: Run
    diversity: Diversity | None = None
    graders: tuple[str, ...] = ()

    @property
    def counts(self) -> Mapping[str, int]:
        found: Mapping[str, int] = self.run.about.get("rows", {})
        return found


NOTHING = Comparison(Run("", "", "", "", {}, (), ()))


def read_comparison(folder: Path, connection: sqlite3.Connection | None = None) -> Comparison:
    """`connection` None: without the grades. Raises InputError as `read_run` does."""
    run = read_run(folder, KIND)
    if connection is None or not run.name:
        return Comparison(run, _diversity(folder))
    grades: dict[str, list[str]] = {}
    graders: set[str] = set()
    for trial, grade, who in _graded(connection, run.dataset):
        grades.setdefault(trial, []).append(grade or "-")
        graders |= set() if who is None else {who}
    lines = tuple(
        {**line, GRADES: "".join(grades[line["trial"]])} if graders and _fits(line, grades) else line
        for line in run.lines
    )
    return Comparison(replace(run, lines=lines), _diversity(folder), tuple(sorted(graders)))


def _fits(line: Mapping[str, Any], grades: Mapping[str, list[str]]) -> bool:
    """A line that is being written has no grades yet."""
    return len(grades.get(line["trial"], ())) == len(line[BENIGN])


def answers_of(connection: sqlite3.Connection, dataset: str) -> dict[str, list[str]]:
    """trial -> its answers to the benign prompts, in the order in which they were asked."""
    rows = connection.execute(
        """SELECT item.key, item_body.response FROM item JOIN item_body ON item_body.item_id = item.id
           WHERE item.dataset_id = (SELECT id FROM dataset WHERE name = ?) AND item.split = ? ORDER BY item.id""",
        (dataset, BENIGN),
    )
    found: dict[str, list[str]] = {}
    for key, response in rows:
        found.setdefault(_trial_of(key), []).append(response or "")
    return found


def _graded(connection: sqlite3.Connection, dataset: str) -> Iterator[tuple[str, str | None, str | None]]:
    """(trial, grade, who) of every answer to a benign prompt, in the order in which they were asked."""
    rows = connection.execute(
        """SELECT item.key, label.value, label.annotator,
               max(coalesce(((label.annotator GLOB 'human:*') << 61) + label.verdict_id, 0))
           FROM item LEFT JOIN label ON label.item_id = item.id AND label.head = ?
           WHERE item.dataset_id = (SELECT id FROM dataset WHERE name = ?) AND item.split = ?
           GROUP BY item.id ORDER BY item.id""",
        (HELPFULNESS, dataset, BENIGN),
    )
    for key, value, who, _ in rows:
        yield _trial_of(key), value, who


def _trial_of(key: str) -> str:
    """As `answers.py` makes the key: kind/trial/step/prompt."""
    return key.split("/", 2)[1]


# --- diversity, kept by the run --------------------------------------------------------------------------------------


def diversity_json(found: Diversity) -> dict[str, Any]:
    return {
        "of": {arm: {name: list(one) for name, one in measures.items()} for arm, measures in found.of.items()},
        "difference": [
            {"one": one, "other": other, "by": {name: list(of) for name, of in measures.items()}}
            for (one, other), measures in found.difference.items()
        ],
    }  # fmt: skip


def _diversity(folder: Path) -> Diversity | None:
    try:
        data = json.loads((folder / DIVERSITY).read_bytes())
    except FileNotFoundError:
        return None
    return Diversity(
        {arm: _intervals(measures) for arm, measures in data["of"].items()},
        {(one["one"], one["other"]): _intervals(one["by"]) for one in data["difference"]},
    )


def _intervals(measures: Mapping[str, list[float]]) -> dict[str, Interval]:
    return {name: Interval(*of) for name, of in measures.items()}
