"""What may a user set for a labelling job?"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from refusal_tui.jobs.spec import JobSpec


class LabelSpec(JobSpec):
    """Settings of `refusal-tui run label`."""

    VERSION: ClassVar[int] = 1

    judge: Literal["lexical"] = Field("lexical", description="who judges; lexical works offline, from the text alone")
    max_rate: float | None = Field(
        None, gt=0, le=100_000, description="at most so many rows per second (leave empty for full speed)"
    )

    def title(self) -> str:
        return f"label with {self.judge}"
