"""How is one adapter of an experiment trained, from where it stands to its end? The same way in every experiment."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from refusal_tui.finetune.adapters import ARM_KIND
from refusal_tui.finetune.arms import Constraint
from refusal_tui.finetune.direction_files import save_adapter
from refusal_tui.finetune.files import ARM_ADAPTER, CHECKPOINTS, DONE, TRIALS
from refusal_tui.finetune.loop import Diverged, LoopSettings, Tuned, train
from refusal_tui.finetune.recorder import Recorder
from refusal_tui.finetune.trials import Trial
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.jobs.schedule import Schedule


class HowToTrain(Protocol):
    """What of a spec the loop needs."""

    @property
    def batch_size(self) -> int: ...
    @property
    def parts(self) -> int: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def warmup(self) -> float: ...
    @property
    def schedule(self) -> Schedule: ...
    @property
    def save_every(self) -> int: ...


def loop_settings(spec: HowToTrain, seed: int, steps: int, learning_rate: float) -> LoopSettings:
    return LoopSettings(
        seed, steps, learning_rate, spec.batch_size, spec.parts, spec.weight_decay, spec.warmup, spec.schedule,
        save_every=spec.save_every,
    )  # fmt: skip


def is_done(folder: Path, trial: Trial) -> bool:
    """Whether a trial of the run in `folder` has ended, well or diverged."""
    return (folder / TRIALS / trial.name / DONE).exists()


def run_trial(
    context: ComputeContext,
    trial: Trial,
    tuned: Tuned,
    constraint: Constraint | None,
    spec: HowToTrain,
    *,
    before: int,
    of: int,
    fingerprint: str,
    at_stop: Callable[[int], None],
    note: Mapping[str, Any],
) -> None:
    """Train, stop, save the adapter with its `note`, and say that it is done. One that diverges is told and ends, so
    that the others go on. `before` steps of all `of` steps of the run are done. Raises as `loop.train` does."""
    folder = context.folder / TRIALS / trial.name
    folder.mkdir(parents=True, exist_ok=True)
    watch = Recorder(context, folder, trial.name, before, of)
    settings = loop_settings(spec, trial.seed, trial.steps, trial.learning_rate)
    ended: dict[str, Any] = {"steps": trial.steps}
    try:
        train(
            tuned, constraint, settings, folder / CHECKPOINTS, watch, fingerprint=fingerprint, stops=trial.stops,
            at_stop=at_stop,
        )  # fmt: skip
    except Diverged as error:
        watch.flush()
        watch.note("diverged", str(error))
        ended = {"steps": error.step, "diverged": error.step}
    else:
        adapter = save_adapter(folder, tuned.model, {**note, **trial.as_json()}, ARM_ADAPTER)
        for path in sorted(path for path in adapter.iterdir() if path.is_file()):
            context.artifact(path, ARM_KIND, {"experiment": note["experiment"], "trial": trial.name})
    write_atomically(folder / DONE, json.dumps(ended).encode())
