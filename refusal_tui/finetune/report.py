"""What does the folder of a robustness run say, while it goes on and afterwards? For screens and commands; no torch.

Every file may be missing: the description comes first, then a line per step and a line of outcomes per stop.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.finetune.arms import Arm
from refusal_tui.finetune.files import BASE, DONE, EVALUATIONS, RUN, STEPS, TRIALS

PER_STEP, IN_TOTAL = 1e-5, 1e-6  # how far an exact constraint may be violated, relative
_EXACT = frozenset(arm for arm in Arm if arm.exact)


@dataclass(frozen=True)
class TrialState:
    """One adapter. `steps`: a mapping per step that is done, with `loss`, `learning_rate`, `violation` (of this step),
    `total_violation`, `inner` (<dW, U>/|dW|, mean over matrices), `inner_most`, `norm` (|dW|), `moved`, `conflict`
    (cosine of the task's and refusing's gradients, surgery alone), `halved`. `state`: waiting, running, done or
    diverged."""

    name: str
    arm: str
    seed: int
    variant: str
    learning_rate: float
    planned: int
    stops: tuple[int, ...]
    state: str
    steps: Sequence[Mapping[str, Any]] = ()

    @property
    def last(self) -> Mapping[str, Any] | None:
        return self.steps[-1] if self.steps else None

    @cached_property
    def worst(self) -> tuple[float, float]:
        """The largest violation of any step and of the whole update at any step; 0, 0 before the first."""
        return (
            max((float(line.get("violation", 0.0)) for line in self.steps), default=0.0),
            max((float(line.get("total_violation", 0.0)) for line in self.steps), default=0.0),
        )

    @property
    def holds(self) -> bool | None:
        """Whether the arm's constraint held at every step; None of an arm that has none, or none that is exact."""
        if self.arm not in _EXACT or not self.steps:
            return None
        return self.worst[0] <= PER_STEP and self.worst[1] <= IN_TOTAL


@dataclass(frozen=True)
class Run:
    """`lines`: what was looked at, the base first: `trial`, `arm`, `seed`, `variant`, `step`, `task_loss`, and per kind
    (`prompts`, `benign`) a letter per prompt (h hard, s soft refusal, n none, - no answer) with `KIND_exact` (1: the
    very answer that the set gives), and for arms `total_violation`, `inner`, `inner_most`, `norm`, `by_matrix`.
    `arms`: name -> what it does, in words. `about`: run.json as it is."""

    name: str
    model: str
    dataset: str
    judge: str
    arms: Mapping[str, str]
    trials: tuple[TrialState, ...]
    lines: tuple[Mapping[str, Any], ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def base(self) -> Mapping[str, Any] | None:
        return next((line for line in self.lines if line["trial"] == BASE), None)

    @property
    def variants(self) -> tuple[str, ...]:
        """Of the grid of learning rates and steps; ("",) without one."""
        return tuple(dict.fromkeys(trial.variant for trial in self.trials)) or ("",)

    @property
    def seeds(self) -> int:
        """Of the arm that has the fewest, in the variant that has the most: a training that diverged does not count, an
        arm of which all have is not compared."""
        kept = Counter((trial.variant, trial.arm) for trial in self.trials if trial.state != "diverged")
        fewest: dict[str, int] = {}
        for (variant, _), count in kept.items():
            fewest[variant] = min(count, fewest.get(variant, count))
        return max(fewest.values(), default=0)

    @property
    def diverged(self) -> frozenset[str]:
        return frozenset(trial.name for trial in self.trials if trial.state == "diverged")

    @property
    def done(self) -> bool:
        return bool(self.trials) and all(trial.state in ("done", "diverged") for trial in self.trials)

    def of(self, arm: str, variant: str = "") -> dict[int, list[Mapping[str, Any]]]:
        """step -> the lines of the seeds that were looked at there, in order of their seeds."""
        found: dict[int, list[Mapping[str, Any]]] = {}
        for line in self.lines:
            if line["arm"] == arm and line["variant"] == variant:
                found.setdefault(line["step"], []).append(line)
        return {step: sorted(found[step], key=lambda line: line["seed"]) for step in sorted(found)}


def read_run(folder: Path, kind: str = "robustness") -> Run:
    """What is known so far. Raises InputError for a folder that is of no such run, or whose files are damaged."""
    path = folder / RUN
    if not path.exists():
        return Run("", "", "", "", {}, (), ())
    try:
        about = json.loads(path.read_bytes())
        if about["kind"] != kind:
            raise InputError(f"{folder.name} is no {kind} run.", "See the runs with: refusal-tui jobs")
        trials = tuple(_trial(folder, data) for data in about["trials"])
        lines = {(line["trial"], line["step"]): line for line in _lines(folder / EVALUATIONS)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"The files in {folder.name} cannot be read: {error!r}.", "Look into the folder.") from error
    return Run(
        about["name"], about["model"], about["dataset"], about["judge"], about["arms"], trials, tuple(lines.values()),
        about,
    )  # fmt: skip


def _trial(folder: Path, data: Mapping[str, Any]) -> TrialState:
    own = folder / TRIALS / data["name"]
    steps = tuple({line["step"]: line for line in _lines(own / STEPS)}.values())  # done again after a kill: the same
    state = "waiting" if not steps else "running"
    if (own / DONE).exists():
        state = "diverged" if "diverged" in json.loads((own / DONE).read_bytes()) else "done"
    return TrialState(
        data["name"], data["arm"], data["seed"], data["variant"], data["learning_rate"], data["steps"],
        tuple(data["stops"]), state, steps,
    )  # fmt: skip


def _lines(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return _parsed(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _parsed(path: Path, changed: int, size: int) -> tuple[Mapping[str, Any], ...]:
    """A line that is being written, or that a killed process has left half-written, is passed over."""
    found = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return tuple(found)
