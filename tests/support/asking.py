"""Jobs that ask models, as small cases for tests that kill them: rows, a server that answers, settings, what must be
there in the end."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.clean.spec import CleanSpec
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import FORBIDDEN, SORRY, World
from tests.store.building import NewRow, add
from tests.support.judging import Judge, honest_xstest
from tests.support.workspaces import make_workspace


@dataclass(frozen=True)
class Case:
    """`steps`: requests per row when nothing goes wrong. `made`: SQL that gives the item behind every result."""

    kind: str
    spec: JobSpec
    steps: int
    make: Callable[[Path, int], Workspace]
    answer: Callable[[], Judge]
    made: str

    def results(self, workspace: Workspace, job_id: int) -> Counter[int]:
        """How often every item has its result."""
        with closing(workspace.open(read_only=True)) as connection:
            return Counter(row[0] for row in connection.execute(self.made, (job_id,)))


def _refused(folder: Path, rows: int) -> Workspace:
    workspace = create_workspace(folder)
    with closing(workspace.open()) as connection:
        add(connection, *(NewRow(f"Smelt {FORBIDDEN} number {n}.", SORRY) for n in range(rows)))
    return workspace


def _world() -> World:
    return World(rewrite=lambda instruction, _: f"What is the history of {instruction.removesuffix('.')}?")


_MADE = """SELECT json_extract(body.meta, '$.source_item') FROM item JOIN item_body body ON body.item_id = item.id
           WHERE json_extract(body.meta, '$.%s') = ?"""
LABEL = Case(
    "label", LabelSpec(judge="xstest", endpoint="local"), 1, make_workspace, lambda: honest_xstest,
    "SELECT item_id FROM verdict WHERE job_id = ?",
)  # fmt: skip
GENERATE = Case(
    "generate", GenerateSpec(name="answers", endpoints="local"), 1, make_workspace,
    lambda: lambda body, row: f"Stir it: {body['messages'][-1]['content']}", _MADE % "generate_job",
)  # fmt: skip
CLEAN = Case("clean", CleanSpec(name="clean", endpoint="local"), 4, _refused, _world, _MADE % "clean_job")
CASES = (LABEL, GENERATE, CLEAN)


class Switch:
    """An answering function that does something at a given request, in the server, before that one is answered: a kill
    comes at once, however busy the machine is, and never after the job's end."""

    def __init__(self, answer: Judge) -> None:
        self._answer = answer
        self._asked = 0
        self._at: int | None = None
        self._act: Callable[[], object] = lambda: None
        self._done = threading.Event()

    def arm(self, at: int, act: Callable[[], object]) -> None:
        """Do `act` at request number `at` of all, or at the next one where that many have come."""
        self._done.clear()
        self._act, self._at = act, at

    def wait(self) -> None:
        assert self._done.wait(60), f"only {self._asked} requests have come"

    def __call__(self, body: dict[str, Any], row: str) -> str:
        self._asked += 1
        if self._at is not None and self._asked >= self._at:
            self._at = None
            self._act()
            self._done.set()
        return self._answer(body, row)


def ledger(workspace: Workspace, job_id: int) -> tuple[Counter[int], int]:
    """(requests per HTTP status, tokens) as the job's ledger has them."""
    with closing(workspace.open(read_only=True)) as connection:
        statuses = _counts(connection, "SELECT status_code, count(*) FROM attempt WHERE job_id = ? GROUP BY 1", job_id)
        sql = "SELECT coalesce(sum(prompt_tokens + completion_tokens), 0) FROM attempt WHERE job_id = ?"
        return statuses, connection.execute(sql, (job_id,)).fetchone()[0]


def _counts(connection: sqlite3.Connection, sql: str, job_id: int) -> Counter[int]:
    return Counter(dict(map(tuple, connection.execute(sql, (job_id,)))))
