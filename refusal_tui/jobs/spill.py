"""Where do finished rows wait when the database cannot be written? In a side file that the next run commits first.

One JSON value per line: a finished row, or a side row of the job (see `writer.SideRows`), as `{"side": …}`. A line that
was torn by a crash costs what is in it alone.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from refusal_tui.errors import StorageError
from refusal_tui.jobs.files import log_file
from refusal_tui.labels.rows import ItemId, Message
from refusal_tui.labels.verdict import Answer, ErrorClass, Profile, RowError, Span, Verdict
from refusal_tui.store.outcomes import Finished, Made, MadeItem, Output, RowResult
from refusal_tui.store.workspace import Workspace

SideRecord = Mapping[str, Any]  # a side row as JSON: what `SideRows.unwritten` gives and `SideRows.restore` takes

log = logging.getLogger("refusal_tui.spill")


@dataclass(slots=True)
class Spilled:
    """What a side file holds."""

    finished: list[Finished] = field(default_factory=list)
    side: list[SideRecord] = field(default_factory=list)


def spill_path(workspace: Workspace, job_id: int) -> Path:
    return log_file(workspace, f"job-{job_id}.spill.jsonl")


def spill(path: Path, group: Sequence[Finished], side: Sequence[SideRecord] = ()) -> None:
    """Append finished rows and side rows, durable before it returns. Raises StorageError when even that fails."""
    records: list[dict[str, Any]] = [{"side": one} for one in side]
    records += [{"kind": type(one.result).__name__, **asdict(one)} for one in group]
    try:
        with path.open("a", encoding="utf-8") as file:
            for record in records:
                # The line break in front ends a line that an earlier crash may have torn.
                file.write("\n" + json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"{len(group)} finished rows could not be kept: {error}.", "Free some space; they will be done again."
        ) from error


def unspill(path: Path) -> Spilled:
    """What a side file holds; a line that cannot be read is left out: its row is done again."""
    found = Spilled()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        if not line:
            continue
        try:
            record = json.loads(line)
            if "side" in record:
                found.side.append(record["side"])
            else:
                result = _result(record.pop("kind"), record.pop("result"))
                found.finished.append(Finished(result=result, **record))
        except (ValueError, KeyError, TypeError) as error:
            log.warning("a spilled row cannot be read and is done again: %s", error)
    return found


def _result(kind: str, record: dict[str, Any]) -> RowResult:
    record["item_id"] = ItemId(record["item_id"])
    if kind == "RowError":
        return RowError(**record | {"error_class": ErrorClass(record["error_class"])})
    if kind == "Output":
        return Output(**record)
    if kind == "Made":
        item = record.pop("item")
        if not isinstance(item["prompt"], str):
            item["prompt"] = tuple(Message(*turn) for turn in item["prompt"])
        return Made(item=MadeItem(**item), **record)
    answers = {question: Answer(**answer) for question, answer in record["answers"].items()}
    spans = tuple(Span(**span) for span in record["spans"])
    return Verdict(**record | {"answers": answers, "spans": spans, "profile": Profile(record["profile"])})
