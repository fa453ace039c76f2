"""How does a cleaning job run? Every row goes through detect, rounds of rewrite, answer and verify, and decide.

Each of them is an outcome of its own, so that nothing is paid twice. The last one makes the row's item in the cleaned
dataset, whatever was decided: dropped and doubtful rows are there, too, with their reason (`meta.decision`). A row of
which a request has failed has no item yet; `refusal-tui jobs retry` goes on with it.
"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Any

from refusal_tui.clean.prompts import answer_request, read_answer, read_rewrite, rewrite_request, turns_of
from refusal_tui.clean.spec import CleanSpec
from refusal_tui.clean.steps import (
    SKIPPED,
    Decision,
    Found,
    Plan,
    Round,
    Said,
    decide,
    topic_similarity,
    triage,
)
from refusal_tui.clean.strategies import read_strategy
from refusal_tui.jobs.asking import Models
from refusal_tui.jobs.judging import handed_judge
from refusal_tui.jobs.stages import RowRun, Staged, Value
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass, RowError
from refusal_tui.llm.limits import Budget
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import begin_made
from refusal_tui.store.jobs import Job
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.outcomes import Made, MadeItem, Unit
from refusal_tui.store.workspace import Workspace

DETECT, REWRITE, ANSWER, VERIFY, DECIDE = "detect", "rewrite", "answer", "verify", "decide"
ADAPTER = "clean"


def units_of(rounds: int) -> list[Unit]:
    """The stages of every row, in order."""
    tries = [Unit(stage, k) for k in range(rounds) for stage in (REWRITE, ANSWER, VERIFY)]
    return [Unit(DETECT), *tries, Unit(DECIDE)]


class CleanJob(Staged):
    """A row's stages, over the end points of a CleanSpec."""

    def __init__(self, spec: CleanSpec, workspace: Workspace) -> None:
        super().__init__(workspace)
        self._spec = spec
        self._strategy = read_strategy(spec.strategy)
        minutes = spec.max_minutes
        budget = Budget(spec.max_cost, spec.max_tokens, None if minutes is None else minutes * 60)
        self.models = Models(workspace, spec.endpoints, budget)
        self.side = self.models
        self.units = units_of(spec.rounds)
        # A step that waits for an earlier one of its row takes a place, too, but no request.
        self.concurrency = self.models.concurrency * len(self.units)
        self.max_rate = spec.max_rate
        self._judge = handed_judge(spec.judge, spec.judged_by, self.models, workspace)
        self._dataset_id = 0

    async def start(self, job: Job) -> None:
        await super().start(job)
        await self.models.open(job)
        with closing(self._workspace.open()) as connection, transaction(connection):
            self._dataset_id = begin_made(connection, self._spec.name, job.id, ADAPTER).id

    def stopping(self) -> None:
        self.models.stop()

    async def close(self) -> None:
        await super().close()
        await self.models.close()

    async def work_on(self, run: RowRun) -> None:
        row = run.row
        found = Found.read(await run.step(DETECT, 0, partial(self._detect, row))) or Found()
        plan = triage(found, self._spec.noise)
        rounds: list[Round] = []
        at_work = plan in (Plan.ANSWER, Plan.REWRITE)
        for k in range(self._spec.rounds):
            last = rounds[-1] if rounds else None
            again = at_work and (last is None or last.problem is not None)
            rounds.append(await self._round(run, k, plan, last, again=again))
            at_work = again
        tried = [one for one in rounds if one != Round()]
        decision = decide(row.prompt, row.response, found, plan, tried)
        await run.step(DECIDE, 0, partial(self._make, row, found, decision))

    async def _round(self, run: RowRun, k: int, plan: Plan, last: Round | None, *, again: bool) -> Round:
        """One attempt; what is not needed is skipped, so that every row has the same stages."""
        row = run.row
        rewriting = again and (plan is Plan.REWRITE or k > 0)
        do_rewrite = partial(self._rewrite, row, last) if rewriting else SKIPPED
        rewritten = Said.read(await run.step(REWRITE, k, do_rewrite))
        answering = again and (rewritten is None or rewritten.problem is None)
        question = rewritten.text if rewritten is not None else None
        answered = Said.read(
            await run.step(ANSWER, k, partial(self._answer, row, question) if answering else SKIPPED)
        )  # fmt: skip
        verifying = answered is not None and answered.problem is None
        text = answered.text if answered is not None else ""
        verified = Found.read(
            await run.step(VERIFY, k, partial(self._verify, row, question, text) if verifying else SKIPPED)
        )  # fmt: skip
        return Round(rewritten, answered, verified)

    # --- stages ------------------------------------------------------------------------------------------------------

    async def _detect(self, row: Row, key: RowKey) -> Value | RowError:
        if not (row.response or "").strip():
            return Found(empty=True).value()  # a missing response is no refusal: it needs a first answer
        return await self._ask_judge(row, key)

    async def _rewrite(self, row: Row, last: Round | None, key: RowKey) -> Value | RowError:
        before = last.rewritten.text if last is not None and last.rewritten is not None else row.prompt
        request = rewrite_request(self._strategy, row.prompt, before, last.problem if last is not None else None)
        reply = await self._ask(self._spec.endpoint, request, key)
        return reply if isinstance(reply, RowError) else read_rewrite(reply, row.prompt).value()

    async def _answer(self, row: Row, question: str | None, key: RowKey) -> Value | RowError:
        request = answer_request(question if question is not None else turns_of(row), self._spec.answer_tokens)
        reply = await self._ask(self._spec.answered_by, request, key)
        return reply if isinstance(reply, RowError) else read_answer(reply).value()

    async def _verify(self, row: Row, question: str | None, answer: str, key: RowKey) -> Value | RowError:
        if question is None:
            judged = Row(row.item_id, row.prompt, answer, messages=row.messages)
        else:
            judged = Row(row.item_id, question, answer)
        return await self._ask_judge(judged, key)

    async def _make(self, row: Row, found: Found, decision: Decision, key: RowKey) -> Made:
        changed = decision.rewritten != row.prompt
        meta: dict[str, Any] = {
            "original_instruction": row.prompt,
            "original_response": row.response,
            "decision": decision.state,
            "reason": decision.reason,
            "rounds": decision.rounds,
            "was_refused": found.refuses,
            "similarity": round(topic_similarity(row.prompt, decision.rewritten), 3) if changed else 1.0,
            "source_dataset": row.dataset,
            "source_key": row.key,
            "source_item": row.item_id,
            "strategy": f"{self._strategy.name}@{self._strategy.hash}" if changed else None,
            "rewritten_by": self._model(self._spec.endpoint) if changed else None,
            "judge": self._judge.annotator,
            "clean_job": key.job_id,
        }
        answered = decision.response != row.response
        model = self._model(self._spec.answered_by) if answered else row.model
        item = MadeItem(
            decision.rewritten if changed else turns_of(row), decision.response, model, row.split, row.category, meta
        )
        value = {"decision": decision.state, "reason": decision.reason}
        return Made(row.item_id, self._dataset_id, f"{row.dataset}/{row.key}", item, value)

    # --- asking ------------------------------------------------------------------------------------------------------

    def _model(self, endpoint: str) -> str:
        return self.models.endpoints[endpoint].model

    async def _ask(self, endpoint: str, request: ChatRequest, key: RowKey) -> Reply | RowError:
        reply = await self.models.ask_as(endpoint, request, key)
        if isinstance(reply, CallFailure):
            return RowError(key.item_id, reply.error_class, reply.message, raw=reply.raw)  # type: ignore[arg-type]
        return reply

    async def _ask_judge(self, row: Row, key: RowKey) -> Value | RowError:
        verdict = await self._judge.judge(row, key)
        if isinstance(verdict, RowError):
            if verdict.error_class is ErrorClass.NO_RESPONSE:
                return Found().value()
            return verdict
        judge = self._judge
        return Found(
            judge.refuses(verdict), judge.says(verdict, "prompt_harmful"), judge.says(verdict, "response_harmful")
        ).value()
