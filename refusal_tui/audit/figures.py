"""How are the rows spread? Counts, entropy, confidence, lengths, coverage against targets, drift: plain JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from math import log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.table import Codes, HeadColumn, Table
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.taxonomy import HEAD_A, HEAD_C_A, HEAD_C_B, HEADS, NOTHING, Outcome, split_labels
from refusal_tui.stats.association import crosstab, entropy_bits, jensen_shannon

BINS = 10
_LISTED = 60  # of many names, the most frequent ones are listed
_LENGTHS = (0, 50, 100, 200, 400, 800, 1600, 3200, 6400)


def distributions(table: Table) -> dict[str, Any]:
    """Labels and their entropy per head, balance of sources, models and splits, lengths, drift between sources."""
    return {
        "heads": {head: _head(column) for head, column in table.heads.items()},
        "sources": _few(table.source.counts()),
        "models": _few(table.model.counts()),
        "splits": _few(table.split.counts()),
        "prompt_length": _lengths(table.prompt_chars),
        "response_length": _lengths(table.response_chars[table.response_chars >= 0]),
        "response_length_by_label": {
            name: _lengths(table.response_chars[(table.label().codes == code) & (table.response_chars >= 0)])
            for code, name in enumerate(table.label().names)
        },
        "drift": drift(table),
    }


def _head(column: HeadColumn) -> dict[str, Any]:
    codes = column.label.codes
    counts = np.bincount(codes[codes >= 0], minlength=len(column.label.names))
    classes = int((counts > 0).sum())
    bits = entropy_bits(counts)
    return {
        "labelled": int(counts.sum()),
        "by_people": int(column.human.sum()),
        "annotators": dict(sorted(column.annotators.items())),
        "counts": _few(column.label.counts()),
        "entropy_bits": round(bits, 4),
        "evenness": round(bits / log2(classes), 4) if classes > 1 else 0.0,
    }


def confidence(table: Table, least: float) -> dict[str, Any]:
    """Per head: how the annotators' probabilities are spread; `below` counts those under the threshold."""
    found = {}
    for head, column in table.heads.items():
        given = column.probability[~np.isnan(column.probability)].astype(float)
        if len(given):
            counts, _ = np.histogram(np.clip(given, 0, 1), BINS, (0, 1))
            found[head] = {
                "rows": len(given),
                "mean": round(float(given.mean()), 4),
                "std": round(float(given.std()), 4),
                "min": round(float(given.min()), 4),
                "max": round(float(given.max()), 4),
                "values": len(np.unique(given)),
                "below": int((given < least - 1e-9).sum()),
                "histogram": counts.tolist(),
            }
    return found


def coverage(table: Table) -> dict[str, Any]:
    """The taxonomy's targets (section 13) with what there is; `met` is None where the head is not labelled."""
    outcome = table.label(HEAD_A)
    counts = outcome.counts()
    total = sum(counts.values())
    refusing = _refusing(table)
    harms, topics = _several(table, HEAD_C_A), _several(table, HEAD_C_B)
    share = float(refusing[refusing >= 0].mean()) if (refusing >= 0).any() else None
    targets = [_target("refusals", share, 0.4, 0.6)]
    for wanted, least in ((Outcome.OVER, 0.05), (Outcome.TRANSFORM, 0.05), (Outcome.CAPABILITY, 0.03)):
        targets.append(_target(wanted.value, counts.get(wanted.value, 0) / total if total else None, least))
    targets.append(_target("harm categories", float(len(harms)) if HEAD_C_A in table.heads else None, 8))
    targets.append(_target("topics", float(len(topics)) if HEAD_C_B in table.heads else None, 10))
    for name, rows in table.source.counts().items():
        targets.append(_target(f"rows of {name}", float(rows), 200))
    return {
        "targets": targets,
        "quadrants": _quadrants(table, refusing),
        "outcomes": {name: counts.get(name, 0) for name in HEADS[HEAD_A].labels},
        "harms": dict(harms.most_common()),
        "topics": dict(topics.most_common()),
        "harms_together": [
            {"harms": list(pair), "rows": rows} for pair, rows in _together(table.label(HEAD_C_A)).most_common(_LISTED)
        ],
    }


def _target(name: str, value: float | None, least: float, most: float | None = None) -> dict[str, Any]:
    met = None if value is None else value >= least and (most is None or value <= most)
    return {"name": name, "value": None if value is None else round(value, 4), "least": least, "most": most, "met": met}


def _refusing(table: Table) -> NDArray[np.int8]:
    """1 refused, 0 not, -1 unknown: head A, else the three classes, else the flag."""
    found = np.full(len(table), -1, np.int8)
    readers = (
        ("response_refusal", lambda v: v == "yes"),
        (REFUSAL3, lambda v: v != "none"),
        (HEAD_A, lambda v: v.startswith("REFUSAL.")),
    )
    for head, means in readers:
        label = table.label(head)
        for code, name in enumerate(label.names):
            found[label.codes == code] = means(name)  # type: ignore[no-untyped-call]
    return found


def _quadrants(table: Table, refusing: NDArray[np.int8]) -> dict[str, int]:
    harmful = table.label("prompt_harmful")
    yes = np.isin(harmful.codes, [code for code, name in enumerate(harmful.names) if name == "yes"])
    known = (harmful.codes >= 0) & (refusing >= 0)
    return {
        f"{'harmful' if bad else 'harmless'} prompt, {'refused' if refused else 'answered'}": int(
            (known & (yes == bad) & (refusing == refused)).sum()
        )
        for bad in (True, False)
        for refused in (True, False)
    }


def _several(table: Table, head: str) -> Counter[str]:
    """Rows of each label of a head of several."""
    counts: Counter[str] = Counter()
    for value, rows in table.label(head).counts().items():
        counts.update({label: rows for label in split_labels(value) if label != NOTHING})
    return counts


def _together(label: Codes) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for value, rows in label.counts().items():
        labels = sorted(label for label in split_labels(value) if label != NOTHING)
        counts.update(dict.fromkeys(combinations(labels, 2), rows))
    return counts


def drift(table: Table) -> list[dict[str, Any]]:
    """How far each source is from all others: Jensen-Shannon distance (0 to 1) of labels and of response lengths."""
    label, sources = table.label(), table.source
    if len(sources.names) < 2:
        return []
    bands = np.where(table.response_chars >= 0, np.searchsorted(_LENGTHS, table.response_chars), -1).astype(np.int32)
    labels = crosstab(sources.codes, label.codes, len(sources.names), max(1, len(label.names)))
    lengths = crosstab(sources.codes, bands, len(sources.names), len(_LENGTHS) + 1)
    return [
        {
            "source": name,
            "labels": round(_apart(labels, place), 4),
            "lengths": round(_apart(lengths, place), 4),
        }
        for place, name in enumerate(sources.names)
    ]


def _apart(counts: NDArray[np.int64], place: int) -> float:
    others = counts.sum(axis=0) - counts[place]
    return jensen_shannon(counts[place], others) if counts[place].sum() and others.sum() else 0.0


def _lengths(values: NDArray[np.int64]) -> dict[str, Any]:
    if not len(values):
        return {"rows": 0}
    quantiles = np.quantile(values, [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1])
    names = ("min", "p5", "p25", "median", "p75", "p95", "max")
    counts = np.bincount(np.searchsorted(_LENGTHS, values), minlength=len(_LENGTHS) + 1)
    return {"rows": len(values), "mean": round(float(values.mean()), 1), "bounds": list(_LENGTHS),
            "histogram": counts.tolist()} | dict(zip(names, quantiles.round(1).tolist(), strict=True))  # fmt: skip


def _few(counts: Mapping[str, int]) -> dict[str, int]:
    listed = dict(list(counts.items())[:_LISTED])
    rest = sum(counts.values()) - sum(listed.values())
    return listed | ({f"({len(counts) - len(listed)} more)": rest} if rest else {})
