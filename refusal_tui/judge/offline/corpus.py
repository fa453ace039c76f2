"""Texts with a label known by construction: what the linear judge learns beside the human labels.

A seeded grammar, so that the same seed gives the same corpus on every machine. It covers what the human-labelled
training files lack: canned refusals of newer models, refusals without a refusing word, answers that hold refusing
words, half answers, other languages, Markdown and curly quotes, cut-off texts. Why it is worth it, and what it costs:
classifier.md of the design, sections 5.3 and 6.4 (leave one model out .838 -> .916, no gain in domain).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from refusal_tui.judge.offline import english as en
from refusal_tui.judge.offline.languages import LANGUAGES, Phrases
from refusal_tui.labels.verdict import Refusal3

NONE, HARD, SOFT = Refusal3.NONE, Refusal3.HARD, Refusal3.SOFT


@dataclass(frozen=True, slots=True)
class Sample:
    """One training text. `kind` names how it was made, so that errors can be told by kind."""

    response: str
    label: Refusal3
    kind: str


def corpus(count: int, seed: int = 0) -> list[Sample]:
    """`count` samples, distinct texts: about two fifths answers, two fifths refusals, one fifth both."""
    rng = random.Random(seed)
    makers, weights = zip(*_MAKERS, strict=True)
    samples: dict[str, Sample] = {}
    for _ in range(count * 20):
        if len(samples) == count:
            break
        kind, label, make = rng.choices(makers, weights)[0]
        text = _dressed(rng, make(rng).strip(), kind)
        if text:
            samples.setdefault(text, Sample(text, label, kind))
    return list(samples.values())


# --- English ----------------------------------------------------------------------------------------------------------


def _canned(rng: random.Random) -> str:
    """The whole answer is one or two sentences."""
    text = _upper(rng.choice(en.APOLOGIES) + _fill(rng, rng.choice(en.INABILITIES))) + "."
    return text + " " + rng.choice(en.OFFERS) if rng.random() < 0.35 else text


def _refusal(rng: random.Random) -> str:
    parts = [_upper(rng.choice(en.APOLOGIES) + _fill(rng, rng.choice(en.INABILITIES))) + "."]
    parts += rng.sample(en.REASONS, rng.choice((0, 1, 1, 2, 3)))
    if rng.random() < 0.4:
        parts.append("\n\n" + " ".join(rng.sample(en.REASONS, rng.randint(1, 3))))
    parts += rng.sample(en.OFFERS, rng.choice((0, 1, 1, 2)))
    return " ".join(parts).replace(" \n\n", "\n\n")


def _implicit(rng: random.Random) -> str:
    text = _fill(rng, rng.choice(en.IMPLICIT))
    more = rng.sample(en.REASONS, rng.choice((0, 1, 2, 3)))
    return " ".join([text, *more, *rng.sample(en.OFFERS, rng.choice((0, 0, 1)))])


def _alternatives(rng: random.Random) -> str:
    """A refusal followed by a list of other things to do: hard, by XSTest's guidelines."""
    lines = rng.sample(en.OFFERS + en.REASONS, rng.randint(3, 5))
    marks = rng.choice(("1", "-", "*", "•"))
    listed = "\n".join(f"{n}. {line}" if marks == "1" else f"{marks} {line}" for n, line in enumerate(lines, 1))
    return (
        f"{_refusal(rng)} {rng.choice(('Here are some alternatives:', 'Instead, consider:', 'You could:'))}\n\n{listed}"
    )


def _answer(rng: random.Random) -> str:
    return _fill(rng, rng.choice(en.ANSWER_OPENERS)) + _content(rng)


def _content(rng: random.Random, least: int = 2, most: int = 9) -> str:
    sentences = rng.sample(en.ANSWER_SENTENCES, rng.randint(least, most))
    form = rng.random()
    if form < 0.55:
        return " ".join(sentences)
    if form < 0.75:
        return "\n".join(f"{n}. {s}" for n, s in enumerate(sentences, 1))
    if form < 0.9:
        return "\n".join(f"- **{rng.choice(('Step', 'Note', 'Tip', 'Part'))}:** {s}" for s in sentences)
    return "\n".join(sentences)


def _empathic_answer(rng: random.Random) -> str:
    advice = " ".join(rng.sample(en.ADVICE, rng.randint(1, 4))) if rng.random() < 0.6 else _content(rng, 1, 6)
    return _fill(rng, rng.choice(en.EMPATHY)) + rng.choice(en.HELPS) + advice


def _short_answer(rng: random.Random) -> str:
    return _fill(
        rng, rng.choice(("{topic_cap}.", "About {topic}.", "It is {topic}.", "Yes.", "No.", "12 crowns.", "42"))
    )


def _quoting(rng: random.Random) -> str:
    return _fill(rng, rng.choice(en.QUOTING)).replace("{answer}", _content(rng, 1, 6))


def _premise(rng: random.Random) -> str:
    return _fill(rng, rng.choice(en.PREMISES)).replace("{answer}", _content(rng, 0, 4))


def _pivoting(rng: random.Random) -> str:
    start = _refusal(rng) if rng.random() < 0.5 else _canned(rng)
    return f"{start} {rng.choice(en.PIVOTS)}{_content(rng, 3, 8)}"


def _late(rng: random.Random) -> str:
    return f"{_answer(rng)} {rng.choice(en.CAVEATS)}"


# --- other languages --------------------------------------------------------------------------------------------------


def _foreign_refusal(language: Phrases) -> Callable[[random.Random], str]:
    def make(rng: random.Random) -> str:
        parts = [rng.choice(language.apologies) + rng.choice(language.refusals)]
        parts += rng.sample(language.reasons, rng.choice((0, 1, 2)))
        parts += rng.sample(language.offers, rng.choice((0, 1)))
        return language.join.join(parts)

    return make


def _foreign_answer(language: Phrases) -> Callable[[random.Random], str]:
    def make(rng: random.Random) -> str:
        return language.join.join([rng.choice(language.openers), *rng.sample(language.sentences, rng.randint(2, 5))])

    return make


def _foreign_both(language: Phrases) -> Callable[[random.Random], str]:
    def make(rng: random.Random) -> str:
        refusal = rng.choice(language.apologies) + rng.choice(language.refusals)
        return language.join.join(
            [refusal, rng.choice(language.pivots), *rng.sample(language.sentences, rng.randint(2, 5))]
        )

    return make


# --- how it is written ------------------------------------------------------------------------------------------------


def _dressed(rng: random.Random, text: str, kind: str) -> str:
    """Curly quotes, emphasis, upper case, a cut end: what must not change the label. A cut may, so it spares `late`."""
    if rng.random() < 0.4:
        text = text.replace("'", "’")
    if rng.random() < 0.1:
        words = text.split(" ")
        place = rng.randrange(len(words))
        words[place] = f"**{words[place]}**"
        text = " ".join(words)
    if rng.random() < 0.03:
        text = text.upper() if rng.random() < 0.3 else text.lower()
    if rng.random() < 0.1 and kind not in ("late", "pivot") and len(text) > 240:
        text = text[: rng.randint(200, len(text))]
    return " " * (rng.random() < 0.3) + text


def _fill(rng: random.Random, pattern: str) -> str:
    ask, topic = rng.choice(en.ASKS), rng.choice(en.TOPICS)
    thing = rng.choice(("frindle", "blorptanium", "grelk", "the Snarf", "zibbet", "Lord Wumpel", "quorble"))
    verb, _, rest = ask.partition(" ")
    doing = (verb[:-1] if verb.endswith("e") else verb) + "ing " + rest
    slots = {
        "{ask}": ask, "{ask_ing}": doing, "{ask_ing_cap}": _upper(doing), "{topic}": topic,
        "{topic_cap}": _upper(topic), "{thing}": thing, "{thing_cap}": _upper(thing),
        "{state}": rng.choice(en.STATES), "{reason}": rng.choice(en.REASONS), "{offer}": rng.choice(en.OFFERS),
    }  # fmt: skip
    for slot, value in slots.items():
        pattern = pattern.replace(slot, value)
    return pattern


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def _opinionless(rng: random.Random) -> str:
    return rng.choice(en.OPINIONLESS).replace("{answer}", _content(rng, 2, 6))


_FOREIGN = [
    ((f"{kind}.{language.code}", label, make(language)), weight)
    for language in LANGUAGES
    for kind, label, make, weight in (
        ("refusal", HARD, _foreign_refusal, 2.0),
        ("answer", NONE, _foreign_answer, 2.0),
        ("pivot", SOFT, _foreign_both, 0.6),
    )
]

# (kind, label, how it is made), how often.
_MAKERS: list[tuple[tuple[str, Refusal3, Callable[[random.Random], str]], float]] = [
    (("canned", HARD, _canned), 10),
    (("refusal", HARD, _refusal), 12),
    (("implicit", HARD, _implicit), 12),
    (("alternatives", HARD, _alternatives), 4),
    (("answer", NONE, _answer), 30),
    (("empathy", NONE, _empathic_answer), 9),
    (("short", NONE, _short_answer), 1),
    (("quoting", NONE, _quoting), 5),
    (("premise", NONE, _premise), 5),
    (("opinionless", NONE, _opinionless), 2),
    (("pivot", SOFT, _pivoting), 10),
    (("late", SOFT, _late), 8),
    *_FOREIGN,
]
