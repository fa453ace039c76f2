"""How are responses generated? Every end point, system prompt and sample is a unit of every row, and makes an item.

Rows that share a prompt are answered once: the others' units end without an item.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

from refusal_tui.generate.answers import item_of, name_of_text, response_request, turns_of
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs.asking import Models
from refusal_tui.jobs.making import budget_of
from refusal_tui.jobs.rowjob import RowJob
from refusal_tui.labels.verdict import RowError
from refusal_tui.llm.request import CallFailure, Sampling
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import begin_made
from refusal_tui.store.encoding import select_in
from refusal_tui.store.jobs import Job
from refusal_tui.store.outcomes import Made, Output, PendingRow, RowResult
from refusal_tui.store.workspace import Workspace

ADAPTER = "generate"


class GenerateJob(RowJob):
    """Asks the end points of a GenerateSpec. A unit's stage is `END_POINT/SYSTEM`, its k the sample."""

    max_attempts = 1  # the pools have retried

    def __init__(self, spec: GenerateSpec, workspace: Workspace) -> None:
        self._spec = spec
        self._workspace = workspace
        self._systems = spec.system_texts()
        self.models = Models(workspace, spec.models, budget_of(spec), batch=spec.batch)
        self.side = self.models
        self.concurrency = self.models.concurrency
        self.max_rate = spec.max_rate
        self._of_stage = {f"{name}/{system}": (name, system) for name in spec.models for system in self._systems}
        self.units = spec.units()
        self._dataset_id = 0
        self._same_prompt: set[int] = set()

    async def start(self, job: Job) -> None:
        await self.models.open(job)
        with closing(self._workspace.open()) as connection:
            with transaction(connection):
                self._dataset_id = begin_made(connection, self._spec.name, job.id, ADAPTER).id
            self._same_prompt = later_of_a_prompt(connection, job.id, job.cursor)

    def stopping(self) -> None:
        self.models.stop()

    async def close(self) -> None:
        await self.models.close()

    async def process(self, work: Sequence[PendingRow]) -> list[RowResult]:
        return [await self._one(pending) for pending in work]

    async def _one(self, pending: PendingRow) -> RowResult:
        row, unit = pending.row, pending.unit
        if row.item_id in self._same_prompt:
            return Output(row.item_id, {"asked": False, "reason": "another row has the same prompt"})
        if self._spec.missing_only and row.response is not None:
            return Output(row.item_id, {"asked": False, "reason": "it has a response"})
        endpoint, system = self._of_stage[unit.stage]
        text = self._systems[system]
        turns = turns_of(row, text)
        reply = await self.models.ask(endpoint, response_request(turns, self._sampling(unit.k), unit.k), pending)
        if isinstance(reply, CallFailure):
            return RowError(row.item_id, reply.error_class, reply.message, raw=reply.raw)
        model = self.models.endpoints[endpoint].model
        known = {
            "endpoint": endpoint,
            "system": None if text is None else f"{system}@{name_of_text(text)}",
            "sample": unit.k,
            "temperature": self._spec.temperature,
            "top_p": self._spec.top_p,
            "max_tokens": self._spec.answer_tokens,
            "seed": self._seed(unit.k),
            "generate_job": self.models.job_id,
        }
        item = item_of(row, turns, reply, model, known)
        key = f"{row.dataset}/{row.key}/{unit.stage}/{unit.k}"
        return Made(row.item_id, self._dataset_id, key, item, {"finish_reason": reply.finish_reason})

    def _sampling(self, k: int) -> Sampling:
        spec = self._spec
        return Sampling(spec.temperature, spec.top_p, spec.answer_tokens, self._seed(k))

    def _seed(self, k: int) -> int | None:
        return None if self._spec.seed is None else self._spec.seed + k


def later_of_a_prompt(connection: sqlite3.Connection, job_id: int, cursor: int = 0) -> set[int]:
    """The rows of a job, from position `cursor` on, whose prompt an earlier row has, too. A row without a response
    comes before one with."""
    if cursor:
        return _later_among_the_rest(connection, job_id, cursor)
    of_job = "FROM job_item JOIN item ON item.id = job_item.item_id WHERE job_item.job_id = ?"
    shared = f"SELECT 1 {of_job} GROUP BY item.prompt_id HAVING count(*) > 1 LIMIT 1"
    if connection.execute(shared, (job_id,)).fetchone() is None:  # the usual case: half a second less of a million rows
        return set()
    rows = connection.execute(
        f"""SELECT id FROM (
              SELECT item.id, row_number() OVER
                  (PARTITION BY item.prompt_id ORDER BY item.response_chars IS NOT NULL, job_item.position) AS n
              {of_job}) WHERE n > 1""",
        (job_id,),
    )
    return {row[0] for row in rows}


def _later_among_the_rest(connection: sqlite3.Connection, job_id: int, cursor: int) -> set[int]:
    """The same of a job that goes on: a million rows are not looked at again for the last hundred. Rows before the
    cursor have an outcome, which is how they are found."""
    rest = connection.execute(
        """SELECT item.id, item.prompt_id, item.response_chars IS NOT NULL, job_item.position
           FROM job_item JOIN item ON item.id = job_item.item_id
           WHERE job_item.job_id = ? AND job_item.position >= ?""",
        (job_id, cursor),
    ).fetchall()
    left = {row[0] for row in rest}
    first: dict[int, tuple[int, int]] = {}  # by prompt: has it a response, where does it stand
    for _, prompt_id, answered, position in rest:
        first[prompt_id] = min(first.get(prompt_id, (2, 0)), (answered, position))
    done = """SELECT item.id, item.prompt_id, item.response_chars IS NOT NULL FROM item
              WHERE EXISTS (SELECT 1 FROM outcome WHERE outcome.job_id = ? AND outcome.item_id = item.id)
                AND item.prompt_id IN ({})"""
    for item_id, prompt_id, answered in select_in(connection, done, list(first), (job_id,)):
        if item_id not in left:
            first[prompt_id] = min(first[prompt_id], (answered, -1))
    return {item_id for item_id, prompt_id, answered, position in rest if first[prompt_id] != (answered, position)}
