"""A classifier that is an encoder with a head, trained as a whole or but for frozen blocks: `AutoModelFor…`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.data import Examples, Text
from refusal_tui.classify.encode import Encoder
from refusal_tui.classify.loop import LoopSettings, Part, Trained, Watch, train
from refusal_tui.classify.memory import fitting_tokens
from refusal_tui.classify.model import compute_twice, load_encoder, load_trained, longest_input
from refusal_tui.classify.passes import make_accelerator, predict
from refusal_tui.classify.scorer import BATCH_TOKENS, torch_digest
from refusal_tui.classify.splits import TRAIN, VALIDATION
from refusal_tui.classify.targets import Targets
from refusal_tui.classify.trials import Trial


class EncoderScorer:
    """A Scorer."""

    def __init__(self, model: Any, tokenizer: Any, text: Text, max_tokens: int, accelerator: Any) -> None:
        self.model, self.tokenizer, self.accelerator = model, tokenizer, accelerator
        self.encode = Encoder(tokenizer, text, max_tokens)
        self.batch_tokens = BATCH_TOKENS

    @classmethod
    def read(cls, folder: Path, text: Text, max_tokens: int, device: str) -> EncoderScorer:
        accelerator = make_accelerator(device)
        model, tokenizer = load_trained(str(folder))
        return cls(accelerator.prepare_model(model, evaluation_mode=True), tokenizer, text, max_tokens, accelerator)

    def logits(
        self, prompts: Sequence[str], responses: Sequence[str], check: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        texts = self.encode(prompts, responses)
        if not len(texts):
            return np.zeros((0, self.model.config.num_labels), np.float32)
        return predict(self.model, texts, self.batch_tokens, accelerator=self.accelerator, pad=self.pad, check=check)

    def forward(self, **batch: Any) -> Any:
        """Logits of token ids or of embeddings, as tensors: what an explanation differentiates."""
        return self.model(**batch).logits

    @property
    def encoder(self) -> Any:
        """The part that has the token embeddings."""
        return self.model

    @property
    def pad(self) -> int:
        return int(self.tokenizer.pad_token_id)

    def write(self, folder: Path) -> None:
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @property
    def version(self) -> str:
        return torch_digest(self.model)


@dataclass(frozen=True, slots=True)
class FineTuning:
    """What a run sets beside the loop. `names`: of all classes of all heads. `pass_tokens` 0: as many as fit."""

    encoder: str
    names: tuple[str, ...]
    text: Text
    max_tokens: int
    freeze: int
    gradient_checkpointing: bool
    weighing: str
    fingerprint: str
    seed: int
    pass_tokens: int = 0


class FineTuningLearner:
    """A Learner. Texts become token ids once; each trial starts from the pretrained weights."""

    def __init__(
        self, examples: Examples, targets: Targets, settings: FineTuning, loop: LoopSettings, accelerator: Any
    ) -> None:
        self._settings, self._targets, self._accelerator = settings, targets, accelerator
        self._fresh: tuple[int, Any] | None = None
        model, self._tokenizer = self._load(settings.seed)
        self.max_tokens = min(settings.max_tokens, longest_input(model, self._tokenizer))
        encode = Encoder(self._tokenizer, settings.text, self.max_tokens)
        rows = examples.examples
        self._texts = encode([e.prompt for e in rows], [e.response for e in rows])
        self.cut = self._texts.cut
        self.pass_tokens = settings.pass_tokens
        if not self.pass_tokens:
            longest = max(self._texts.lengths, default=1)
            self.pass_tokens = fitting_tokens(model.to(accelerator.device), longest, accelerator, self._pad)
        batch_tokens = loop.batch_tokens or self.pass_tokens
        self.loop = replace(loop, batch_tokens=batch_tokens, pass_tokens=self.pass_tokens)
        self._fresh = (settings.seed, model)
        self._model: Any = None
        self._parameters = sum(p.numel() for p in model.parameters())
        self._trained = sum(p.numel() for p in model.parameters() if p.requires_grad)

    def _load(self, seed: int) -> tuple[Any, Any]:
        settings = self._settings
        model, tokenizer = load_encoder(settings.encoder, settings.names, seed=seed, freeze=settings.freeze)
        if settings.gradient_checkpointing:
            compute_twice(model)
        return model, tokenizer

    @property
    def _pad(self) -> int:
        return int(self._tokenizer.pad_token_id)

    def train(self, trial: Trial, folder: Path, watch: Watch, check: Callable[[], None]) -> Trained:
        self._model = None  # one at a time in memory, and accelerate keeps what it has prepared
        self._accelerator.free_memory()
        if self._fresh is not None and self._fresh[0] == trial.seed:
            model = self._fresh[1]
        else:
            model, _ = self._load(trial.seed)
        self._fresh = None
        rows = trial.split.rows(TRAIN)
        trained = train(
            model, self._part(rows), self._part(trial.split.rows(VALIDATION)),
            self._targets.class_weights(rows, self._settings.weighing), replace(self.loop, seed=trial.seed),
            folder / "checkpoints", watch, fingerprint=f"{self._settings.fingerprint}:{trial.name}",
            accelerator=self._accelerator, pad=self._pad,
        )  # fmt: skip
        self._model = model
        return trained

    def _part(self, rows: Sequence[int]) -> Part:
        return Part(self._texts.rows(rows), self._targets.labels[list(rows)], self._targets.weights[list(rows)])

    def logits_of(self, rows: Sequence[int], check: Callable[[], None]) -> NDArray[np.float32]:
        return predict(
            self._model, self._texts.rows(rows), 4 * self.pass_tokens, accelerator=self._accelerator, pad=self._pad,
            check=check,
        )  # fmt: skip

    @property
    def device(self) -> str:
        return str(self._accelerator.device)

    @property
    def torch_device(self) -> Any:
        return self._accelerator.device

    @property
    def facts(self) -> Mapping[str, Any]:
        """`trained`: numbers that learn; `pass_tokens`: what goes through at a time (`batch_tokens`: a step's)."""
        return {
            "trained": self._trained, "parameters": self._parameters, "pass_tokens": self.pass_tokens,
            "batch_tokens": self.loop.batch_tokens, "processes": self._accelerator.num_processes,
        }  # fmt: skip

    @property
    def scorer(self) -> EncoderScorer:
        scorer = EncoderScorer(self._model, self._tokenizer, self._settings.text, self.max_tokens, self._accelerator)
        scorer.batch_tokens = 4 * self.pass_tokens
        return scorer
