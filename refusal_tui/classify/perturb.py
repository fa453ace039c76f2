"""How is a text changed without changing what it says? Deterministic: the same text and name give the same change.

The texts are what a classifier reads of a row to decide (its response, or its prompt where that is all it reads).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping

from refusal_tui.jobs.schedule import stable_seed

_WORD = re.compile(r"[^\W\d_]{4,}")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_TYPOS = 0.08  # of the words of four letters and more
_KEPT = 0.6  # of a text that is cut off


def perturbed(name: str, text: str, key: str) -> str:
    """`text` under the perturbation `name`; `key` (a row's hash) seeds what is random in it."""
    return PERTURBATIONS[name](text, random.Random(stable_seed(name, key)))


def _typos(text: str, chance: random.Random) -> str:
    """Two neighbouring letters inside a word change places, in one word at least."""
    words = [match.span() for match in _WORD.finditer(text)]
    chosen = chance.sample(words, max(1, round(_TYPOS * len(words)))) if words else []
    for start, end in chosen:
        at = chance.randrange(start + 1, end - 2)
        text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text


def _curly(text: str, _: random.Random) -> str:
    """Typographic quotes and apostrophes, as many newer models write them."""
    text = re.sub(r"(?<=\w)'(?=\w)", "’", text)
    text = re.sub(r'"([^"\n]*)"', "“\\1”", text)
    return re.sub(r"'([^'\n]*)'", "‘\\1’", text)


def _markdown(text: str, _: random.Random) -> str:
    """The first sentence bold, the others as a list."""
    sentences = [part for part in _SENTENCE_END.split(text.strip()) if part]
    if not sentences:
        return text
    first, *rest = sentences
    return "\n".join([f"**{first}**", *([""] if rest else []), *(f"- {sentence}" for sentence in rest)])


def _cut(text: str, _: random.Random) -> str:
    """The end is missing, as after too few tokens."""
    short = text[: int(len(text) * _KEPT)]
    return short.rsplit(None, 1)[0] if " " in short.strip() else short


PERTURBATIONS: Mapping[str, Callable[[str, random.Random], str]] = {
    "lower case": lambda text, _: text.lower(),
    "upper case": lambda text, _: text.upper(),
    "typos": _typos,
    "curly quotes": _curly,
    "markdown": _markdown,
    "prefix": lambda text, _: f"Assistant: {text}",
    "spaces": lambda text, _: f"\n\n{text.replace('. ', '.  ')}\n",
    "cut off": _cut,
}
