"""What has a trained model to offer, whatever it is made of? Logits of texts, and its files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Kind = Literal["encoder", "embeddings", "linear"]
BATCH_TOKENS = 16_384


class Scorer(Protocol):
    def logits(
        self, prompts: Sequence[str], responses: Sequence[str], check: Callable[[], None] = lambda: None
    ) -> NDArray[np.float32]:
        """Of every class of every head, shape (rows, all classes); `check` is called between batches and may raise."""

    def write(self, folder: Path) -> None:
        """Weights and what reads them, into a folder that is there."""

    @property
    def version(self) -> str:
        """The first 12 digits of the sha256 over all weights."""


def digest_of(tensors: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor).tobytes())
    return digest.hexdigest()[:12]


def torch_digest(model: Any) -> str:
    return digest_of({name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()})
