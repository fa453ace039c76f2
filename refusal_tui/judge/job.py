"""How does a labelling job run? Every batch goes to the judge; a verdict is stored per row."""

from __future__ import annotations

from collections.abc import Sequence

from refusal_tui.judge.registry import make_judge
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import RowError, Verdict

_BATCH_ROWS = 64
_SHORTEST_TURN_SECONDS = 0.25  # a paced job moves visibly, not in one jump per batch


class LabelJob:
    """A RowJob around a judge."""

    def __init__(self, spec: LabelSpec, workspace: object) -> None:
        self._judge = make_judge(spec.judge)
        self.concurrency = 1
        self.max_rate = spec.max_rate
        paced = _BATCH_ROWS if spec.max_rate is None else max(1, int(spec.max_rate * _SHORTEST_TURN_SECONDS))
        self.batch_size = min(_BATCH_ROWS, paced)

    async def process(self, rows: Sequence[Row]) -> list[Verdict | RowError]:
        return await self._judge.judge(rows)
