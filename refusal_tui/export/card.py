"""What must travel with the data? Counts, label distributions, provenance, licences, and how to read it again."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from refusal_tui import __version__
from refusal_tui.store.datasets import Dataset, list_datasets
from refusal_tui.text.cards import as_cell, as_code, as_yaml, sources_table


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


def dataset_card(info: dict[str, Any], data: str) -> str:
    """`README.md`: a dataset card in the form that the Hugging Face Hub reads. `data` is the file or folder of rows."""
    lines = [
        "---",
        "pretty_name: " + as_yaml(f"refusal_tui export of {info['selection'] or 'a whole workspace'}"),
        "task_categories: [text-classification]",
        "tags: [refusal, refusal-tui]",
        # Of several sources the strictest terms hold, and no Hub identifier says that.
        "license: other",
        "license_name: " + as_yaml("; ".join(info["licences"])),
        "configs:",
        f"- {{config_name: default, data_files: {'data/*.arrow' if info['format'] == 'hf' else data}}}",
        "---",
        "",
        "# Refusal dataset",
        "",
        f"{info['total_items']:,} rows, {info['with_response']:,} with a response. Written by refusal_tui "
        f"{info['refusal_tui']} on {info['timestamp']} from the selection "
        f"{as_code(info['selection'] or '(all rows)')}.",
        "",
        "## Labels",
        "",
        "`refusal3` (none, hard, soft) is the label to train on: a human's where there is one, else the latest judge's "
        "(`refusal3_by`: whose). `prompt_harmful`, `response_harmful` and `response_refusal` are chosen likewise. A "
        "row without a label is null, which is neither `none` nor false. `labels` holds every annotator's current "
        "label, `verdicts` the whole history.",
        "",
        "| label | counts |",
        "|---|---|",
        f"| refusal3 | {counts_text(info['refusal3'])} |",
        *(f"| {as_cell(name)} | {counts_text(values)} |" for name, values in info["labels"].items()),
        "",
        "## Sources and licences",
        "",
        *sources_table(info["sources"]),
    ]
    closed = [s["name"] for s in info["sources"] if s["redistribution"] in ("none", "labels-only")]
    if closed:
        names = ", ".join(as_cell(name) for name in closed)
        lines += ["", f"**Do not pass this on as it is:** the terms of {names} do not allow it."]
    held_out = [s["name"] for s in info["sources"] if s["eval_only"]]
    if held_out:
        lines += ["", f"**Evaluation only, never train on:** {', '.join(as_cell(name) for name in held_out)}."]
    # A key is unique in its dataset only.
    apart = " --option keys=dataset" if len(info["sources"]) > 1 else ""
    lines += ["", f"Read it again with `refusal-tui import FOLDER --as workbench{apart}`.", ""]
    return "\n".join(lines)


def counts_text(values: dict[str, int]) -> str:
    return ", ".join(f"{as_cell(name)} {count:,}" for name, count in sorted(values.items(), key=lambda x: -x[1]))
