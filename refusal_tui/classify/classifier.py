"""What does a trained classifier say of texts? One importable class, in batches, for judges, scores and servers.

The folder is an ordinary Hugging Face one (`AutoModelForSequenceClassification.from_pretrained` reads it);
`classifier.json` beside the weights says what a text must look like: which texts, how long, and the temperature.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.data import Text
from refusal_tui.classify.encode import Encoder
from refusal_tui.classify.evaluate import probabilities
from refusal_tui.classify.passes import make_accelerator, predict
from refusal_tui.errors import InputError

SETTINGS = "classifier.json"
BATCH_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """What the weights alone do not say. `version`: the first 12 digits of the weights' sha256."""

    name: str
    head: str
    classes: tuple[str, ...]
    text: Text
    max_tokens: int
    temperature: float
    version: str

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"


class Classifier:
    """A trained classifier on one device.

    >>> Classifier.load("artifacts/job-7/classifier").probabilities(["Hi"], ["Hello!"])  # doctest: +SKIP
    array([[0.97, 0.02, 0.01]])
    """

    def __init__(self, model: Any, tokenizer: Any, settings: ClassifierSettings, *, device: str = "auto") -> None:
        self.settings = settings
        self._accelerator = make_accelerator(device)
        self._model = self._accelerator.prepare_model(model, evaluation_mode=True)
        self._encode = Encoder(tokenizer, settings.text, settings.max_tokens)
        self._pad = tokenizer.pad_token_id

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto") -> Classifier:
        """From a folder that `train-classifier` has written. Raises InputError for another one."""
        from refusal_tui.classify.model import load_trained

        settings = read_settings(Path(folder))
        model, tokenizer = load_trained(str(folder))
        if model.config.num_labels != len(settings.classes):
            raise InputError(
                f"The weights in {folder} have {model.config.num_labels} classes, {SETTINGS} names "
                f"{len(settings.classes)}.",
                "Use the folder as it was written.",
            )
        return cls(model, tokenizer, settings, device=device)

    def probabilities(
        self, prompts: Sequence[str], responses: Sequence[str], batch_tokens: int = BATCH_TOKENS
    ) -> NDArray[np.float64]:
        """Calibrated probabilities in the order of `settings.classes`, shape (rows, classes)."""
        texts = self._encode(prompts, responses)
        if not len(texts):
            return np.zeros((0, len(self.settings.classes)))
        logits = predict(self._model, texts, batch_tokens, accelerator=self._accelerator, pad=self._pad)
        return probabilities(logits / self.settings.temperature)

    def labels(self, prompts: Sequence[str], responses: Sequence[str]) -> list[tuple[str, float]]:
        """(class, its probability) of every row."""
        shares = self.probabilities(prompts, responses)
        return [(self.settings.classes[row.argmax()], float(row.max())) for row in shares]


def read_settings(folder: Path) -> ClassifierSettings:
    """Raises InputError where `folder` holds no classifier of ours."""
    try:
        data = json.loads((folder / SETTINGS).read_bytes())
        return ClassifierSettings(**{**data, "classes": tuple(data["classes"])})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} holds no classifier ({SETTINGS} is missing or cannot be read).",
            "Train one with: refusal-tui run train-classifier",
        ) from error
