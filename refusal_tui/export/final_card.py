"""What must travel with the final dataset? How it was made, what is in it, and under which terms.

No time and no folder of this machine: the same store and seed give the same bytes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from refusal_tui import __version__
from refusal_tui.export.card import counts_text
from refusal_tui.export.final_files import DATASETS, JSON_FILE, JSONL_FILE, PARQUET
from refusal_tui.export.final_plan import Plan
from refusal_tui.export.final_rows import FinalRow
from refusal_tui.export.final_spec import FinalExportSpec
from refusal_tui.export.resolve import HEADS, POLICY
from refusal_tui.jobs.terms import source_facts
from refusal_tui.labels.taxonomy import HEADS as TAXONOMY
from refusal_tui.store.datasets import Dataset
from refusal_tui.text.cards import as_cell, as_code, as_yaml, sources_table

_SEVERAL = ("head_c_a", "head_c_b")


@dataclass
class Tally:
    """Counted while the rows are written."""

    rows: int = 0
    changed: int = 0
    withheld: int = 0
    replaced: int = 0
    with_pii: int = 0
    parts: Counter[str] = field(default_factory=Counter)
    datasets: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    labels: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    ranks: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    by_part: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    left_open: Counter[str] = field(default_factory=Counter)

    def add(self, row: FinalRow) -> None:
        record, meta = row.record, row.record["metadata"]
        self.rows += 1
        self.changed += row.changed
        self.withheld += meta["text_withheld"]
        self.replaced += meta["pii_replaced"]
        self.with_pii += meta["pii_replaced"] > 0
        self.parts[meta["split"]] += 1
        self.datasets[meta["dataset"]] += 1
        if meta["model"] is not None:
            self.models[meta["model"]] += 1
        self.by_part[row.class_][meta["split"]] += 1
        self.left_open.update(meta["left_open"])
        values = {**record, **record["head_d"], "refusal3": meta["refusal3"]}
        for head in HEADS:
            self.labels[head].update(_counted(values[head], head in _SEVERAL))
            chosen = meta["chosen"][head]
            if chosen is not None:
                self.ranks[head][chosen["rank"]] += 1


def _counted(value: Any, several: bool) -> Iterable[str]:
    if value is None:
        return ("missing",)
    if several:
        return value or ("none",)
    return ({True: "yes", False: "no"}[value] if isinstance(value, bool) else value,)


def final_info(
    tally: Tally, plan: Plan, sources: Sequence[Dataset], gated: set[int], spec: FinalExportSpec, *,
    selection: str, refused: int, constitution: str | None, rows_sha256: str,
) -> dict[str, Any]:  # fmt: skip
    """`dataset_info.json`: the four fields that the dataset-pipeline system promises, and how it was made."""
    left_out = dict(plan.left_out) | ({"personal data": refused} if refused else {})
    return {
        "total_items": tally.rows,
        "format": ["json", "jsonl", "parquet", "datasets"],
        "heads": {
            "head_a": "outcome, one of", "head_b": "style, one of", "head_c_a": "harms, several of",
            "head_c_b": "topics, several of", "head_d": "prompt_harmful, response_harmful, response_refusal",
        },
        "timestamp": None,
        "refusal_tui": __version__,
        "sha256_of_jsonl": rows_sha256,
        "selection": selection,
        "settings": spec.model_dump(exclude={"out"}),
        "policy": POLICY,
        "constitution": constitution,
        "splits": {part: tally.parts[part] for part in plan.parts},
        "clusters": len(set(plan.cluster.tolist())),
        "classes": {name: {part: counts[part] for part in plan.parts} for name, counts in _sorted(tally.by_part)},
        "thin_classes": list(plan.thin),
        "held_out_rows": plan.held_out,
        "labels": {head: _by_count(tally.labels[head]) for head in HEADS},
        "ranks": {head: _by_count(tally.ranks[head]) for head in HEADS},
        "left_open": _by_count(tally.left_open),
        "left_out": dict(sorted(left_out.items())),
        "pii": {"policy": spec.pii, "rows": tally.with_pii, "replaced": tally.replaced},
        "text_withheld": tally.withheld,
        "models": _by_count(tally.models),
        "sources": [source_facts(one, tally.datasets[one.name], gated=one.id in gated) for one in sources],
        "licences": sorted({one.provenance.licence or "not stated" for one in sources}),
    }  # fmt: skip


def _sorted(counts: Mapping[str, Counter[str]]) -> list[tuple[str, Counter[str]]]:
    return sorted(counts.items())


def _by_count(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def final_card(info: Mapping[str, Any]) -> str:
    """`README.md`: a dataset card in the form that the Hugging Face Hub and `load_dataset` read."""
    parts = list(info["splits"])
    lines = [
        "---",
        "pretty_name: Refusal dataset",
        "task_categories: [text-classification]",
        "tags: [refusal, refusal-tui]",
        # Of several sources the strictest terms hold, and no Hub identifier says that.
        "license: other",
        "license_name: " + as_yaml("; ".join(info["licences"])),
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(f"  - {{split: {part}, path: {PARQUET}/{part}.parquet}}" for part in parts),
        "---",
        "",
        "# Refusal dataset",
        "",
        f"{info['total_items']:,} prompts with a response and labels, written by refusal_tui "
        f"{info['refusal_tui']} from the selection {as_code(info['selection'] or '(all rows)')}. "
        f"The same rows stand in `{JSON_FILE}`, "
        f"`{JSONL_FILE}`, `{PARQUET}/` and `{DATASETS}/` (`datasets.load_from_disk`).",
        "",
        "## Parts",
        "",
        f"| class | {' | '.join(parts)} |",
        f"|---|{'---|' * len(parts)}",
        *(f"| {as_cell(name)} | {_figures(counts, parts)} |" for name, counts in info["classes"].items()),
        f"| all | {_figures(info['splits'], parts)} |",
        "",
        "Rows with the same prompt, with near duplicates of it (Jaccard index of three-word shingles of "
        f"{info['settings']['similarity']} and more, jailbreak templates taken off) or of a long response are in one "
        f"part: {info['clusters']:,} such groups, dealt out by seed {info['settings']['seed']}.",
        *_remarks(info),
        "",
        "## Labels",
        "",
        f"A label is chosen head by head: {info['policy']}. `metadata.chosen` says whose it is, `metadata.votes` what "
        "everybody said. A missing label is null, which is neither none nor false.",
        "",
        "| head | meaning | labels | whose |",
        "|---|---|---|---|",
        *(
            f"| {head} | {_meaning(head)} | {counts_text(info['labels'][head])} | {counts_text(info['ranks'][head])} |"
            for head in HEADS
        ),
        "",
        "## Personal data",
        "",
        _PII[info["pii"]["policy"]].format(**info["pii"]),
        "",
        "## Sources and licences",
        "",
        *sources_table(info["sources"]),
        *_terms(info),
        "",
    ]
    return "\n".join(lines)


_PII = {
    "scrub": "{replaced:,} values in {rows:,} rows were replaced by numbered placeholders (`<EMAIL_1>`): the same "
    "value has the same one everywhere. Names of persons and street addresses are not looked for.",
    "keep": "Personal data has been left as it stands in the sources.",
    "drop": "Rows in which personal data was found are left out.",
}


def _figures(counts: Mapping[str, int], parts: Sequence[str]) -> str:
    return " | ".join(f"{counts[part]:,}" for part in parts)


def _meaning(head: str) -> str:
    if head in TAXONOMY:
        return as_cell(TAXONOMY[head].title)
    return as_cell(TAXONOMY["head_d"].meanings.get(head, "three classes: none, hard, soft"))


def _remarks(info: Mapping[str, Any]) -> list[str]:
    lines = []
    if info["thin_classes"]:
        names = ", ".join(as_cell(name) for name in info["thin_classes"])
        lines += ["", f"**Too thin to be measured:** {names}. Fewer groups than parts, so all of it is trained on."]
    if info["held_out_rows"]:
        lines += ["", f"{info['held_out_rows']:,} rows are of sources for evaluation only, or like such a row: test."]
    if info["left_out"]:
        lines += ["", f"Not among them: {counts_text(info['left_out'])}."]
    return lines


def _terms(info: Mapping[str, Any]) -> list[str]:
    sources: Sequence[Mapping[str, Any]] = info["sources"]
    lines = []
    gated = ", ".join(as_cell(s["name"]) for s in sources if s["gated"])
    if gated and info["text_withheld"]:
        lines += [
            "",
            f"**Text held back:** {gated} is gated. Its {info['text_withheld']:,} rows have labels and ids "
            "(`metadata.dataset`, `metadata.key`) and no text; who has accepted the terms can put it in.",
        ]
    closed = [s for s in sources if s["redistribution"] in ("none", "labels-only")]
    closed = [s for s in closed if not (s["gated"] and info["text_withheld"])]
    if closed:
        names = ", ".join(as_cell(s["name"]) for s in closed)
        lines += ["", f"**Do not pass this on as it is:** the terms of {names} do not allow it."]
    held_out = ", ".join(as_cell(s["name"]) for s in sources if s["eval_only"])
    if held_out:
        lines += ["", f"**Evaluation only, never train on:** {held_out}."]
    return lines
