"""How is an audit read by somebody without this program? One HTML file: no script, nothing loaded from elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from refusal_tui.audit.charts import bars, histogram, shown, stacked
from refusal_tui.audit.report import Finding, Report

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #8884}
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.86em;overflow-wrap:anywhere}
.finding{border-left:4px solid #7f7f7f;padding:.1rem .8rem;margin:.7rem 0}.finding p{margin:.2rem 0}
.alarm{border-color:#b0544f}.warning{border-color:#d98c3f}.level{font-weight:600;text-transform:uppercase;font-size:.8em}
figure{margin:1rem 0}figcaption{font-weight:600}svg{width:100%;max-width:45rem;font:12px system-ui,sans-serif}
svg text{fill:currentColor}.small{color:#777;font-size:.9em}
"""


def page(report: Report) -> str:
    """The whole report as one HTML document."""
    alarms = sum(f.level == "alarm" for f in report.findings)
    warnings = sum(f.level == "warning" for f in report.findings)
    chosen = f" of <code>{shown(report.selection)}</code>" if report.selection else ""
    parts = [
        f"<h1>Audit of {report.total_items:,} rows</h1>",
        f"<p>{alarms} alarms, {warnings} warnings, {len(report.findings) - alarms - warnings} notes{chosen}. "
        f"Made by audit job {report.job}; the figures are those of <code>audit_report.json</code>.</p>",
        "<h2>Findings</h2>",
        *map(_finding, report.findings),
        "" if report.findings else "<p>None.</p>",
        *(f"<p class=small>Not run: {shown(one.check)}. {shown(one.reason)}</p>" for one in report.not_run),
        *_labels(report.sections),
        *_coverage(report.sections.get("coverage", {})),
        *_confidence(report.sections.get("confidence", {})),
        *_duplicates(report.sections.get("duplicates", {})),
        *_pii(report.sections.get("pii", {})),
        *_agreement(report.sections.get("agreement", [])),
    ]
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Audit {report.job}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _finding(finding: Finding) -> str:
    figure = ""
    if finding.statistic is not None:
        s = finding.statistic
        bounds = f" (95 %: {s.low:.3g} to {s.high:.3g})" if s.low is not None and s.high is not None else ""
        chance = f", p = {s.p_value:.2g}" if s.p_value is not None else ""
        figure = f"<p class=small>{shown(s.name)}: {s.value:.4g}{bounds}{chance}</p>"
    opens = (
        f"<p class=small>rows: <code>refusal-tui browse {shown(shlex.quote(finding.filter))}</code></p>"
        if finding.filter
        else ""
    )
    fix = f" <code>{shown(finding.command, 300)}</code>" if finding.command else ""
    advice = f"<p>{shown(finding.advice)}{fix}</p>" if finding.advice else ""
    return (
        f'<div class="finding {finding.level.value}"><p><span class=level>{finding.level.value}</span> '
        f"{shown(finding.sentence, 400)}</p>{figure}{advice}{opens}</div>"
    )


def _labels(sections: Mapping[str, Any]) -> Iterable[str]:
    spread = sections.get("distributions")
    if not spread:
        return
    yield "<h2>Labels and sources</h2>"
    for head, found in spread["heads"].items():
        yield bars(
            found["counts"], title=f"{head}: {found['labelled']:,} rows, entropy {found['entropy_bits']:.2f} bits"
        )
    by_source = sections.get("doctor", {}).get("labels_by_source", {})
    if by_source:
        yield stacked(by_source, title="refusal3 by source")
    for name in ("sources", "models", "splits"):
        if spread[name]:
            yield bars(spread[name], title=f"rows by {name[:-1]}")
    lengths = spread["response_length"]
    if lengths["rows"]:
        names = [f"≤ {bound}" for bound in lengths["bounds"]] + [f"> {lengths['bounds'][-1]}"]
        yield histogram(lengths["histogram"], names, title="characters of the response")
    if spread["drift"]:
        yield "<h3>Drift: distance of a source to all others (0 alike, 1 nothing in common)</h3>"
        yield _table(
            ("source", "labels", "lengths"), [(d["source"], d["labels"], d["lengths"]) for d in spread["drift"]]
        )


def _coverage(coverage: Mapping[str, Any]) -> Iterable[str]:
    if not coverage:
        return
    yield "<h2>Coverage</h2>"
    marks = {True: "met", False: "missed", None: "not labelled"}
    yield _table(
        ("target", "is", "at least", "at most", ""),
        [(t["name"], t["value"], t["least"], t["most"], marks[t["met"]]) for t in coverage["targets"]],
    )
    yield bars(coverage["quadrants"], title="prompts and behaviour")
    for name, title in (("harms", "harms"), ("topics", "topics")):
        if coverage[name]:
            yield bars(coverage[name], title=title)
    if coverage["harms_together"]:
        yield "<h3>Harms that occur together</h3>"
        yield _table(("harms", "rows"), [(" + ".join(p["harms"]), p["rows"]) for p in coverage["harms_together"][:15]])


def _confidence(confidence: Mapping[str, Any]) -> Iterable[str]:
    if not confidence:
        return
    yield "<h2>Confidence</h2>"
    for head, found in confidence.items():
        names = [f"{place / 10:.1f} up" for place in range(len(found["histogram"]))]
        title = f"{head}: mean {found['mean']:.3f}, {found['below']:,} of {found['rows']:,} below the threshold"
        yield histogram(found["histogram"], names, title=title)


def _duplicates(found: Mapping[str, Any]) -> Iterable[str]:
    if not found:
        return
    yield "<h2>Duplicates</h2>"
    names = ("rows", "repeated_rows", "distinct_prompts", "prompt_clusters", "near_duplicate_prompts")
    yield _table(("", ""), [(name.replace("_", " "), found[name]) for name in names])
    if found.get("between_sources"):
        yield "<h3>Sources that ask the same</h3>"
        yield _table(
            ("rows of", "also in", "rows", "share"),
            [(e["of"], e["among"], e["rows"], e["share"]) for e in found["between_sources"][:20]],
        )
    if found["response_clusters"]:
        yield "<h3>Largest clusters of like responses</h3>"
        yield _table(
            ("first item", "rows", "labels"),
            [
                (f"id:{c['item_id']}", c["rows"], ", ".join(f"{k} {v}" for k, v in c["labels"].items()))
                for c in found["response_clusters"]
            ],
        )


def _pii(found: Mapping[str, Any]) -> Iterable[str]:
    if not found:
        return
    names = "with names" if found["names_looked_for"] else "without names of persons"
    yield f"<h2>Personal data ({names})</h2>"
    yield _table(
        ("type", "spans", "check passed", "in prompts"),
        [(kind, e["spans"], e["passed"], e["in_prompts"]) for kind, e in found["types"].items()] or [("none", 0, 0, 0)],
    )


def _agreement(pairs: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if not pairs:
        return
    yield "<h2>Agreement</h2>"
    yield _table(
        ("head", "one", "other", "rows", "percent", "kappa", "95 %"),
        [
            (p["head"], p["one"], p["other"], p["rows"], p["percent"]["value"], p["kappa"]["value"],
             f"{p['kappa']['low']} to {p['kappa']['high']}")
            for p in pairs
        ],
    )  # fmt: skip


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    top = "".join(f"<th>{shown(name)}</th>" for name in head) if any(head) else ""
    lines = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{lines}</table>"


def _cell(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"<td class=n>{value:,}</td>"
    return f"<td>{'' if value is None else shown(value)}</td>"
