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

from refusal_tui.audit.report import Finding, Level, Statistic, counted
from refusal_tui.audit.scan import FoundPii, Scan
from refusal_tui.audit.table import Table
from refusal_tui.labels.invariants import FACTS, violations
from refusal_tui.stats.intervals import wilson
from refusal_tui.store.id_ranges import id_ranges
from refusal_tui.store.query import quoted

_CONSTANT_ROWS = 50
_THIN_SOURCE = "rows of "
_LISTED = 10  # clusters
_HARMFUL = "harmful=60,borderline=20,harmless=20"


def duplicates(table: Table, scan: Scan) -> tuple[dict[str, Any], list[Finding]]:
    """Clusters of prompts and of responses, and rows that repeat an earlier one word for word."""
    cluster_of = scan.cluster_of(table)
    near = scan.prompt_clusters.root != np.arange(len(scan.prompts))
    several = np.unique(scan.prompt_clusters.root[near])
    merged, later = np.isin(cluster_of, several), near[np.searchsorted(scan.prompts, table.prompt)]
    section = {
        "rows": len(table),
        "repeated_rows": int(scan.repeats.sum()),
        "distinct_prompts": len(scan.prompts),
        "prompt_clusters": len(several),
        "near_duplicate_prompts": int(near.sum()),
        "largest_prompt_clusters": _prompt_clusters(table, scan, cluster_of, later),
        "response_clusters": _response_clusters(table, scan),
    }
    found = []
    if scan.repeats.any():
        repeats = table.ids_where(scan.repeats, len(table))
        found.append(
            Finding(
                "repeated-rows",
                Level.WARNING,
                counted(len(repeats), "row repeats", "rows repeat") + " the prompt and the response of an earlier row.",
                Statistic("share of repeated rows", float(scan.repeats.mean())),
                rows=len(repeats),
                item_ids=repeats,
                advice="Leave the repeats out; the first row of each stays.",
                command="refusal-tui audit drop {job} {name}",
                surplus=repeats,
            )
        )
    if near.any():
        found.append(
            Finding(
                "near-duplicate-prompts",
                Level.NOTE,
                counted(int(near.sum()), "prompt says", "prompts say")
                + " nearly the same as an earlier one (wrappers taken off): "
                + counted(len(several), "cluster.", "clusters."),
                Statistic("share of near-duplicate prompts", float(near.mean())),
                rows=int(merged.sum()),
                item_ids=table.ids_where(merged, len(table)),
                advice="Keep each cluster on one side of a split, or leave out the rows of its later prompts.",
                command="refusal-tui audit drop {job} {name}",
                surplus=table.ids_where(later, len(table)),
            )
        )
    return section, found


def _prompt_clusters(
    table: Table, scan: Scan, cluster_of: NDArray[np.int64], later: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """The clusters of most prompts; `later` are the rows whose prompt is not the first of its cluster."""
    prompts = np.bincount(scan.prompt_clusters.root, minlength=len(scan.prompts))
    found = []
    for root in np.argsort(-prompts, kind="stable")[:_LISTED].tolist():
        if prompts[root] > 1:
            rows = cluster_of == root
            first = int(table.ids[np.flatnonzero(rows)[0]])
            found.append(
                {
                    "name": f"cluster-{first}",
                    "item_id": first,
                    "prompts": int(prompts[root]),
                    "rows": int(rows.sum()),
                    "item_ids": id_ranges(table.ids_where(rows)),
                    "later": id_ranges(table.ids_where(rows & later)),
                }
            )
    return found


def _response_clusters(table: Table, scan: Scan) -> list[dict[str, Any]]:
    """The largest clusters of responses. Refusals are alike by nature, so this is reported and nothing is dropped."""
    root = scan.response_clusters.root
    sizes = np.bincount(root, minlength=len(table))
    label = table.label()
    found = []
    for one in np.argsort(-sizes, kind="stable")[:_LISTED].tolist():
        if sizes[one] > 1:
            rows = root == one
            names = [label.names[code] if code >= 0 else "unlabelled" for code in label.codes[rows].tolist()]
            found.append(
                {
                    "rows": int(sizes[one]),
                    "item_id": int(table.ids[one]),
                    "labels": dict(Counter(names)),
                    "item_ids": id_ranges(table.ids_where(rows)),
                }
            )
    return found


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


def shared_prompts(table: Table, cluster_of: NDArray[np.int64], pairs: Sequence[Mapping[str, Any]]) -> Finding | None:
    """Rows of one data set that ask what another one asks; `pairs` are those of `between_sources`."""
    if not pairs:
        return None
    known, code = np.unique(cluster_of, return_inverse=True)
    first = np.full(len(known), -1, np.int32)
    first[code] = table.source.codes
    mixed = np.zeros(len(known), bool)
    mixed[code[first[code] != table.source.codes]] = True
    rows, most = mixed[code], pairs[0]
    return Finding(
        "shared-prompts",
        Level.NOTE,
        counted(int(rows.sum()), "row asks", "rows ask")
        + f" what a row of another data set asks: {most['rows']:,} of {most['of']} "
        f"({most['share']:.0%}) are in {most['among']}, too"
        + (f"; {len(pairs) - 1} more pairs." if len(pairs) > 1 else "."),
        Statistic("share of rows with a prompt of several data sets", float(rows.mean())),
        rows=int(rows.sum()),
        item_ids=table.ids_where(rows),
        advice="Do not train on one of them and test on the other; audit with --against to name the test set.",
    )


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
        f"{counted(int(hit.sum()), 'row asks', 'rows ask')} what a row of {against} asks "
        f"({section['exact']:,} word for word).",
        Statistic("share of contaminated rows", float(hit.mean())),
        rows=int(hit.sum()),
        item_ids=(ids := table.ids_where(hit, len(table))),
        advice="Leave these rows out of the training set.",
        command="refusal-tui audit drop {job} {name}",
        surplus=ids,
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
        counted(len(rows), "row holds", "rows hold") + f" what looks like personal data ({kinds}).",
        Statistic("share of rows with personal data", share.value, share.low, share.high),
        rows=len(rows),
        item_ids=tuple(rows),
        advice="Look at them; leave them out, or replace the values before the data is shared.",
        command="refusal-tui audit drop {job} {name}",
        surplus=tuple(rows),
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
        f"The labels of {counted(int(mask.sum()), 'row', 'rows')} contradict each other ({', '.join(counts)}).",
        Statistic("share of rows with a contradiction", float(mask.mean())),
        rows=int(mask.sum()),
        item_ids=table.ids_where(mask),
        advice="Settle what the row is; labels of several annotators may stand beside each other.",
        command="refusal-tui review new {filter} --questions atoms",
    )


def thin_coverage(coverage: Mapping[str, Any]) -> Iterator[Finding]:
    """Targets of the taxonomy that are missed, with what would add such rows; small sources as one finding."""
    missed = [target for target in coverage["targets"] if target["met"] is False]
    small = [target for target in missed if target["name"].startswith(_THIN_SOURCE)]
    for target in missed:
        if target in small:
            continue
        name, value, most = target["name"], target["value"], target["most"]
        many = most is not None and value > most
        wanted = f"at least {target['least']:g}" + ("" if most is None else f" and at most {most:g}")
        kinds = "harmless=80,borderline=20" if name == "REFUSAL.OVER" or many else _HARMFUL
        yield Finding(
            "coverage",
            Level.NOTE,
            f"{name}: {value:g}, wanted {wanted}.",
            Statistic(name, float(value)),
            advice="Import or generate more of it." if not many else "Add answered rows, or leave some refusals out.",
            command=f"refusal-tui run prompts --name more --endpoint NAME --kinds {kinds} --categories CATEGORY",
        )
    if small:
        names = [target["name"].removeprefix(_THIN_SOURCE) for target in small]
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        yield Finding(
            "small-sources",
            Level.NOTE,
            f"{counted(len(small), 'data set has', 'data sets have')} fewer than {small[0]['least']:g} rows: {shown}.",
            Statistic("data sets with few rows", float(len(small))),
            rows=int(sum(target["value"] for target in small)),
            filter=f"dataset:{','.join(map(quoted, names))}",
            advice="Say nothing about them on their own, or import more of them.",
        )
