"""Who writes down how training goes? Steps and epochs as lines of JSON in the trial's folder, remarks in the log.

Lines come in groups, so that a fast loop does not wait for the disk; before every checkpoint they are synced, because
what lies before a checkpoint is not done again.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from refusal_tui.classify.files import EPOCHS, LOG, STEPS
from refusal_tui.classify.loop import Measured
from refusal_tui.classify.memory import peak_memory
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.files import append_lines

_FLUSH_SECONDS, _FLUSH_STEPS = 0.5, 20


class Recorder:
    """The `Watch` of one trial; it is the number `place` of `of`."""

    def __init__(self, context: ComputeContext, folder: Path, name: str, place: int, of: int, device: Any) -> None:
        self._context, self._folder, self._name, self._place, self._of = context, folder, name, place, of
        self._device = device
        self._waiting: list[dict[str, Any]] = []
        self._flushed = time.monotonic()
        self._seen = 0

    def step(self, step: int, steps: int, loss: float, learning_rate: float | None, rows: int, epoch: int) -> None:
        self._seen += rows
        self._waiting.append(
            {"step": step, "steps": steps, "epoch": epoch, "loss": loss, "learning_rate": learning_rate,
             "rows_per_second": None, "memory": None, "time": time.time()}
        )  # fmt: skip
        late = time.monotonic() - self._flushed
        if len(self._waiting) >= _FLUSH_STEPS or late >= _FLUSH_SECONDS:
            self._write(sync=False)
        which = "" if self._of == 1 else f"{self._name} ({self._place + 1} of {self._of}), "
        self._context.report(self._place * steps + step, self._of * steps, f"{which}epoch {epoch + 1}")

    def measured(self, found: Measured) -> None:
        line = {name: getattr(found, name) for name in Measured.__slots__}
        append_lines(self._folder / EPOCHS, [line], sync=True)

    def note(self, code: str, text: str) -> None:
        tell(self._context, "warning", code, text)

    def flush(self) -> None:
        self._write(sync=True)

    def _write(self, sync: bool) -> None:
        if self._waiting:
            late = time.monotonic() - self._flushed
            self._waiting[-1]["rows_per_second"] = self._seen / max(late, 1e-6)
            self._waiting[-1]["memory"] = peak_memory(self._device)
            append_lines(self._folder / STEPS, self._waiting, sync=sync)
        self._waiting = []
        self._flushed, self._seen = time.monotonic(), 0


def tell(context: ComputeContext, level: str, code: str, text: str) -> None:
    """A remark in the run's log and among the job's events."""
    append_lines(context.folder / LOG, [{"time": time.time(), "level": level, "code": code, "text": text}], sync=False)
    context.event(level, code, text)
