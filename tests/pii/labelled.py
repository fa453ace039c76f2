"""The labelled set of tests/fixtures/pii, and how well a finder does on it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from refusal_tui.pii.spans import PiiSpan, PiiType

LABELLED = Path(__file__).resolve().parents[1] / "fixtures" / "pii" / "labelled.txt"


class LabelledText(NamedTuple):
    text: str
    spans: tuple[tuple[int, int, PiiType], ...]


class Score(NamedTuple):
    """A found span is right when it has the type of a labelled one and overlaps it by more than half of both."""

    right: int
    found: int
    labelled: int

    @property
    def precision(self) -> float:
        return self.right / self.found

    @property
    def recall(self) -> float:
        return self.right / self.labelled


def labelled_texts() -> list[LabelledText]:
    return [_read(line) for line in LABELLED.read_text(encoding="utf-8").splitlines()]


def _read(line: str) -> LabelledText:
    line = line.replace("\\n", "\n").replace("¦", "")
    parts, spans, position = [], [], 0
    for piece in re.split(r"(\{\{[A-Z_]+:.*?\}\})", line):
        marked = re.fullmatch(r"\{\{([A-Z_]+):(.*)\}\}", piece, re.DOTALL)
        value = piece if marked is None else marked[2]
        if marked is not None:
            spans.append((position, position + len(value), PiiType(marked[1])))
        parts.append(value)
        position += len(value)
    return LabelledText("".join(parts), tuple(spans))


def score(find: Callable[[str], Sequence[PiiSpan]]) -> dict[str, Score]:
    """By type, and "all"."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for text, spans in labelled_texts():
        found = find(text)
        for span in found:
            right = any(span.type is kind and _overlap(span, start, end) for start, end, kind in spans)
            for name in (span.type.value, "all"):
                counts[name][0] += right
                counts[name][1] += 1
        for _, _, kind in spans:
            for name in (kind.value, "all"):
                counts[name][2] += 1
    return {name: Score(*numbers) for name, numbers in counts.items()}


def _overlap(span: PiiSpan, start: int, end: int) -> bool:
    shared = min(span.end, end) - max(span.start, start)
    return shared > 0.5 * max(span.end - span.start, end - start)
