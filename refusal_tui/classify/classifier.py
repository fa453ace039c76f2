"""What does a trained classifier say of texts? One importable class, in batches, for judges, scores and servers.

`classifier.json` beside the weights says what they are (an ordinary Hugging Face classifier, an encoder with a linear
head, or a linear model that needs no torch), what a text must look like, and each head's classes and temperature.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.data import Text
from refusal_tui.classify.predictions import probabilities
from refusal_tui.classify.scorer import Kind, Scorer
from refusal_tui.errors import InputError

SETTINGS = "classifier.json"


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """`temperature` divides the logits of the head's classes."""

    head: str
    classes: tuple[str, ...]
    temperature: float


@dataclass(frozen=True, slots=True)
class ClassifierSettings:
    """What the weights alone do not say. `version`: the first 12 digits of the weights' sha256. The outputs are the
    heads' classes one after the other."""

    name: str
    kind: Kind
    heads: tuple[HeadSettings, ...]
    text: Text
    max_tokens: int
    version: str

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=2) + "\n"

    @property
    def names(self) -> tuple[str, ...]:
        """Of all outputs: the classes, with their head before them where there are two."""
        if len(self.heads) == 1:
            return self.heads[0].classes
        return tuple(f"{head.head}:{name}" for head in self.heads for name in head.classes)

    def span(self, head: int) -> slice:
        """Where the classes of a head stand among the outputs."""
        start = sum(len(one.classes) for one in self.heads[:head])
        return slice(start, start + len(self.heads[head].classes))

    def number(self, head: str) -> int:
        """The place of a head ("" for the first one). Raises InputError for one that was not learnt."""
        names = [one.head for one in self.heads]
        if head and head not in names:
            raise InputError(f"{self.name} was not trained on {head}.", f"Its heads: {', '.join(names)}.")
        return names.index(head) if head else 0


class Classifier:
    """A trained classifier on one device.

    >>> Classifier.load("artifacts/job-7/classifier").probabilities(["Hi"], ["Hello!"])  # doctest: +SKIP
    array([[0.97, 0.02, 0.01]])
    """

    def __init__(self, scorer: Scorer, settings: ClassifierSettings) -> None:
        self.scorer = scorer
        self.settings = settings

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto") -> Classifier:
        """From a folder that `train-classifier` has written. Raises InputError for another one."""
        settings = read_settings(Path(folder))
        scorer = _scorer(Path(folder), settings, device)
        outputs = scorer.logits([""], [""]).shape[1]
        if outputs != len(settings.names):
            raise InputError(
                f"The weights in {folder} have {outputs} classes, {SETTINGS} names {len(settings.names)}.",
                "Use the folder as it was written.",
            )
        return cls(scorer, settings)

    def probabilities(self, prompts: Sequence[str], responses: Sequence[str], head: int = 0) -> NDArray[np.float64]:
        """Calibrated, of the classes of one head in their order, shape (rows, classes)."""
        return self.all_probabilities(prompts, responses)[head]

    def all_probabilities(self, prompts: Sequence[str], responses: Sequence[str]) -> list[NDArray[np.float64]]:
        """Of every head, in one pass."""
        logits = self.scorer.logits(prompts, responses)
        return [
            probabilities(logits[:, self.settings.span(number)] / head.temperature)
            for number, head in enumerate(self.settings.heads)
        ]

    def labels(self, prompts: Sequence[str], responses: Sequence[str]) -> list[tuple[str, float]]:
        """(class, its probability) of every row, of the first head."""
        classes = self.settings.heads[0].classes
        return [(classes[row.argmax()], float(row.max())) for row in self.probabilities(prompts, responses)]


def _scorer(folder: Path, settings: ClassifierSettings, device: str) -> Scorer:
    if settings.kind == "linear":
        from refusal_tui.classify.linear import LinearScorer

        return LinearScorer.read(folder)
    if settings.kind == "embeddings":
        from refusal_tui.classify.embedded import EmbeddingScorer

        return EmbeddingScorer.read(folder, settings.text, settings.max_tokens, device)
    from refusal_tui.classify.fine_tuned import EncoderScorer

    return EncoderScorer.read(folder, settings.text, settings.max_tokens, device)


def read_settings(folder: Path) -> ClassifierSettings:
    """Raises InputError where `folder` holds no classifier of ours."""
    try:
        data = json.loads((folder / SETTINGS).read_bytes())
        heads = tuple(HeadSettings(**{**head, "classes": tuple(head["classes"])}) for head in data["heads"])
        return ClassifierSettings(**{**data, "heads": heads})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder} holds no classifier ({SETTINGS} is missing or cannot be read).",
            "Train one with: refusal-tui run train-classifier",
        ) from error
