"""What can learn a run's labels, and which one does? An encoder that is fine-tuned, one that is only read, or none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.loop import LoopSettings, Trained, Watch
from refusal_tui.classify.scorer import Scorer
from refusal_tui.classify.targets import targets_of
from refusal_tui.classify.trials import Trial

if TYPE_CHECKING:
    from refusal_tui.classify.frozen import Frozen
    from refusal_tui.classify.spec import TrainClassifierSpec
    from refusal_tui.jobs.compute import ComputeContext

QUICK_EPOCHS, QUICK_TOKENS = 1, 64
QUICK_BATCH_TOKENS = 512  # a sample has few rows; in larger batches it would have next to no steps


class Learner(Protocol):
    """Trains one model after the other; `logits_of` and `scorer` are of the last one."""

    max_tokens: int
    cut: int  # rows that are longer

    def train(self, trial: Trial, folder: Path, watch: Watch, check: Callable[[], None]) -> Trained:
        """From what `folder` holds of an earlier start, or from the beginning. Raises Stopped when asked to stop."""

    def logits_of(self, rows: Sequence[int], check: Callable[[], None]) -> NDArray[np.float32]:
        """Of examples, by their numbers."""

    @property
    def scorer(self) -> Scorer: ...

    @property
    def device(self) -> str: ...

    @property
    def torch_device(self) -> Any:
        """None where there is no torch."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the run has found out about itself, such as how many tokens go through at a time."""


def make_learner(context: ComputeContext, spec: TrainClassifierSpec, found: Frozen, fingerprint: str) -> Learner:
    """Raises UnavailableError where libraries or the encoder are missing."""
    examples, targets = found.examples, targets_of(found.examples)
    if spec.kind == "linear":
        from refusal_tui.classify.linear import LinearLearner

        return LinearLearner(examples, targets, spec.text, spec.class_weights)
    from refusal_tui.classify.model import libraries
    from refusal_tui.classify.passes import make_accelerator

    torch, _ = libraries()
    torch.set_num_threads(found.threads)
    accelerator = make_accelerator(spec.device, spec.precision)
    max_tokens = min(spec.max_tokens, QUICK_TOKENS) if spec.quick else spec.max_tokens
    if spec.kind == "embeddings":
        from refusal_tui.classify.embedded import EmbeddingLearner

        return EmbeddingLearner(
            examples, targets, spec.encoder, spec.text, max_tokens, spec.class_weights, accelerator, context.folder,
            fingerprint, context.check,
        )  # fmt: skip
    from refusal_tui.classify.fine_tuned import FineTuning, FineTuningLearner
    from refusal_tui.classify.model import ALL_BUT_TWO

    one = len(examples.heads) == 1
    names = tuple(name if one else f"{head.head}:{name}" for head in examples.heads for name in head.classes)
    freeze = ALL_BUT_TWO if spec.quick and not spec.freeze else spec.freeze
    settings = FineTuning(
        spec.encoder, names, spec.text, max_tokens, freeze, spec.gradient_checkpointing, spec.class_weights,
        fingerprint, spec.seed, _known_pass_tokens(context.folder),
    )  # fmt: skip
    return FineTuningLearner(examples, targets, settings, _loop_settings(spec), accelerator)


def _known_pass_tokens(folder: Path) -> int:
    """As at the first start: another number would be another order of sums. 0: not known yet."""
    from refusal_tui.classify.report import read_run

    return int(read_run(folder).facts.get("pass_tokens", 0))


def _loop_settings(spec: TrainClassifierSpec) -> LoopSettings:
    epochs, batch_tokens = spec.epochs, spec.batch_tokens
    if spec.quick:
        epochs, batch_tokens = min(epochs, QUICK_EPOCHS), min(batch_tokens or QUICK_BATCH_TOKENS, QUICK_BATCH_TOKENS)
    return LoopSettings(
        seed=spec.seed, epochs=epochs, learning_rate=spec.learning_rate, weight_decay=spec.weight_decay,
        warmup=spec.warmup, schedule=spec.schedule, batch_tokens=batch_tokens, accumulate=spec.accumulate,
        patience=spec.patience, save_every=spec.save_every,
    )  # fmt: skip
