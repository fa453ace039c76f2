"""Which datasets are there, where do they come from, and which of their rows could not be read?"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.store.encoding import storable


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a dataset comes from and under which terms; kept for ever and exported with the data."""

    adapter: str
    adapter_version: str
    source: str
    revision: str | None = None
    sha256: str | None = None
    split: str | None = None
    licence: str | None = None
    redistribution: str | None = None
    eval_only: bool = False
    options: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    id: int
    name: str
    provenance: Provenance
    state: str  # importing | ready
    records_read: int
    n_items: int
    n_rejected: int
    created: float


@dataclass(frozen=True, slots=True)
class QuarantinedRow:
    line: int
    reason: str
    excerpt: str


def begin_dataset(connection: sqlite3.Connection, name: str, provenance: Provenance) -> Dataset:
    """The dataset to import into: a new one, or the interrupted or finished import of the very same source.

    The caller holds the transaction. Raises ConflictError when `name` is taken by another source.
    """
    name = storable(name)
    known = find_dataset(connection, name)
    if known is None:
        connection.execute(
            """INSERT INTO dataset(name, adapter, adapter_version, source, revision, sha256, split, licence,
                   redistribution, eval_only, options, state, created)
               VALUES (?,?,?,?,?,?,?,?,?,?,?, 'importing', ?)""",
            (name, provenance.adapter, provenance.adapter_version, storable(provenance.source), provenance.revision,
             provenance.sha256, provenance.split, provenance.licence, provenance.redistribution,
             int(provenance.eval_only), _options(provenance), time.time()),
        )  # fmt: skip
        return get_dataset(connection, name)
    if not _same_source(known.provenance, provenance):
        raise ConflictError(
            f"The dataset {name!r} was imported from another source ({known.provenance.source}).",
            "Give this one a name of its own with --name.",
        )
    return known


def _same_source(one: Provenance, other: Provenance) -> bool:
    same_content = one.sha256 == other.sha256 if one.sha256 or other.sha256 else one.source == storable(other.source)
    return (
        same_content
        and (one.adapter, one.revision, one.split) == (other.adapter, other.revision, other.split)
        and _options(one) == _options(other)  # as JSON: a tuple comes back as a list
    )


def _options(provenance: Provenance) -> str:
    return json.dumps(dict(provenance.options or {}), sort_keys=True)


def record_progress(
    connection: sqlite3.Connection,
    dataset_id: int,
    *,
    records_read: int,
    added: int,
    rejected: int,
    done: bool = False,
    since: int | None = None,
) -> None:
    """Where the import stands, written in the transaction that stores the rows themselves.

    `since` is where the caller believes that it stood before. Raises ConflictError when somebody else has moved it:
    of two jobs that import the same dataset only one goes on.
    """
    cursor = connection.execute(
        """UPDATE dataset SET records_read = ?, n_items = n_items + ?, n_rejected = n_rejected + ?,
               state = CASE WHEN ? THEN 'ready' ELSE state END
           WHERE id = ? AND records_read = coalesce(?, records_read)""",
        (records_read, added, rejected, done, dataset_id, since),
    )
    if cursor.rowcount == 0:
        raise ConflictError("Another job is importing this dataset, too.", "See them with: refusal-tui jobs")


def forget_if_empty(connection: sqlite3.Connection, name: str, provenance: Provenance) -> None:
    """Free a name whose import gave no item (its quarantine goes, too) for another source, in a transaction."""
    known = find_dataset(connection, name)
    if known is not None and known.n_items == 0 and not _same_source(known.provenance, provenance):
        connection.execute("DELETE FROM dataset WHERE id = ?", (known.id,))


def add_quarantine(connection: sqlite3.Connection, dataset_id: int, rows: Sequence[tuple[int, str, str]]) -> None:
    """Keep rows that could not be used: (line, reason, excerpt)."""
    connection.executemany(
        "INSERT INTO quarantine(dataset_id, line, reason, excerpt) VALUES (?,?,?,?)",
        [(dataset_id, line, storable(reason), storable(excerpt)) for line, reason, excerpt in rows],
    )


def quarantined(connection: sqlite3.Connection, dataset_id: int, limit: int = 200) -> list[QuarantinedRow]:
    return [
        QuarantinedRow(*row)
        for row in connection.execute(
            "SELECT line, reason, excerpt FROM quarantine WHERE dataset_id = ? ORDER BY line LIMIT ?",
            (dataset_id, limit),
        )
    ]


def list_datasets(connection: sqlite3.Connection) -> list[Dataset]:
    return [_dataset(row) for row in connection.execute("SELECT * FROM dataset ORDER BY name")]


def find_dataset(connection: sqlite3.Connection, name: str) -> Dataset | None:
    row = connection.execute("SELECT * FROM dataset WHERE name = ?", (storable(name),)).fetchone()
    return _dataset(row) if row else None


def get_dataset(connection: sqlite3.Connection, name: str) -> Dataset:
    """Raises InputError, naming what there is, for an unknown name."""
    dataset = find_dataset(connection, name)
    if dataset is None:
        names = ", ".join(d.name for d in list_datasets(connection)) or "none yet"
        raise InputError(f"There is no dataset {name!r} here.", f"Imported datasets: {names}.")
    return dataset


def _dataset(row: sqlite3.Row) -> Dataset:
    provenance = Provenance(
        row["adapter"], row["adapter_version"], row["source"], row["revision"], row["sha256"], row["split"],
        row["licence"], row["redistribution"], bool(row["eval_only"]), json.loads(row["options"]),
    )  # fmt: skip
    return Dataset(
        row["id"], row["name"], provenance, row["state"], row["records_read"], row["n_items"], row["n_rejected"],
        row["created"],
    )  # fmt: skip


# --- datasets that jobs make ------------------------------------------------------------------------------------------

_STRICTEST_FIRST = ("none", "labels-only", None, "full")  # None: nobody has said


def require_free_name(connection: sqlite3.Connection, name: str) -> None:
    """Raises InputError when a dataset of that name is there."""
    if find_dataset(connection, name) is not None:
        raise InputError(f"There is a dataset {name!r} already.", "Give the new one another name.")


def begin_made(connection: sqlite3.Connection, name: str, job_id: int, adapter: str) -> Dataset:
    """The dataset that a job fills with items of its own making, under the terms of what they are made from.

    The caller holds the transaction. A later run of the same job gets the same one. Raises ConflictError when another
    source has the name.
    """
    known = find_dataset(connection, name)
    if known is not None and (known.provenance.adapter, known.provenance.source) == (adapter, f"job {job_id}"):
        return known  # made under the terms of the same rows: a million of them are not looked through again
    terms = connection.execute(
        """SELECT DISTINCT dataset.licence, dataset.redistribution, dataset.eval_only FROM dataset WHERE id IN
             (SELECT item.dataset_id FROM job_item JOIN item ON item.id = job_item.item_id WHERE job_id = ?)""",
        (job_id,),
    ).fetchall()
    licences = sorted({row[0] for row in terms if row[0]})
    redistribution = min((row[1] for row in terms), key=_STRICTEST_FIRST.index, default=None)
    made = begin_dataset(
        connection,
        name,
        Provenance(
            adapter, "1", f"job {job_id}", licence=" AND ".join(licences) or None, redistribution=redistribution,
            eval_only=any(row[2] for row in terms),
        ),
    )  # fmt: skip
    if made.state != "ready":
        record_progress(connection, made.id, records_read=0, added=0, rejected=0, done=True)
    return made
