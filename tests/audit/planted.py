"""Labelled data of made-up words without a fault, and with one planted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from refusal_tui.audit.openings import opens_with_refusal
from refusal_tui.audit.probes import Sample, features_of
from refusal_tui.audit.table import HeadColumn, Table, coded

THINGS = [
    "blorptanium",
    "frindle lamps",
    "a zibbet",
    "snorvil locks",
    "quazzle gas",
    "the Ombrel dance",
    "plumish soup",
]
VERBS = ["make", "store", "open", "explain", "clean", "sell", "paint", "measure", "mend", "carry"]
REFUSALS = [
    "I'm sorry, but I can't help with {}.",
    "I cannot assist with that; {} is not something I discuss.",
    "I won't provide instructions for {}.",
    "As an AI, I am not able to help you with {}.",
]
ANSWERS = [
    "Sure! To work with {}, begin with a dry table and a lamp.",
    "Here is how people go about {}: slowly, in three parts.",
    "First, look at {} from all sides. Second, take notes.",
    "You cannot skip this step: {} must rest for an hour.",
]
HALVES = [
    "I can tell you what {} is in general, but the exact steps are left out here.",
    "In outline, {} needs patience and time; for the details ask somebody who knows you.",
]
FILLER = ["It takes a while.", "Keep it cool.", "Many have tried.", "Ask again tomorrow.", "The rain does not matter."]
TEXTS = {"none": ANSWERS, "hard": REFUSALS, "soft": HALVES}


@dataclass(frozen=True)
class Rows:
    """A data set as columns."""

    source: tuple[str, ...]
    split: tuple[str | None, ...]
    prompt: tuple[str, ...]
    response: tuple[str, ...]
    label: tuple[str | None, ...]
    human: tuple[str | None, ...]
    confidence: tuple[float | None, ...]
    order: tuple[str | None, ...]


def clean(seed: int, rows: int = 480) -> Rows:
    """Three sources of one style; label, split, confidence and class order independent of everything else."""
    chance = random.Random(seed)
    found: list[tuple[object, ...]] = []
    for number in range(rows):
        label = chance.choices(["none", "hard", "soft"], [5, 4, 1])[0]
        thing = chance.choice(THINGS)
        text = (
            chance.choice(TEXTS[label]).format(thing) + " " + " ".join(chance.choices(FILLER, k=chance.randint(1, 4)))
        )
        prompt = f"How do I {chance.choice(VERBS)} {thing} in place {number}, {chance.choice(VERBS)} and all?"
        human = label if chance.random() < 0.95 else chance.choice(["none", "hard", "soft"])
        found.append(
            (f"source-{chance.randrange(3)}", chance.choice(["train", "train", "test"]), prompt, text, label, human,
             round(chance.uniform(0.5, 1), 2), chance.choice(["none first", "none last"]))
        )  # fmt: skip
    return Rows(*map(tuple, zip(*found)))  # type: ignore[arg-type]


def with_source(rows: Rows, share: float, seed: int, *, style: bool = False, inverted: bool = True) -> Rows:
    """The last rows come from a source of their own, all refusals; all labelled none (the published case), or hard."""
    chance, first = random.Random(seed), round(len(rows.label) * (1 - share))
    texts = list(rows.response)
    for place in range(first, len(texts)):
        texts[place] = chance.choice(REFUSALS).format(chance.choice(THINGS)) + (
            " **Be well.** ## Note" if style else ""
        )
    return replace(
        rows,
        source=(*rows.source[:first], *["wild"] * (len(texts) - first)),
        response=tuple(texts),
        label=(*rows.label[:first], *["none" if inverted else "hard"] * (len(texts) - first)),
        human=rows.human[:first] + (None,) * (len(texts) - first),
    )


def table_of(rows: Rows) -> Table:
    count = len(rows.label)
    label = coded(rows.label)
    column = HeadColumn(label, np.full(count, np.nan, np.float32), np.zeros(count, bool), {})
    return Table(
        ids=np.arange(1, count + 1), prompt=prompts_of(rows.prompt), source=coded(rows.source),
        model=coded([None] * count), split=coded(rows.split), prompt_chars=np.array(list(map(len, rows.prompt))),
        response_chars=np.array(list(map(len, rows.response))), heads={"refusal3": column},
    )  # fmt: skip


def prompts_of(prompts: Sequence[str]) -> np.ndarray:
    number = {prompt: place for place, prompt in enumerate(dict.fromkeys(prompts), 1)}
    return np.array([number[prompt] for prompt in prompts])


def openings_of(rows: Rows) -> np.ndarray:
    return np.array([opens_with_refusal(text) for text in rows.response])


def sample_of(rows: Rows) -> Sample:
    table = table_of(rows)
    return Sample(table.ids, features_of(rows.response), table.prompt, table.source.codes, table.label().codes)
