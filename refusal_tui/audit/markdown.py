"""How does a report travel into a pull request, a paper's appendix or a data card? As Markdown, figures as text."""

from __future__ import annotations

from collections.abc import Iterator

from refusal_tui.audit.report import Report, figure_words, level_words
from refusal_tui.audit.sections import sections_of
from refusal_tui.text.block_lines import section_lines
from refusal_tui.text.safe import safe_text

_WIDTH = 96


def report_markdown(report: Report) -> str:
    """The findings as a list, every section as a block of text."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    rows = f" of `{_code(report.selection)}`" if report.selection else ""
    yield from (f"# Audit {report.job}", "", f"{report.total_items:,} rows{rows}: {level_words(report)}.", "")
    for finding in report.findings:
        figure = figure_words(finding)
        yield f"- **{finding.level.value}** {_prose(finding.sentence)}" + (f" ({_prose(figure)})" if figure else "")
        if finding.advice:
            yield f"  {_prose(finding.advice)}" + (f" `{_code(finding.command)}`" if finding.command else "")
    for one in report.not_run:
        yield f"- not run: {one.check}. {_prose(one.reason)}"
    for section in sections_of(report):
        yield from ("", f"## {section.title}", "", "```")
        yield from (line.text.replace("```", "'''") for line in section_lines(section, _WIDTH))
        yield "```"


def _prose(text: str) -> str:
    """Names from data are no markup."""
    return "".join(f"\\{char}" if char in r"\`*_[]<>#|" else char for char in safe_text(text, newlines=False))


def _code(text: str) -> str:
    return safe_text(text, newlines=False).replace("`", "'")
