"""The lines of Agreement, painted: groups and pairs with their figures, a judge's errors, and the matrix below."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.review.agreement_report import ClassFigures, Figures, HeadAgreement, JudgeErrors
from refusal_tui.review.agreement_text import bounds, figure, short_name
from refusal_tui.stats.intervals import Interval
from refusal_tui.tui import paint
from refusal_tui.tui.state.agreement import EVERYBODY, PEOPLE, AgreementState
from refusal_tui.tui.told import error_lines
from refusal_tui.tui.widgets.grid import EMPTY, GridLine, GridModel
from refusal_tui.tui.widgets.line_list import Line

_FIGURES = 47  # cells of rows, agree, kappa with its interval, alpha, AC1
_WIDE = 100  # from here on every figure has its interval
_SPAN = 12
_GOOD, _FAIR = 0.8, 0.6  # the usual marks (Krippendorff 2004; Landis and Koch 1977); a hint, nothing more


def summary(state: AgreementState) -> Content:
    """What is compared."""
    wanted, shown = state.wanted, state.shown
    parts: list[Content | tuple[str, str] | str] = [
        ("head ", paint.MUTED), paint.line(shown.head if shown else wanted.head, 24),
        ("   rows ", paint.MUTED), paint.line(wanted.selection or "all", 28),
    ]  # fmt: skip
    if wanted.queue is not None:
        parts += [("   queue ", paint.MUTED), paint.line(wanted.queue, 24)]
    parts.append(("   95 % over prompts", paint.MUTED))
    return paint.words(*parts)


def agreement_lines(state: AgreementState, width: int) -> list[Line]:
    """The list above the matrix, in lines of at most `width` cells."""
    if state.error is not None:
        return error_lines(state.error, width)
    if state.report is None:
        return [Line(), Line(paint.words(("counting…", paint.MUTED)))]
    shown = state.shown
    if shown is None:
        return _nothing(state)
    lines = [Line(_head(width))]
    lines += _together(shown, width)
    for number, pair in enumerate(shown.pairs):
        name = _between(short_name(pair.one), short_name(pair.other), _name_width(width))
        lines.append(Line(_figures(name, pair.figures, width), f"pair:{number}"))
        if state.with_parts:
            for part in pair.parts:
                called = paint.words((f"  {part.by} ", paint.MUTED), paint.line(part.value or "(not named)", 24))
                lines.append(Line(_figures(called, part.figures, width)))
    for number, alone in enumerate(shown.alone):
        name = paint.words(paint.line(short_name(alone.annotator), _name_width(width) - 8), (", twice", paint.MUTED))
        lines.append(Line(_figures(name, alone.figures, width), f"alone:{number}"))
    if shown.errors:
        lines += [Line(), Line(paint.words(("judges, for all rows of a queue's selection", paint.HEADING)))]
    lines += [Line(_error(errors, width), f"errors:{number}") for number, errors in enumerate(shown.errors)]
    return lines


def _nothing(state: AgreementState) -> list[Line]:
    hints = [("g v", "review"), ("g n", "let a judge label"), ("g i", "import labels of people")]
    if state.wanted.selection:
        hints.insert(0, ("/", "choose other rows"))
    if state.wanted.queue is not None:
        hints.insert(0, ("u", "all rows"))
    return [
        Line(),
        Line(paint.words("No two annotators have labelled the same rows here.")),
        Line(paint.words(("As soon as two have, their figures grow on this screen, label by label.", paint.MUTED))),
        Line(),
        Line(paint.keys(*hints)),
    ]


def _together(shown: HeadAgreement, width: int) -> list[Line]:
    """Groups of more than two."""
    lines = []
    if shown.people is not None and len([a for a in shown.annotators if a.startswith("human:")]) > 2:
        lines.append(Line(_figures(paint.words(("people together", paint.STRONG)), shown.people, width), PEOPLE))
    if shown.everybody is not None and len(shown.annotators) > 2:
        lines.append(Line(_figures(paint.words(("everybody", paint.STRONG)), shown.everybody, width), EVERYBODY))
    return lines


def _name_width(width: int) -> int:
    return max(16, width - (_FIGURES + (3 * _SPAN if width >= _WIDE else 0)))


def _head(width: int) -> Content:
    wide = width >= _WIDE
    titles = f"{'':<{_name_width(width)}}{'rows':>7}"
    for name in ("agree", "kappa", "alpha", "AC1"):
        titles += f" {name:>6}" + (f" {'95 %':<{_SPAN - 1}}" if wide or name == "kappa" else "")
    return paint.words((titles, paint.HEADING))


def _figures(name: Content, figures: Figures, width: int) -> Content:
    wide = width >= _WIDE
    parts: list[Content | tuple[str, str] | str] = [
        name.pad_right(max(0, _name_width(width) - name.cell_length)), paint.number(figures.rows, 7),
    ]  # fmt: skip
    for measure in ("percent", "kappa", "alpha", "ac1"):
        parts.append((f" {figure(figures[measure]):>6}", _style(measure, figures[measure])))
        if wide or measure == "kappa":
            parts.append((f" {bounds(figures[measure]):<{_SPAN - 1}}", paint.MUTED))
    return paint.words(*parts)


def _style(measure: str, interval: Interval) -> str:
    if measure == "percent" or interval.value != interval.value:
        return "" if measure == "percent" else paint.MUTED
    return paint.GOOD if interval.value >= _GOOD else paint.WARN if interval.value >= _FAIR else paint.BAD


def _between(one: str, other: str, width: int) -> Content:
    side = max(6, (width - 4) // 2)
    left = paint.line(one, side + max(0, side - len(other)))
    return paint.words(left, (" × ", paint.MUTED), paint.line(other, max(6, width - 4 - left.cell_length)))


def _error(errors: JudgeErrors, width: int) -> Content:
    wrong = errors.wrong.interval
    first = errors.classes[0]
    parts: list[Content | tuple[str, str] | str] = [
        paint.line(short_name(errors.judge), 24), ("  wrong ", paint.MUTED), figure(wrong),
        (f" {bounds(wrong)}", paint.MUTED), (f"   {first.name} ", paint.MUTED), figure(first.corrected),
        (f" {bounds(first.corrected)}", paint.MUTED),
    ]  # fmt: skip
    if width < _WIDE:
        parts[:0] = [paint.line(errors.queue, 12, paint.MUTED), "  "]
    else:
        split = f", {errors.open} split" if errors.open else ""
        parts += [("   queue ", paint.MUTED), paint.line(errors.queue, 16),
                  (f": {errors.rows} of {errors.population:,} audited{split}", paint.MUTED)]  # fmt: skip
    return paint.words(*parts)


# --- below the list ------------------------------------------------------------------------------------------------


def below(state: AgreementState, width: int) -> tuple[Content, GridModel]:
    """A line of words, and the matrix, of what the cursor is on."""
    shown = state.shown
    if shown is None:
        return paint.NOTHING, EMPTY
    if state.pair is not None:
        pair = state.pair
        words = paint.words(
            ("lines ", paint.MUTED), paint.line(short_name(pair.one), 24), ("   columns ", paint.MUTED),
            paint.line(short_name(pair.other), 24), (f"   {pair.disagreements:,} apart", paint.MUTED),
        )  # fmt: skip
        return words, _matrix(shown, pair.matrix, {c.name: c for c in pair.classes}, width)
    if state.alone is not None:
        words = paint.words(("lines the first time   columns the second time, silently asked again", paint.MUTED))
        return words, _matrix(shown, state.alone.matrix, {}, width)
    if state.errors is not None:
        return _error_words(state.errors), EMPTY
    names = paint.words((f"{len(shown.annotators)} annotators; a row counts where two have labelled it", paint.MUTED))
    return names, EMPTY


def _matrix(
    shown: HeadAgreement, matrix: tuple[tuple[int, ...], ...], classes: dict[str, ClassFigures], width: int
) -> GridModel:
    names = [paint.label(name) for name in shown.labels]
    name_width = max(8, min(24, max(name.cell_length for name in names) + 1))
    column_width = max(8, min(14, max(name.cell_length for name in names) + 2))
    columns = [_column(name, column_width - 2) for name in shown.labels]
    tail = paint.words((f"  {'shared':>7} {'95 %':<11} {'kappa':>6}", paint.HEADING)) if classes else paint.NOTHING
    return GridModel(
        paint.NOTHING,
        tuple(columns),
        tuple(
            GridLine(names[i], tuple(matrix[i]), _class_tail(classes.get(name)) if classes else paint.NOTHING)
            for i, name in enumerate(shown.labels)
        ),
        tail,
        name_width,
        column_width,
    )


def _column(name: str, width: int) -> Content:
    """A class over its column; of a long name with parts (REFUSAL.DIRECT) the last part."""
    whole = paint.label(name)
    return whole if whole.cell_length <= width else paint.line(name.rpartition(".")[2], width)


def _class_tail(found: ClassFigures | None) -> Content:
    if found is None:
        return paint.NOTHING
    return paint.words(
        f"  {figure(found.shared):>7}", (f" {bounds(found.shared):<11}", paint.MUTED), f" {figure(found.kappa):>6}"
    )


def _error_words(errors: JudgeErrors) -> Content:
    """A line per class: how often the judge finds it, is right, calls it, and how many there truly are."""
    found = [
        paint.words((f"{'':<11}{'found':>6} {'95 %':<11} {'right':>6} {'95 %':<11} {'calls':>6} {'truly':>6} 95 %",
                     paint.HEADING))
    ]  # fmt: skip
    for one in errors.classes:
        name = paint.label(one.name) if one.name != "refusal" else paint.words("any refusal")
        called = Interval(one.called, one.called, one.called)
        found.append(
            paint.words(
                name.pad_right(max(0, 11 - name.cell_length)),
                f"{figure(one.found.interval):>6}", (f" {bounds(one.found.interval):<11}", paint.MUTED),
                f" {figure(one.right.interval):>6}", (f" {bounds(one.right.interval):<11}", paint.MUTED),
                f" {figure(called):>6} {figure(one.corrected):>6}", (f" {bounds(one.corrected)}", paint.MUTED),
            )
        )  # fmt: skip
    return paint.lines(*found)
