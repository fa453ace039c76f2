"""What may a user set for an import?"""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from refusal_tui.ingest.adapters.generic import check_mapping
from refusal_tui.ingest.hub import parse_reference
from refusal_tui.ingest.plan import ImportPlan, make_plan
from refusal_tui.ingest.registry import get_adapter
from refusal_tui.jobs.spec import JobSpec, MissingInput


class ImportSpec(JobSpec):
    """Settings of `refusal-tui import`."""

    VERSION: ClassVar[int] = 1

    source: str = Field(description="a JSONL, JSON, CSV, TSV or Parquet file (.gz, .zst), a folder, or hf:owner/name")
    adapter: str | None = Field(None, description="how to read it; recognised from its columns when empty")
    name: str | None = Field(None, description="what to call the dataset; from the source when empty")
    split: str | None = Field(None, description="which split to read; all when empty")
    limit: int | None = Field(None, ge=1, description="read at most so many rows of the source")
    # A pair with a comma in it stands in quotes, as a cell of a CSV file does: "prompt=a,b",response=c
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
        return value if value.startswith("hf:") else absolute(value)

    @field_validator("name", "split")
    @classmethod
    def _text(cls, value: str | None) -> str | None:
        return value if value is None else printable(value)

    def check(self) -> None:
        """Refuse at once what the worker would refuse later."""
        if self.source.startswith("hf:"):
            parse_reference(self.source)
        elif not os.path.exists(self.source):  # noqa: PTH110 (False where access is denied or the name is too long)
            raise MissingInput({"source": f"{self.source} does not exist, or may not be read"})
        if self.adapter is not None:
            get_adapter(self.adapter)
        if mapping := _split_pairs(self.map):
            check_mapping(mapping)

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


def absolute(path: str) -> str:
    """An absolute path. Raises ValueError for one that cannot be kept as text, or of a user who does not exist."""
    try:
        return printable(str(Path(path).expanduser().absolute()))
    except RuntimeError as error:
        raise ValueError(f"{path} is in the home of nobody on this machine") from error


def printable(text: str) -> str:
    """Raises ValueError for text that is no UTF-8 (a file name in an old encoding): settings are kept as JSON."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        shown = text.encode("utf-8", "backslashreplace").decode()
        raise ValueError(f"{shown} is not UTF-8 text; rename it") from error
    return text


def _split_pairs(text: str | None) -> dict[str, str]:
    """
    >>> _split_pairs("prompt=question, response=output.text")
    {'prompt': 'question', 'response': 'output.text'}
    >>> _split_pairs('"prompt=Question, in words",response=a=b')
    {'prompt': 'Question, in words', 'response': 'a=b'}
    """
    pairs: dict[str, str] = {}
    try:
        parts = next(csv.reader([text or ""], skipinitialspace=True, strict=True), [])
    except csv.Error as error:
        raise ValueError(f"{text!r} is not of the form key=value,key=value ({error})") from error
    for part in parts:
        name, equals, value = part.partition("=")
        if not part.strip():
            continue
        if not equals or not value.strip():
            raise ValueError(f"{part.strip()!r} is not of the form key=value")
        pairs[name.strip()] = value.strip()
    return pairs
