"""Which rows does a classifier learn from, and what does each one count?

People before machines: a row has the label that was settled or that most people gave (`store/gold.py`); a judge's is
taken only where nobody has labelled the row and the run asks for it. A person's label counts 1, a judge's as much as
the judge is sure of it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from refusal_tui.errors import InputError
from refusal_tui.labels.heads import JAILBREAK_SUCCESS, REFUSAL3
from refusal_tui.labels.rows import Row
from refusal_tui.labels.taxonomy import HEADS
from refusal_tui.labels.verdict import Refusal3
from refusal_tui.store.gold import gold_of, is_computed
from refusal_tui.store.items import content_hash, fetch_rows
from refusal_tui.store.labels import judge_labels
from refusal_tui.store.prompts import stored_prompt

Text = Literal["pair", "response", "prompt"]  # what of a row the classifier reads
EVERY_JUDGE = "all"
HUMAN = "human"
MOST_HEADS = 2
# Which label is looked at beside another one: does what refuses also let attacks through?
PAIR = {REFUSAL3: JAILBREAK_SUCCESS, JAILBREAK_SUCCESS: REFUSAL3}
UNSURE = 0.5  # the weight of a judge that gives no probability
LEAST_PROMPTS = 3  # of a class: one for each split
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Said:
    """A label of one head. `weight` in (0, 1]. `by`: who says so, `human` or the judges' names."""

    label: str
    weight: float
    by: str


@dataclass(frozen=True, slots=True)
class Example:
    """One row to learn from. `hash`: sha256 of prompt, response and model, the same in every workspace. `said`: its
    label of every head that is learnt, None where it has none. `beside`: its label of the head that is not learnt, of
    the pair refusal and jailbreak."""

    item_id: int
    hash: str
    prompt: str
    response: str
    said: tuple[Said | None, ...]
    dataset: str
    model: str | None
    category: str | None = None
    beside: str | None = None

    def label(self, head: int = 0) -> str | None:
        found = self.said[head]
        return None if found is None else found.label

    def beside_of(self, head: int) -> str | None:
        """The label that stands beside that of `head`."""
        return self.beside if len(self.said) == 1 else self.label(1 - head)


@dataclass(frozen=True, slots=True)
class HeadClasses:
    """A head and its classes, in the order of their numbers."""

    head: str
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Examples:
    """`left_out`: why rows are not among the examples -> how many."""

    examples: tuple[Example, ...]
    heads: tuple[HeadClasses, ...]
    left_out: Mapping[str, int]


def parse_heads(text: str) -> tuple[str, ...]:
    """One head or two, comma-separated. Raises InputError.

    >>> parse_heads("refusal3, jailbreak_success")
    ('refusal3', 'jailbreak_success')
    """
    heads = tuple(dict.fromkeys(filter(None, (part.strip() for part in text.split(",")))))
    if not 1 <= len(heads) <= MOST_HEADS:
        raise InputError(f"{text!r} names {len(heads)} heads.", "Name one, or two: refusal3,jailbreak_success")
    for head in heads:
        if head in HEADS and HEADS[head].several:
            raise InputError(f"A row may have several labels of {head}.", "Train on a head with one label per row.")
    return heads


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

    `head`: one, or two with a comma between. `judge`: whose labels count where no person has given one: a judge's name,
    "all" (the label that most of them give) or "" (nobody's). `classes` takes labels of the first head together or
    leaves some out: "none,refusal=hard+soft". Raises InputError where nothing can be learnt: no labels, one class only,
    a class with too few prompts.
    """
    heads = parse_heads(head)
    renamed = [parse_classes(classes), *({} for _ in heads[1:])]
    other = PAIR.get(heads[0]) if len(heads) == 1 else None
    found: dict[str, Example] = {}
    conflicts: set[str] = set()
    left_out: Counter[str] = Counter()
    for start in range(0, len(item_ids), _PAGE):
        page = list(item_ids[start : start + _PAGE])
        labels = [_labels(connection, page, name, judge) for name in heads]
        beside = _labels(connection, page, other, judge) if other else {}
        for row in fetch_rows(connection, page):
            asked = [of_head.get(row.item_id) for of_head in labels]
            example = _example(row, asked, text, renamed, beside.get(row.item_id))
            if isinstance(example, str):
                left_out[example] += 1
            elif (twin := found.get(example.hash)) is None:
                found[example.hash] = example
            else:
                left_out["the same text again"] += 1
                found[example.hash], differ = _together(twin, example)
                if differ:
                    conflicts.add(example.hash)
    for same in conflicts:
        if not any(found[same].said):
            del found[same]
            left_out["the same text with another label"] += 1
    examples = tuple(found.values())
    known = []
    for number, name in enumerate(heads):
        seen = {said.label for e in examples if (said := e.said[number]) is not None}
        known.append(HeadClasses(name, _order(name, seen, renamed[number])))
        _check(examples, number, known[-1], len(item_ids), judge)
    return Examples(examples, tuple(known), dict(left_out))


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


def _labels(connection: sqlite3.Connection, page: Sequence[int], head: str, judge: str) -> dict[int, Said]:
    found = {item: Said(gold.value, 1.0, HUMAN) for item, gold in gold_of(connection, page, head).items()}
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


def _vote(said: Sequence[tuple[str, float | None, str]]) -> Said | None:
    """The label of most judges (none where they are split), with the weight of those who give it by all who vote."""
    (value, most), *others = Counter(value for value, _, _ in said).most_common(2)
    if others and others[0][1] == most:
        return None
    sure = [UNSURE if p is None else p for v, p, _ in said if v == value]
    weight = max(sum(sure) / len(said), 1e-3)
    return Said(value, weight, ",".join(sorted(who for v, _, who in said if v == value)))


def _example(
    row: Row,
    labels: Sequence[Said | None],
    text: Text,
    renamed: Sequence[Mapping[str, str]],
    beside: Said | None,
) -> Example | str:
    """The row as an example, or why it is none."""
    if not any(labels):
        return "no label"
    if text != "prompt" and row.response is None:
        return "no response"
    said = tuple(None if one is None else _renamed(one, names) for one, names in zip(labels, renamed, strict=True))
    if not any(said):
        return f"label {next(one.label for one in labels if one is not None)} is in no class"
    digest = content_hash(stored_prompt(row.messages or row.prompt).hash, row.response, row.model).hex()
    return Example(
        row.item_id, digest, row.prompt, row.response or "", said, row.dataset, row.model, row.category,
        None if beside is None else beside.label,
    )  # fmt: skip


def _renamed(said: Said, names: Mapping[str, str]) -> Said | None:
    label = names.get(said.label, "") if names else said.label
    return replace(said, label=label) if label else None


def _together(one: Example, other: Example) -> tuple[Example, bool]:
    """Two rows with the same text as one, and whether they contradict each other with equal right on a head; that
    head's label is then gone."""
    said, differ = [], False
    for ours, theirs in zip(one.said, other.said, strict=True):
        if ours is None or theirs is None:
            said.append(ours or theirs)
            continue
        stronger, unlike = _stronger(ours, theirs)
        differ = differ or unlike
        said.append(None if unlike else stronger)
    return replace(one, said=tuple(said)), differ


def _stronger(one: Said, other: Said) -> tuple[Said, bool]:
    if (one.by == HUMAN) != (other.by == HUMAN):
        return (one if one.by == HUMAN else other), False
    return (one if one.weight >= other.weight else other), one.label != other.label


def _order(head: str, seen: set[str], renamed: Mapping[str, str]) -> tuple[str, ...]:
    known = list(dict.fromkeys(renamed.values())) or (list(Refusal3) if head == REFUSAL3 else ["no", "yes"])
    return tuple(str(name) for name in [*known, *sorted(seen - set(known))] if name in seen)


def _check(examples: Sequence[Example], number: int, head: HeadClasses, rows: int, judge: str) -> None:
    labels = [label for example in examples if (label := example.label(number)) is not None]
    if not labels:
        also = "" if judge else ", or take a judge's labels where people have given none: --judge NAME"
        raise InputError(
            f"None of the {rows:,} rows has a label of {head.head} to learn from.", f"Label some of them first{also}."
        )
    if len(head.classes) < 2:
        raise InputError(
            f"All {len(labels):,} labelled rows are {head.classes[0]!r}: there is nothing to tell apart.",
            "Choose a selection that holds at least two classes.",
        )
    for name in head.classes:
        prompts = {example.prompt for example in examples if example.label(number) == name}
        if len(prompts) < LEAST_PROMPTS:
            count = labels.count(name)
            raise InputError(
                f"The class {name!r} has {count} row{'s' * (count != 1)} under {len(prompts)} different "
                f"prompt{'s' * (len(prompts) != 1)}; training, validation and test need one each.",
                "Add rows of it, or put it together with another class, as in: --classes none,refusal=hard+soft",
            )
