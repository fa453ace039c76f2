"""What may a user set for an export?"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from refusal_tui.jobs.spec import JobSpec, SpecError


class ExportSpec(JobSpec):
    """Settings of `refusal-tui export`."""

    VERSION: ClassVar[int] = 1

    format: Literal["jsonl", "json", "parquet", "csv", "hf"] = Field("jsonl", description="file format")
    out: str = Field(description="the folder to write; it must be new or empty")

    @field_validator("out")
    @classmethod
    def _absolute(cls, value: str) -> str:
        # Here and now: the worker runs in another folder than the person who typed it.
        return str(Path(value).expanduser().absolute())

    def check(self) -> None:
        path = Path(self.out)
        if path.exists() and not path.is_dir():
            raise SpecError({"out": f"{path} is a file"})
        if path.is_dir() and any(path.iterdir()):
            raise SpecError({"out": f"{path} is not empty"})

    def title(self) -> str:
        return f"export as {self.format}"
