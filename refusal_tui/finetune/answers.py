"""What do base and arms answer, and what does the offline judge say to it? One model in memory, adapters switched.

Answers and verdicts are stored as an ordinary dataset, so that every judge, person and screen can look at them: the
model is called `BASE+ARM@STEP`, and the seeds of an arm are several samples of one model. A failure or an empty answer
is an outcome of its own, never a fulfilled request. Answers to benign prompts say that their prompt is harmless, as the
set says: what is refused there is an over-refusal on the Results screen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from refusal_tui.errors import JobError
from refusal_tui.finetune.data import Dialogue
from refusal_tui.jobs.compute import ComputeContext, Stopped
from refusal_tui.jobs.judging import HandedJudge
from refusal_tui.labels.heads import REFUSAL3
from refusal_tui.labels.rows import ItemId, Row, render_messages
from refusal_tui.labels.verdict import Answer, ErrorClass, Refusal3, Verdict
from refusal_tui.llm.local import LARGEST_BATCH, Interrupted, LocalModel
from refusal_tui.llm.request import ChatRequest, Reply, Sampling
from refusal_tui.store.datasets import begin_made, record_progress
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.outcomes import MadeItem

MADE_BY = "robustness"
BENIGN = "benign"  # the kind of prompts that are to be answered
SET = "benign-set"  # whose word it is that they are harmless: the set's, whose labels people's go before
# Prompts at once. A small model takes longer to start on a batch than to answer it.
_BATCH, _BATCH_SMALL, _SMALL = 64, LARGEST_BATCH, 20_000_000  # parameters


class Outcome(StrEnum):
    """One letter per prompt, so that the outcomes of an evaluation are a short text."""

    HARD = "h"
    SOFT = "s"
    NONE = "n"  # not refused
    MISSING = "-"  # no answer, an empty one, or one that the judge could not read


_OF_LABEL = {Refusal3.HARD: Outcome.HARD, Refusal3.SOFT: Outcome.SOFT, Refusal3.NONE: Outcome.NONE}


@dataclass(frozen=True, slots=True)
class Answerer:
    """`who` of the store's rows is `base` + what is added for an arm."""

    context: ComputeContext
    model: Any
    tokenizer: Any
    judge: HandedJudge
    dataset: str
    base: str
    answer_tokens: int
    made_by: str = MADE_BY
    known: dict[tuple[Dialogue, str], Verdict | None] = field(default_factory=dict)  # arms often answer the same

    def ask(self, prompts: Sequence[Dialogue]) -> list[str]:
        """Greedy answers in the order of the prompts; "" where there is none. Raises Stopped, and JobError where none
        of them could be asked: a run of empty answers would end as a result."""
        self.model.eval()
        small = sum(each.numel() for each in self.model.parameters()) < _SMALL
        batch = _BATCH_SMALL if small else _BATCH
        local = LocalModel(self.base, self.model, self.tokenizer, batch, interrupted=self._wants_to_stop)
        sampling = Sampling(temperature=0.0, max_tokens=self.answer_tokens)
        try:
            replies = local.generate([ChatRequest(prompt.messages, sampling) for prompt in prompts])
        except Interrupted:
            self.context.check()
            raise
        failures = [reply for reply in replies if not isinstance(reply, Reply)]
        if replies and len(failures) == len(replies):
            raise JobError(
                f"None of the {len(replies):,} prompts can be asked of {self.base}: {failures[0].message}.",
                "Allow shorter answers: --answer-tokens."
                if failures[0].error_class is ErrorClass.CONTEXT_LENGTH
                else "Ask other prompts, or use another model.",
            )
        return [reply.text if isinstance(reply, Reply) else "" for reply in replies]

    def _wants_to_stop(self) -> bool:
        try:
            self.context.check()
        except Stopped:
            return True
        return False

    def keep(
        self, kind: str, prompts: Sequence[Dialogue], answers: Sequence[str], who: str, meta: dict[str, Any]
    ) -> str:
        """Store the answers with the judge's verdicts, in one transaction; doing it again adds nothing. Returns the
        outcomes, a letter per prompt."""
        pairs = list(zip(prompts, answers, strict=True))
        new = [pair for pair in dict.fromkeys(pairs) if pair not in self.known]
        told = judged(self.judge, [prompt for prompt, _ in new], [answer for _, answer in new])
        self.known.update(zip(new, told, strict=True))
        verdicts = [self.known[pair] for pair in pairs]
        rows = [
            (
                f"{kind}/{meta['trial']}/{meta['step']}/{prompt.key}",
                MadeItem(
                    prompt.asked, answer, model=f"{self.base}{who}", split=kind, category=prompt.category,
                    meta={**meta, "source": prompt.key, "job": self.context.job.id},
                ),
            )
            for prompt, answer in pairs
        ]  # fmt: skip
        with self.context.commit() as connection:
            dataset = begin_made(connection, self.dataset, self.context.job.id, self.made_by)
            added = add_items(connection, dataset.id, rows)
            record_progress(
                connection, dataset.id, records_read=dataset.records_read + added.count, added=added.count, rejected=0,
                done=True,
            )  # fmt: skip
            said = [
                replace(verdict, item_id=item)
                for verdict, item in zip(verdicts, added.ids, strict=True)
                if verdict is not None and item is not None
            ]
            harmless = [_harmless(verdict.item_id) for verdict in said] if kind == BENIGN else []
            add_verdicts(connection, [*said, *harmless], job_id=self.context.job.id)
        return "".join(outcome_of(verdict) for verdict in verdicts)


def judged(judge: HandedJudge, prompts: Sequence[Dialogue], answers: Sequence[str]) -> list[Verdict | None]:
    """What the judge says to each answer; None where it says nothing."""

    async def all_of_them() -> list[Verdict | None]:
        found = []
        for prompt, answer in zip(prompts, answers, strict=True):
            row = Row(ItemId(0), render_messages(prompt.messages), answer, messages=prompt.messages)
            said = await judge.judge(row, RowKey()) if answer.strip() else None
            found.append(said if isinstance(said, Verdict) else None)
        return found

    return asyncio.run(all_of_them())


def outcome_of(verdict: Verdict | None) -> Outcome:
    answer = None if verdict is None else verdict.answers.get(REFUSAL3)
    if answer is None or answer.value not in set(Refusal3):
        return Outcome.MISSING
    return _OF_LABEL[Refusal3(str(answer.value))]


def _harmless(item: ItemId) -> Verdict:
    return Verdict(item, f"judge:{SET}", SET, "1", {"prompt_harmful": Answer(False)})
