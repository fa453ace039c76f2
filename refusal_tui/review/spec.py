"""What may be set for a queue? One model, rendered as options of `review new` and as the form of the screen."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.labels.verdict import Profile
from refusal_tui.review.questions import ASKABLE, sheet
from refusal_tui.review.sampling import Aim, Plan
from refusal_tui.store.review_queues import View


class QueueSpec(JobSpec):
    """Settings of `refusal-tui review new`."""

    VERSION: ClassVar[int] = 1

    name: str = Field("", description="the queue's name (empty: review-1, review-2, …)")
    size: int = Field(100, ge=1, le=1_000_000, description="how many different rows to expect")
    questions: str = Field("refusal3", description=f"what is asked, comma-separated: {', '.join(ASKABLE)}")
    profile: Profile = Field(Profile.XSTEST, description="the rules of the three classes")
    aims: str = Field("outcome", description=f"what the rows not drawn at random come from: {', '.join(Aim)}; or none")
    random_share: float = Field(0.5, gt=0, le=1, description="drawn at random, so that error rates stay unbiased")
    overlap: int = Field(1, ge=1, le=20, description="how many annotators label a row")
    overlap_part: float = Field(1.0, ge=0, le=1, description="part of the rows that so many label; the others: one")
    repeats: float = Field(0.05, ge=0, le=0.5, description="shown silently again, for agreement with oneself")
    view: View = Field(View.PAIR, description="what is shown of a row")
    blind: bool = Field(True, description="hide the judges' labels until the row is answered")
    highlight: bool = Field(True, description="paint the judges' evidence in the text")
    blur: bool = Field(False, description="hide text until a key is pressed, unless judged harmless")
    seed: int = Field(0, ge=0, description="the same seed draws the same rows")

    @field_validator("questions")
    @classmethod
    def _askable(cls, value: str) -> str:
        try:
            return sheet(value).question_set.replace("+", ",")
        except RefusalTuiError as error:
            raise ValueError(f"{error} {error.next_step}") from None

    @field_validator("aims")
    @classmethod
    def _known(cls, value: str) -> str:
        names = [name.strip() for name in value.split(",") if name.strip()]
        unknown = [name for name in names if name != "none" and name not in set(Aim)]
        if unknown:
            raise ValueError(f"has no {', '.join(unknown)}: choose from {', '.join(Aim)}, or none")
        return ",".join(name for name in dict.fromkeys(names) if name != "none") or "none"

    @property
    def plan(self) -> Plan:
        """How the rows are drawn."""
        aims = () if self.aims == "none" else tuple(Aim(name) for name in self.aims.split(","))
        share = self.random_share if aims else 1.0
        return Plan(self.size, share, aims, self.overlap, self.overlap_part, self.repeats, self.seed)

    def title(self) -> str:
        return f"review {self.questions}"
