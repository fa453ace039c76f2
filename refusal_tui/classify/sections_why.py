"""Which words and findings made a classifier say what it says of its surest mistakes? From `explanations.jsonl`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from refusal_tui.classify.report import Run
from refusal_tui.text.blocks import Block, Passage, Rows, Words, heaviest

Texts = Mapping[int, Mapping[str, str]]  # row -> its `prompt` and `response`
QUOTED = 10  # of the surest mistakes, with their words
_WHY = {
    "shapley": "exact shares of a linear model (Shapley values): base and shares add up to the score",
    "occlusion": "how far the score falls without a sentence; such shares do not add up",
    "gradients": "integrated gradients from a row of padding, 32 steps",
    "attention": "attention rollout: where information flows, not why the score is what it is",
}


class Share(NamedTuple):
    """What a word or a finding weighs over all explained mistakes."""

    name: str
    rows: int
    mean: float


def why(run: Run, head: str, texts: Texts) -> Iterator[Block]:
    explained = [one for one in run.explanations if one["head"] == head]
    if not explained:
        return
    methods = dict.fromkeys(one["method"] for one in explained)
    yield Words(
        f"{len(explained):,} of the surest mistakes are explained. " + "; ".join(map(_WHY.__getitem__, methods)) + "."
    )
    for title, shares in (("findings that weigh most", weights(explained, {})), ("words", weights(explained, texts))):
        if title == "words":
            shares = [one for one in shares if one.name.startswith("“")]
            title = "words that weigh most"
        yield Rows(f"{title} for what is said", ("", "rows", "mean share"),
                   [(one.name, one.rows, f"{one.mean:+.3f}") for one in shares[:12]])  # fmt: skip
    closed = sum(one["item_id"] not in texts for one in explained)
    if closed:
        yield Words(f"The words of {closed:,} of them are not quoted: their data sets may not be passed on.")
    of_row = {one["item_id"]: one for one in run.metrics[head]["mistakes"]}
    for one in explained[:QUOTED]:
        row, mistake = texts.get(one["item_id"], {}), of_row.get(one["item_id"])
        most = heaviest([*pieces_of(one, "prompt"), *pieces_of(one, "response")])
        for field in ("prompt", "response"):
            pieces = pieces_of(one, field)
            if row.get(field) and pieces and mistake is not None:
                yield Passage(
                    f"row {one['item_id']}, {field}: said {one['target']}, label {mistake['label']}",
                    row[field],
                    pieces,
                    f"confidence {mistake['confidence']:.3f}; score {one['score']:+.3f}, base {one['base']:+.3f}, "
                    f"shares miss {one['residual']:+.3f} ({one['method']})",
                    most,
                )


def pieces_of(explained: Mapping[str, Any], field: str) -> list[tuple[int, int, float]]:
    return [(p["start"], p["end"], p["share"]) for p in explained["pieces"] if p["field"] == field]


def weights(explained: Sequence[Mapping[str, Any]], texts: Texts) -> list[Share]:
    """Mean share of every finding and, where there are texts, of every word (in quotes) that several rows have."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in explained:
        for name, share in one["features"].items():
            found[name].append(share)
        summed: dict[str, float] = defaultdict(float)
        for piece in one["pieces"] if one["method"] in ("shapley", "gradients") else ():
            text = texts.get(one["item_id"], {}).get(piece["field"], "")[piece["start"] : piece["end"]].strip().lower()
            if text:
                summed[f"“{text}”"] += piece["share"]
        for name, share in summed.items():
            found[name].append(share)
    shares = [Share(name, len(of), sum(of) / len(explained)) for name, of in found.items() if any(of)]
    return sorted(shares, key=lambda one: (-abs(one.mean), one.name))
