"""Which rows does a classifier learn from, and what does each one count?

People before machines: a row has the label that was settled or that most people gave (`store/gold.py`); a judge's is
taken only where nobody has labelled the row and the run asks for it. A person's label counts 1, a judge's as much as
the judge is sure of it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from refusal_tui.errors import InputError
from refusal_tui.labels.heads import REFUSAL3
from refusal_tui.labels.rows import Row
from refusal_tui.labels.taxonomy import HEADS
from refusal_tui.labels.verdict import Refusal3
from refusal_tui.store.gold import gold_of, is_computed
from refusal_tui.store.items import content_hash, fetch_rows
from refusal_tui.store.labels import judge_labels
from refusal_tui.store.prompts import stored_prompt

Text = Literal["pair", "response", "prompt"]  # what of a row the classifier reads
EVERY_JUDGE = "all"
UNSURE = 0.5  # the weight of a judge that gives no probability
LEAST_PROMPTS = 3  # of a class: one for each split
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Example:
    """One row to learn from. `hash`: sha256 of prompt, response and model, the same in every workspace. `weight` in
    (0, 1]. `by`: who says so, `human` or the judges' names."""

    item_id: int
    hash: str
    prompt: str
    response: str
    label: str
    weight: float
    by: str
    dataset: str
    model: str | None

    @property
    def human(self) -> bool:
        return self.by == "human"


@dataclass(frozen=True, slots=True)
class Examples:
    """`classes` in the order of their numbers. `left_out`: why rows are not among the examples -> how many."""

    examples: tuple[Example, ...]
    classes: tuple[str, ...]
    left_out: Mapping[str, int]


def read_examples(
    connection: sqlite3.Connection,
    item_ids: Sequence[int],
    *,
    head: str = REFUSAL3,
    judge: str = "",
    text: Text = "pair",
    classes: str = "",
) -> Examples:
    """The labelled rows among `item_ids`.

    `judge`: whose labels count where no person has given one: a judge's name, "all" (the label that most of them give)
    or "" (nobody's). `classes` takes labels together or leaves some out: "none,refusal=hard+soft".
    Raises InputError where nothing can be learnt: no labels, one class only, a class with too few prompts.
    """
    if head in HEADS and HEADS[head].several:
        raise InputError(f"A row may have several labels of {head}.", "Train on a head with one label per row.")
    renamed = parse_classes(classes)
    found: dict[str, Example] = {}
    conflicts: set[str] = set()
    left_out: Counter[str] = Counter()
    for start in range(0, len(item_ids), _PAGE):
        page = list(item_ids[start : start + _PAGE])
        labels = _labels(connection, page, head, judge)
        for row in fetch_rows(connection, page):
            example = _example(row, labels.get(row.item_id), text, renamed)
            if isinstance(example, str):
                left_out[example] += 1
            elif (twin := found.get(example.hash)) is None:
                found[example.hash] = example
            else:
                left_out["the same text again"] += 1
                found[example.hash], differ = _stronger(twin, example)
                if differ:
                    conflicts.add(example.hash)
    for same in conflicts:
        del found[same]
        left_out["the same text with another label"] += 1
    examples = tuple(found.values())
    names = _order(head, {example.label for example in examples}, renamed)
    _check(examples, names, head, len(item_ids), judge)
    return Examples(examples, names, dict(left_out))


def parse_classes(text: str) -> dict[str, str]:
    """Label -> class; empty: every label is a class of its own. Raises InputError.

    >>> parse_classes("none,refusal=hard+soft")
    {'none': 'none', 'refusal': 'refusal', 'hard': 'refusal', 'soft': 'refusal'}
    """
    renamed: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, members = part.partition("=")
        labels = [label.strip() for label in members.split("+")] if equals else []
        if not name.strip() or (equals and not all(labels)):
            raise InputError(f"--classes does not say what {part!r} is.", "Example: --classes none,refusal=hard+soft")
        for label in dict.fromkeys([name.strip(), *labels]):
            if label in renamed:
                raise InputError(f"--classes names {label!r} twice.", "Put every label into one class.")
            renamed[label] = name.strip()
    return renamed


def _labels(
    connection: sqlite3.Connection, page: Sequence[int], head: str, judge: str
) -> dict[int, tuple[str, float, str]]:
    """item -> (label, weight, by)."""
    found = {item: (gold.value, 1.0, "human") for item, gold in gold_of(connection, page, head).items()}
    if not judge:
        return found
    wanted = None if judge == EVERY_JUDGE else f"judge:{judge.removeprefix('judge:')}"
    votes: dict[int, list[tuple[str, float | None, str]]] = defaultdict(list)
    for item, annotator, value, probability in judge_labels(connection, page, head):
        if annotator == wanted or (wanted is None and not is_computed(annotator)):
            votes[item].append((value, probability, annotator))
    for item, said in votes.items():
        if item not in found and (voted := _vote(said)) is not None:
            found[item] = voted
    return found


def _vote(said: Sequence[tuple[str, float | None, str]]) -> tuple[str, float, str] | None:
    """The label of most judges (none where they are split), with the weight of those who give it by all who vote."""
    (value, most), *others = Counter(value for value, _, _ in said).most_common(2)
    if others and others[0][1] == most:
        return None
    sure = [UNSURE if p is None else p for v, p, _ in said if v == value]
    weight = max(sum(sure) / len(said), 1e-3)
    return value, weight, ",".join(sorted(who for v, _, who in said if v == value))


def _example(row: Row, label: tuple[str, float, str] | None, text: Text, renamed: Mapping[str, str]) -> Example | str:
    """The row as an example, or why it is none."""
    if label is None:
        return "no label"
    if text != "prompt" and row.response is None:
        return "no response"
    value = renamed.get(label[0], "") if renamed else label[0]
    if not value:
        return f"label {label[0]} is in no class"
    digest = content_hash(stored_prompt(row.messages or row.prompt).hash, row.response, row.model).hex()
    return Example(
        row.item_id, digest, row.prompt, row.response or "", value, label[1], label[2], row.dataset, row.model
    )


def _stronger(one: Example, other: Example) -> tuple[Example, bool]:
    """Of two rows with the same text the one that counts, and whether they contradict each other with equal right."""
    if one.human != other.human:
        return (one if one.human else other), False
    return (one if one.weight >= other.weight else other), one.label != other.label


def _order(head: str, seen: set[str], renamed: Mapping[str, str]) -> tuple[str, ...]:
    known = list(dict.fromkeys(renamed.values())) or (list(Refusal3) if head == REFUSAL3 else ["no", "yes"])
    return tuple(str(name) for name in [*known, *sorted(seen - set(known))] if name in seen)


def _check(examples: Sequence[Example], classes: Sequence[str], head: str, rows: int, judge: str) -> None:
    if not examples:
        also = "" if judge else ", or take a judge's labels where people have given none: --judge NAME"
        raise InputError(
            f"None of the {rows:,} rows has a label of {head} to learn from.", f"Label some of them first{also}."
        )
    if len(classes) < 2:
        raise InputError(
            f"All {len(examples):,} labelled rows are {classes[0]!r}: there is nothing to tell apart.",
            "Choose a selection that holds at least two classes.",
        )
    for name in classes:
        prompts = {example.prompt for example in examples if example.label == name}
        if len(prompts) < LEAST_PROMPTS:
            count = sum(example.label == name for example in examples)
            raise InputError(
                f"The class {name!r} has {count} row{'s' * (count != 1)} under {len(prompts)} different "
                f"prompt{'s' * (len(prompts) != 1)}; training, validation and test need one each.",
                "Add rows of it, or put it together with another class, as in: --classes none,refusal=hard+soft",
            )
