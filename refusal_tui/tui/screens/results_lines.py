"""The lines of Results, painted: a head, one line per cell, and two models beside each other."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.results.compare import Comparison, Difference
from refusal_tui.results.render import NOT_NAMED, p_text
from refusal_tui.results.table import TITLES, Cell, Rate, percent, span
from refusal_tui.store.results import MEASURES
from refusal_tui.text.safe import cell_width
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import bar
from refusal_tui.tui.state.results import ResultsState
from refusal_tui.tui.told import error_lines
from refusal_tui.tui.widgets.line_list import Line

_ROWS, _RATE, _SPAN, _BAR = 8, 9, 12, 10
_WIDE = 110  # from here on every measure has its interval, and refusals a bar
_STYLES = {"refusal": paint.WARN, "over_refusal": paint.BAD, "fulfilment": paint.GOOD}
_TITLES = {"refusal": "refused", "over_refusal": "over-ref.", "fulfilment": "fulfilled"}
COMPARE = "compare:"


def summary(state: ResultsState) -> Content:
    """What the table is of."""
    wanted = state.wanted
    whose = wanted.judge or "people before judges"
    rules = ", ".join(state.table.profiles) if state.table and state.table.profiles else "—"
    parts: list[Content | tuple[str, str] | str] = [
        ("rows ", paint.MUTED), paint.line(wanted.selection or "all", 24),
        ("   labels ", paint.MUTED), paint.line(whose, 24),
        ("   rules ", paint.MUTED), paint.line(rules, 16),
        ("   order ", paint.MUTED), TITLES.get(state.sort, state.sort),
    ]  # fmt: skip
    if state.first is not None:
        parts = [("compare ", paint.MUTED), paint.line(state.first, 40), ("   with: c on another model", paint.MUTED)]
    return paint.words(*parts)


def results_lines(state: ResultsState, width: int) -> list[Line]:
    """Everything below the summary, in lines of at most `width` cells."""
    if state.error is not None:
        return error_lines(state.error, width)
    if state.table is None:
        return [Line(), Line(paint.words(("counting…", paint.MUTED)))]
    if not state.table.cells:
        return _nothing(state.table.unlabelled)
    texts = [[by, *(cell.key[n] or NOT_NAMED for cell in state.cells)] for n, by in enumerate(state.table.by)]
    names = _name_widths([max(map(cell_width, column)) for column in texts], width)
    lines = [Line(_head(state.table.by, names, width))]
    before: tuple[str | None, ...] = ()
    for number, cell in enumerate(state.cells):
        repeated = 0 if state.sort != "name" else _common(before, cell.key)
        lines.append(Line(_cell(cell, names, repeated, width), str(number)))
        before = cell.key
    if state.comparison is not None:
        lines += _comparison(state.comparison, width)
    if state.table.unlabelled:
        remark = f"responses without a label, in no rate: {state.table.unlabelled:,}"
        lines += [Line(), Line(paint.words((remark, paint.MUTED)))]
    return lines


def _nothing(unlabelled: int) -> list[Line]:
    waiting = (
        f"Responses that wait for a judge: {unlabelled:,}" if unlabelled else "There is no response among these rows."
    )
    return [
        Line(),
        Line(paint.words("None of these rows is labelled.")),
        Line(paint.words(waiting)),
        Line(),
        Line(paint.keys(("g n", "start a labelling job"), ("/", "choose other rows"), ("l", "other labels"))),
    ]


def _rates_width(width: int) -> int:
    spans = len(MEASURES) if width >= _WIDE else 1
    return _ROWS + len(MEASURES) * (_RATE + 1) + spans * _SPAN + (_BAR + 2 if width >= _WIDE else 0)


def _name_widths(wanted: list[int], width: int) -> list[int]:
    """The space that the rates leave: what a short column does not need goes to the longer ones.

    >>> _name_widths([7, 7, 19], 80), _name_widths([60], 80), _name_widths([3, 40, 40], 80)
    ([7, 7, 12], [28], [3, 11, 12])
    """
    free = max(width - _rates_width(width) - 1, 8 * len(wanted))
    sizes = [0] * len(wanted)
    for place, column in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        sizes[column] = min(wanted[column], max(free // (len(wanted) - place) - 1, 6), 40)
        free -= sizes[column] + 1
    return sizes


def _head(by: tuple[str, ...], names: list[int], width: int) -> Content:
    titles = "".join(f"{name:<{size}.{size}} " for name, size in zip(by, names, strict=True)) + f"{'rows':>{_ROWS}}"
    for measure in MEASURES:
        wide = width >= _WIDE
        titles += " " * (_BAR + 2) if measure == "refusal" and wide else ""
        titles += f" {_TITLES[measure]:>{_RATE}}" + (f" {'95 %':<{_SPAN - 1}}" if measure == "refusal" or wide else "")
    return paint.words((titles, paint.HEADING))


def _cell(cell: Cell, names: list[int], repeated: int, width: int) -> Content:
    parts: list[Content | tuple[str, str] | str] = []
    for column, (value, size) in enumerate(zip(cell.key, names, strict=True)):
        if column < repeated:
            parts.append(" " * (size + 1))
            continue
        shown = paint.words((NOT_NAMED[:size], paint.MUTED)) if value is None else paint.line(value, size)
        parts.append(shown.pad_right(max(0, size + 1 - shown.cell_length)))
    parts.append(paint.number(cell.rows, _ROWS))
    for measure in MEASURES:
        rate = cell.rates[measure]
        if measure == "refusal" and width >= _WIDE:
            parts += ["  ", (bar(rate.interval.value if rate.known else None, _BAR), paint.WARN)]
        parts += _rate(rate, measure, with_span=measure == "refusal" or width >= _WIDE)
    return paint.words(*parts)


def _rate(rate: Rate, measure: str, *, with_span: bool) -> list[Content | tuple[str, str] | str]:
    style = _STYLES[measure] if rate.known else paint.MUTED
    parts: list[Content | tuple[str, str] | str] = [(f" {percent(rate.interval.value):>{_RATE}}", style)]
    if with_span:
        parts.append((f" {span(rate.interval):<{_SPAN - 1}}", paint.MUTED))
    return parts


def _common(before: tuple[str | None, ...], key: tuple[str | None, ...]) -> int:
    """How many groups at the left are the same as on the line above: they are not repeated."""
    same = 0
    while same < len(key) - 1 and same < len(before) and before[same] == key[same]:
        same += 1
    return same


def _comparison(found: Comparison, width: int) -> list[Line]:
    side = max((width - 40) // 2, 10)
    title = paint.words(
        paint.line(found.one, side, paint.HEADING),
        (" against ", paint.MUTED),
        paint.line(found.other, side, paint.HEADING),
    )
    lines = [Line(), Line(paint.words(title, ("  same prompts", paint.MUTED)))]
    if not found.lines:
        lines.append(Line(paint.words(("no prompt has a labelled response of both", paint.MUTED))))
    for group, differences in found.lines:
        names = [NOT_NAMED if value is None else value for value in group]
        lines += [Line(paint.line(", ".join(names), width, paint.MUTED))] if names else []
        lines += [Line(_difference(name, d), COMPARE + ":".join([*names, name])) for name, d in differences.items()]
    return lines


def _difference(measure: str, d: Difference) -> Content:
    points = f"{100 * d.interval.value:+6.1f} points ({100 * d.interval.low:+.1f} to {100 * d.interval.high:+.1f})"
    return paint.words(
        (f"{TITLES[measure]:<13}", paint.STRONG),
        points,
        (f"  p {p_text(d.p_value)}  {d.prompts:,} prompts, {d.only_one:,} / {d.only_other:,} alone", paint.MUTED),
    )
