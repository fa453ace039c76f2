"""What may a user set for the final dataset?"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from refusal_tui.export.spec import absolute_folder, check_folder
from refusal_tui.jobs.spec import JobSpec, SpecError

LEAST_TRAINED = 0.1  # of the rows: less than that is a mistake of whoever set the other two shares


class FinalExportSpec(JobSpec):
    """Settings of `refusal-tui export --final`, as a job: `export-final`."""

    VERSION: ClassVar[int] = 1

    out: str = Field(description="the folder to write; it must be new or empty")
    pii: Literal["scrub", "keep", "drop"] = Field(
        "scrub", description="personal data: a numbered placeholder for each value, as it stands, or no such rows"
    )
    share_gated: bool = Field(False, description="you may share the text of gated sources; else only their labels")
    validation: float = Field(0.1, ge=0.0, lt=1.0, description="share of the rows that choose a model")
    test: float = Field(0.1, ge=0.0, lt=1.0, description="share of the rows that only measure")
    thin: Literal["train", "refuse"] = Field(
        "train", description="a class too thin for every part: all of it to training, or no export at all"
    )
    similarity: float = Field(0.8, gt=0.3, le=1.0, description="Jaccard index of texts that stay in one part")
    seed: int = Field(42, ge=0, description="the same seed makes the same parts")

    @field_validator("out")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return absolute_folder(value)

    def check(self) -> None:
        """Refuse at once what would fail after all rows are written."""
        if self.validation + self.test > 1 - LEAST_TRAINED:
            raise SpecError({"test": f"leaves less than {LEAST_TRAINED:.0%} for training, with --validation"})
        check_folder(self.out)

    def title(self) -> str:
        return "final dataset"
