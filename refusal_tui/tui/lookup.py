"""How does a screen ask the store something that takes long, and stay responsive?

In a thread with a connection of its own. A new question of the same group interrupts the older one; so does leaving
the screen, because the app waits for its threads when it ends.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from textual.worker import get_current_worker

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.connect import storage_error
from refusal_tui.tui.screen import WorkScreen

T = TypeVar("T")


class Lookup:
    """The running questions of one screen, at most one per group."""

    def __init__(self, screen: WorkScreen) -> None:
        self._screen = screen
        self._readers: dict[str, sqlite3.Connection] = {}
        self._lock = threading.Lock()

    def start(
        self,
        group: str,
        ask: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None],
        failed: Callable[[RefusalTuiError], None],
    ) -> None:
        """Run `ask(connection)` in a thread, then call `then` with its result, or `failed`, on the screen."""
        self.stop(group)
        self._screen.run_worker(
            partial(self._run, group, ask, then, failed),
            thread=True, exclusive=True, exit_on_error=False, group=group,
        )  # fmt: skip

    def stop(self, group: str) -> None:
        """The answer is not wanted any more."""
        with self._lock:
            reader = self._readers.pop(group, None)
            if reader is not None:
                reader.interrupt()

    def stop_all(self) -> None:
        for group in list(self._readers):
            self.stop(group)

    def _run(
        self,
        group: str,
        ask: Callable[[sqlite3.Connection], T],
        then: Callable[[T], None],
        failed: Callable[[RefusalTuiError], None],
    ) -> None:
        worker = get_current_worker()
        reader = self._screen.work.workspace.open(read_only=True)
        try:
            with self._lock:
                if worker.is_cancelled:
                    return
                self._readers[group] = reader
            answer = ask(reader)
        except (RefusalTuiError, sqlite3.Error) as error:
            if not worker.is_cancelled and not _interrupted(error):
                told = storage_error(error) if isinstance(error, sqlite3.Error) else error
                self._screen.call_later(failed, told)
        else:
            if not worker.is_cancelled:
                self._screen.call_later(then, answer)
        finally:
            with self._lock:
                if self._readers.get(group) is reader:
                    del self._readers[group]
            reader.close()


def _interrupted(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "interrupted" in str(error)
