"""What may a user set for an audit?"""

from __future__ import annotations

import sqlite3
from typing import ClassVar

from pydantic import Field

from refusal_tui.jobs.spec import JobSpec
from refusal_tui.pii.names import require_presidio
from refusal_tui.store.query import compile_filter
from refusal_tui.store.review_queues import check_queue_name


class AuditSpec(JobSpec):
    """Settings of `refusal-tui run audit`; the defaults are those of the dataset-pipeline system where it has them."""

    VERSION: ClassVar[int] = 1

    similarity: float = Field(0.8, gt=0.3, le=1.0, description="Jaccard index of near duplicates")
    min_confidence: float = Field(0.6, ge=0.0, le=1.0, description="labels below it are reported")
    sample_rate: float = Field(0.05, gt=0.0, le=1.0, description="share of the rows in the sample for people")
    against: str = Field("", description="a filter of rows that must not be among these, such as a test set")
    review: str = Field("", description="make a review queue of that name from the sample for people")
    names: bool = Field(False, description="look for names of persons, too (needs presidio and a spaCy model)")
    seed: int = Field(42, ge=0, description="the same seed draws the same samples")

    def check(self) -> None:
        if self.names:
            require_presidio()

    def check_in(self, connection: sqlite3.Connection) -> None:
        compile_filter(connection, self.against)
        if self.review:
            check_queue_name(connection, self.review)

    def title(self) -> str:
        return "audit"
