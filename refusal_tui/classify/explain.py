"""Why does a classifier say so? Shares of a row's tokens or sentences in the score of a class.

The score is the class's logit minus the mean logit of the head's other classes (of two classes: the log-odds).
Methods:

- `shapley`: exact, for linear classifiers (`judge/attribution.py`): base + shares + features + absent = score
- `gradients`: integrated gradients along the way from a row of padding (Sundararajan et al. 2017); `residual` says how
  far the shares miss the score minus the base
- `occlusion`: how much the score falls without a sentence, for any classifier
- `attention`: attention rollout (Abnar and Zuidema 2020): where information flows, which is no explanation of the score
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.classifier import Classifier
from refusal_tui.classify.data import Text
from refusal_tui.classify.files import EXPLANATIONS
from refusal_tui.classify.frozen import Frozen
from refusal_tui.classify.linear import LinearScorer
from refusal_tui.classify.scorer import Scorer
from refusal_tui.errors import InputError
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.jobs.judging import linear_shares

Method = Literal["auto", "shapley", "gradients", "occlusion", "attention"]
_SENTENCE = re.compile(r".+?(?:[.!?。！？][\"')\]*_]*(?=\s|$)|\n|$)", re.DOTALL)
MOST_SENTENCES = 40  # of a text; those behind are one piece


class Piece(NamedTuple):
    """How much the characters [start, end) of the raw `prompt` or `response` speak for the class; negative: against."""

    field: str
    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """`target`: the class that is explained. `base`: the score of what a row is compared with. `residual`: what the
    shares miss. `features`: shares of named findings and lengths, of linear classifiers."""

    method: str
    head: str
    target: str
    score: float
    base: float
    residual: float
    pieces: Sequence[Piece]
    features: Mapping[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "pieces": [piece._asdict() for piece in self.pieces]}


def explain(
    classifier: Classifier, prompt: str, response: str, *, head: str = "", target: str = "", method: Method = "auto"
) -> Explanation:
    """Of one row. `target` "": the class that the classifier says. `auto`: exact for a linear one, else by sentences.

    Raises InputError for a head, class or method that the classifier has not.
    """
    settings = classifier.settings
    number = settings.number(head)
    known, span = settings.heads[number], settings.span(number)
    logits = classifier.scorer.logits([prompt], [response])[0]
    if target and target not in known.classes:
        raise InputError(f"{target!r} is no class of {settings.name}.", f"Its classes: {', '.join(known.classes)}.")
    place = known.classes.index(target) if target else int(logits[span].argmax())
    margin = margin_of(len(logits), span, place)
    found = shares_of(classifier.scorer, prompt, response, settings.text, margin, method)
    return Explanation(found.method, known.head, known.classes[place], *found[1:])


class Shares(NamedTuple):
    """An Explanation without its names."""

    method: str
    score: float
    base: float
    residual: float
    pieces: Sequence[Piece]
    features: Mapping[str, float]


def margin_of(outputs: int, span: slice, place: int) -> NDArray[np.float64]:
    """What the logits are multiplied with for the score of a class, shape (outputs,)."""
    margin = np.zeros(outputs)
    size = span.stop - span.start
    margin[span] = -1 / (size - 1)
    margin[span.start + place] = 1
    return margin


def shares_of(
    scorer: Scorer, prompt: str, response: str, text: Text, margin: NDArray[np.float64], method: Method
) -> Shares:
    linear = isinstance(scorer, LinearScorer)
    if method == "auto":
        method = "shapley" if linear else "occlusion"
    if method == "occlusion":
        return _occluded(scorer, prompt, response, text, margin)
    if linear != (method == "shapley"):
        raise InputError(
            f"{method} is not for {'linear classifiers' if linear else 'classifiers with an encoder'}.",
            f"Choose {'shapley' if linear else 'gradients, attention'} or occlusion.",
        )
    if isinstance(scorer, LinearScorer):
        return _shapley(scorer, prompt, response, margin)
    from refusal_tui.classify.gradients import attention_rollout, integrated_gradients

    work: Callable[..., Shares] = integrated_gradients if method == "gradients" else attention_rollout
    return work(scorer, prompt, response, margin)


def _shapley(scorer: LinearScorer, prompt: str, response: str, margin: NDArray[np.float64]) -> Shares:
    score = base = float(scorer.bias @ margin)
    pieces: list[Piece] = []
    features: dict[str, float] = {}
    for name, side in scorer.sides.items():
        pair = (prompt, response) if name == "response" else ("", prompt)
        ngrams, dense = (margin @ part for part in (side.ngrams, side.dense))
        found = linear_shares(*pair, ngrams, dense, 0.0, side.mean_ngrams, side.mean_dense)
        score, base = score + found.score, base + found.base
        pieces += [Piece(name, token.start, token.end, token.share) for token in found.tokens]
        features |= {f"{name}: {one}": share for one, share in found.features.items()}
        features[f"{name}: n-grams that are not there"] = found.absent
    missed = score - base - sum(piece.share for piece in pieces) - sum(features.values())
    return Shares("shapley", score, base, missed, tuple(pieces), features)


def _occluded(scorer: Scorer, prompt: str, response: str, text: Text, margin: NDArray[np.float64]) -> Shares:
    """Pieces do not add up: two sentences that say the same can each be missed without harm. The base is the score of
    the row without any text of what is read."""
    places = [
        (name, start, end)
        for name, whole in (("prompt", prompt), ("response", response))
        if text in ("pair", name)
        for start, end in _sentences(whole)
    ]
    rows = [(prompt, response), ("", "")]
    for name, start, end in places:
        if name == "prompt":
            rows.append((prompt[:start] + prompt[end:], response))
        else:
            rows.append((prompt, response[:start] + response[end:]))
    prompts, responses = zip(*rows, strict=True)
    scores = scorer.logits(prompts, responses).astype(np.float64) @ margin
    score, base = float(scores[0]), float(scores[1])
    pieces = tuple(Piece(*place, score - float(without)) for place, without in zip(places, scores[2:], strict=True))
    return Shares("occlusion", score, base, score - base - sum(piece.share for piece in pieces), pieces, {})


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of every sentence, without the space around it."""
    for number, match in enumerate(_SENTENCE.finditer(text)):
        start, end = match.span()
        if number == MOST_SENTENCES - 1:
            end = len(text)
        piece = text[start:end]
        if piece.strip():
            yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
        if end == len(text):
            return


def explain_mistakes(
    context: ComputeContext, found: Frozen, scorer: Scorer, mistakes: Sequence[Mapping[str, Any]], text: Text
) -> None:
    """Write why the kept model says what it says of its surest mistakes, one line each, into `explanations.jsonl`.

    Exact for linear classifiers; by sentences on a CPU, and on a GPU integrated gradients.
    """
    path = context.folder / EXPLANATIONS
    if path.exists():
        return
    on_gpu = getattr(getattr(getattr(scorer, "accelerator", None), "device", None), "type", "cpu") == "cuda"
    head = found.examples.heads[0]
    outputs = sum(len(one.classes) for one in found.examples.heads)
    of_item = {example.item_id: example for example in found.examples.examples}
    lines = []
    for number, mistake in enumerate(mistakes):
        context.report(number, len(mistakes), "explaining the surest mistakes")
        example = of_item[mistake["item_id"]]
        margin = margin_of(outputs, slice(0, len(head.classes)), head.classes.index(mistake["said"]))
        shares = shares_of(scorer, example.prompt, example.response, text, margin, "gradients" if on_gpu else "auto")
        one = Explanation(shares.method, head.head, mistake["said"], *shares[1:])
        lines.append(json.dumps({"item_id": example.item_id, **one.as_json()}))
    write_atomically(path, "".join(f"{line}\n" for line in lines).encode())
