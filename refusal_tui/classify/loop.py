"""How is a classifier trained? A loop of our own: exact resume, class and row weights, early stopping.

transformers' Trainer loses its place with length grouping and writes checkpoints in place (reference, section 7.1).
Here batches, learning rate and dropout are functions of seed and step (`plan.py`); a checkpoint holds what is trained,
the optimiser's state and the step. After kill -9 at any moment the loss curve goes on bit for bit on a CPU with as many
threads; on a GPU within rounding. accelerate chooses the device and the precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.encode import Encoded
from refusal_tui.classify.passes import halving, inputs, make_accelerator, predict
from refusal_tui.classify.plan import fill, plan
from refusal_tui.classify.predictions import log_likelihoods
from refusal_tui.errors import JobError
from refusal_tui.jobs.checkpoints import Checkpoint, load_step, newest, save
from refusal_tui.jobs.compute import Stopped
from refusal_tui.jobs.schedule import Schedule, rate, stable_seed
from refusal_tui.jobs.stop import StopReason
from refusal_tui.stats.agreement import accuracy, confusion_matrix, macro_f1

_TINY = 1e-30  # the weight of a head of which a step has no row


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """`batch_tokens`: with padding, of one batch. `pass_tokens`: what goes through the model at a time (0: a batch); a
    larger batch goes in parts. `accumulate`: batches per optimiser step. `warmup`: share of the steps. `patience`:
    epochs without a better macro-F1 on the validation rows. `save_every`: steps between checkpoints, beside those at
    the end of every epoch."""

    seed: int = 0
    epochs: int = 3
    learning_rate: float = 2e-5
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: Schedule = "linear"
    batch_tokens: int = 4096
    pass_tokens: int = 0
    accumulate: int = 1
    clip: float = 1.0
    patience: int = 3
    save_every: int = 200


@dataclass(frozen=True, slots=True)
class Part:
    """Rows with their class numbers (-1: no label) and weights, shape (rows, heads)."""

    texts: Encoded
    labels: NDArray[np.int64]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measured:
    """One look at the validation rows; `loss` is the plain mean of the negative log-likelihood. Of two heads each
    figure is the mean."""

    epoch: int
    step: int
    loss: float
    accuracy: float
    macro_f1: float


class Watch(Protocol):
    """Who is told how training goes; `step` may raise Stopped."""

    def step(self, step: int, steps: int, loss: float, learning_rate: float | None, rows: int, epoch: int) -> None: ...

    def measured(self, found: Measured) -> None: ...

    def note(self, code: str, text: str) -> None: ...

    def flush(self) -> None:
        """Make durable what was told: a checkpoint follows, and what lies before it is not told again."""


@dataclass
class _Progress:
    """Where training is: `step` optimiser steps are done, `best_step` had the best validation figures."""

    step: int = 0
    best_step: int = 0
    bad_epochs: int = 0
    finished: bool = False
    history: list[Measured] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "best_step": self.best_step,
            "bad_epochs": self.bad_epochs,
            "finished": self.finished,
            "history": [[m.epoch, m.step, m.loss, m.accuracy, m.macro_f1] for m in self.history],
        }

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> _Progress:
        state = checkpoint.state
        history = [Measured(*row) for row in state["history"]]
        return cls(checkpoint.step, state["best_step"], state["bad_epochs"], state["finished"], history)


@dataclass(frozen=True, slots=True)
class Trained:
    """The model holds the weights of `best_step`. `stopped_early`: patience ran out before the last epoch."""

    steps: int
    best_step: int
    stopped_early: bool
    history: Sequence[Measured]


def train(
    model: Any,
    train_part: Part,
    validation: Part,
    class_weight: Sequence[Sequence[float]],
    settings: LoopSettings,
    folder: Path,
    watch: Watch,
    *,
    fingerprint: str = "",
    accelerator: Any = None,
    pad: int = 0,
) -> Trained:
    """Train `model` (its tensors with requires_grad) from the newest checkpoint in `folder`, or from the beginning.

    `class_weight`: for each head the weights of its classes; the model's outputs are the heads' classes one after the
    other. Rows without a label of a head have no part in its loss; the loss is the sum over the heads.
    `fingerprint` says what is trained on what: checkpoints of something else are not gone on with. Raises Stopped after
    a checkpoint when the watch does, JobError for a loss that is no number, for rows that do not fit into memory one by
    one, and for checkpoints of another run.
    """
    accelerator = accelerator or make_accelerator()
    model = accelerator.prepare_model(model)
    run = _Run(model, accelerator, settings, class_weight, pad, watch)
    progress = run.resume(folder, fingerprint)
    epochs = [_steps(settings, train_part, epoch) for epoch in range(settings.epochs)]
    steps = sum(len(batches) for batches in epochs)
    first = 0
    for epoch, batches in enumerate(epochs):
        for index, micros in enumerate(batches):
            step = first + index
            if step < progress.step or progress.finished:
                continue
            lr = rate(step, steps, settings.learning_rate, settings.warmup, settings.schedule)
            loss = run.optimise(train_part, micros, step, lr)
            progress.step = step + 1
            stopped = run.tell(progress.step, steps, loss, lr, sum(map(len, micros)), epoch)
            last = index == len(batches) - 1
            if last:
                _judge_epoch(run, progress, validation, epoch, settings)
            if last or stopped or progress.step % settings.save_every == 0:
                watch.flush()
                run.save(folder, progress, fingerprint)
            if stopped:
                raise stopped
        first += len(batches)
    best = load_step(folder, progress.best_step)
    if best is None:
        raise JobError(
            f"The checkpoint of the best step ({progress.best_step}) is damaged or gone.",
            "Start the run anew; the disk may need a look.",
        )
    run.put(best.model)
    return Trained(progress.step, progress.best_step, progress.step < steps, progress.history)


def spans_of(sizes: Sequence[int]) -> list[slice]:
    """Where each head's classes stand among all.

    >>> spans_of([3, 2])
    [slice(0, 3, None), slice(3, 5, None)]
    """
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def measured_of(
    logits: NDArray[np.float32], labels: NDArray[np.int64], spans: Sequence[slice], epoch: int, step: int
) -> Measured:
    """The figures of validation rows: logits of shape (rows, all classes), labels of shape (rows, heads)."""
    figures = []
    for head, span in enumerate(spans):
        rows = labels[:, head] >= 0
        said, codes = logits[rows, span], labels[rows, head]
        names = [str(number) for number in range(said.shape[1])]
        matrix = confusion_matrix(codes, said.argmax(axis=1), names)
        figures.append((-float(log_likelihoods(said, codes).mean()), float(accuracy(matrix)), float(macro_f1(matrix))))
    loss, right, f1 = (float(np.mean(values)) for values in zip(*figures, strict=True))
    return Measured(epoch, step, loss, right, f1)


def _steps(settings: LoopSettings, part: Part, epoch: int) -> list[list[list[int]]]:
    """The optimiser steps of an epoch, each as its passes."""
    lengths = part.texts.lengths
    batches = plan(settings.seed, epoch, lengths, settings.batch_tokens)
    steps = [batches[i : i + settings.accumulate] for i in range(0, len(batches), settings.accumulate)]
    if not 0 < settings.pass_tokens < settings.batch_tokens:
        return steps
    return [[some for batch in step for some in fill(batch, lengths, settings.pass_tokens)] for step in steps]


def _judge_epoch(run: _Run, progress: _Progress, validation: Part, epoch: int, settings: LoopSettings) -> None:
    """Is this epoch the best so far (macro-F1, then loss), and is it time to stop?"""
    found = run.measure(validation, epoch, progress.step)
    before = [m for m in progress.history if m.step == progress.best_step]
    progress.history.append(found)
    if not before or (found.macro_f1, -found.loss) > (before[0].macro_f1, -before[0].loss):
        progress.best_step, progress.bad_epochs = progress.step, 0
    else:
        progress.bad_epochs += 1
    progress.finished = progress.bad_epochs >= settings.patience or epoch == settings.epochs - 1


class _Run:
    """The model with its optimiser on a device."""

    def __init__(
        self,
        model: Any,
        accelerator: Any,
        settings: LoopSettings,
        class_weight: Sequence[Sequence[float]],
        pad: int,
        watch: Watch,
    ) -> None:
        import torch

        self._torch = torch
        self._model, self._accelerator, self._settings, self._pad, self._watch = (
            model,
            accelerator,
            settings,
            pad,
            watch,
        )
        self._trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        # Biases and norms are not decayed, as in BERT.
        decayed = [p for p in self._trained.values() if p.ndim >= 2]
        others = [p for p in self._trained.values() if p.ndim < 2]
        groups = [{"params": decayed, "weight_decay": settings.weight_decay}, {"params": others, "weight_decay": 0.0}]
        fused = accelerator.device.type in ("cpu", "cuda")  # a fifth of the time of the plain one, on a CPU too
        self._optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, fused=fused or None)
        self._class_weight = [torch.tensor(of, dtype=torch.float32, device=accelerator.device) for of in class_weight]
        self._spans = spans_of([len(of) for of in class_weight])

    def resume(self, folder: Path, fingerprint: str) -> _Progress:
        found, damaged = newest(folder)
        if damaged:
            gone_on = "the beginning" if found is None else f"step {found.step}"
            self._watch.note(
                "damaged_checkpoint", f"{', '.join(damaged)} cannot be used; training goes on from {gone_on}"
            )
        if found is None:
            return _Progress()
        if found.state["fingerprint"] != fingerprint:
            raise JobError(
                "The checkpoints here are of another run: its settings, rows or base model are not the same.",
                "Start a new run instead of resuming this one.",
            )
        self.put(found.model)
        for name, parameter in self._trained.items():
            own = {key: found.optimizer[f"{name}:{key}"] for key in ("step", "exp_avg", "exp_avg_sq")
                   if f"{name}:{key}" in found.optimizer}  # fmt: skip
            if own:
                device = parameter.device
                own = {k: t.to(device if k != "step" or self._fused else "cpu").clone() for k, t in own.items()}
                self._optimizer.state[parameter] = own
        return _Progress.of(found)

    @property
    def _fused(self) -> bool:
        return bool(self._optimizer.defaults.get("fused"))

    def put(self, tensors: Mapping[str, Any]) -> None:
        with self._torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(tensors[name])

    def optimise(self, part: Part, micros: Sequence[list[int]], step: int, lr: float) -> float:
        """One optimiser step; the loss is the mean over its rows, weighted by row and class."""
        torch, device = self._torch, self._accelerator.device
        self._model.train()
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        labels = torch.from_numpy(part.labels).to(device)
        weights = [
            torch.from_numpy(part.weights[:, head]).to(device)
            * of[labels[:, head].clamp(min=0)]
            * (labels[:, head] >= 0)
            for head, of in enumerate(self._class_weight)
        ]
        every = [row for rows in micros for row in rows]
        totals = [of[every].sum().clamp(min=_TINY) for of in weights]
        self._optimizer.zero_grad(set_to_none=True)

        def backward(rows: list[int]) -> float:
            with self._accelerator.autocast():
                logits = self._model(**inputs(part.texts, rows, self._pad, device)).logits.float()
            loss = logits.new_zeros(())
            for head, (span, of, total) in enumerate(zip(self._spans, weights, totals, strict=True)):
                each = torch.nn.functional.cross_entropy(
                    logits[:, span], labels[rows, head], reduction="none", ignore_index=-1
                )
                loss = loss + (each * of[rows]).sum() / total
            self._accelerator.backward(loss)
            return float(loss.detach())

        loss = 0.0
        devices = [device] if device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            for index, rows in enumerate(micros):
                torch.manual_seed(stable_seed(self._settings.seed, "dropout", step, index))
                for _, part_loss in halving(rows, backward, torch, self._note_memory):
                    loss += part_loss
        if not np.isfinite(loss):
            raise JobError(
                f"The loss of step {step + 1} is no number.",
                "Use a smaller --learning-rate; the last checkpoint holds what was learnt before.",
            )
        self._accelerator.clip_grad_norm_(list(self._trained.values()), self._settings.clip)
        self._optimizer.step()
        return loss

    def _note_memory(self, rows: int) -> None:
        self._watch.note("memory", f"a batch of {rows} rows did not fit into the device's memory and went in halves")

    def tell(self, step: int, steps: int, loss: float, lr: float, rows: int, epoch: int) -> Stopped | None:
        """What was raised to stop here; a worker that was replaced stops at once and writes nothing."""
        try:
            self._watch.step(step, steps, loss, lr, rows, epoch)
        except Stopped as stopped:
            if stopped.reason is StopReason.FENCED:
                raise
            return stopped
        return None

    def measure(self, part: Part, epoch: int, step: int) -> Measured:
        logits = predict(
            self._model, part.texts, 4 * self._settings.batch_tokens, accelerator=self._accelerator, pad=self._pad
        )
        found = measured_of(logits, part.labels, self._spans, epoch, step)
        self._watch.measured(found)
        return found

    def save(self, folder: Path, progress: _Progress, fingerprint: str) -> None:
        model = {name: p.detach().cpu().contiguous() for name, p in self._trained.items()}
        optimizer = {
            f"{name}:{key}": self._torch.as_tensor(value).detach().cpu().contiguous()
            for name, parameter in self._trained.items()
            for key, value in self._optimizer.state.get(parameter, {}).items()
        }
        state = {**progress.as_json(), "fingerprint": fingerprint}
        save(folder, Checkpoint(progress.step, model, optimizer, state), {progress.best_step})
