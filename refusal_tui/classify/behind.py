"""Which test rows are behind a figure? By label and answer, by slice, by bin of confidence: from stored predictions."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.classify.files import PREDICTIONS, of_head
from refusal_tui.classify.report import Run
from refusal_tui.errors import InputError

_OPTIONS = {"--label": "label", "--said": "said", "--slice": "slice", "--bin": "bin"}


@dataclass(frozen=True, slots=True)
class Which:
    """Empty: not asked for. `slice`: FIELD=VALUE as in the tables of slices. `bin`: 1 to 10, of the confidence after
    the temperature."""

    label: str = ""
    said: str = ""
    slice: str = ""
    bin: int = 0
    wrong: bool = False


def which_of(options: str) -> Which:
    """The options of `refusal-tui classifiers rows`, as `sections.py` writes them.

    >>> which_of("--label hard --said 'no answer'")
    Which(label='hard', said='no answer', slice='', bin=0, wrong=False)
    """
    parts = iter(shlex.split(options))
    found: dict[str, Any] = {}
    for option in parts:
        if option == "--wrong":
            found["wrong"] = True
        else:
            name = _OPTIONS[option]
            found[name] = int(next(parts)) if name == "bin" else next(parts)
    return Which(**found)


def rows_behind(folder: Path, run: Run, head: str, which: Which) -> list[int]:
    """The ids of the test rows, as they were measured. Raises InputError for a class or a slice that there is not."""
    from refusal_tui.classify.calibration import equal_width
    from refusal_tui.classify.predictions import logits_of, probabilities, read_predictions
    from refusal_tui.classify.splits import TEST

    predictions = read_predictions(folder / of_head(PREDICTIONS, list(run.heads).index(head), head))
    for name in (which.label, which.said):
        if name and name not in predictions.classes:
            raise InputError(f"{name!r} is no class of {run.name}.", f"Its classes: {', '.join(predictions.classes)}.")
    rows = predictions.of(TEST)
    if not rows:
        return []
    in_slice = _in_slice(run.metrics[head], which.slice)
    shares = probabilities(logits_of(rows, len(predictions.classes)) / run.metrics[head]["calibration"]["temperature"])
    said = [predictions.classes[number] for number in shares.argmax(axis=1)]
    bins = equal_width(shares.max(axis=1)) + 1
    return [
        row.item_id
        for row, answer, number in zip(rows, said, bins, strict=True)
        if which.label in ("", row.label)
        and which.said in ("", answer)
        and which.bin in (0, number)
        and not (which.wrong and row.label == answer)
        and in_slice(row)
    ]


def _in_slice(metrics: Any, text: str) -> Callable[[Any], bool]:
    if not text:
        return lambda row: True
    from refusal_tui.classify.slices import FIELDS, OTHERS

    field, _, value = text.partition("=")
    if field not in FIELDS:
        raise InputError(f"There are no slices by {field!r}.", f"Ask for {', '.join(FIELDS)}: --slice model=NAME")
    names = [one["name"] for one in metrics["slices"][field]["values"]]
    if value not in names:
        raise InputError(f"No test row has the {field} {value!r}.", f"There are: {', '.join(names)}.")
    read = FIELDS[field]
    if value == OTHERS:
        return lambda row: read(row) not in names
    return lambda row: read(row) == value
