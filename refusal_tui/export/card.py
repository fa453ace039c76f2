"""What must travel with the data? Counts, label distributions, provenance, licences, and how to read it again."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from refusal_tui import __version__
from refusal_tui.store.datasets import Dataset, list_datasets


@dataclass
class Summary:
    """Counted while the rows stream by."""

    rows: int = 0
    with_response: int = 0
    datasets: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    refusal3: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def watch(self, records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Pass the records on and count them."""
        for record in records:
            self.rows += 1
            self.with_response += record["response"] is not None
            self.datasets[record["dataset"]] += 1
            if record["model"]:
                self.models[record["model"]] += 1
            self.refusal3[record["refusal3"] or "unlabelled"] += 1
            for label in record["labels"]:
                self.labels[f"{label['head']} by {label['annotator']}"][label["value"]] += 1
            yield record


def sources_of(connection: sqlite3.Connection, summary: Summary) -> list[Dataset]:
    return [d for d in list_datasets(connection) if d.name in summary.datasets]


def dataset_info(summary: Summary, sources: list[Dataset], *, selection: str, format_: str) -> dict[str, Any]:
    """`dataset_info.json`."""
    return {
        "total_items": summary.rows,
        "with_response": summary.with_response,
        "format": format_,
        "selection": selection,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "refusal_tui": __version__,
        "refusal3": dict(summary.refusal3),
        "labels": {name: dict(values) for name, values in sorted(summary.labels.items())},
        "models": dict(summary.models),
        "sources": [{"name": d.name, "rows": summary.datasets[d.name], **asdict(d.provenance)} for d in sources],
        "licences": sorted({d.provenance.licence or "not stated" for d in sources}),
    }


def dataset_card(info: dict[str, Any]) -> str:
    """`README.md`: a dataset card in the form that the Hugging Face Hub reads."""
    lines = [
        "---",
        "pretty_name: " + json.dumps(f"refusal_tui export of {info['selection'] or 'a whole workspace'}"),
        "task_categories: [text-classification]",
        "tags: [refusal, refusal-tui]",
        "---",
        "",
        "# Refusal dataset",
        "",
        f"{info['total_items']:,} rows, {info['with_response']:,} with a response. Written by refusal_tui "
        f"{info['refusal_tui']} on {info['timestamp']} from the selection `{info['selection'] or '(all rows)'}`.",
        "",
        "## Labels",
        "",
        "`refusal3` is the label to train on: a human's where there is one, else the latest judge's. A row without a "
        "label is null, which is not `none`. `labels` holds every annotator's current label, `verdicts` the whole "
        "history.",
        "",
        "| label | counts |",
        "|---|---|",
        f"| refusal3 | {_counts(info['refusal3'])} |",
        *(f"| {_cell(name)} | {_counts(values)} |" for name, values in info["labels"].items()),
        "",
        "## Sources and licences",
        "",
        "| dataset | rows | source | revision | sha256 | licence | redistribution |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {_cell(s['name'])} | {s['rows']:,} | {_cell(s['source'])} | {_cell(s['revision'])} "
            f"| {_cell((s['sha256'] or '')[:16])} | {_cell(s['licence'])} | {_cell(s['redistribution'])} |"
            for s in info["sources"]
        ),
    ]
    closed = [s["name"] for s in info["sources"] if s["redistribution"] in ("none", "labels-only")]
    if closed:
        lines += ["", f"**Do not pass this on as it is:** the terms of {', '.join(closed)} do not allow it."]
    held_out = [s["name"] for s in info["sources"] if s["eval_only"]]
    if held_out:
        lines += ["", f"**Evaluation only, never train on:** {', '.join(held_out)}."]
    lines += ["", "Read it again with `refusal-tui import FOLDER --as workbench`.", ""]
    return "\n".join(lines)


def _counts(values: dict[str, int]) -> str:
    return ", ".join(f"{_cell(name)} {count:,}" for name, count in sorted(values.items(), key=lambda x: -x[1]))


def _cell(value: object) -> str:
    return str(value or "").replace("|", "\\|").replace("\n", " ")
