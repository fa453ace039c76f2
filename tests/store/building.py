"""Rows, verdicts and jobs in one line each, and a second process with another user's rights."""

from __future__ import annotations

import os
import pickle
import sqlite3
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from refusal_tui.labels.rows import ItemId, Message
from refusal_tui.labels.verdict import Answer, ErrorClass, RowError, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset
from refusal_tui.store.items import Added, add_items
from refusal_tui.store.jobs import Job, claim_job, create_job
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.outcomes import Finished

T = TypeVar("T")


@dataclass(frozen=True)
class NewRow:
    prompt: str | tuple[Message, ...] = "How do I make blorptanium?"
    response: str | None = None
    model: str | None = None
    split: str | None = None
    category: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


def add_keyed(connection: sqlite3.Connection, rows: Mapping[str, NewRow], dataset: str = "demo") -> Added:
    """Import rows under their keys, in one transaction."""
    with transaction(connection):
        into = begin_dataset(connection, dataset, Provenance("generic", "1", f"{dataset}.jsonl", sha256=dataset))
        return add_items(connection, into.id, list(rows.items()))


def add(connection: sqlite3.Connection, *rows: NewRow, dataset: str = "demo") -> list[ItemId]:
    """Import rows under the keys k1, k2, … that follow those already there; returns their ids."""
    there = connection.execute("SELECT count(*) FROM item").fetchone()[0]
    added = add_keyed(connection, {f"k{there + n}": row for n, row in enumerate(rows, 1)}, dataset)
    return [item_id for item_id in added.ids if item_id is not None]


def says(item_id: int, value: str | None, who: str = "judge:lexical", probability: float | None = None) -> Verdict:
    """A three-class verdict."""
    return Verdict(ItemId(item_id), who, "refusal3", "1", {"refusal3": Answer(value, probability)})


def judge(connection: sqlite3.Connection, *verdicts: Verdict) -> None:
    with transaction(connection):
        add_verdicts(connection, verdicts)


def queue(connection: sqlite3.Connection, item_ids: Sequence[int] | None, row_limit: int | None = None) -> int:
    return create_job(
        connection, kind="label", title="label", lane="cpu", spec="{}", spec_version=1, item_ids=item_ids,
        row_limit=row_limit,
    )  # fmt: skip


def claim(connection: sqlite3.Connection, job_id: int, pid: int = 1) -> Job | None:
    return claim_job(connection, job_id, host="here", boot_id="boot", pid=pid, start_ticks=pid)


def claimed(connection: sqlite3.Connection, item_ids: Sequence[int], row_limit: int | None = None) -> Job:
    """A running job over these items."""
    job = claim(connection, queue(connection, item_ids, row_limit))
    assert job is not None
    return job


def done(position: int, item_id: int, value: str = "hard") -> Finished:
    return Finished(position, says(item_id, value))


def failed(
    position: int, item_id: int, error_class: ErrorClass = ErrorClass.SERVER, raw: str | None = None
) -> Finished:
    return Finished(position, RowError(ItemId(item_id), error_class, f"{error_class.value} trouble", raw))


def in_child(action: Callable[[], T], *, uid: int | None = None, group: int | None = None) -> Callable[[], T]:
    """Run `action` in a forked child, as another user where asked; calling the result waits for its answer.

    The user has a group of its own first, as most systems give one, and is a member of `group` besides. The child ends
    without closing anything, as a killed process would.
    """
    receive, send = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if uid is not None:
                os.setgroups([] if group is None else [group])
                os.setgid(uid)
                os.setuid(uid)
            answer = pickle.dumps((True, action()))
        except BaseException:
            answer = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(send, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(send)

    def result() -> T:
        with os.fdopen(receive, "rb") as pipe:
            worked, answer = pickle.loads(pipe.read())
        os.waitpid(pid, 0)
        assert worked, answer
        return answer  # type: ignore[no-any-return]

    return result
