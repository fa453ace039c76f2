"""What would an import do? The look at a source runs as a command of its own; here is what came of it.

The readers load pyarrow or datasets, which no face does: `refusal-tui ingest-plan --json` looks in another process.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_OPTIONS = {"adapter": "--as", "split": "--split", "map": "--map"}


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """One of the first items; hostile text."""

    prompt: str
    response: str | None


@dataclass(frozen=True, slots=True)
class PlanView:
    """How the source would be read. `mapping` is written as the form takes it (`prompt=question,response=answer`)."""

    adapter: str
    name: str
    licence: str
    rows: int | None
    mapping: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    rejected: tuple[str, ...]
    preview: tuple[PreviewRow, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """The end of a look: a plan, or the sentence that says why there is none."""

    plan: PlanView | None = None
    problem: str = ""


def look_command(values: Mapping[str, object]) -> list[str]:
    """The command that looks at the source of a form; its standard output is one JSON object."""
    command = [sys.executable, "-m", "refusal_tui", "ingest-plan", "--json"]
    for name, option in _OPTIONS.items():
        if values.get(name):
            command += [option, str(values[name])]
    for pair in next(csv.reader([str(values.get("options") or "")], skipinitialspace=True), []):
        if pair.strip():
            command += ["--option", pair.strip()]
    return [*command, "--", str(values.get("source") or "")]


def read_look(code: int, output: bytes, errors: bytes) -> Look:
    """What the command has said, whatever it was."""
    if code != 0:
        text = errors.decode("utf-8", "replace").strip().removeprefix("Error: ")
        return Look(problem=text or f"The look ended with exit code {code}.")
    try:
        return Look(_plan(json.loads(output)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Look(problem=f"The look said something that is not understood ({type(error).__name__}).")


def _plan(record: Mapping[str, Any]) -> PlanView:
    mapping = record.get("mapping") or {}
    return PlanView(
        adapter=str(record["adapter"]),
        name=str(record["name"]),
        licence=str(record.get("licence") or ""),
        rows=record.get("estimated_rows"),
        mapping=_pairs(mapping),
        reasons=tuple(str(reason) for reason in record.get("reasons") or ()),
        warnings=tuple(str(warning) for warning in record.get("warnings") or ()),
        rejected=tuple(_rejected(row) for row in record.get("rejected") or ()),
        preview=tuple(
            PreviewRow(str(item["prompt"]), None if item.get("response") is None else str(item["response"]))
            for item in record.get("preview") or ()
        ),
    )


def _pairs(mapping: Mapping[str, str]) -> str:
    """
    >>> _pairs({"prompt": "Question, in words", "response": "answer"})
    '"prompt=Question, in words",response=answer'
    """
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(f"{ours}={column}" for ours, column in mapping.items())
    return line.getvalue()


def _rejected(row: Any) -> str:
    return f"line {row['line']}: {row['reason']}" if isinstance(row, dict) else str(row)
