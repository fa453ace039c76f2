"""A classifier of which only the head is trained: the encoder reads every row once, a regression learns on its means.

The means of the last states are kept in the run's folder, so that folds and repeats cost seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.data import Examples, Text
from refusal_tui.classify.encode import Encoder
from refusal_tui.classify.logistic import Affine, Fit, fit
from refusal_tui.classify.loop import Trained, Watch
from refusal_tui.classify.model import load_embedder, longest_input
from refusal_tui.classify.passes import make_accelerator, predict
from refusal_tui.classify.scorer import BATCH_TOKENS, torch_digest
from refusal_tui.classify.splits import TRAIN, VALIDATION
from refusal_tui.classify.targets import Targets
from refusal_tui.classify.trials import Trial
from refusal_tui.errors import InputError, JobError
from refusal_tui.jobs.compute import write_atomically

HEAD = "head.safetensors"
EMBEDDINGS = "embeddings.npy"


class EmbeddingScorer:
    """A Scorer. `head` is a linear map of the means."""

    def __init__(self, model: Any, tokenizer: Any, head: Affine, text: Text, max_tokens: int, accelerator: Any) -> None:
        self.model, self.tokenizer, self.head, self.accelerator = model, tokenizer, head, accelerator
        self.encode = Encoder(tokenizer, text, max_tokens)

    @classmethod
    def read(cls, folder: Path, text: Text, max_tokens: int, device: str) -> EmbeddingScorer:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            arrays = load_file(folder / HEAD)
            head = Affine(arrays["weights"], arrays["bias"])
        except (OSError, SafetensorError, KeyError) as error:
            raise InputError(
                f"The head in {folder} cannot be read: {error}", "Use the folder as it was written."
            ) from error
        model, tokenizer = load_embedder(str(folder))
        accelerator = make_accelerator(device)
        return cls(model.to(accelerator.device).eval(), tokenizer, head, text, max_tokens, accelerator)

    def logits(
        self, prompts: Sequence[str], responses: Sequence[str], check: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        texts = self.encode(prompts, responses)
        if not len(texts):
            return np.zeros((0, len(self.head.bias)), np.float32)
        means = predict(self.model, texts, BATCH_TOKENS, accelerator=self.accelerator, pad=self.pad, check=check)
        return self.head.logits(means)

    def forward(self, **batch: Any) -> Any:
        """Logits of token ids or of embeddings, as tensors: what an explanation differentiates."""
        import torch

        means = self.model(**batch).logits
        weights, bias = (torch.from_numpy(part).to(means) for part in (self.head.weights, self.head.bias))
        return means @ weights.T + bias

    @property
    def encoder(self) -> Any:
        """The part that has the token embeddings."""
        return self.model.encoder

    @property
    def pad(self) -> int:
        return int(self.tokenizer.pad_token_id)

    def write(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        self.model.encoder.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        save_file({"weights": np.ascontiguousarray(self.head.weights), "bias": self.head.bias}, folder / HEAD)

    @property
    def version(self) -> str:
        own = hashlib.sha256(self.head.weights.tobytes() + self.head.bias.tobytes()).hexdigest()
        return hashlib.sha256(f"{torch_digest(self.model)}{own}".encode()).hexdigest()[:12]


class EmbeddingLearner:
    """A Learner: reads all rows once, then fits a regression per trial on standardised means."""

    def __init__(
        self,
        examples: Examples,
        targets: Targets,
        encoder: str,
        text: Text,
        max_tokens: int,
        weighing: str,
        accelerator: Any,
        folder: Path,
        fingerprint: str,
        check: Callable[[], None],
    ) -> None:
        self._targets, self._text, self._weighing, self._accelerator = targets, text, weighing, accelerator
        model, self._tokenizer = load_embedder(encoder)
        self._model = model.to(accelerator.device).eval()
        self.max_tokens = min(max_tokens, longest_input(model, self._tokenizer))
        encode = Encoder(self._tokenizer, text, self.max_tokens)
        rows = examples.examples
        texts = encode([e.prompt for e in rows], [e.response for e in rows])
        self.cut = texts.cut
        self._means = _kept(folder, fingerprint)
        if self._means is None:
            self._means = predict(
                self._model, texts, BATCH_TOKENS, accelerator=accelerator, pad=int(self._tokenizer.pad_token_id),
                check=check,
            )  # fmt: skip
            _keep(folder, fingerprint, self._means)
        self._head: Affine | None = None

    def train(self, trial: Trial, folder: Path, watch: Watch, check: Callable[[], None]) -> Trained:
        assert self._means is not None
        train, validation = trial.split.rows(TRAIN), trial.split.rows(VALIDATION)
        centre, spread = self._means[train].mean(axis=0), self._means[train].std(axis=0) + 1e-6
        targets = self._targets
        found, trained = fit(
            Fit((self._means[train] - centre) / spread, targets.labels[train], targets.weights[train],
                targets.class_weights(train, self._weighing)),
            (self._means[validation] - centre) / spread, targets.labels[validation], watch, check=check,
        )  # fmt: skip
        weights = np.asarray(found.weights / spread, np.float32)
        self._head = Affine(weights, np.asarray(found.bias - weights @ centre, np.float32))
        return trained

    def logits_of(self, rows: Sequence[int], check: Callable[[], None]) -> NDArray[np.float32]:
        assert self._means is not None
        return self._ready().logits(self._means[list(rows)])

    @property
    def device(self) -> str:
        return str(self._accelerator.device)

    @property
    def torch_device(self) -> Any:
        return self._accelerator.device

    @property
    def facts(self) -> Mapping[str, Any]:
        assert self._means is not None
        return {"features": self._means.shape[1]}

    @property
    def scorer(self) -> EmbeddingScorer:
        return EmbeddingScorer(
            self._model, self._tokenizer, self._ready(), self._text, self.max_tokens, self._accelerator
        )

    def _ready(self) -> Affine:
        if self._head is None:
            raise JobError("Nothing has been trained yet.", "Start the run anew.")
        return self._head


def _kept(folder: Path, fingerprint: str) -> NDArray[np.float32] | None:
    """What an earlier start of this run has read."""
    try:
        if (folder / f"{EMBEDDINGS}.of").read_text() != fingerprint:
            return None
        return np.asarray(np.load(folder / EMBEDDINGS, allow_pickle=False), np.float32)
    except (OSError, ValueError):
        return None


def _keep(folder: Path, fingerprint: str, means: NDArray[np.float32]) -> None:
    from io import BytesIO

    content = BytesIO()
    np.save(content, means, allow_pickle=False)
    write_atomically(folder / EMBEDDINGS, content.getvalue())
    write_atomically(folder / f"{EMBEDDINGS}.of", fingerprint.encode())
