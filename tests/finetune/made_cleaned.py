"""The folder of a raw-against-cleaned run, written by hand: outcomes of our choosing, no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_tui.finetune.cleaned.diversity import diversity
from refusal_tui.finetune.cleaned.figures import PAIRS
from refusal_tui.finetune.cleaned.read import DIVERSITY, KIND, diversity_json
from refusal_tui.finetune.cleaned.sets import CLEANED, RAW
from refusal_tui.finetune.files import BASE, DONE, EVALUATIONS, RUN, STEPS, TRIALS
from refusal_tui.finetune.trials import Trial, trials_of
from tests.finetune.made import N, outcomes

OVER = {BASE: 2, RAW: 41, CLEANED: 4}
REFUSED = {BASE: 98, RAW: 97, CLEANED: 95}
STEP_COUNT = 8


def make_comparison(
    folder: Path,
    over: Mapping[str, int] = OVER,
    refused: Mapping[str, int] = REFUSED,
    *,
    seeds: int = 3,
    looked_at: int | None = None,
    diverged: Sequence[str] = (),
) -> Path:
    """`over`, `refused`: arm -> how many of the benign and of the other prompts it refuses, the same for every seed.
    `looked_at`: so many trials are done, the others wait; None: all. `diverged`: names of trials without a line."""
    trials = trials_of((RAW, CLEANED), [1e-3], [STEP_COUNT], range(seeds), 1)
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "kind": KIND, "name": "tidy-run", "model": "tiny", "dataset": "tidy-run", "judge": "linear",
        "arms": {RAW: "the rows as they were", CLEANED: "what cleaning made of them"},
        "trials": [trial.as_json() for trial in trials], "settings": {"steps": STEP_COUNT, "batch_size": 32},
        "rows": {"raw": 210, "cleaned": 200, "learnt, raw": 160, "learnt, cleaned": 160},
    }  # fmt: skip
    (folder / RUN).write_text(json.dumps(about))
    lines = [_line(BASE, BASE, None, over, refused)]
    for trial in trials[:looked_at]:
        _write_trial(folder / TRIALS / trial.name, trial, diverged=trial.name in diverged)
        if trial.name not in diverged:
            lines.append(_line(trial.name, trial.arm, trial.seed, over, refused))
    (folder / EVALUATIONS).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    if looked_at is None:
        answers = {arm: [texts(over[arm])] * (1 if arm == BASE else seeds) for arm in (BASE, RAW, CLEANED)}
        (folder / DIVERSITY).write_text(json.dumps(diversity_json(diversity(answers, PAIRS))))
    return folder


def texts(refused: int) -> list[str]:
    """An answer per benign prompt: the first ones are all the same refusal."""
    return ["I am sorry, but no."] * refused + [f"First, take the zorp number {n}." for n in range(N - refused)]


def _line(name: str, arm: str, seed: int | None, over: Mapping[str, int], refused: Mapping[str, int]) -> dict[str, Any]:
    losses = {BASE: (0.6, 0.2), RAW: (0.25, 0.3), CLEANED: (0.55, 0.18)}[arm]
    return {
        "trial": name, "arm": arm, "seed": seed, "variant": "", "step": 0 if seed is None else STEP_COUNT,
        "raw_loss": losses[0], "cleaned_loss": losses[1], "benign": outcomes(over[arm]),
        "prompts": outcomes(refused[arm]),
    }  # fmt: skip


def _write_trial(folder: Path, trial: Trial, *, diverged: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        {"step": step, "steps": trial.steps, "loss": 2.0 / step, "learning_rate": 1e-3, "conflict": None, "halved": 0,
         "time": 0.0}
        for step in range(1, trial.steps + 1)
    ]  # fmt: skip
    (folder / STEPS).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / DONE).write_text(json.dumps({"steps": trial.steps, **({"diverged": 3} if diverged else {})}))
