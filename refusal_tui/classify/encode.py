"""How does a row become token ids? Prompt and response as a pair; of what is too long, its head and its tail.

A refusal stands in the first sentences or in the last one, so the middle of a long response is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from refusal_tui.classify.data import Text
from refusal_tui.errors import InputError

_HEAD = 0.75  # of the tokens of a text that is cut
_PROMPT = 0.25  # of the tokens of a pair that is cut; a shorter prompt leaves more to the response
_CUT = " … "
_MOST_CHARS = 16  # per token allowed: a megabyte of text is cut before it is tokenised


class Place(NamedTuple):
    """Characters [start, end) of a row's raw prompt or response."""

    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids per row, the segment of each where the model tells two texts apart, and how many texts were cut."""

    ids: Sequence[Sequence[int]]
    types: Sequence[Sequence[int]] | None
    cut: int

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.ids]

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, rows: Sequence[int]) -> Encoded:
        """Some of them, in this order; `cut` stays that of all."""
        types = None if self.types is None else [self.types[row] for row in rows]
        return Encoded([self.ids[row] for row in rows], types, self.cut)


class Encoder:
    """A tokenizer with the rules of one classifier: which texts, how long. Raises InputError for a slow tokenizer."""

    def __init__(self, tokenizer: Any, text: Text, max_tokens: int) -> None:
        if not tokenizer.is_fast:
            raise InputError(
                f"The tokenizer {type(tokenizer).__name__} does not say where its tokens stand in a text.",
                "Use an encoder with a fast tokenizer (tokenizer.json).",
            )
        self._tokenizer = tokenizer
        self._text = text
        self._special = tokenizer.num_special_tokens_to_add(pair=text == "pair")
        self.max_tokens = max_tokens

    def __call__(self, prompts: Sequence[str], responses: Sequence[str]) -> Encoded:
        """The rows in their order."""
        if not prompts:
            return Encoded([], None, 0)
        texts, cut = self._fitted(prompts, responses)
        found = self._tokenizer(*texts, truncation=True, max_length=self.max_tokens, padding=False)
        types = found.get("token_type_ids") if self._text == "pair" else None
        return Encoded(found["input_ids"], types, cut)

    def places(self, prompt: str, response: str) -> list[Place | None]:
        """What each token of a row stands for: (`prompt` or `response`, start, end) in the raw text; None for special
        tokens and for the mark of a cut."""
        texts, _ = self._fitted([prompt], [response])
        raw = [("prompt", prompt), ("response", response)]
        fields = raw if self._text == "pair" else [raw[self._text == "response"]]
        found = self._tokenizer(
            *texts, truncation=True, max_length=self.max_tokens, padding=False, return_offsets_mapping=True
        )
        return [
            None if which is None or start == end else _place(fields[which], texts[which][0], start, end)
            for (start, end), which in zip(found["offset_mapping"][0], found.sequence_ids(0), strict=True)
        ]

    def _fitted(self, prompts: Sequence[str], responses: Sequence[str]) -> tuple[tuple[list[str], ...], int]:
        """One list of texts or two, with the middle of long ones left out, and how many rows are cut."""
        room = self.max_tokens - self._special - 4  # the mark of a cut, and words that divide otherwise beside it
        if self._text == "pair":
            firsts, of_prompts = self._fit(prompts, [0] * len(prompts), room, _PROMPT)
            seconds, of_responses = self._fit(responses, self._counts(firsts), room, 1.0)
            texts: tuple[list[str], ...] = (firsts, seconds)
            cut = sum(a or b for a, b in zip(of_prompts, of_responses, strict=True))
        else:
            one, of_one = self._fit(prompts if self._text == "prompt" else responses, [0] * len(prompts), room, 1.0)
            texts, cut = (one,), sum(of_one)
        return texts, cut

    def _counts(self, texts: Sequence[str]) -> list[int]:
        return [len(ids) for ids in self._tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]

    def _fit(self, texts: Sequence[str], taken: Sequence[int], room: int, share: float) -> tuple[list[str], list[bool]]:
        """Each text, its middle left out where it has more tokens than `share` of the room beside `taken` tokens."""
        short = [_ends(text, self.max_tokens * _MOST_CHARS) for text in texts]
        found = self._tokenizer(
            [text for text, _ in short],
            add_special_tokens=False,
            return_offsets_mapping=True,
            verbose=False,
        )
        fitted, cut = [], []
        for (text, already), offsets, before in zip(short, found["offset_mapping"], taken, strict=True):
            limit = max(int((room - before) * share), 2)
            if len(offsets) > limit:
                head = max(int(limit * _HEAD), 1)
                text = text[: offsets[head - 1][1]] + _CUT + text[offsets[-(limit - head)][0] :]
            fitted.append(text)
            cut.append(already or len(offsets) > limit)
        return fitted, cut


def _place(field: tuple[str, str], fitted: str, start: int, end: int) -> Place | None:
    """Where characters of the fitted text stand in the raw one: its head is the raw text's, and its tail as well."""
    name, raw = field
    head = _alike(raw, fitted)
    if end <= head:
        return Place(name, start, end)
    tail = _alike(raw[::-1], fitted[::-1])
    if start < len(fitted) - tail:
        return None
    return Place(name, start + len(raw) - len(fitted), end + len(raw) - len(fitted))


def _alike(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _ends(text: str, limit: int) -> tuple[str, bool]:
    if len(text) <= limit:
        return text, False
    head = int(limit * _HEAD)
    return text[:head] + _CUT + text[head - limit :], True
