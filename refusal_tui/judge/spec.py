"""What may a user set for a labelling job?"""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar, Literal, get_args

from pydantic import Field

from refusal_tui.jobs.spec import JobSpec, SpecError

LEXICAL = "lexical"
JudgeName = Literal[
    "lexical", "atoms", "wildguard", "sorry-bench", "xstest", "roberta", "strongreject", "refusal-strict",
    "refusal-lenient", "or-bench",
]  # fmt: skip
LLM_JUDGES: tuple[str, ...] = get_args(JudgeName)[1:]
_NEEDS_MODEL = ("panel", "second_pass", "arbiter", "permute", "canaries", "free_first", "max_cost", "max_tokens")


class LabelSpec(JobSpec):
    """Settings of `refusal-tui run label`. Version 2: judges that ask a language model."""

    VERSION: ClassVar[int] = 2
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset({"max_cost", "max_tokens", "max_minutes", "max_rate"})

    judge: JudgeName = Field(
        "lexical", description="who judges; lexical works offline, from the text alone, the others ask a model"
    )
    endpoint: str | None = Field(None, description="the language model that judges (refusal-tui endpoint list)")
    questions: str = Field(
        "style,harms,topics", description="what 'atoms' is asked beside the atoms, comma-separated, or 'none'"
    )
    permute: bool = Field(False, description="put the choices in another order for every row")
    panel: str = Field("", description="more end points, comma-separated, that give a vote of their own on every row")
    second_pass: float | None = Field(
        None, gt=0, le=1,
        description="ask again, choices in another order, where the judge is less sure than this, where the offline "
        "judge disagrees, or where the answers contradict each other",
    )  # fmt: skip
    arbiter: str | None = Field(None, description="end point that is asked, too, where the votes on a row differ")
    free_first: bool = Field(False, description="keep the offline judge's label of rows that it is sure of")
    canaries: int = Field(0, ge=0, le=50, description="how many rows that talk to the judge are mixed in")
    max_cost: float | None = Field(None, gt=0, description="pause before this many US dollars are passed")
    max_tokens: int | None = Field(None, gt=0, description="pause before this many tokens are passed")
    max_minutes: float | None = Field(None, gt=0, description="pause after this many minutes at work")
    max_rate: float | None = Field(
        None, gt=0, le=100_000, description="at most so many rows per second (leave empty for full speed)"
    )

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        return data  # version 1 knew `judge` and `max_rate`, with the same meaning

    def check(self) -> None:
        if self.judge != LEXICAL:
            if not self.endpoint:
                raise SpecError({"endpoint": f"is needed: the judge {self.judge} asks a language model"})
            if len(set(self.voters)) < len(self.voters):
                raise SpecError({"panel": "names an end point twice"})
            return
        needless = [name for name in ("endpoint", *_NEEDS_MODEL) if getattr(self, name)]
        if needless:
            raise SpecError(dict.fromkeys(needless, "is for judges that ask a language model"))

    def check_in(self, connection: sqlite3.Connection) -> None:
        if self.judge == LEXICAL:
            return
        from refusal_tui.judge.interview import questions_of
        from refusal_tui.store.endpoints import get_endpoint

        questions_of(self.judge, self.beside)
        for name in [*self.voters, *([self.arbiter] if self.arbiter else [])]:
            get_endpoint(connection, name)

    def title(self) -> str:
        return f"label with {self.judge}" + (f" by {', '.join(self.voters)}" if self.judge != LEXICAL else "")

    def lane(self) -> str | None:
        return None if self.judge == LEXICAL else "free"  # it waits for others most of the time

    @property
    def voters(self) -> tuple[str, ...]:
        """The end points that give a vote on every row."""
        more = (name.strip() for name in self.panel.split(","))
        return tuple(name for name in (self.endpoint or "", *more) if name)

    @property
    def beside(self) -> str:
        """The question sets asked in the same request as the judge's own."""
        return self.questions if self.judge == "atoms" and self.questions != "none" else ""
