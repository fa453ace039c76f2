"""What may a user set for an import?"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from refusal_tui.ingest.plan import ImportPlan, make_plan
from refusal_tui.jobs.spec import JobSpec, SpecError


class ImportSpec(JobSpec):
    """Settings of `refusal-tui import`."""

    VERSION: ClassVar[int] = 1

    source: str = Field(description="a JSONL, JSON, CSV, TSV or Parquet file (.gz, .zst), a folder, or hf:owner/name")
    adapter: str | None = Field(None, description="how to read it; recognised from its columns when empty")
    name: str | None = Field(None, description="what to call the dataset; from the source when empty")
    split: str | None = Field(None, description="which split to read; all when empty")
    limit: int | None = Field(None, ge=1, description="read at most so many rows of the source")
    map: str | None = Field(None, description="columns of a generic source: prompt=question,response=answer")
    options: str | None = Field(None, description="options of the adapter: key=value,key=value")

    @field_validator("map", "options")
    @classmethod
    def _pairs(cls, value: str | None) -> str | None:
        _split_pairs(value)
        return value

    @field_validator("source")
    @classmethod
    def _absolute(cls, value: str) -> str:
        # Here and now: the worker runs in another folder than the person who typed it.
        return value if value.startswith("hf:") else str(Path(value).expanduser().absolute())

    def check(self) -> None:
        if not self.source.startswith("hf:") and not Path(self.source).exists():
            raise SpecError({"source": f"{self.source} does not exist"})

    def title(self) -> str:
        return f"import {self.name or self.source.rpartition('/')[2]}"

    def plan(self) -> ImportPlan:
        """How the source would be read; looks at its head only."""
        return make_plan(
            self.source,
            adapter=self.adapter,
            mapping=_split_pairs(self.map) or None,
            split=self.split,
            options=_split_pairs(self.options),
        )


def _split_pairs(text: str | None) -> dict[str, str]:
    """
    >>> _split_pairs("prompt=question, response=output.text")
    {'prompt': 'question', 'response': 'output.text'}
    """
    pairs: dict[str, str] = {}
    for part in (text or "").split(","):
        name, equals, value = part.partition("=")
        if not part.strip():
            continue
        if not equals or not value.strip():
            raise ValueError(f"{part.strip()!r} is not of the form key=value")
        pairs[name.strip()] = value.strip()
    return pairs
