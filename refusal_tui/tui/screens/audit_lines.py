"""What the Audit screen says, painted: its head, the findings, the figures of a section, the line under the cursor."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.audit.report import PAGE, Finding, Level, Report, figure_words
from refusal_tui.text.block_lines import TextLine, Tone
from refusal_tui.tui import paint
from refusal_tui.tui.state.audit import FINDINGS, KEPT, SAMPLE, TABS, AuditState
from refusal_tui.tui.told import error_lines, painted
from refusal_tui.tui.widgets.line_list import Line

# A glyph and a word: the level is told without colour, too.
LEVELS = {
    Level.ALARM: ("▲ alarm", paint.BAD),
    Level.WARNING: ("△ warning", paint.WARN),
    Level.NOTE: ("· note", paint.MUTED),
}
_WORD, _ROWS = 10, 9
_MOST_LINES = 4  # of a sentence or an advice: no finding of ours has more in 80 cells


def head(state: AuditState) -> Content:
    """How many rows were audited, how bad it is, what is left out."""
    report = state.report
    if report is None:
        return paint.NOTHING
    parts: list[Content | tuple[str, str] | str] = [(f"{report.total_items:,} rows", paint.STRONG)]
    if report.selection and not state.without:  # what is left out is news, what was audited is known
        parts += [" ", paint.line(report.selection, 24, paint.MUTED)]
    for level, (word, style) in LEVELS.items():
        count = len(report.of_level(level))
        shown = f"   {word[0]} {count} {level.value}{'' if count == 1 else 's'}"
        parts.append((shown, style if count else paint.MUTED))
    if state.without:
        kept = "counting…" if state.kept is None else f"{state.kept:,} kept"
        parts.append((f"   {len(state.without)} left out, {kept}", paint.ACCENT))
    return paint.words(*parts)


def tabs(state: AuditState) -> Content:
    """The sections with the one that is looked at in brackets; their digits are in the help."""
    if state.report is None:
        return paint.NOTHING
    parts: list[tuple[str, str] | str] = []
    for name in TABS:
        word = "PII" if name == "pii" else name.capitalize()
        parts.append((f"[{word}]", paint.STRONG) if name == state.tab else (word, paint.MUTED))
        parts.append(" ")
    return paint.words(*parts[:-1])


def audit_lines(state: AuditState, width: int) -> list[Line]:
    if state.report is None:
        return _nothing(state, width)
    if state.tab == FINDINGS:
        return _findings(state, state.report, width)
    return [_figure(line, number) for number, line in enumerate(state.laid_out(width))]


def _nothing(state: AuditState, width: int) -> list[Line]:
    if state.error is not None:
        return [
            *error_lines(state.error, width),
            Line(),
            Line(paint.keys(("g n", "start an audit"), ("]", "an older one"))),
        ]
    return [
        Line(),
        Line(paint.words("No audit yet. It looks for duplicates, leaks, personal data and labels that")),
        Line(paint.words("cannot be trusted, and says which rows and what would mend it.")),
        Line(),
        Line(paint.keys(("g n", "start a job: Audit labels"))),
    ]


def _findings(state: AuditState, report: Report, width: int) -> list[Line]:
    lines = [_finding(finding, finding.name in state.without, width) for finding in report.findings]
    if not report.findings:
        lines.append(Line(paint.words("Nothing was found that is worth saying.")))
    for one in report.not_run:
        words = paint.line(f"{one.check}: {one.reason}", width - _WORD)
        lines.append(Line(paint.words(("– not run".ljust(_WORD), paint.MUTED), words), f"not-run:{one.check}"))
    lines.append(Line())
    if state.without:
        count = "counting" if state.kept is None else f"{state.kept:,}"
        lines.append(_fact("kept", count, "rows without what is left out; x exports them", KEPT, width))
    sample = report.sections["review_samples"]
    told = f"v opens their queue, {state.queue}" if state.queue else "v makes a review queue of them"
    lines.append(_fact("sample", f"{sample['rows']:,}", f"rows drawn for people; {told}", SAMPLE, width))
    lines.append(
        _fact("page", "", f"artifacts/job-{report.job}/{PAGE}  (H copies its path, e writes Markdown)", "page", width)
    )
    return lines


def _finding(finding: Finding, is_left_out: bool, width: int) -> Line:
    word, style = LEVELS[finding.level]
    rows = paint.short_number(finding.rows, _ROWS - 2) if finding.rows else paint.words(" " * (_ROWS - 2))
    out = "left out: " if is_left_out else ""
    sentence = paint.line(finding.sentence, width - _WORD - _ROWS - len(out), paint.MUTED if is_left_out else "")
    parts = (word.ljust(_WORD), style), rows, "  ", (out, paint.ACCENT), sentence
    return Line(paint.words(*parts), f"finding:{finding.name}")


def _fact(name: str, count: str, told: str, key: str, width: int) -> Line:
    words = paint.line(told, width - _WORD - _ROWS, paint.MUTED)
    return Line(paint.words((f"  {name}".ljust(_WORD), ""), f"{count:>{_ROWS - 2}}  ", words), key)


def _figure(line: TextLine, number: int) -> Line:
    """Every line with a figure can be stood on, so that the list scrolls with the cursor."""
    is_title = not line.parts or line.parts[0][1] in (Tone.HEADING, Tone.MUTED)
    return Line(painted(line), None if is_title else f"line:{number}")


def below(state: AuditState, key: str | None, width: int) -> Content:
    """The finding under the cursor in full, or what Enter and `d` do with a line of a figure."""
    finding = state.finding(key)
    if finding is not None:
        return paint.lines(*_whole(state, finding, width))
    rows, surplus = state.rows(key), state.surplus(key)
    parts: list[Content | tuple[str, str] | str] = []
    if rows is not None:
        parts += [("enter", paint.KEY), " opens ", paint.line(rows, width - 40, paint.MUTED)]
    if surplus is not None:
        parts += [
            ("   d", paint.KEY),
            " takes it in again" if surplus in state.without else " leaves out its later rows",
        ]
    return paint.words(*parts) if parts else paint.NOTHING


def _whole(state: AuditState, finding: Finding, width: int) -> list[Content]:
    figure = figure_words(finding)
    told = [
        *paint.few_lines(finding.sentence, width, _MOST_LINES, paint.STRONG),
        *paint.few_lines(f"{finding.name}   {figure}" if figure else finding.name, width, 2, paint.MUTED),
        *paint.few_lines(finding.advice, width, _MOST_LINES),
    ]
    if finding.name in state.without:
        told.append(paint.keys(("d", "takes these rows in again")))
    elif finding.command:
        told.append(paint.words(("f ", paint.KEY), paint.line(finding.command, width - 2, paint.ACCENT)))
    return told
