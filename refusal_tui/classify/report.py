"""What does the folder of a training run say, while the run goes on and afterwards? For screens, commands and reports.

Neither torch nor numpy. Every file may be missing or end in the middle of a line: steps and epochs come as they are
made, the figures at the end. `read_run(folder)` never raises for a run that has only begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from refusal_tui.classify.files import (
    CROSSING,
    DONE,
    EPOCHS,
    EXPLANATIONS,
    FOLDER,
    LOG,
    METRICS,
    PROVENANCE,
    ROBUSTNESS,
    RUN,
    STEPS,
    TRIALS,
    VALIDATION,
    of_head,
)

MOST_STEPS = 2_000  # of a trial that are read; of a longer one every second, third, … and the last


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step. `learning_rate` None: a linear head has none. `rows_per_second` and `memory` (bytes at most
    so far) stand at every step or every few. `time`: seconds since 1970."""

    step: int
    steps: int
    epoch: int
    loss: float
    learning_rate: float | None
    rows_per_second: float | None
    memory: int | None
    time: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """One look at the validation rows; of two heads each figure is the mean."""

    epoch: int
    step: int
    loss: float
    accuracy: float
    macro_f1: float


class State(StrEnum):
    WAITING = "waiting"
    TRAINING = "training"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class TrialRun:
    """One model of the run. `fold` counts from 1, None: none is held out. `rows`: part -> how many.

    `best_step` and `stopped_early` (patience ran out) are known when it is done.
    """

    name: str
    seed: int
    repeat: int
    fold: int | None
    rows: Mapping[str, int]
    state: State
    steps: tuple[Step, ...]
    epochs: tuple[Epoch, ...]
    best_step: int | None = None
    stopped_early: bool = False

    @property
    def best(self) -> Epoch | None:
        """The best look at the validation rows so far: the highest macro-F1, then the lowest loss."""
        return max(self.epochs, key=lambda one: (one.macro_f1, -one.loss), default=None)


@dataclass(frozen=True, slots=True)
class LogLine:
    """`level` is info or warning."""

    time: float
    level: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """A training run as far as it is. Mappings by head are empty until their figures are there.

    `metrics[head]`: what `evaluate` gives (classify/evaluate.py). `validation[head]`: folds or seeds
    (classify/validation.py). `robustness[head][kind]` (classify/robustness.py). `crossing`: refusal beside jailbreak.
    `explanations`: of the surest mistakes (classify/explain.py). `classifier`: the finished folder.
    """

    name: str = ""
    kind: str = ""
    encoder: str = ""
    device: str = ""
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    trials: tuple[TrialRun, ...] = ()
    log: tuple[LogLine, ...] = ()
    metrics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    validation: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    robustness: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    crossing: Mapping[str, Any] | None = None
    explanations: tuple[Mapping[str, Any], ...] = ()
    provenance: Mapping[str, Any] | None = None
    classifier: Path | None = None

    @property
    def now(self) -> TrialRun | None:
        """The model that is being trained."""
        return next((trial for trial in self.trials if trial.state is State.TRAINING), None)

    @property
    def final(self) -> TrialRun | None:
        """The model that is kept."""
        return self.trials[-1] if self.trials else None

    @property
    def done(self) -> bool:
        """Whether the classifier is there."""
        return self.classifier is not None


def read_run(folder: Path, most_steps: int = MOST_STEPS) -> Run:
    """The run in `WORKSPACE/artifacts/job-N`."""
    about = _read(folder / RUN)
    log = tuple(LogLine(*(line[name] for name in LogLine.__slots__)) for line in _lines(folder / LOG))
    if about is None:
        return Run(log=log)
    heads = {head["head"]: tuple(head["classes"]) for head in about["heads"]}
    metrics = {
        head: found
        for number, head in enumerate(heads)
        if (found := _read(folder / of_head(METRICS, number, head))) is not None
    }
    ready = folder / FOLDER
    return Run(
        name=about["name"],
        kind=about["kind"],
        encoder=about["encoder"],
        device=about["device"],
        heads=heads,
        settings=about["settings"],
        facts=about["facts"],
        trials=tuple(_trial(folder / TRIALS / trial["name"], trial, most_steps) for trial in about["trials"]),
        log=log,
        metrics=metrics,
        validation=_read(folder / VALIDATION) or {},
        robustness=_read(folder / ROBUSTNESS) or {},
        crossing=_read(folder / CROSSING),
        explanations=tuple(_lines(folder / EXPLANATIONS)),
        provenance=_read(ready / PROVENANCE),
        classifier=ready if ready.is_dir() else None,
    )


def _trial(folder: Path, about: Mapping[str, Any], most_steps: int) -> TrialRun:
    # A step that was done again after kill -9 is there twice, with the same figures.
    steps = {line["step"]: line for line in _lines(folder / STEPS, most_steps)}
    epochs = {line["epoch"]: line for line in _lines(folder / EPOCHS)}
    done = _read(folder / DONE)
    state = State.DONE if done is not None else State.TRAINING if steps or epochs else State.WAITING
    return TrialRun(
        about["name"], about["seed"], about["repeat"], about["fold"], about["rows"], state,
        tuple(Step(*(steps[n][name] for name in Step.__slots__)) for n in sorted(steps)),
        tuple(Epoch(*(epochs[n][name] for name in Epoch.__slots__)) for n in sorted(epochs)),
        None if done is None else done["best_step"], done is not None and done["stopped_early"],
    )  # fmt: skip


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _lines(path: Path, most: int | None = None) -> Iterator[dict[str, Any]]:
    """The objects of a file, one a line; a line that a killed process has left half-written is no object."""
    try:
        lines: Sequence[bytes] = path.read_bytes().splitlines()
    except OSError:
        return
    if most is not None and len(lines) > most:
        every = -(-len(lines) // most)
        lines = [*lines[:-1:every], lines[-1]]
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found
