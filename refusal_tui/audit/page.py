"""How is an audit read by somebody without this program? One HTML file: no script, nothing loaded from elsewhere.

The findings first, then the sections of `sections.py` with their figures, then what the report was made of.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from refusal_tui.audit.report import Finding, Level, Report, figure_words
from refusal_tui.audit.sections import sections_of
from refusal_tui.text.block_page import document, section_html, table
from refusal_tui.text.blocks import Section
from refusal_tui.text.charts import shown


def page(report: Report) -> str:
    """The whole report as one HTML document."""
    sections = sections_of(report)
    body = [
        _head(report),
        "<nav>",
        *(f"<a href='#{name}'>{shown(title)}</a>" for name, title in _contents(sections)),
        "</nav>",
        "<h2 id=findings>Findings</h2>",
        *map(_finding, report.findings),
        "" if report.findings else "<p>Nothing was found that is worth saying.</p>",
        *(f"<p class=dim>Not run: {shown(one.check)}. {shown(one.reason)}</p>" for one in report.not_run),
        *(section_html(section) for section in sections),
        *_sample(report),
        *_made_of(report),
    ]
    return document(f"Audit {report.job}", body)


def _contents(sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    yield "findings", "Findings"
    yield from ((section.name, section.title) for section in sections)
    yield from (("sample", "For people"), ("made-of", "Made of"))


def _head(report: Report) -> str:
    rows = f"rows of <code>{shown(report.selection, 400)}</code>" if report.selection else "rows, all there are"
    tiles = [("rows", report.total_items), *((f"{level.value}s", len(report.of_level(level))) for level in Level)]
    cells = "".join(f"<div><b>{count:,}</b>{name}</div>" for name, count in tiles)
    return (
        f"<h1>Audit of labelled data</h1><p class=dim>Audit job {report.job}, {report.total_items:,} {rows}. "
        f"The figures are those of <code>audit_report.json</code>.</p><div class=tiles>{cells}</div>"
    )


def _finding(finding: Finding) -> str:
    figure = figure_words(finding)
    lines = [
        f"<p class=say><span class=level>{finding.level.value}</span>{shown(finding.sentence, 400)}</p>",
        f"<p class=dim>{shown(figure)}</p>" if figure else "",
        f"<p>{shown(finding.advice)}</p>" if finding.advice else "",
        f"<p><code>{shown(finding.command, 300)}</code></p>" if finding.command else "",
        f"<p class=dim>rows: <code>refusal-tui browse {shown(shlex.quote(finding.filter))}</code></p>"
        if finding.filter
        else "",
    ]
    return f'<div class="finding {finding.level.value}">{"".join(lines)}</div>'


def _sample(report: Report) -> Iterator[str]:
    sample = report.sections.get("review_samples")
    if sample:
        yield "<h2 id=sample>For people</h2>"
        yield (
            f"<p>{sample['rows']:,} rows were drawn for people to read, by outcome, confidence, source and agreement, "
            f"each with its inclusion probability: <code>{shown(sample['file'])}</code>. As a review queue: "
            f"<code>{shown(sample['command'])}</code></p>"
        )


def _made_of(report: Report) -> Iterator[str]:
    made = report.made_with
    yield "<h2 id=made-of>Made of</h2>"
    yield table(
        ("", ""),
        [
            ("program", made.get("program", "")),
            ("constitution", made.get("constitution", "")),
            *((name.replace("_", " "), str(value)) for name, value in report.settings.items() if value != ""),
        ],
    )
    yield table(
        ("data set", "source", "revision or sha256", "licence"),
        [
            (one["name"], one["source"], one["revision"] or (one["sha256"] or "")[:16], one["licence"] or "not known")
            for one in made.get("datasets", ())
        ],
    )
