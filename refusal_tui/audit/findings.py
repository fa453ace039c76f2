"""What of the figures is worth saying? Findings about duplicates, leaks between data sets, personal data, confidence,
contradicting labels and thin classes, each with its rows and the command that would mend it.

`{filter}` in a command stands for the filter that opens the rows; `job.py` fills it in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.report import MOST_ROWS, Finding, Level, Statistic
from refusal_tui.audit.scan import FoundPii, Scan
from refusal_tui.audit.table import Table
from refusal_tui.audit.toxicity import CALIBRATION
from refusal_tui.labels.invariants import FACTS, violations
from refusal_tui.stats.intervals import wilson

_CONSTANT_ROWS = 50
_THIN_SOURCE = "rows of "


def duplicates(table: Table, scan: Scan) -> tuple[dict[str, Any], list[Finding]]:
    """Clusters of prompts and of responses, and rows that repeat an earlier one word for word."""
    cluster_of = scan.cluster_of(table)
    sizes = np.bincount(cluster_of, minlength=len(scan.prompts))
    near = np.flatnonzero(scan.prompt_clusters.root != np.arange(len(scan.prompts)))
    merged = np.isin(cluster_of, scan.prompt_clusters.root[near])
    refusals = _response_clusters(table, scan)
    section = {
        "rows": len(table),
        "repeated_rows": int(scan.repeats.sum()),
        "distinct_prompts": len(scan.prompts),
        "prompt_clusters": int((np.bincount(scan.prompt_clusters.root) > 1).sum()),
        "near_duplicate_prompts": len(near),
        "largest_prompt_clusters": [
            {"rows": int(sizes[root]), "item_id": int(table.ids[np.flatnonzero(cluster_of == root)[0]])}
            for root in np.argsort(-sizes, kind="stable")[:10].tolist()
            if sizes[root] > 1
        ],
        "response_clusters": refusals,
    }
    found = []
    if scan.repeats.any():
        found.append(
            Finding(
                "repeated-rows",
                Level.WARNING,
                f"{int(scan.repeats.sum()):,} rows repeat the prompt and the response of an earlier row.",
                Statistic("share of repeated rows", float(scan.repeats.mean())),
                rows=int(scan.repeats.sum()),
                item_ids=table.ids_where(scan.repeats),
                advice="Leave the repeats out; the first row of each stays.",
                command="refusal-tui export --out DIR -- -{filter}",
            )
        )
    if len(near):
        found.append(
            Finding(
                "near-duplicate-prompts",
                Level.NOTE,
                f"{len(near):,} prompts say nearly the same as another (wrappers taken off): "
                f"{section['prompt_clusters']:,} clusters.",
                Statistic("share of near-duplicate prompts", len(near) / max(1, len(scan.prompts))),
                rows=int(merged.sum()),
                item_ids=table.ids_where(merged),
                advice="Keep each cluster on one side of a split; drop what adds nothing.",
            )
        )
    return section, found


def _response_clusters(table: Table, scan: Scan) -> list[dict[str, Any]]:
    """The largest clusters of responses. Refusals are alike by nature, so this is reported and nothing is dropped."""
    root = scan.response_clusters.root
    sizes = np.bincount(root, minlength=len(table))
    label = table.label().values()
    return [
        {
            "rows": int(sizes[one]),
            "item_id": int(table.ids[one]),
            "labels": dict(Counter(label[place] or "unlabelled" for place in np.flatnonzero(root == one).tolist())),
        }
        for one in np.argsort(-sizes, kind="stable")[:10].tolist()
        if sizes[one] > 1
    ]


def between_sources(table: Table, cluster_of: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Which data sets ask the same: rows of `of` whose prompt cluster has a row of `among`, where there are any."""
    sources = {name: cluster_of[table.source.codes == code] for code, name in enumerate(table.source.names)}
    found: list[dict[str, Any]] = []
    for one, mine in sources.items():
        for other, theirs in sources.items():
            shared = int(np.isin(mine, theirs).sum()) if one != other else 0
            if shared:
                found.append({"of": one, "among": other, "rows": shared, "share": round(shared / len(mine), 4)})
    return sorted(found, key=lambda entry: -entry["rows"])[:100]


def contamination(
    table: Table, best: NDArray[np.int64], similarity: NDArray[np.float64], prompts: NDArray[np.int64], against: str
) -> tuple[dict[str, Any], Finding | None]:
    """Rows whose prompt is among those of `against`; `best` and `similarity` are of the distinct `prompts`."""
    hit = best[np.searchsorted(prompts, table.prompt)] >= 0
    exact = similarity[np.searchsorted(prompts, table.prompt)] >= 1.0
    section = {"against": against, "rows": int(hit.sum()), "exact": int((hit & exact).sum()), "of": len(table)}
    if not hit.any():
        return section, None
    return section, Finding(
        "contamination",
        Level.ALARM,
        f"{int(hit.sum()):,} rows ask what a row of {against} asks ({section['exact']:,} of them word for word).",
        Statistic("share of contaminated rows", float(hit.mean())),
        rows=int(hit.sum()),
        item_ids=table.ids_where(hit),
        advice="Leave these rows out of the training set.",
        command="refusal-tui export --out DIR -- -{filter}",
    )


def personal_data(
    table: Table, found: Sequence[FoundPii], scanned_names: bool
) -> tuple[dict[str, Any], Finding | None]:
    """Spans by type and by whether their check passed; never a value."""
    counts: dict[str, dict[str, int]] = {}
    for one in found:
        entry = counts.setdefault(one.span.type.value, {"spans": 0, "passed": 0, "in_prompts": 0})
        entry["spans"] += 1
        entry["passed"] += one.span.passed
        entry["in_prompts"] += one.field == "prompt"
    rows = sorted({one.item_id for one in found})
    section = {"types": dict(sorted(counts.items())), "rows": len(rows), "names_looked_for": scanned_names}
    if not rows:
        return section, None
    share = wilson(len(rows), len(table))
    kinds = ", ".join(f"{kind} {entry['spans']:,}" for kind, entry in sorted(counts.items()))
    return section, Finding(
        "personal-data",
        Level.WARNING,
        f"{len(rows):,} rows hold what looks like personal data ({kinds}).",
        Statistic("share of rows with personal data", share.value, share.low, share.high),
        rows=len(rows),
        item_ids=tuple(rows[:MOST_ROWS]),
        advice="Look at them; leave them out, or replace the values before the data is shared.",
        command="refusal-tui export --out DIR -- -{filter}",
    )


def toxicity(table: Table, toxic: NDArray[np.bool_]) -> tuple[dict[str, Any], Finding | None]:
    """Responses with an insult or a threat of the list, in all and by source."""
    by_source = {
        name: int((toxic & (table.source.codes == code)).sum()) for code, name in enumerate(table.source.names)
    }
    section = {"calibration": CALIBRATION, "responses": int(toxic.sum()), "by_source": by_source}
    if not toxic.any():
        return section, None
    return section, Finding(
        "insults",
        Level.NOTE,
        f"{int(toxic.sum()):,} responses hold an insult or a threat of a word list ({CALIBRATION}).",
        Statistic("share of responses with such words", float(toxic.mean())),
        rows=int(toxic.sum()),
        item_ids=table.ids_where(toxic),
        advice="Let a model that judges harm look at them.",
        command="refusal-tui run label {filter} --judge wildguard --endpoint NAME",
    )


def low_confidence(table: Table, figures: Mapping[str, Any], least: float) -> Iterator[Finding]:
    for head, column in table.heads.items():
        figure = figures.get(head)
        if figure is None:
            continue
        if figure["values"] == 1 and figure["rows"] >= _CONSTANT_ROWS:
            yield Finding(
                "constant-confidence",
                Level.WARNING,
                f"Every confidence of {head} is {figure['min']:g}: a rule's constant, not a probability.",
                Statistic(f"values of {head}", 1.0),
                rows=figure["rows"],
                advice="Do not filter by it; let a judge that gives probabilities label the rows.",
                command="refusal-tui run label --judge linear",
            )
        below = column.probability < least - 1e-9
        if head == "refusal3" and below.any():
            yield Finding(
                "low-confidence",
                Level.NOTE,
                f"{int(below.sum()):,} of {figure['rows']:,} labels have a confidence below {least:g}.",
                Statistic("share below", float(below.sum() / figure["rows"])),
                rows=int(below.sum()),
                item_ids=table.ids_where(below),
                advice="Let people read these rows.",
                command="refusal-tui review new {filter} --aims confidence",
            )


def broken_invariants(table: Table) -> tuple[dict[str, int], Finding | None]:
    """Rows whose labels contradict each other, by invariant of the taxonomy."""
    heads = [head for head in table.heads if head in FACTS]
    if len(heads) < 2:
        return {}, None
    combined = np.stack([table.heads[head].label.codes for head in heads], axis=1)
    kinds, of_row = np.unique(combined, axis=0, return_inverse=True)
    broken = []
    for kind in kinds.tolist():
        facts = {h: table.heads[h].label.names[c] if c >= 0 else None for h, c in zip(heads, kind, strict=True)}
        broken.append([violation.invariant for violation in violations(facts)])
    rows = np.bincount(of_row.ravel(), minlength=len(kinds))
    counts: Counter[str] = Counter()
    for names, number in zip(broken, rows.tolist(), strict=True):
        counts.update(dict.fromkeys(names, number))
    mask = np.isin(of_row.ravel(), [place for place, names in enumerate(broken) if names])
    if not mask.any():
        return {}, None
    return dict(counts), Finding(
        "invariants",
        Level.WARNING,
        f"The labels of {int(mask.sum()):,} rows contradict each other ({', '.join(counts)}).",
        Statistic("share of rows with a contradiction", float(mask.mean())),
        rows=int(mask.sum()),
        item_ids=table.ids_where(mask),
        advice="Settle what the row is; labels of several annotators may stand beside each other.",
        command="refusal-tui review new {filter} --questions atoms",
    )


def thin_coverage(coverage: Mapping[str, Any]) -> Iterator[Finding]:
    """Targets of the taxonomy that are missed, with what would add such rows."""
    for target in coverage["targets"]:
        if target["met"] is not False:
            continue
        name, value = target["name"], target["value"]
        is_source = name.startswith(_THIN_SOURCE)
        wanted = f"at least {target['least']:g}" + (
            "" if target["most"] is None else f" and at most {target['most']:g}"
        )
        many = target["most"] is not None and value > target["most"]
        yield Finding(
            "coverage",
            Level.NOTE,
            f"{name}: {value:g}, wanted {wanted}.",
            Statistic(name, float(value)),
            advice="Import or generate more of it." if not many else "Add answered rows, or leave some refusals out.",
            command=""
            if is_source
            else "refusal-tui run prompts --name more --endpoint NAME --kinds "
            + (
                "harmless=80,borderline=20"
                if name == "REFUSAL.OVER" or many
                else "harmful=60,borderline=20,harmless=20"
            )
            + " --categories CATEGORY",
        )
