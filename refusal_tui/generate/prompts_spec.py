"""What may a user set for writing prompts? The requested mix becomes the rows of the job when it is submitted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from refusal_tui.errors import InputError
from refusal_tui.generate import mix
from refusal_tui.generate.wording import brief_of
from refusal_tui.jobs.lanes import lane_of
from refusal_tui.jobs.spec import ENDPOINTS, JobSpec, SpecError
from refusal_tui.store.datasets import Provenance, begin_dataset, record_progress, require_free_name
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.items import add_items
from refusal_tui.store.outcomes import MadeItem, Unit

if TYPE_CHECKING:
    from refusal_tui.jobs.estimate import Asks
    from refusal_tui.store.lengths import Lengths

ADAPTER = "prompts"
WRITE, EVALUATE, FINISH = "write", "evaluate", "finish"
_AT_ONCE = 1000


class PromptsSpec(JobSpec):
    """Settings of `refusal-tui run prompts`."""

    VERSION: ClassVar[int] = 1
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset({"max_cost", "max_tokens", "max_minutes", "max_rate"})

    name: str = Field(description="what the dataset of prompts is called; what was asked for is NAME-plan")
    endpoint: str = Field(description=f"the language model that writes {ENDPOINTS}")
    number: int = Field(100, ge=1, le=100_000, description="how many prompts")
    categories: str = Field(description="what they are about, with shares: weapons=2,privacy=1")
    kinds: str = Field(mix.KINDS, description="harmful, borderline and harmless prompts, with shares")
    personas: str = Field(mix.PERSONAS, description="who writes them, with shares")
    tones: str = Field(mix.TONES, description="in which tone, with shares")
    lengths: str = Field(mix.LENGTHS, description="how long, in tokens, with shares")
    habits: str = Field(mix.HABITS, description="how they are typed, each in percent of the prompts, or 'none'")
    evaluator: str | None = Field(None, description="another language model that evaluates (default: the same)")
    retries: int = Field(2, ge=0, le=5, description="how often a prompt that failed is written again")
    temperature: float = Field(1.0, ge=0, le=2, description="of the writing model")
    seed: int = Field(0, ge=0, description="which prompt has which part of the mix")
    max_cost: float | None = Field(None, gt=0, description="pause before this many US dollars are passed")
    max_tokens: int | None = Field(None, gt=0, description="pause before this many tokens are passed")
    max_minutes: float | None = Field(None, gt=0, description="pause after this many minutes at work")
    max_rate: float | None = Field(None, gt=0, le=100_000, description="at most so many steps per second")

    def check(self) -> None:
        wrong: dict[str, str] = {}
        for name in ("kinds", "categories", "personas", "tones", "lengths"):
            try:
                shares = mix.read_shares(getattr(self, name), name)
                if name == "lengths":
                    for length in shares:
                        mix.read_length(length)
            except InputError as error:
                wrong[name] = f"{error} {error.next_step}".strip()
        if not wrong:
            try:
                self.slots()
            except InputError as error:
                wrong["habits"] = f"{error} {error.next_step}".strip()
        if wrong:
            raise SpecError(wrong)

    def check_in(self, connection: sqlite3.Connection) -> None:
        for name in (self.name, self.plan_name):
            require_free_name(connection, name)
        for name in self.endpoints:
            get_endpoint(connection, name)

    def lane(self, connection: sqlite3.Connection) -> str | None:
        return lane_of(connection, self.endpoints)

    def slots(self) -> list[mix.Slot]:
        """The wanted prompts."""
        return mix.slots(
            self.number, self.seed, kinds=self.kinds, categories=self.categories, personas=self.personas,
            tones=self.tones, lengths=self.lengths, habits=self.habits,
        )  # fmt: skip

    def make_rows(self, connection: sqlite3.Connection) -> Sequence[int]:
        """One row per wanted prompt: its prompt is the brief, its meta the part of the mix."""
        source = f"the mix of {self.name}"
        plan = begin_dataset(connection, self.plan_name, Provenance(ADAPTER, "1", source, redistribution="full"))
        wanted = self.slots()
        ids: list[int] = []
        for start in range(0, len(wanted), _AT_ONCE):
            batch = [
                (f"{slot.number + 1:06}", MadeItem(brief_of(slot), None, category=slot.category, meta=asdict(slot)))
                for slot in wanted[start : start + _AT_ONCE]
            ]
            ids += [item_id for item_id in add_items(connection, plan.id, batch).ids if item_id is not None]
        record_progress(connection, plan.id, records_read=len(ids), added=len(ids), rejected=0, done=True)
        return ids

    def units(self) -> list[Unit]:
        """A row's stages, in order."""
        tries = [Unit(stage, k) for k in range(1 + self.retries) for stage in (WRITE, EVALUATE)]
        return [*tries, Unit(FINISH)]

    @property
    def plan_name(self) -> str:
        return f"{self.name}-plan"

    @property
    def evaluated_by(self) -> str:
        return self.evaluator or self.endpoint

    @property
    def endpoints(self) -> list[str]:
        return list(dict.fromkeys([self.endpoint, self.evaluated_by]))

    def asks(self, connection: sqlite3.Connection) -> Sequence[Asks]:
        from refusal_tui.generate.asks import prompts_asks

        return prompts_asks(self)

    def own_rows(self) -> Lengths:
        from refusal_tui.generate.asks import prompts_lengths

        return prompts_lengths(self)

    def title(self) -> str:
        return f"write {self.number:,} prompts into {self.name} ({self.endpoint})"
