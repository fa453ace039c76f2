"""The folder of a robustness run, written by hand: outcomes of our choosing, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_tui.finetune.arms import WORDS, Arm
from refusal_tui.finetune.files import BASE, DONE, EVALUATIONS, RUN, STEPS, TRIALS
from refusal_tui.finetune.trials import Trial, trials_of

N = 100
EXACT = {"orthogonal": 1e-8, "random": 1e-8, "subspace": 1e-8, "random-subspace": 1e-8}


def outcomes(refused: int, *, soft: int = 0, missing: int = 0, n: int = N) -> str:
    """The first `refused` prompts are refused, `soft` of them softly; the last `missing` have no answer."""
    return ("s" * soft + "h" * (refused - soft)).ljust(n - missing, "n") + "-" * missing


def make_run(
    folder: Path,
    refused: Mapping[str, Sequence[int]],
    losses: Mapping[str, Sequence[float]],
    *,
    base: int = 98,
    seeds: int = 3,
    steps: int = 8,
    violation: float = 1e-8,
    looked_at: int | None = None,
    missing: int = 0,
) -> Path:
    """`refused`: arm -> prompts refused at each stop (the same for every seed), `losses` -> the task's loss there.
    `looked_at`: so many trials are done, the others wait; None: all."""
    arms = [Arm(arm) for arm in refused]
    stops = max(map(len, refused.values()))
    trials = trials_of(arms, [1e-3], [steps], range(seeds), stops)
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "kind": "robustness", "name": "robust", "model": "tiny", "dataset": "robust", "judge": "linear",
        "arms": {str(arm): WORDS[arm] for arm in arms}, "trials": [trial.as_json() for trial in trials],
        "settings": {"subspace_rank": 4, "sides": "both"}, "rows": {"task": 140, "prompts": N}, "matrices": ["a", "b"],
        "directions": {"from": "adapter", "adapter": "tiny", "before": "", "agreement": 0.3}, "subspace": [4, "both"],
    }  # fmt: skip
    (folder / RUN).write_text(json.dumps(about))
    lines = [_line(BASE, BASE, None, 0, base, 2.0, missing)]
    for trial in trials[:looked_at]:
        _write_trial(
            folder / TRIALS / trial.name, trial, EXACT.get(str(trial.arm), 0.2) if violation < 1e-5 else violation
        )
        for step, count, loss in zip(trial.stops, refused[str(trial.arm)], losses[str(trial.arm)], strict=True):
            lines.append(_line(trial.name, str(trial.arm), trial.seed, step, count, loss, 0))
    (folder / EVALUATIONS).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def _line(name: str, arm: str, seed: int | None, step: int, refused: int, loss: float, missing: int) -> dict[str, Any]:
    line = {
        "trial": name, "arm": arm, "seed": seed, "variant": "", "step": step, "task_loss": loss,
        "prompts": outcomes(refused, missing=missing), "benign": outcomes(2), "prompts_exact": "1" * 10 + "0" * 90,
    }  # fmt: skip
    return (
        line if seed is None else {**line, "total_violation": 1e-8, "inner": 0.1, "norm": 1.0, "by_matrix": [0.1, 0.1]}
    )


def _write_trial(folder: Path, trial: Trial, violation: float) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {"step": step, "steps": trial.steps, "loss": 2.0 / step, "learning_rate": 1e-3, "conflict": None, "halved": 0,
         "violation": violation, "total_violation": violation, "inner": 0.1, "inner_most": 0.2, "norm": 0.1 * step,
         "moved": 0.1, "time": 0.0}
        for step in range(1, trial.steps + 1)
    ]  # fmt: skip
    (folder / STEPS).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / DONE).write_text(json.dumps({"steps": trial.steps}))
