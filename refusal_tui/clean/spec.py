"""What may a user set for a cleaning job?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator

from refusal_tui.clean.routes import DEFAULT_ROUTES, read_routes, ways
from refusal_tui.clean.strategies import names, read_strategy
from refusal_tui.errors import InputError
from refusal_tui.jobs.judging import OFFLINE_JUDGES, check_judge
from refusal_tui.jobs.lanes import lane_of
from refusal_tui.jobs.spec import ENDPOINTS, JobSpec, SpecError, not_for
from refusal_tui.store.datasets import require_free_name
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.outcomes import Unit

if TYPE_CHECKING:
    from refusal_tui.jobs.estimate import Asks

DETECT, HARM, REWRITE, ANSWER, VERIFY, DECIDE = "detect", "harms", "rewrite", "answer", "verify", "decide"


class CleanSpec(JobSpec):
    """Settings of `refusal-tui run clean`."""

    VERSION: ClassVar[int] = 1
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset({"max_cost", "max_tokens", "max_minutes", "max_rate"})

    name: str = Field(description="what the cleaned dataset is called")
    endpoint: str = Field(description=f"the language model that rewrites {ENDPOINTS}")
    answerer: str | None = Field(None, description="another language model that answers the rewritten questions")
    judge: str = Field(
        "wildguard",
        description="who detects and verifies; linear and lexical work offline but cannot tell whether a rewrite is "
        "safe, so that rewritten rows are left for review",
    )  # fmt: skip
    judge_endpoint: str | None = Field(
        None, description="another language model that judges", json_schema_extra=not_for(judge=OFFLINE_JUDGES)
    )
    strategy: str = Field("question", description=f"how to rewrite: {', '.join(names())}, or a text file of your own")
    routes: str = Field(
        DEFAULT_ROUTES,
        description=f"what is done by kind of harm whatever the strategy, as HARM=WAY, comma-separated, or none; a way "
        f"is one of {ways()}",
    )
    ask_harms: bool = Field(
        False,
        description="let the judge name the kinds of harm of every prompt that is to be changed, so that routes hold "
        "for rows without a category, too",
        json_schema_extra=not_for(judge=OFFLINE_JUDGES),
    )
    noise: Literal["all", "over-refusals", "hedges"] = Field(
        "all",
        description="what is cleaned: every refusal, only refusals of harmless prompts, or every refusal and the "
        "disclaimers around answers as well",
    )
    rounds: int = Field(3, ge=1, le=8, description="how often a row is tried at most")
    answer_tokens: int = Field(512, ge=16, le=16_384, description="how long an answer may be")
    max_cost: float | None = Field(None, gt=0, description="pause before this many US dollars are passed")
    max_tokens: int | None = Field(None, gt=0, description="pause before this many tokens are passed")
    max_minutes: float | None = Field(None, gt=0, description="pause after this many minutes at work")
    max_rate: float | None = Field(None, gt=0, le=100_000, description="at most so many steps per second")

    @field_validator("strategy")
    @classmethod
    def _whole_path(cls, value: str) -> str:
        """The worker runs in another folder than whoever names the file."""
        return value if value in names() else str(Path(value).expanduser().resolve())

    def check(self) -> None:
        if self.strategy not in names():
            try:
                read_strategy(self.strategy)
            except InputError as error:
                raise SpecError({"strategy": str(error)}) from error
        try:
            read_routes(self.routes)
        except InputError as error:
            raise SpecError({"routes": f"{error} {error.next_step}".strip()}) from error
        needless = [name for name in ("judge_endpoint", "ask_harms") if getattr(self, name)]
        if needless and self.judge in OFFLINE_JUDGES:
            raise SpecError(dict.fromkeys(needless, "is for judges that ask a language model"))

    def check_in(self, connection: sqlite3.Connection) -> None:
        check_judge(self.judge)
        require_free_name(connection, self.name)
        for name in self.endpoints:
            get_endpoint(connection, name)

    def lane(self, connection: sqlite3.Connection) -> str | None:
        return lane_of(connection, self.endpoints)

    def units(self) -> list[Unit]:
        """A row's stages, in order."""
        tries = [Unit(stage, k) for k in range(self.rounds) for stage in (REWRITE, ANSWER, VERIFY)]
        return [Unit(DETECT), *([Unit(HARM)] if self.ask_harms else []), *tries, Unit(DECIDE)]

    @property
    def endpoints(self) -> list[str]:
        """Every end point that is asked, once."""
        asked = [self.endpoint, self.answered_by, self.judged_by]
        return list(dict.fromkeys(name for name in asked if name))

    @property
    def answered_by(self) -> str:
        return self.answerer or self.endpoint

    @property
    def judged_by(self) -> str | None:
        """The end point of the judge; None: it works offline."""
        return None if self.judge in OFFLINE_JUDGES else self.judge_endpoint or self.endpoint

    def asks(self, connection: sqlite3.Connection) -> Sequence[Asks]:
        from refusal_tui.clean.asks import clean_asks

        return clean_asks(self)

    def title(self) -> str:
        return f"clean into {self.name} ({self.strategy}, {self.endpoint})"
