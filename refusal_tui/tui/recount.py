"""How does a screen whose figures take long follow a store that changes? It counts again, and rests in between."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.overview import fingerprint
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen

Wanted = TypeVar("Wanted")
Answer = TypeVar("Answer")

LEAST_REST_SECONDS = 0.5
REST = 4  # times as long as counting has taken: it must not eat the machine while somebody labels


class Recount(Generic[Wanted, Answer]):
    """`count(wanted, connection)` runs in a thread of `lookup`; `counted` hears the answer to the last question alone,
    `failed` what went wrong."""

    def __init__(
        self,
        screen: WorkScreen,
        lookup: Lookup,
        count: Callable[[Wanted, sqlite3.Connection], Answer],
        counted: Callable[[Answer], None],
        failed: Callable[[RefusalTuiError], None],
        least_rest: float = LEAST_REST_SECONDS,
    ) -> None:
        self._screen, self._lookup = screen, lookup
        self._count, self._counted, self._failed = count, counted, failed
        self._least_rest = least_rest
        self._mark: tuple[int, int, int] | None = None
        self._asked: Wanted | None = None
        self._busy = False

    def follow(self, wanted: Wanted) -> None:
        """Ask again if the store is another one than at the last count, unless it is counting or resting."""
        mark = fingerprint(self._screen.work.connection)
        if mark != self._mark and not self._busy:
            self._mark = mark
            self.ask(wanted)

    def ask(self, wanted: Wanted) -> None:
        """Ask now; an older question is given up."""
        self._asked, self._busy = wanted, True
        done, failed = partial(self._done, wanted), partial(self._not_done, wanted)
        self._lookup.start("recount", partial(_timed, self._count, wanted), done, failed)

    def _done(self, wanted: Wanted, timed: tuple[Answer, float]) -> None:
        if wanted == self._asked:
            answer, seconds = timed
            self._counted(answer)
            self._rest(REST * seconds)

    def _not_done(self, wanted: Wanted, error: RefusalTuiError) -> None:
        if wanted == self._asked:
            self._failed(error)
            self._rest(0.0)

    def _rest(self, seconds: float) -> None:
        self._screen.set_timer(max(self._least_rest, seconds), self._rested)

    def _rested(self) -> None:
        self._busy = False
        if self._screen.is_current:
            self._screen.store_changed()


def _timed(
    count: Callable[[Wanted, sqlite3.Connection], Answer], wanted: Wanted, connection: sqlite3.Connection
) -> tuple[Answer, float]:
    started = time.monotonic()
    answer = count(wanted, connection)
    return answer, time.monotonic() - started
