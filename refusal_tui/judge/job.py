"""How does a labelling job run? Every batch goes to the judge; a verdict is stored per row."""

from __future__ import annotations

from collections.abc import Sequence

from refusal_tui.jobs.judging import classifier_judge
from refusal_tui.jobs.rowjob import RowJob
from refusal_tui.judge.registry import make_judge
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.verdict import Judge, RowError, Verdict
from refusal_tui.store.outcomes import PendingRow
from refusal_tui.store.workspace import Workspace

_BATCH_ROWS = 64
_SHORTEST_TURN_SECONDS = 0.25  # a paced job moves visibly, not in one jump per batch


def make_label_job(spec: LabelSpec, workspace: Workspace) -> RowJob:
    """The job of a spec: around an offline judge, or asking language models."""
    if spec.classifier:
        return LabelJob(spec, classifier_judge(workspace, spec.classifier))
    if spec.offline:
        return LabelJob(spec, make_judge(spec.judge))
    from refusal_tui.judge.llm_job import LlmLabelJob

    return LlmLabelJob(spec, workspace)


class LabelJob(RowJob):
    """A RowJob around a judge that needs nobody else."""

    def __init__(self, spec: LabelSpec, judge: Judge) -> None:
        self._judge = judge
        self.concurrency = 1
        self.max_rate = spec.max_rate
        paced = _BATCH_ROWS if spec.max_rate is None else max(1, int(spec.max_rate * _SHORTEST_TURN_SECONDS))
        self.batch_size = min(_BATCH_ROWS, paced)

    async def process(self, work: Sequence[PendingRow]) -> list[Verdict | RowError]:
        return await self._judge.judge([pending.row for pending in work])
