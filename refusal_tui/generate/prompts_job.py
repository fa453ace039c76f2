"""How are prompts written? Write, evaluate, and write again with what was wrong; every step is an outcome of its own.

The rows of the job are the plan (one brief per wanted prompt). Every slot ends as an item of the new dataset, also one
that no attempt has got right: `meta.accepted` tells them apart, `meta.failed` says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from refusal_tui.generate.prompts_spec import ADAPTER, EVALUATE, FINISH, WRITE, PromptsSpec
from refusal_tui.generate.wording import (
    LENGTH,
    evaluate_request,
    has_length,
    read_evaluation,
    read_prompt,
    write_request,
)
from refusal_tui.jobs.making import MakingJob
from refusal_tui.jobs.stages import RowRun, Value
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass, RowError
from refusal_tui.llm.request import CallFailure, Reply
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.outcomes import Made, MadeItem, Output, PendingRow, RowResult, Unit
from refusal_tui.store.workspace import Workspace

_SKIPPED: Value = {"skipped": True}
_MIX = ("kind", "persona", "tone", "length", "habits")


@dataclass(frozen=True, slots=True)
class _Attempt:
    """`failed` names the criteria that were not met; none: accepted."""

    text: str
    failed: Sequence[str]
    feedback: str = ""


class PromptsJob(MakingJob):
    """A slot's stages, over the end points of a PromptsSpec."""

    def __init__(self, spec: PromptsSpec, workspace: Workspace) -> None:
        super().__init__(spec, workspace, ADAPTER)
        self._spec = spec

    def reread(
        self, pending: PendingRow, raw: str, before: Mapping[Unit, Value | RowError]
    ) -> RowResult | None:  # fmt: skip
        written = before.get(Unit(WRITE, pending.unit.k))
        if pending.unit.stage != EVALUATE or written is None or isinstance(written, RowError):
            return None
        value = self._evaluated(pending.row, str(written.get("text") or ""), Reply(raw))
        return None if value is None else Output(pending.row.item_id, value)

    async def work_on(self, run: RowRun) -> None:
        last: _Attempt | None = None
        attempts = 0
        for k in range(1 + self._spec.retries):
            again = last is None or bool(last.failed)
            attempts += again
            written = await run.step(WRITE, k, partial(self._write, run.row, last) if again else _SKIPPED)
            text = str(written.get("text") or "")
            evaluating = again and bool(text)
            said = await run.step(EVALUATE, k, partial(self._evaluate, run.row, text) if evaluating else _SKIPPED)
            if not again:
                continue
            if text:
                last = _Attempt(text, said["failed"], said["feedback"])
            else:
                last = _Attempt(last.text if last is not None else "", [str(written["problem"])])
        assert last is not None
        await run.step(FINISH, 0, partial(self._finish, run.row, last, attempts))

    async def _write(self, row: Row, last: _Attempt | None, key: RowKey) -> Value | RowError:
        earlier = last.text if last is not None else None
        failed, feedback = (last.failed, last.feedback) if last is not None else ((), "")
        request = write_request(row.prompt, earlier, failed, feedback, self._spec.temperature, key.k)
        reply = await self.models.ask_as(self._spec.endpoint, request, key)
        if isinstance(reply, CallFailure):
            return RowError(row.item_id, reply.error_class, reply.message, raw=reply.raw)
        text, problem = read_prompt(reply)
        return {"text": text, "problem": problem}

    async def _evaluate(self, row: Row, text: str, key: RowKey) -> Value | RowError:
        request = evaluate_request(row.prompt, text)
        reply = await self.models.ask_as(self._spec.evaluated_by, request, key)
        if isinstance(reply, CallFailure):
            return RowError(row.item_id, reply.error_class, reply.message, raw=reply.raw)
        if reply.judging_error is not None:
            self.models.forget(self._spec.evaluated_by, request)
            return RowError(row.item_id, reply.judging_error, "The prompt was not evaluated.", raw=reply.text)
        value = self._evaluated(row, text, reply)
        if value is None:
            self.models.forget(self._spec.evaluated_by, request)
            return RowError(row.item_id, ErrorClass.PARSE, "The evaluation cannot be read.", raw=reply.text)
        return value

    @staticmethod
    def _evaluated(row: Row, text: str, reply: Reply) -> Value | None:
        """What an evaluation says of a prompt, and whether that is as long as it was to be; None: it cannot be read."""
        evaluation = read_evaluation(reply)
        if evaluation is None:
            return None
        failed, feedback = evaluation
        low, high = row.meta["length"]
        if not has_length(text, (low, high)):
            failed = [*failed, LENGTH]
        return {"failed": failed, "feedback": feedback}

    async def _finish(self, row: Row, last: _Attempt, attempts: int, key: RowKey) -> Value | Made:
        accepted = not last.failed
        value = {"accepted": accepted, "failed": list(last.failed)}
        if not last.text:
            return value  # the model never wrote one
        meta: dict[str, Any] = {
            **{name: row.meta.get(name) for name in _MIX},
            "accepted": accepted,
            "failed": list(last.failed),
            "attempts": attempts,
            "plan_item": row.item_id,
            "written_by": self.models.endpoints[self._spec.endpoint].model,
            "evaluated_by": self.models.endpoints[self._spec.evaluated_by].model,
            "prompts_job": key.job_id,
        }
        item = MadeItem(last.text, None, category=row.category, meta=meta)
        return Made(row.item_id, self.dataset_id, row.key, item, value)
