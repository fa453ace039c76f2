"""How do results get from the work to the disk? One thread that commits them in groups.

A group is about 64 rows or 20 ms, whichever comes first: with `synchronous=FULL` one fsync serves them all, and a
screen that wants to write waits 2 ms (measured). When the disk is full or the database locked, rows wait in memory
while the writer tries again; what cannot be written in the end is spilled to a side file, which the next run commits
first. Nothing is ever only logged.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from refusal_tui.errors import ConflictError, RefusalTuiError, StorageError
from refusal_tui.jobs.spill import SideRecord, spill, spill_path
from refusal_tui.jobs.stop import StopFlag, StopReason
from refusal_tui.labels.verdict import ErrorClass, RowError
from refusal_tui.store.encoding import storable
from refusal_tui.store.jobs import FencedError, Job, Wish
from refusal_tui.store.outcomes import AlsoCommit, Finished, commit_group
from refusal_tui.store.workspace import Workspace

GROUP_ROWS = 64
GROUP_SECONDS = 0.02
BACKLOG_ROWS = GROUP_ROWS
STORAGE_PATIENCE_SECONDS = 30.0
_RETRY_SECONDS = 0.5
_SIDE_SECONDS = 1.0  # side rows wait no longer than this for a group to go with

log = logging.getLogger("refusal_tui.writer")


class SideRows(Protocol):
    """What a job stores beside its outcomes, in the same transactions: the ledger of its requests, say.

    Called in the writer's thread. `write` is called again with the same group when its transaction was rolled back, so
    it must forget nothing before `written` says that what it gave is durable. Where nothing can be written, `unwritten`
    gives what has to outlive the process, for the side file; the next run hands it to `restore`, in a transaction and
    possibly twice (when it was killed in between).
    """

    def waiting(self) -> bool: ...
    def write(self, connection: sqlite3.Connection, finished: Sequence[Finished]) -> None: ...
    def written(self) -> None: ...
    def unwritten(self) -> Sequence[SideRecord]: ...
    def restore(self, connection: sqlite3.Connection, records: Sequence[SideRecord]) -> None: ...


class Positions:
    """Which positions of the job are handed out and not yet durable; the lowest one is where a resume starts.

    A position that is handed out several times (once per unit) is durable when all of them are.
    """

    def __init__(self, start: int) -> None:
        self._open: Counter[int] = Counter()
        self._scanned_to = start
        self._lock = threading.Lock()

    def hand_out(self, positions: Iterable[int], scanned_to: int) -> None:
        with self._lock:
            self._open.update(positions)
            self._scanned_to = scanned_to

    def cursor_without(self, done: Iterable[int]) -> int:
        """The cursor that holds once `done` are durable."""
        with self._lock:
            gone = Counter(done)
            rest = (position for position, times in self._open.items() if times > gone.get(position, 0))
            return min(rest, default=self._scanned_to)

    def settle(self, done: Iterable[int]) -> None:
        with self._lock:
            for position in done:
                self._open[position] -= 1
                if self._open[position] <= 0:
                    del self._open[position]


class Writer:
    """Takes finished rows from any thread and makes them durable in groups."""

    def __init__(
        self, workspace: Workspace, job: Job, positions: Positions, stop: StopFlag, side: SideRows | None = None
    ) -> None:
        self._workspace = workspace
        self._job = job
        self._positions = positions
        self._stop = stop
        self._side = side
        self._queue: queue.SimpleQueue[list[Finished] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self.error: RefusalTuiError | None = None
        self.on_commit: Callable[[list[Finished]], None] = lambda _: None

    def start(self) -> None:
        """Raises StorageError when the database cannot be opened."""
        self._connection = self._workspace.open()
        self._thread.start()

    def put(self, finished: list[Finished]) -> None:
        with self._lock:
            self._waiting += len(finished)
        self._queue.put(finished)

    @property
    def backlog(self) -> int:
        """Rows that wait to become durable; a producer holds back from BACKLOG_ROWS on."""
        return self._waiting

    def close(self) -> None:
        """Make everything durable (or spill it) and end the thread. Raises what kept rows from being written."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            group, open_for_more = self._gather()
            try:
                if self.error is not None:
                    self._keep(group)
                elif group or self._side_waits():
                    self._commit(group)
            except Exception as error:  # the thread must live on, or everybody would wait for it
                log.exception("results cannot be stored")
                self._give_up(StorageError(f"Results cannot be stored: {type(error).__name__}: {error}."))
            with self._lock:
                self._waiting -= len(group)

    def _side_waits(self) -> bool:
        return self._side is not None and self._side.waiting()

    def _gather(self) -> tuple[list[Finished], bool]:
        """The next group, and whether more may come. Empty when there are side rows alone, and at the end."""
        try:
            first = self._queue.get(timeout=None if self._side is None else _SIDE_SECONDS)
        except queue.Empty:
            return [], True
        if first is None:
            return [], False
        group = first
        deadline = time.monotonic() + GROUP_SECONDS
        while len(group) < GROUP_ROWS:
            try:
                more = self._queue.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if more is None:
                return group, False
            group = group + more
        return group, True

    def _commit(self, group: list[Finished]) -> None:
        done = [f.position for f in group]
        deadline = time.monotonic() + STORAGE_PATIENCE_SECONDS
        while True:
            try:
                cursor = self._positions.cursor_without(done)
                also = None if self._side is None else self._side.write
                wish = store_group(self._connection, self._job, group, cursor=cursor, also=also)
            except FencedError as error:
                self._give_up(error)
                return
            except (ConflictError, StorageError) as error:
                log.warning("results wait: %s", error)
                if time.monotonic() < deadline:
                    time.sleep(_RETRY_SECONDS)
                    continue
                self._give_up(error)
                self._keep(group)
                return
            self._positions.settle(done)
            if self._side is not None:
                self._side.written()
            self.on_commit(group)
            if wish is not None:
                self._stop.set(StopReason.of(wish))
            return

    def _give_up(self, error: RefusalTuiError) -> None:
        if self.error is None:  # the first one is the cause of those that follow
            self.error = error
        self._stop.set(StopReason.FENCED if isinstance(error, FencedError) else StopReason.STORAGE)

    def _keep(self, group: list[Finished]) -> None:
        """Into the side file, with the side rows that are there by now: what was paid for is known with its result."""
        if isinstance(self.error, FencedError):
            return  # a fenced worker's rows are the other worker's now
        side = [] if self._side is None else self._side.unwritten()
        if not group and not side:
            return
        try:
            spill(spill_path(self._workspace, self._job.id), group, side)
        except StorageError as error:
            log.error("%s %s", error, error.next_step)
            return
        if self._side is not None:
            self._side.written()


def store_group(
    connection: sqlite3.Connection, job: Job, group: list[Finished], *, cursor: int, also: AlsoCommit | None = None
) -> Wish | None:
    """Commit a group. A result that the store cannot hold becomes an error of its row; the others are stored."""
    try:
        return commit_group(connection, job, group, cursor=cursor, also=also)[1]
    except RefusalTuiError:
        raise
    except Exception:
        log.exception("a group cannot be stored as a whole: its rows are stored one by one")
    for finished in group:
        try:
            commit_group(connection, job, [finished], cursor=0)
        except RefusalTuiError:
            raise
        except Exception as error:
            text = storable(f"its result cannot be stored: {type(error).__name__}: {error}")
            failed = RowError(finished.result.item_id, ErrorClass.INTERNAL, text)
            commit_group(connection, job, [replace(finished, result=failed)], cursor=0)
    return commit_group(connection, job, [], cursor=cursor, also=also)[1]
