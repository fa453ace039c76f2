"""How does a cleaning job run? Every row goes through detect, rounds of rewrite, answer and verify, and decide.

Each of them is an outcome of its own, so that nothing is paid twice. The last one makes the row's item in the cleaned
dataset, whatever was decided: dropped and doubtful rows are there, too, with their reason (`meta.decision`). A row of
which a request has failed has no item yet; `refusal-tui jobs retry` goes on with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from refusal_tui.clean.hedges import is_hedged
from refusal_tui.clean.prompts import (
    answer_request,
    read_answer,
    read_rewrite,
    rewrite_request,
    trim_request,
    turns_of,
)
from refusal_tui.clean.routes import ENDS, SELF_HARM, Route, asks_for_help, harms_of, read_routes, route_of
from refusal_tui.clean.spec import ANSWER, DECIDE, DETECT, HARM, REWRITE, VERIFY, CleanSpec
from refusal_tui.clean.steps import (
    SKIPPED,
    Decision,
    Found,
    Plan,
    Problem,
    Round,
    Said,
    decide,
    topic_similarity,
    triage,
)
from refusal_tui.clean.strategies import Strategy, read_strategy
from refusal_tui.jobs.judging import handed_judge
from refusal_tui.jobs.making import MakingJob
from refusal_tui.jobs.stages import RowRun, Value
from refusal_tui.labels.rows import Row
from refusal_tui.labels.taxonomy import HEAD_C_A
from refusal_tui.labels.verdict import ErrorClass, RowError, Verdict
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.outcomes import Made, MadeItem, Output, PendingRow, RowResult, Unit
from refusal_tui.store.workspace import Workspace

ADAPTER = "clean"


@dataclass(frozen=True, slots=True)
class _About:
    """The kinds of harm of a row, the way that it goes for them, and the strategy that holds for it."""

    harms: tuple[str, ...]
    route: Route | None
    strategy: Strategy

    @property
    def end(self) -> Literal["keep", "review", "drop"] | None:
        return self.route.way if self.route is not None and self.route.way in ENDS else None  # type: ignore[return-value]


class CleanJob(MakingJob):
    """A row's stages, over the end points of a CleanSpec."""

    def __init__(self, spec: CleanSpec, workspace: Workspace) -> None:
        super().__init__(spec, workspace, ADAPTER)
        self._spec = spec
        self._strategy = read_strategy(spec.strategy)
        self._routes = read_routes(spec.routes)
        self._judge = handed_judge(spec.judge, spec.judged_by, self.models, workspace)
        self._harms = handed_judge(HARM, spec.judged_by, self.models, workspace) if spec.ask_harms else None

    def reread(
        self, pending: PendingRow, raw: str, before: Mapping[Unit, Value | RowError]
    ) -> RowResult | None:  # fmt: skip
        stage, row = pending.unit.stage, pending.row
        judge = self._harms if stage == HARM else self._judge if stage in (DETECT, VERIFY) else None
        verdict = judge.read(row, raw) if judge is not None else None
        if not isinstance(verdict, Verdict):
            return verdict
        return Output(row.item_id, self._harms_value(verdict) if stage == HARM else self._found(verdict))

    async def work_on(self, run: RowRun) -> None:
        row = run.row
        found = Found.read(await run.step(DETECT, 0, partial(self._detect, row))) or Found()
        # A caveat on a subject that is harmful may be right: only rows of no known harm are trimmed.
        hedged = is_hedged(row.response or "") and not harms_of(row.category, row.prompt)
        plan = triage(found, self._spec.noise, hedged=hedged)
        about = await self._about(run, plan)
        rounds: list[Round] = []
        at_work = plan in (Plan.ANSWER, Plan.REWRITE, Plan.TRIM) and about.end is None
        for k in range(self._spec.rounds):
            last = rounds[-1] if rounds else None
            again = at_work and (last is None or last.problem is not None)
            rounds.append(await self._round(run, k, plan, about, last, again=again))
            at_work = again
        tried = [one for one in rounds if one != Round()]
        decision = decide(row.prompt, row.response, found, plan, tried, about.end)
        await run.step(DECIDE, 0, partial(self._make, row, found, about, decision))

    async def _about(self, run: RowRun, plan: Plan) -> _About:
        """What a row is about, and which way it goes for it. What stays as it is goes no way."""
        row = run.row
        changes = plan in (Plan.ANSWER, Plan.REWRITE)
        judged: Sequence[str] = ()
        if self._harms is not None:
            said = await run.step(HARM, 0, partial(self._name_harms, row) if changes else SKIPPED)
            judged = said.get("harms", ())
        if not changes:
            return _About((), None, self._strategy)
        harms = harms_of(row.category, row.prompt, judged)
        route = route_of(self._routes, harms)
        if route is None or route.way in ENDS:
            return _About(harms, route, self._strategy)
        return _About(harms, route, read_strategy(route.way))

    async def _round(
        self, run: RowRun, k: int, plan: Plan, about: _About, last: Round | None, *, again: bool
    ) -> Round:  # fmt: skip
        """One attempt; what is not needed is skipped, so that every row has the same stages."""
        row = run.row
        rewriting = again and plan is not Plan.TRIM and (plan is Plan.REWRITE or k > 0)
        do_rewrite = partial(self._rewrite, row, about, last) if rewriting else SKIPPED
        rewritten = Said.read(await run.step(REWRITE, k, do_rewrite))
        answering = again and (rewritten is None or rewritten.problem is None)
        question = rewritten.text if rewritten is not None else None
        ask = partial(self._trim, row) if plan is Plan.TRIM else partial(self._answer, row, about, question)
        answered = Said.read(
            await run.step(ANSWER, k, ask if answering else SKIPPED)
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

    async def _name_harms(self, row: Row, key: RowKey) -> Value | RowError:
        assert self._harms is not None
        verdict = await self._harms.judge(row, key)
        return verdict if isinstance(verdict, RowError) else self._harms_value(verdict)

    def _harms_value(self, verdict: Verdict) -> Value:
        assert self._harms is not None
        return {"harms": list(self._harms.names(verdict, HEAD_C_A))}

    async def _rewrite(self, row: Row, about: _About, last: Round | None, key: RowKey) -> Value | RowError:
        before = last.rewritten.text if last is not None and last.rewritten is not None else row.prompt
        request = rewrite_request(about.strategy, row.prompt, before, last.problem if last is not None else None)
        reply = await self._ask(self._spec.endpoint, request, key)
        if isinstance(reply, RowError):
            return reply
        # Help is another subject than harm, and shares no words with it.
        said = read_rewrite(reply, row.prompt, same_topic=about.route is None)
        in_pain = about.route is not None and about.route.harm == SELF_HARM
        if said.problem is None and in_pain and not asks_for_help(said.text):
            said = Said(said.text, Problem.NO_HELP)
        return said.value()

    async def _answer(self, row: Row, about: _About, question: str | None, key: RowKey) -> Value | RowError:
        prompt = question if question is not None else turns_of(row)
        request = answer_request(prompt, self._spec.answer_tokens, about.strategy)
        reply = await self._ask(self._spec.answered_by, request, key)
        plain = self._spec.noise == "hedges" and about.route is None
        return reply if isinstance(reply, RowError) else read_answer(reply, plain=plain).value()

    async def _trim(self, row: Row, key: RowKey) -> Value | RowError:
        reply = await self._ask(self._spec.answered_by, trim_request(row, self._spec.answer_tokens), key)
        return reply if isinstance(reply, RowError) else read_answer(reply, plain=True).value()

    async def _verify(self, row: Row, question: str | None, answer: str, key: RowKey) -> Value | RowError:
        if question is None:
            judged = Row(row.item_id, row.prompt, answer, messages=row.messages)
        else:
            judged = Row(row.item_id, question, answer)
        return await self._ask_judge(judged, key)

    async def _make(self, row: Row, found: Found, about: _About, decision: Decision, key: RowKey) -> Made:
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
            "strategy": f"{about.strategy.name}@{about.strategy.hash}" if changed else None,
            "harms": list(about.harms),
            "route": str(about.route) if about.route is not None else None,
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
        return Made(row.item_id, self.dataset_id, f"{row.dataset}/{row.key}", item, value)

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
        return self._found(verdict)

    def _found(self, verdict: Verdict) -> Value:
        judge = self._judge
        return Found(
            judge.refuses(verdict), judge.says(verdict, "prompt_harmful"), judge.says(verdict, "response_harmful")
        ).value()
