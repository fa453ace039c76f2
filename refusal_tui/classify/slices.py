"""Where is a classifier wrong? Test rows by source model, dataset, category and length, and who holds the errors."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from refusal_tui.classify.plain import plain
from refusal_tui.classify.predictions import Predicted
from refusal_tui.stats.agreement import macro_f1, ratio
from refusal_tui.stats.association import cramers_v, independence
from refusal_tui.stats.bootstrap import cluster_bootstrap, cluster_confusions, row_bootstrap
from refusal_tui.stats.rates import cluster_sums, clustered_rate

LENGTHS = (100, 250, 1_200)  # characters of the response: canned refusals, short answers, answers, long ones
MOST = 20  # values of a field; the rarest are put together
OTHERS = "(others)"
NOT_NAMED = "(not named)"
FEW = 30  # rows, below which a slice has no macro-F1
WORST = 0.2  # of the groups: how many of the errors do they hold?


def length_name(row: Predicted) -> str:
    """
    >>> [length_name(Predicted(1, "", "", "", "", "", "", None, (), response_chars=n)) for n in (99, 100, 5000)]
    ['under 100', '100 to 249', '1200 and more']
    """
    chars = row.response_chars or row.prompt_chars
    for low, high in zip((0, *LENGTHS), LENGTHS, strict=False):
        if chars < high:
            return f"{low} to {high - 1}" if low else f"under {high}"
    return f"{LENGTHS[-1]} and more"


FIELDS: Mapping[str, Callable[[Predicted], str]] = {
    "model": lambda row: row.model or NOT_NAMED,
    "dataset": lambda row: row.dataset,
    "category": lambda row: row.category or NOT_NAMED,
    "length": length_name,
}


def slices_of(
    rows: Sequence[Predicted], said: Sequence[str], confidence: Sequence[float], classes: Sequence[str], draws: int
) -> dict[str, Any]:
    """For every field its values with their figures, and whether the share of errors depends on the value.

    `said` and `confidence`: what the classifier says of each row. Intervals are clustered by the rows' groups.
    """
    return {name: _field(rows, said, confidence, classes, read, draws) for name, read in FIELDS.items()}


def _field(
    rows: Sequence[Predicted],
    said: Sequence[str],
    confidence: Sequence[float],
    classes: Sequence[str],
    read: Callable[[Predicted], str],
    draws: int,
) -> dict[str, Any]:
    members: dict[str, list[int]] = defaultdict(list)
    common = {name for name, _ in Counter(map(read, rows)).most_common(MOST)}
    for place, row in enumerate(rows):
        value = read(row)
        members[value if value in common else OTHERS].append(place)
    values = [
        {"name": name, **_slice([rows[i] for i in some], [said[i] for i in some], classes, draws),
         "confidence": float(np.mean([confidence[i] for i in some]))}
        for name, some in sorted(members.items(), key=lambda pair: (-len(pair[1]), pair[0]))
    ]  # fmt: skip
    table = np.array([[v["errors"], v["rows"] - v["errors"]] for v in values], np.int64).reshape(len(values), 2)
    chi, freedom, p_value = independence(table) if len(values) else (0.0, 0, 1.0)
    return {
        "values": values,
        "errors_depend": {"chi_squared": chi, "freedom": freedom, "p_value": p_value, "cramers_v": _v(table)},
        "pareto": _pareto(values),
    }


def _v(table: Any) -> float:
    return cramers_v(table)[0] if len(table) else 0.0


def _slice(rows: Sequence[Predicted], said: Sequence[str], classes: Sequence[str], draws: int) -> dict[str, Any]:
    by_group: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row, answer in zip(rows, said, strict=True):
        by_group[row.group][0] += row.label == answer
        by_group[row.group][1] += 1
    labels = [row.label for row in rows]
    there = [name for name in classes if name in labels or name in said]
    enough = len(rows) >= FEW and len(there) > 1
    found = {
        "rows": len(rows),
        "groups": len(by_group),
        "errors": sum(row.label != answer for row, answer in zip(rows, said, strict=True)),
        "accuracy": plain(clustered_rate(cluster_sums((hits, count) for hits, count in by_group.values()))),
        "support": {name: labels.count(name) for name in classes},
        "macro_f1": None,
    }
    if enough:
        matrices = cluster_confusions(labels, said, [row.group for row in rows], there)
        found["macro_f1"] = plain(cluster_bootstrap({"f1": macro_f1}, matrices, draws)["f1"])
    return found


def _pareto(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The curve: groups with most errors first, each with the share of rows and of errors up to it. `to_80`: how many
    groups hold 80 % of the errors."""
    errors, rows = sum(v["errors"] for v in values), sum(v["rows"] for v in values)
    curve, e, r = [], 0, 0
    for v in sorted(values, key=lambda v: (-v["errors"], v["rows"], v["name"])):
        e, r = e + v["errors"], r + v["rows"]
        curve.append({"name": v["name"], "errors": v["errors"], "of_errors": e / max(errors, 1), "of_rows": r / rows})
    to_80 = next((n for n, point in enumerate(curve, 1) if point["of_errors"] >= 0.8), 0) if errors else 0
    return {"curve": curve, "errors": errors, "to_80": to_80}


def errors_by_group(rows: Sequence[Predicted], said: Sequence[str], draws: int) -> dict[str, Any]:
    """How many of the errors do the 20 % of prompts (groups) hold that have most of them? With its interval."""
    number = {name: place for place, name in enumerate(dict.fromkeys(row.group for row in rows))}
    errors = np.zeros(len(number))
    for row, answer in zip(rows, said, strict=True):
        errors[number[row.group]] += row.label != answer
    order = np.argsort(-errors, kind="stable")

    def share(weights: Any) -> Any:
        drawn = weights[..., order]
        worst = WORST * drawn.sum(axis=-1, keepdims=True)
        before = np.cumsum(drawn, axis=-1) - drawn
        taken = np.clip(worst - before, 0, drawn)
        total = (drawn * errors[order]).sum(axis=-1)
        held = (taken * errors[order]).sum(axis=-1)
        return ratio(held, total, empty=np.nan)

    found = row_bootstrap({"share": share}, range(len(number)), draws)["share"]
    return {"groups": len(number), "with_errors": int((errors > 0).sum()), "worst_fifth": plain(found)}
