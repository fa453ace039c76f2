"""How does a job live that asks models in stages and makes the rows of a new dataset?

The models are asked within the budget of the spec, the dataset is there from the first run on, and a stop lets go of
whoever waits for an answer. What is asked, and what becomes of it, is `work_on` of the job (`stages.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Protocol

from refusal_tui.jobs.asking import Models
from refusal_tui.jobs.stages import Staged
from refusal_tui.llm.limits import Budget
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import begin_made
from refusal_tui.store.jobs import Job
from refusal_tui.store.outcomes import Unit
from refusal_tui.store.workspace import Workspace


class Limits(Protocol):
    """The settings that every spec has whose job asks models."""

    @property
    def max_cost(self) -> float | None: ...
    @property
    def max_tokens(self) -> int | None: ...
    @property
    def max_minutes(self) -> float | None: ...


class MakingSpec(Limits, Protocol):
    """What the settings of such a job have besides. `name` is that of the new dataset."""

    @property
    def name(self) -> str: ...
    @property
    def max_rate(self) -> float | None: ...
    @property
    def endpoints(self) -> list[str]: ...
    def units(self) -> Sequence[Unit]: ...


def budget_of(spec: Limits) -> Budget:
    """What a job may use, as its settings say it."""
    minutes = spec.max_minutes
    return Budget(spec.max_cost, spec.max_tokens, None if minutes is None else minutes * 60)


class MakingJob(Staged):
    """A `Staged` job over the end points of its spec; `dataset_id` is where its items go, known from `start` on."""

    def __init__(self, spec: MakingSpec, workspace: Workspace, adapter: str) -> None:
        super().__init__(workspace)
        self.models = Models(workspace, spec.endpoints, budget_of(spec))
        self.side = self.models
        self.units = spec.units()
        # A step that waits for an earlier one of its row takes a place, too, but no request.
        self.concurrency = self.models.concurrency * len(self.units)
        self.max_rate = spec.max_rate
        self.dataset_id = 0
        self._dataset_name = spec.name
        self._adapter = adapter

    async def start(self, job: Job) -> None:
        await super().start(job)
        await self.models.open(job)
        with closing(self._workspace.open()) as connection, transaction(connection):
            self.dataset_id = begin_made(connection, self._dataset_name, job.id, self._adapter).id

    def stopping(self) -> None:
        self.models.stop()

    async def close(self) -> None:
        await super().close()
        await self.models.close()
