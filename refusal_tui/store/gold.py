"""Which label of a row is gold? What was settled, else what people say.

A disagreement is settled by an answer in a queue with purpose `adjudicate`; the latest such answer counts, whoever gave
it, and a label of another kind that comes later does not undo it. Rows that were never settled have the label of most
people. Consensus that a machine has made of people's labels (`human:majority/…`) is no vote here and no gold.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from refusal_tui.store.encoding import select_in

# Annotators that were computed from others: no voices of their own. A person's name cannot hold a slash.
COMPUTED = "(annotator GLOB '*:majority/*' OR annotator GLOB '*:dawid-skene/*')"


def is_computed(annotator: str) -> bool:
    """Whether the annotator is a consensus.

    >>> is_computed("human:majority/refusal3"), is_computed("human:ada")
    (True, False)
    """
    return annotator.partition(":")[2].startswith(("majority/", "dawid-skene/"))


@dataclass(frozen=True, slots=True)
class Gold:
    """`settled`: somebody has decided it. `by`: who says so, in the order of their names."""

    value: str
    settled: bool
    by: tuple[str, ...]


def gold_of(connection: sqlite3.Connection, item_ids: Sequence[int], head: str = "refusal3") -> dict[int, Gold]:
    """The gold of these rows. Rows on which people are split evenly and rows nobody has labelled are left out."""
    ids = list(dict.fromkeys(item_ids))
    said: dict[int, dict[str, str]] = defaultdict(dict)
    for item_id, annotator, value in select_in(
        connection,
        f"""SELECT item_id, annotator, value FROM label WHERE head = ? AND annotator GLOB 'human:*' AND NOT {COMPUTED}
            AND item_id IN ({{}}) ORDER BY verdict_id""",
        ids,
        (head,),
    ):
        said[item_id][annotator] = value
    found = {item_id: gold for item_id, votes in said.items() if (gold := _of_most(votes)) is not None}
    for row in select_in(connection, f"{_SETTLED} AND i.item_id IN ({{}}) GROUP BY i.item_id", ids, _values(head)):
        found[row["item_id"]] = Gold(row["value"], True, (row["annotator"],))
    return found


def _of_most(votes: dict[str, str]) -> Gold | None:
    (value, most), *others = Counter(votes.values()).most_common(2)
    if others and others[0][1] == most:
        return None
    return Gold(value, False, tuple(sorted(who for who, said in votes.items() if said == value)))


def settled_rows(connection: sqlite3.Connection, head: str = "refusal3") -> set[int]:
    """The rows that were settled."""
    settled = settled_sql(head, connection)
    return set() if settled is None else {row[0] for row in connection.execute(*settled)}


def settled_sql(head: str, connection: sqlite3.Connection) -> tuple[str, tuple[object, ...]] | None:
    """A query of (item_id, value) for a filter, with its parameters; None where nothing was ever settled."""
    if connection.execute("SELECT 1 FROM queue WHERE purpose = 'adjudicate' LIMIT 1").fetchone() is None:
        return None
    return f"{_SETTLED} GROUP BY i.item_id", _values(head)


# The answer is read from the verdict itself: the same person may label the row again elsewhere, which takes the
# label's place and settles nothing. With max() in a group, SQLite takes the other columns from the row that has it.
_SETTLED = """SELECT i.item_id, d.annotator, max(d.verdict_id),
        CASE json_type(v.answers, ?) WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no'
            ELSE json_extract(v.answers, ?) END AS value
    FROM queue q JOIN decision d ON d.queue_id = q.id AND d.state = 'label'
        JOIN queue_item i ON i.queue_id = d.queue_id AND i.position = d.position
        JOIN verdict v ON v.id = d.verdict_id
    WHERE q.purpose = 'adjudicate' AND json_extract(v.answers, ?) IS NOT NULL"""


def _values(head: str) -> tuple[object, ...]:
    return (f'$."{head}"[0]',) * 3
