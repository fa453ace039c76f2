"""What do people say together? One more annotator, computed from their labels, kept apart from what was settled.

`human:majority/HEAD` or `human:dawid-skene/HEAD`: a person's name cannot hold a slash. It can be made again at any
time: only what has changed is stored, and a consensus that does not stand any more is withdrawn. Rows that were settled
get none, because there gold is known; their votes still tell how often each person is right.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from refusal_tui.errors import InputError
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Profile, Verdict
from refusal_tui.store.agreement import check_annotators, labelled_rows, labellings
from refusal_tui.store.connect import transaction
from refusal_tui.store.encoding import chunks
from refusal_tui.store.gold import is_computed, settled_rows
from refusal_tui.store.labels import add_verdicts, annotator_verdicts
from refusal_tui.store.query import compile_filter
from refusal_tui.store.review_queues import Queue
from refusal_tui.store.settings import constitution_in_force

Method = Literal["majority", "dawid-skene"]
METHODS: tuple[Method, ...] = ("majority", "dawid-skene")
HEADS = (REFUSAL3, *BOOLEAN_HEADS)
_BATCH = 1000
Votes = Mapping[int, Mapping[str, str]]  # row -> person -> label


@dataclass(frozen=True, slots=True)
class PeoplesConsensus:
    """`rows` have a consensus, `new` of them another one than before, `withdrawn` have none any more; on `even` people
    are split, `settled` were settled. `accuracy`: person -> how often they are right, as Dawid and Skene estimate it;
    empty for a majority."""

    annotator: str
    people: tuple[str, ...]
    rows: int
    new: int
    withdrawn: int
    even: int
    settled: int
    accuracy: Mapping[str, float]


def consensus_of_people(
    connection: sqlite3.Connection,
    method: Method = "majority",
    head: str = REFUSAL3,
    selection: str = "",
    queue: Queue | None = None,
    annotators: Sequence[str] = (),
) -> PeoplesConsensus:
    """Compute the consensus of the rows that two people at least have labelled, and store it.

    Raises InputError for a head without one label per row, a bad filter, an unknown annotator, or no such rows.
    """
    if head not in HEADS:
        raise InputError(f"There is no consensus on {head}.", f"Choose one of: {', '.join(HEADS)}.")
    people = check_annotators(connection, annotators) or [
        one.annotator for one in labellings(connection) if one.head == head
    ]
    people = [who for who in people if who.startswith("human:") and not is_computed(who)]
    votes: dict[int, dict[str, str]] = defaultdict(dict)
    for row in labelled_rows(connection, head, people, selection, queue):
        votes[row[0]][row[4]] = row[5]
    if not votes:
        raise InputError(
            f"No row here has labels of two people on {head}.",
            "Have more than one person label a queue: review new --overlap 2",
        )
    voters = tuple(sorted({who for said in votes.values() for who in said}))
    settled = settled_rows(connection, head) & votes.keys()
    agreed, accuracy = _majority(votes) if method == "majority" else _dawid_skene(votes, voters)
    even = votes.keys() - agreed.keys() - settled
    stands = {item_id: answer for item_id, answer in agreed.items() if item_id not in settled}
    annotator = f"human:{method}/{head}"
    constitution = constitution_in_force(connection)
    profile = constitution.profile if constitution is not None else Profile.XSTEST
    gone = _stored(connection, annotator, head, selection, queue) - stands.keys()
    verdicts = [
        Verdict(ItemId(item_id), annotator, head, f"{method}/1", {head: answer},
                rationale=f"{method} of " + ", ".join(who.partition(":")[2] for who in sorted(votes[item_id])),
                profile=profile)
        for item_id, answer in stands.items()
    ]  # fmt: skip
    withdrawn = [Verdict(ItemId(i), annotator, head, f"{method}/1", {}, profile=profile) for i in sorted(gone)]
    new = _store(connection, annotator, verdicts)
    _store(connection, annotator, withdrawn)
    return PeoplesConsensus(annotator, voters, len(stands), new, len(withdrawn), len(even), len(settled), accuracy)


def _majority(votes: Votes) -> tuple[dict[int, Answer], dict[str, float]]:
    """The label of most people with their share; rows that are split evenly are left out."""
    found = {}
    for item_id, said in sorted(votes.items()):
        (value, most), *others = Counter(said.values()).most_common(2)
        if not others or others[0][1] < most:
            found[item_id] = Answer(_stored_value(value), most / len(said))
    return found, {}


def _dawid_skene(votes: Votes, voters: Sequence[str]) -> tuple[dict[int, Answer], dict[str, float]]:
    """The most probable label with its posterior probability; rows where two are equally probable are left out."""
    import numpy as np

    from refusal_tui.stats.consensus import dawid_skene

    ids, values = sorted(votes), sorted({value for said in votes.values() for value in said.values()})
    cells = [(n, voters.index(who), values.index(value)) for n, i in enumerate(ids) for who, value in votes[i].items()]
    items, who, labels = np.array(cells, np.intp).T
    estimate = dawid_skene(items, who, labels, len(values))
    found = {}
    for n, item_id in enumerate(ids):
        order = np.argsort(estimate.posterior[n])
        best = estimate.posterior[n, order[-1]]
        if len(values) == 1 or best - estimate.posterior[n, order[-2]] > 1e-6:
            found[item_id] = Answer(_stored_value(values[order[-1]]), round(float(best), 6))
    right = np.diagonal(estimate.says, axis1=1, axis2=2) @ estimate.shares
    return found, {name.partition(":")[2]: float(share) for name, share in zip(voters, right, strict=True)}


def _stored_value(value: str) -> str | bool:
    return value == "yes" if value in ("yes", "no") else value


def _stored(connection: sqlite3.Connection, annotator: str, head: str, selection: str, queue: Queue | None) -> set[int]:
    """The rows of the selection that have this consensus now."""
    condition = compile_filter(connection, selection)
    inside = "" if queue is None else f" AND item.id IN (SELECT item_id FROM queue_item WHERE queue_id = {queue.id})"
    rows = connection.execute(
        f"""SELECT item.id FROM label JOIN item ON item.id = label.item_id
            WHERE head = ? AND annotator = ? AND ({condition.sql}){inside}""",
        (head, annotator, *condition.parameters),
    )
    return {row[0] for row in rows}


def _store(connection: sqlite3.Connection, annotator: str, verdicts: Sequence[Verdict]) -> int:
    """Append what differs from what stands; returns how many rows that are."""
    new = 0
    for batch in chunks(verdicts, _BATCH):
        before = annotator_verdicts(connection, annotator, [one.item_id for one in batch])
        fresh = [one for one in batch if one.item_id not in before or before[one.item_id].answers != one.answers]
        if fresh:
            with transaction(connection):
                add_verdicts(connection, fresh)
        new += len(fresh)
    return new
