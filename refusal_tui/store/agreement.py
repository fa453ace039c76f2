"""Who has labelled the same rows, and what did each say? Plain columns for `review/agreement.py`, without any text.

The labels are those of `label`: everybody's latest. Labels that a person gave while settling disagreements are not
independent of the others, so the same person's label from before stands in for them here, and gold is read apart.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from refusal_tui.errors import InputError
from refusal_tui.labels.derive import derive
from refusal_tui.labels.verdict import Verdict
from refusal_tui.store.encoding import select_in
from refusal_tui.store.labels import verdicts_numbered
from refusal_tui.store.query import compile_filter
from refusal_tui.store.review_answers import Decision, decisions
from refusal_tui.store.review_queues import Purpose, Queue, list_queues, queue_items
from refusal_tui.store.review_work import CardState
from refusal_tui.store.settings import constitution_in_force

if TYPE_CHECKING:
    from refusal_tui.labels.constitution import Constitution

_SETTLED = """SELECT d.verdict_id FROM decision d JOIN queue q ON q.id = d.queue_id
    WHERE q.purpose = 'adjudicate' AND d.verdict_id IS NOT NULL"""


# One annotator's label of one row: item, prompt, data set, model, annotator, value; whether a person had seen a judge's
# label before; whether it is not the label that stands, but the one before it settled a disagreement. A plain tuple:
# there may be hundreds of thousands.
LabelledRow = tuple[int, int, str, str | None, str, str, bool, bool]


class RepeatedRow(NamedTuple):
    """What the same person said of the same row, twice."""

    item_id: int
    prompt_id: int
    annotator: str
    first: str
    second: str


class AuditedRow(NamedTuple):
    """A row of a queue with the probability that it was drawn and is labelled by now.

    `settled`: what people who settled a disagreement said last; `people`: what each annotator of the queue said;
    `judges`: what each judge says.
    """

    item_id: int
    prompt_id: int
    inclusion: float
    settled: str | None
    people: dict[str, str]
    judges: dict[str, str]


@dataclass(frozen=True, slots=True)
class Labelling:
    """How many rows an annotator has labelled for a head."""

    head: str
    annotator: str
    rows: int


def labellings(connection: sqlite3.Connection) -> list[Labelling]:
    """Everybody who has labelled anything, by head; reads an index only."""
    rows = connection.execute(
        "SELECT head, annotator, count(*) FROM label GROUP BY head, annotator ORDER BY head, annotator"
    )
    return [Labelling(*row) for row in rows]


def labelled_rows(
    connection: sqlite3.Connection,
    head: str,
    annotators: Sequence[str],
    filter_text: str = "",
    queue: Queue | None = None,
    *,
    of_people: bool = False,
) -> list[LabelledRow]:
    """The labels that `annotators` gave the rows which at least two of them have labelled, ordered by row.

    Only rows of the filter, of `queue` where one is given, and with `of_people` those that one of the people among
    them has labelled. Where an annotator has labels of several profiles, the latest counts. Raises InputError for a
    bad filter.
    """
    condition = compile_filter(connection, filter_text)
    people = [name for name in annotators if name.startswith("human:")]
    terms, values = [f"label.annotator IN ({_marks(annotators)})"], [head, *annotators]
    if of_people:
        terms.append(f"label.item_id IN (SELECT item_id FROM label WHERE head = ? AND annotator IN ({_marks(people)}))")
        values += [head, *people]
    if queue is not None:
        terms.append(f"label.item_id IN (SELECT item_id FROM queue_item WHERE queue_id = {queue.id})")
    rows = connection.execute(
        f"""SELECT label.item_id, item.prompt_id, item.dataset_id, item.model, label.annotator, label.value,
                label.verdict_id
            FROM label JOIN item ON item.id = label.item_id
            WHERE label.head = ? AND {" AND ".join(terms)} AND {condition.sql}""",
        (*values, *condition.parameters),
    )
    latest: dict[tuple[int, str], sqlite3.Row] = {}
    for row in rows:
        key = row[0], row[4]
        if key not in latest or latest[key][6] < row[6]:
            latest[key] = row
    times = Counter(item_id for item_id, _ in latest)
    return _flagged(connection, head, [row for row in latest.values() if times[row[0]] > 1])


def _flagged(connection: sqlite3.Connection, head: str, rows: Sequence[sqlite3.Row]) -> list[LabelledRow]:
    """With what is known of how each label was given."""
    settled = {row[0] for row in connection.execute(_SETTLED)}
    by_people = [row[6] for row in rows if row[4].startswith("human:")]
    assisted = {
        row[0] for row in select_in(connection, "SELECT id FROM verdict WHERE id IN ({}) AND seen_judge", by_people)
    }
    before = _before_settling(connection, head, [(row[0], row[4]) for row in rows if row[6] in settled])
    names = dict(connection.execute("SELECT id, name FROM dataset").fetchall())
    found: list[LabelledRow] = []
    for item_id, prompt_id, dataset_id, model, annotator, value, number in rows:
        seen, earlier = number in assisted, number in settled
        if earlier:
            if (item_id, annotator) not in before:
                continue
            value, seen = before[item_id, annotator]
        found.append((item_id, prompt_id, names[dataset_id], model, annotator, value, seen, earlier))
    return sorted(found, key=itemgetter(0, 4))


def _marks(values: Sequence[str]) -> str:
    return ",".join("?" * len(values))


def _before_settling(
    connection: sqlite3.Connection, head: str, pairs: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], tuple[str, bool]]:
    """(row, person) -> the label and whether it was assisted, from the latest verdict that settled nothing."""
    found: dict[tuple[int, str], tuple[str, bool]] = {}
    constitution = constitution_in_force(connection) if pairs else None
    for item_id, annotator in pairs:
        numbers = [
            row[0]
            for row in connection.execute(
                f"""SELECT id FROM verdict WHERE item_id = ? AND annotator = ? AND id NOT IN ({_SETTLED})
                    AND answers <> '{{}}' ORDER BY id""",
                (item_id, annotator),
            )
        ]
        for _, verdict in sorted(verdicts_numbered(connection, numbers).items()):
            for label in derive(verdict, constitution):
                if label.head == head:
                    found[item_id, annotator] = label.value, verdict.seen_judge
    return found


def repeated_rows(
    connection: sqlite3.Connection, head: str, annotators: Sequence[str] = (), queue: Queue | None = None
) -> list[RepeatedRow]:
    """The silent repeats that were answered both times, of all queues or of one; of everybody where nobody is named."""
    found = []
    constitution = constitution_in_force(connection)
    for one in list_queues(connection) if queue is None else [queue]:
        said = decisions(connection, one)
        at = {(d.item.position, d.annotator): d for d in said}
        pairs = [
            (at[d.item.repeat_of, d.annotator], d)
            for d in said
            if d.item.repeat_of is not None
            and (d.item.repeat_of, d.annotator) in at
            and (not annotators or d.annotator in annotators)
        ]
        prompts = _prompts(connection, [d.item.item_id for _, d in pairs])
        for first, second in pairs:
            values = [_value(d.verdict, head, constitution) for d in (first, second)]
            if values[0] is not None and values[1] is not None:
                found.append(
                    RepeatedRow(
                        first.item.item_id, prompts[first.item.item_id], first.annotator, values[0], values[1]
                    )
                )  # fmt: skip
    return found


def audited_rows(connection: sqlite3.Connection, queue: Queue, head: str) -> list[AuditedRow]:
    """The rows of a queue that somebody has labelled and whose inclusion probability is known, repeats left out.

    Cards come in random order. While the queue is not done, or where cards were skipped, a row is in with its inclusion
    probability times the labelled share of its draw's cards (weighting classes; Särndal et al. 1992, section 15.6).
    """
    constitution = constitution_in_force(connection)
    by_position: dict[int, list[Decision]] = defaultdict(list)
    for decision in decisions(connection, queue):
        known = decision.item.inclusion is not None and decision.item.repeat_of is None
        if known and decision.state is CardState.LABEL:
            by_position[decision.item.position].append(decision)
    items = [group[0].item.item_id for group in by_position.values()]
    prompts, settled = _prompts(connection, items), _settled(connection, items, head)
    judges: dict[int, dict[str, str]] = defaultdict(dict)
    for row in select_in(
        connection,
        """SELECT item_id, annotator, value FROM label WHERE head = ? AND annotator GLOB 'judge:*' AND item_id IN ({})
           ORDER BY verdict_id""",
        items,
        (head,),
    ):
        judges[row[0]][row[1]] = row[2]
    cards = Counter(
        i.stratum for i in queue_items(connection, queue.id) if i.inclusion is not None and i.repeat_of is None
    )
    labelled = Counter(group[0].item.stratum for group in by_position.values())
    found = []
    for group in by_position.values():
        people = {d.annotator: value for d in group if (value := _value(d.verdict, head, constitution)) is not None}
        item = group[0].item
        if people and item.inclusion is not None:
            inclusion = item.inclusion * labelled[item.stratum] / cards[item.stratum]
            found.append(
                AuditedRow(item.item_id, prompts[item.item_id], inclusion, settled.get(item.item_id), people,
                           judges.get(item.item_id, {}))
            )  # fmt: skip
    return found


def judge_counts(connection: sqlite3.Connection, head: str, judge: str, filter_text: str) -> dict[str, int]:
    """What `judge` says of the rows of a filter: value -> rows."""
    condition = compile_filter(connection, filter_text)
    rows = connection.execute(
        f"""SELECT value, count(*) FROM (SELECT item_id, value, max(verdict_id) FROM label
                WHERE head = ? AND annotator = ? GROUP BY item_id) AS latest
            JOIN item ON item.id = latest.item_id WHERE {condition.sql} GROUP BY value""",
        (head, judge, *condition.parameters),
    )
    return dict(rows.fetchall())


def queues_of_purpose(connection: sqlite3.Connection, purpose: Purpose) -> list[Queue]:
    return [queue for queue in list_queues(connection) if queue.settings.purpose is purpose]


def check_annotators(connection: sqlite3.Connection, names: Sequence[str]) -> list[str]:
    """Names as they are stored: `ada` is `human:ada` or `judge:ada`. Raises InputError for one who has no label."""
    if not names:
        return []
    known = list(dict.fromkeys(one.annotator for one in labellings(connection)))
    found = []
    for name in names:
        matches = [one for one in known if one == name or one.partition(":")[2] == name]
        if not matches:
            raise InputError(
                f"{name!r} has labelled nothing here.", f"Who has: {', '.join(known[:20]) or 'nobody yet'}."
            )
        found += matches
    return list(dict.fromkeys(found))


def _settled(connection: sqlite3.Connection, items: Sequence[int], head: str) -> dict[int, str]:
    """What was decided last for each row in queues of disagreements."""
    wanted, found = set(items), {}
    constitution = constitution_in_force(connection)
    said = [
        d
        for queue in queues_of_purpose(connection, Purpose.ADJUDICATE)
        for d in decisions(connection, queue)
        if d.state is CardState.LABEL and d.item.item_id in wanted
    ]
    for decision in sorted(said, key=lambda d: d.verdict_id or 0):
        if (value := _value(decision.verdict, head, constitution)) is not None:
            found[int(decision.item.item_id)] = value
    return found


def _value(verdict: Verdict | None, head: str, constitution: Constitution | None) -> str | None:
    if verdict is None:
        return None
    return next((label.value for label in derive(verdict, constitution) if label.head == head), None)


def _prompts(connection: sqlite3.Connection, items: Sequence[int]) -> dict[int, int]:
    return {
        row[0]: row[1]
        for row in select_in(connection, "SELECT id, prompt_id FROM item WHERE id IN ({})", list(set(items)))
    }
