"""Who writes down how training goes? Steps as lines of JSON in the trial's folder.

Lines come in groups; before every checkpoint they are synced, because what lies before a checkpoint is not done again.
A step that is done again after kill -9 has the same line: readers take the last one.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from refusal_tui.finetune.files import STEPS
from refusal_tui.finetune.loop import Step
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.files import append_lines

_FLUSH_SECONDS, _FLUSH_STEPS = 0.5, 20


class Recorder:
    """The `Watch` of one trial; `before` steps of all `of` steps of the run are done when it begins."""

    def __init__(self, context: ComputeContext, folder: Path, name: str, before: int, of: int) -> None:
        self._context, self._folder, self._name, self._before, self._of = context, folder, name, before, of
        self._waiting: list[dict[str, Any]] = []
        self._flushed = time.monotonic()

    def step(self, step: Step) -> None:
        line: dict[str, Any] = {
            "step": step.step, "steps": step.steps, "loss": step.loss, "learning_rate": step.learning_rate,
            "conflict": step.conflict, "halved": step.halved, "time": time.time(),
        }  # fmt: skip
        found = step.invariants
        if found is not None:
            line |= {
                "violation": found.step, "total_violation": found.total, "inner": found.inner,
                "inner_most": found.inner_most, "norm": found.norm, "moved": found.moved,
            }  # fmt: skip
        self._waiting.append(line)
        if len(self._waiting) >= _FLUSH_STEPS or time.monotonic() - self._flushed >= _FLUSH_SECONDS:
            self._write(sync=False)
        self._context.report(self._before + step.step, self._of, f"{self._name}: step {step.step} of {step.steps}")

    def note(self, code: str, text: str) -> None:
        self._context.event("warning", code, f"{self._name}: {text}")

    def flush(self) -> None:
        self._write(sync=True)

    def _write(self, *, sync: bool) -> None:
        if self._waiting:
            append_lines(self._folder / STEPS, self._waiting, sync=sync)
        self._waiting = []
        self._flushed = time.monotonic()
