"""How is an adapter trained? A loop of our own, with exact resume and a constraint on every step.

Batches, learning rate and dropout are functions of seed and step; a checkpoint holds the factors, the optimiser's
state and the step. After kill -9 at any moment the loss curve goes on bit for bit on a CPU with as many threads. The
reference document (section 3) lists what this loop does not do: drop the last batch, cut the answer, learn in float16.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from refusal_tui.errors import JobError
from refusal_tui.finetune.arms import Arm, Constraint, Invariants
from refusal_tui.finetune.encode import NOT_LEARNT, Example, batch_of, rows_of_step
from refusal_tui.finetune.factors import Factors
from refusal_tui.finetune.projection import without_conflict
from refusal_tui.jobs.checkpoints import Checkpoint, newest, save
from refusal_tui.jobs.compute import Stopped
from refusal_tui.jobs.schedule import Schedule, rate, stable_seed
from refusal_tui.jobs.stop import StopReason

if TYPE_CHECKING:
    from torch import Tensor

_BETAS, _EPS = (0.9, 0.999), 1e-8
_STATE = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """`batch_size`: rows per step, which go through the model in `parts`. `warmup`: share of the steps."""

    seed: int
    steps: int
    learning_rate: float
    batch_size: int
    parts: int = 1
    weight_decay: float = 0.01
    warmup: float = 0.05
    schedule: Schedule = "linear"
    clip: float = 1.0
    save_every: int = 50


@dataclass(frozen=True, slots=True)
class Step:
    """What is told of a step. `conflict`: the cosine of the task's gradient and that of refusing, where it is known;
    `halved`: matrices whose step was halved because it could not be corrected."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    conflict: float | None
    halved: int
    invariants: Invariants | None


class Diverged(JobError):
    """The loss or a weight is no number any more."""

    def __init__(self, step: int) -> None:
        self.step = step
        super().__init__(
            f"The loss of step {step} is no number: training has diverged.",
            "Use a smaller --learning-rate; the last checkpoint holds what was learnt before.",
        )


class Watch(Protocol):
    """Who is told how training goes; `step` may raise Stopped."""

    def step(self, step: Step) -> None: ...

    def note(self, code: str, text: str) -> None: ...

    def flush(self) -> None:
        """Make durable what was told: a checkpoint follows, and what lies before it is not told again."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """The model with its adapter, and what it learns: `rows` of the task, `guard` refusals for gradient surgery, of
    which `guard_size` go beside each step and `guard_weight` of their gradient is added."""

    model: Any
    factors: Factors
    pad: int
    rows: Sequence[Example]
    guard: Sequence[Example] = ()
    guard_size: int = 0
    guard_weight: float = 0.0


def train(
    tuned: Tuned,
    constraint: Constraint | None,
    settings: LoopSettings,
    folder: Path,
    watch: Watch,
    *,
    fingerprint: str,
    stops: Collection[int] = (),
    at_stop: Callable[[int], None] = lambda step: None,
) -> None:
    """Train the factors from the newest checkpoint in `folder`, or from their beginning, to the last step.

    `at_stop` is called after a checkpoint at each of the steps `stops`, also when a resumed run finds itself at one;
    those checkpoints stay. `fingerprint` says what is trained on what. Raises Stopped after a checkpoint when the watch
    does, Diverged for a loss that is no number (the last checkpoint stays), JobError for checkpoints of another run.
    """
    run = _Run(tuned, constraint, settings)
    begin = run.resume(folder, fingerprint, watch)
    if begin in stops:
        at_stop(begin)
    for number in range(begin, settings.steps):
        told = run.step(number)
        stopped = _tell(watch, told)
        done = number + 1
        if stopped or done in stops or done == settings.steps or done % settings.save_every == 0:
            watch.flush()
            run.save(folder, done, fingerprint, {step for step in stops if step <= done})
        if stopped:
            raise stopped
        if done in stops:
            at_stop(done)


def _tell(watch: Watch, told: Step) -> Stopped | None:
    """What was raised to stop here; a worker that was replaced stops at once and writes nothing."""
    try:
        watch.step(told)
    except Stopped as stopped:
        if stopped.reason is StopReason.FENCED:
            raise
        return stopped
    return None


def mean_loss(tuned: Tuned, rows: Sequence[Example], size: int) -> float:
    """Cross-entropy per token of the answers, in nats; nothing is learnt."""
    import torch

    tuned.model.eval()
    total, tokens = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            total += float(_summed(tuned, part))
            tokens += sum(len(e.answer) for e in part)
    return total / max(tokens, 1)


def _summed(tuned: Tuned, rows: Sequence[Example]) -> Tensor:
    """The sum of the cross-entropy over the answers' tokens."""
    import torch

    batch = batch_of(rows, tuned.pad, next(iter(tuned.factors.parameters())).device)
    labels = batch.pop("labels")[:, 1:]
    logits = tuned.model(**batch, use_cache=False).logits[:, :-1]
    learnt = labels != NOT_LEARNT
    found: Tensor = torch.nn.functional.cross_entropy(logits[learnt].float(), labels[learnt], reduction="sum")
    return found


class _Run:
    """The factors with their optimiser."""

    def __init__(self, tuned: Tuned, constraint: Constraint | None, settings: LoopSettings) -> None:
        import torch

        self._tuned, self._constraint, self._settings = tuned, constraint, settings
        tuned.factors.start(settings.seed)
        self._optimizer = torch.optim.AdamW(
            tuned.factors.parameters(), lr=settings.learning_rate, betas=_BETAS, eps=_EPS,
            weight_decay=settings.weight_decay,
        )  # fmt: skip

    def step(self, number: int) -> Step:
        import torch

        settings, factors = self._settings, self._tuned.factors
        lr = rate(number, settings.steps, settings.learning_rate, settings.warmup, settings.schedule)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._tuned.model.train()
        conflict, guard = None, None
        if self._constraint is not None and self._constraint.arm is Arm.SURGERY:
            self._backward(number, self._tuned.guard, self._tuned.guard_size, "guard")
            guard = [p.grad.clone() for p in factors.parameters()]
        loss = self._backward(number, self._tuned.rows, settings.batch_size, "task")
        if loss != loss or loss in (float("inf"), float("-inf")):
            raise Diverged(number + 1)
        if guard is not None:
            freed, conflict = without_conflict([p.grad for p in factors.parameters()], guard)
            for parameter, gradient, own in zip(factors.parameters(), freed, guard, strict=True):
                parameter.grad.copy_(gradient).add_(own, alpha=self._tuned.guard_weight)
        halved, found = 0, None
        with torch.no_grad():
            if self._constraint is not None:
                self._constraint.before(factors)
        torch.nn.utils.clip_grad_norm_(factors.parameters(), settings.clip)
        with torch.no_grad():
            old = [(stack.up.double(), stack.down.double()) for stack in factors.stacks] if self._constraint else []
            self._optimizer.step()
            if self._constraint is not None:
                halved = self._constraint.after(factors, old, self._preconditioner)
                found = self._constraint.measure(factors, old)
            if not all(bool(torch.isfinite(p.sum())) for p in factors.parameters()):
                raise Diverged(number + 1)
        return Step(number + 1, settings.steps, loss, lr, conflict, halved, found)

    def _preconditioner(self, parameter: Tensor) -> Tensor:
        """What AdamW multiplies its momentum with: 1 / (sqrt(v) + eps), v without its bias to the start."""
        state = self._optimizer.state[parameter]
        v = state["exp_avg_sq"].double() / (1 - _BETAS[1] ** float(state["step"]))
        return 1 / (v.sqrt() + _EPS)

    def _backward(self, number: int, rows: Sequence[Example], size: int, what: str) -> float:
        """The gradient of the mean loss over the answers' tokens of the step's rows; the loss."""
        import torch

        settings, factors = self._settings, self._tuned.factors
        for parameter in factors.parameters():
            parameter.grad.zero_()
        chosen = [rows[i] for i in rows_of_step(settings.seed, number, len(rows), size)]
        tokens = sum(len(e.answer) for e in chosen)
        each = -(-size // settings.parts)
        device = factors.parameters()[0].device
        loss = 0.0
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            for start in range(0, size, each):
                torch.manual_seed(stable_seed(settings.seed, "dropout", what, number, start))
                part = _summed(self._tuned, chosen[start : start + each]) / tokens
                part.backward()
                loss += float(part.detach())
        return loss

    def resume(self, folder: Path, fingerprint: str, watch: Watch) -> int:
        """The steps that are done already."""
        import torch

        found, damaged = newest(folder)
        if damaged:
            gone_on = "the beginning" if found is None else f"step {found.step}"
            watch.note("damaged_checkpoint", f"{', '.join(damaged)} cannot be used; training goes on from {gone_on}")
        if found is None:
            return 0
        if found.state["fingerprint"] != fingerprint:
            raise JobError(
                "The checkpoints here are of another run: its settings, rows, directions or model are not the same.",
                "Start a new run instead of resuming this one.",
            )
        with torch.no_grad():
            self._tuned.factors.put(found.model)
        for name, parameter in self._named():
            own = {key: found.optimizer[f"{name}:{key}"] for key in _STATE if f"{name}:{key}" in found.optimizer}
            if own:
                self._optimizer.state[parameter] = {
                    key: tensor.clone() if key == "step" else tensor.to(parameter.device).clone()
                    for key, tensor in own.items()
                }
        return found.step

    def save(self, folder: Path, step: int, fingerprint: str, keep: Collection[int]) -> None:
        model = {name: tensor.cpu().clone() for name, tensor in self._tuned.factors.tensors().items()}
        optimizer = {
            f"{name}:{key}": self._optimizer.state[parameter][key].detach().cpu().clone()
            for name, parameter in self._named()
            for key in _STATE
            if key in self._optimizer.state.get(parameter, {})
        }
        save(folder, Checkpoint(step, model, optimizer, {"fingerprint": fingerprint}), keep)

    def _named(self) -> list[tuple[str, Any]]:
        return list(zip(self._tuned.factors.tensors(), self._order(), strict=True))

    def _order(self) -> list[Any]:
        stacks = self._tuned.factors.stacks
        return [stack.up for stack in stacks] + [stack.down for stack in stacks]
