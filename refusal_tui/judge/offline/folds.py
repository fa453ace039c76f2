"""How good is the linear judge on the sources it learnt from? Rows are judged by models that have not seen them.

`python -m refusal_tui.judge.offline.folds FOLDER` prints what MODEL_CARD.md says of both training sources: out of fold
(no text of a row's prompt was learnt from) and trained without the whole source. Five minutes on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusal_tui.judge.linear import CLASSES, Model, vectors
from refusal_tui.judge.offline.train import FOLDS, NONE, Data, fit, read_data
from refusal_tui.judge.score import Compared, Given, TaskScore, tasks_of

_SOURCES = ("chatgpt_refusals", "rbr_gold")


def learnt_without(data: Data, held_out: NDArray[np.bool_]) -> tuple[Model, Data]:
    """A model of all other rows, and the held-out ones."""
    others = _some(data, ~held_out)
    return fit(others, vectors(others.pairs)), _some(data, held_out)


def judged(model: Model, rows: Data) -> list[Compared]:
    """What the model says of rows, beside their labels."""
    probabilities = model.probabilities(vectors(rows.pairs))
    found = []
    for place, (label, chances) in enumerate(zip(model.labels(probabilities), probabilities.tolist(), strict=True)):
        refuses = 1 - chances[NONE] if label is not CLASSES[NONE] else chances[NONE]
        given = Given(label.value, chances[CLASSES.index(label)], refuses)
        gold = CLASSES[rows.labels[place]].value
        found.append(Compared(gold, given, int(rows.groups[place]), str(rows.source[place])))
    return found


def _some(data: Data, rows: NDArray[np.bool_]) -> Data:
    pairs = [pair for pair, wanted in zip(data.pairs, rows, strict=True) if wanted]
    return Data(pairs, data.labels[rows], data.groups[rows], data.source[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the offline judge on its own sources.")
    parser.add_argument("folder", type=Path, help="holds chatgpt_refusals.jsonl and rbr_gold.jsonl")
    data = read_data(parser.parse_args().folder)
    folds = [data.human & (data.groups % FOLDS == fold) for fold in range(FOLDS)]
    out_of_fold = [row for fold in folds for row in judged(*learnt_without(data, fold))]
    for source in _SOURCES:
        _tell(f"{source}, out of fold", [row for row in out_of_fold if row.group == source])
        model, rows = learnt_without(data, data.source == source)
        _tell(f"{source}, trained without it", judged(model, rows))
        # Calibration is by human labels: without the source it rests on the other one alone.
        plain = replace(model, refusal=replace(model.refusal, slope=1.0, shift=0.0))
        _tell(f"{source}, trained without it, before calibration", judged(plain, rows))


def _tell(title: str, rows: list[Compared]) -> None:
    for task in tasks_of(rows, three=True):
        print(f"{title}, {task.task}: {task.rows} rows, macro-F1 {_interval(task)}")


def _interval(task: TaskScore) -> str:
    return f"{task.macro_f1.value:.3f} ({task.macro_f1.low:.3f}-{task.macro_f1.high:.3f})"


if __name__ == "__main__":
    main()
