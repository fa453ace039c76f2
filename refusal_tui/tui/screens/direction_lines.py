"""What the Direction screen says of a run and of the candidate under the cursor, painted; and the map as a model."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.direction.measures import LETTERS, MEANING, MEASURES, Measure, level
from refusal_tui.direction.report import Report
from refusal_tui.direction.report_text import outcome, place, plain, share, signed, why
from refusal_tui.direction.select import Cell, Reason
from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.jobs import JobState
from refusal_tui.tui import paint
from refusal_tui.tui.state.direction import DirectionState
from refusal_tui.tui.state.figures import percent
from refusal_tui.tui.state.jobs import JobLine
from refusal_tui.tui.widgets.heat_map import BARS, GUTTER, UNKNOWN, WIDEST, HeatCell, HeatModel
from refusal_tui.tui.widgets.progress_line import state_word

PICKED, PASSES = LETTERS[Reason.PICKED][0], LETTERS[Reason.BEATEN][0]
_LEAST_NAME, _MOST_NAME = 12, 24  # cells before a row of the map
_GOOD = (paint.MUTED, paint.MUTED, paint.MUTED, "", paint.ACCENT, paint.ACCENT, paint.GOOD, paint.GOOD)
_HARM = (paint.GOOD, paint.GOOD, paint.GOOD, paint.ACCENT, paint.ACCENT, paint.WARN, paint.BAD, paint.BAD)
_SURE = (paint.BAD, paint.BAD, paint.WARN, paint.WARN, "", paint.ACCENT, paint.ACCENT, paint.GOOD)
_TONES = {Measure.KL: _HARM, Measure.RELIABILITY: _SURE, Measure.SEPARATION: _SURE}
_VERDICT_STYLES = {
    Reason.PICKED: paint.GOOD,
    Reason.BEATEN: paint.GOOD,
    Reason.STEERING: paint.WARN,
    Reason.KL: paint.BAD,
    Reason.LAYER: paint.MUTED,
    Reason.ZERO: paint.MUTED,
    Reason.NAN: paint.BAD,
    Reason.UNKNOWN: paint.MUTED,
}
# reason -> (letter on the map, style, words of the legend)
VERDICTS = {reason: (letter, _VERDICT_STYLES[reason], words) for reason, (letter, words) in LETTERS.items()}

_BRIEF = {
    Reason.PICKED: "selected",
    Reason.BEATEN: "passes",
    Reason.STEERING: "addition",
    Reason.KL: "KL",
    Reason.LAYER: "late",
    Reason.ZERO: "equal",
    Reason.NAN: "nan",
    Reason.UNKNOWN: "open",
}


def heat_model(state: DirectionState, width: int) -> HeatModel:
    report = state.report
    if report.rule is None:
        return HeatModel()
    name_width = _name_width(report.n_layers, width)
    names = tuple(_position(report, position, name_width) for position in report.positions)
    cells = tuple(
        tuple(_cell(report, state.measure, Cell(position, layer)) for layer in range(report.n_layers))
        for position in report.positions
    )
    return HeatModel(names, cells, report.rule.first_late_layer, name_width)


def _name_width(layers: int, width: int) -> int:
    """What the columns leave over, when they are as wide as they can be."""
    free = width - GUTTER
    wide = max(1, min(WIDEST, (free - _LEAST_NAME) // layers))
    return max(_LEAST_NAME, min(_MOST_NAME, free - wide * layers))


def _position(report: Report, position: int, width: int) -> Content:
    """The number of a position, and the template's token there."""
    number = f"{position:>3} "
    at = position - report.positions.start
    token = report.end[at] if len(report.end) == len(report.positions) else ""
    shown = token if token.strip() or not token else repr(token)[1:-1]
    return paint.words(number, paint.line(shown, width - len(number) - 1, paint.MUTED))


def _cell(report: Report, measure: Measure, cell: Cell) -> HeatCell:
    reason = report.choice.reasons[cell]
    if measure is Measure.VERDICT:
        letter, style, _ = VERDICTS[reason]
        return HeatCell(letter, style)
    mark = VERDICTS[reason][0] if reason in (Reason.PICKED, Reason.BEATEN) else " "
    step = level(report, measure, cell)
    if step is None:
        return HeatCell(UNKNOWN, paint.MUTED, mark)
    return HeatCell(BARS[step], _TONES.get(measure, _GOOD)[step], mark, strong=reason is Reason.PICKED)


# --- above the map ---------------------------------------------------------------------------------------------------


def head(state: DirectionState, width: int) -> Content:
    """Three lines: the job, what came out, and how large and how sure it is."""
    line, report = state.line, state.report
    if line is None:
        return paint.NOTHING
    word = paint.words(state_word(line), _progress(line, report))
    title = paint.line(line.title, max(10, width - word.cell_length - 2), paint.STRONG)
    first = paint.words(title, " " * max(2, width - title.cell_length - word.cell_length), word)
    return paint.lines(first, _outcome(state, line, width), _effect(state, width))


def _progress(line: JobLine, report: Report) -> Content:
    """Percent alone while it runs: what the step is stands below."""
    if line.state is not JobState.RUNNING or not report.grid:
        return paint.NOTHING
    return paint.words((f"  {report.measured} of {3 * len(report.grid)} scores", ""), f" {percent(line.fraction):>5}")


def _outcome(state: DirectionState, line: JobLine, width: int) -> Content:
    report = state.report
    if report.rule is None:
        if line.state is JobState.RUNNING:
            return paint.words(paint.line(state.step or "beginning", 40, paint.STRONG),
                               ("; then the map fills in", paint.MUTED))  # fmt: skip
        return paint.line(line.note or "Nothing is measured yet.", width, paint.MUTED)
    style = paint.STRONG if report.decided and report.choice.pick is not None else paint.WARN
    mark = f"{PICKED} " if report.choice.pick is not None and report.decided else ""
    weak = report.evidence is not None and report.evidence.weak
    told = paint.words((mark, paint.GOOD), paint.line(outcome(report), width - 2, style))
    if weak:
        return paint.words(told, ("  ! weak: compare with the control arms", paint.WARN))
    return told


def _effect(state: DirectionState, width: int) -> Content:
    report, pick = state.report, state.report.choice.pick
    if report.baseline is None:
        return paint.NOTHING
    harmful, harmless = report.baseline
    if not report.decided or pick is None:
        if not report.decided:
            return paint.words(("refusal score of harmful prompts ", paint.MUTED), signed(harmful),
                               ("   of harmless ones ", paint.MUTED), signed(harmless))  # fmt: skip
        return _rejected(state, width)
    scores = report.grid[pick]
    floor = report.reliability(pick, report.bootstrap_floor)
    return paint.words(
        ("ablated ", paint.MUTED), f"{signed(harmful)} → {signed(scores.ablation)}",
        (f" {share(report.effect(pick))}", paint.STRONG),
        ("  added ", paint.MUTED), f"{signed(harmless)} → {signed(scores.steering)}",
        ("  KL ", paint.MUTED), plain(scores.kl), ("  reliable ", paint.MUTED), plain(floor),
    )  # fmt: skip


def _rejected(state: DirectionState, width: int) -> Content:
    """Why nothing was found, by count."""
    parts: list[Content | tuple[str, str] | str] = []
    for reason, count in state.counts():
        _, style, words = VERDICTS[reason]
        parts += [("  " if parts else "", ""), (f"{count} ", style), (words, paint.MUTED)]
    return paint.words(*parts)


def measures(state: DirectionState) -> Content:
    """Which figure the map shows, and the keys of the others."""
    parts: list[Content | tuple[str, str] | str] = []
    for number, measure in enumerate(MEASURES, 1):
        shown = measure is state.measure
        parts += [
            (f"{number} ", paint.KEY),
            (f"[{measure.value}]" if shown else f" {measure.value} ", paint.STRONG if shown else paint.MUTED),
            " ",
        ]
    return paint.words(*parts)


# --- below the map ---------------------------------------------------------------------------------------------------


def legend(state: DirectionState, width: int) -> Content:
    if state.measure is Measure.VERDICT:
        parts: list[Content | tuple[str, str] | str] = []
        for reason, count in state.counts():
            parts += [(f"{VERDICTS[reason][0]} ", VERDICTS[reason][1]), (f"{_BRIEF[reason]} {count}   ", paint.MUTED)]
        return paint.words(*parts)
    marks = f"   {PICKED} selected {PASSES} passes"
    return paint.line(MEANING[state.measure] + (marks if width >= 96 else ""), width, paint.MUTED)


def detail(state: DirectionState, width: int) -> Content:
    """Three lines on the candidate under the cursor."""
    report, cell = state.report, state.at()
    if cell is None:
        return paint.NOTHING
    scores, reason = report.grid[cell], report.choice.reasons[cell]
    letter, style, _ = VERDICTS[reason]
    where = paint.words((f"{place(cell)}  ", paint.STRONG))
    said = paint.line(f"{letter} {why(report, cell)}", width - where.cell_length, style)
    second = paint.words(
        ("ablation ", paint.MUTED), f"{signed(scores.ablation)} ", (share(report.effect(cell)), paint.STRONG),
        ("   addition ", paint.MUTED), f"{signed(scores.steering)} ", (share(report.addition(cell)), paint.STRONG),
        ("   KL ", paint.MUTED), (plain(scores.kl), paint.STRONG),
    )  # fmt: skip
    figures = [report.split_half, report.bootstrap_floor, report.auroc, report.norms]
    halves, floor, auroc, norm = (report.reliability(cell, figure) for figure in figures)
    third = paint.words(
        ("reliability: halves ", paint.MUTED), plain(halves), ("  resampled ", paint.MUTED), plain(floor),
        ("   AUROC ", paint.MUTED), plain(auroc, 2), ("   length ", paint.MUTED), plain(norm, 2),
    )  # fmt: skip
    return paint.lines(paint.words(where, said), second, third)


def empty(error: RefusalTuiError | None) -> Content:
    """No run, or one that cannot be read."""
    if error is not None:
        return paint.error(error)
    return paint.lines(
        "No refusal direction has been looked for here.",
        paint.words(("A run shows a map of layers and positions that fills in while it measures.", paint.MUTED)),
        "",
        paint.keys(("g n", "start a job: Find a refusal direction")),
    )
