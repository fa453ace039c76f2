"""What the Training screen says when a run has ended, painted: the result with its matrix, mistakes, other runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from textual.content import Content

from refusal_tui.classify.plain import figure_text
from refusal_tui.classify.sections import key_figures
from refusal_tui.tui import paint
from refusal_tui.tui.state.training import CELL, MISTAKE, OTHER, TrainingState
from refusal_tui.tui.widgets.line_list import Line

_CELL = 12
_TESTS = {
    "mcnemar": "McNemar, rows independent",
    "permutation_accuracy": "permutation of groups, accuracy",
    "permutation_macro_f1": "permutation of groups, macro-F1",
}


def result_lines(state: TrainingState, at: str | None, width: int) -> Iterator[Line]:
    """The headline with what limits it, the matrix with a cursor, the figures with their intervals."""
    metrics = state.metrics
    assert metrics is not None
    yield Line(paint.words(
        ("macro-F1 ", paint.MUTED), (figure_text(metrics["macro_f1"]), paint.STRONG),
        ("   accuracy ", paint.MUTED), (figure_text(metrics["accuracy"]), paint.STRONG),
        (f"   {metrics['rows']:,} test rows", paint.MUTED),
    ), "headline")  # fmt: skip
    for number, limit in enumerate(metrics["limits"]):
        for place, part in enumerate(paint.two_lines(limit, width - 10, paint.WARN)):
            start = ("△ mind    ", paint.WARN) if not place else " " * 10
            yield Line(paint.words(start, part), f"limit:{number}.{place}")
    yield Line()
    kind, _, row = (at or "").partition(":")
    yield from _matrix(metrics, int(row) if kind == CELL else -1, state.column, width)
    yield Line()
    for name, value, interval in key_figures(metrics):
        said = paint.words((f"{name:<42}", paint.MUTED), f"{value:>7}", (f"  {interval}", paint.MUTED))
        yield Line(said, f"key:{name}")
    yield Line()


def _matrix(metrics: Mapping[str, Any], at: int, column: int, width: int) -> Iterator[Line]:
    """A line per label; ←→ choose what is said. The cell that enter opens, in line `at`, stands in brackets. Of many
    classes the columns around the chosen one are seen."""
    names = metrics["classes"]
    side = min(20, max(15, *(len(name) + 2 for name in names)))
    room = width - side - 8
    cells = max(6, min(_CELL, room // len(names) - 1))
    seen = min(len(names), max(1, room // (cells + 1)))
    first = min(max(0, column - seen // 2), len(names) - seen)
    titles = [paint.line(name, cells - 1, paint.MUTED) for name in names[first : first + seen]]
    top: list[Content | tuple[str, str] | str] = [("label ↓ said →"[:side].ljust(side), paint.MUTED)]
    for title in titles:
        top += [" " * (cells - title.cell_length), title, " "]
    yield Line(paint.words(*top))
    for row, (name, counts) in enumerate(zip(names, metrics["confusion"], strict=True)):
        label = paint.line(name, side - 1)
        parts: list[Content | tuple[str, str] | str] = [label.pad_right(side - label.cell_length)]
        for place, count in [*enumerate(counts)][first : first + seen]:
            chosen = (row, place) == (at, column)
            shown = f"[{count:,}]" if chosen else f"{count:,} "
            style = paint.GOOD if place == row else paint.BAD if count else paint.MUTED
            parts.append((f"{shown:>{cells + 1}}", f"bold {style}" if chosen else style))
        parts.append((f"  of {sum(counts):,}", paint.MUTED))
        yield Line(paint.words(*parts), f"{CELL}:{row}")


def mistakes_lines(state: TrainingState, width: int) -> Iterator[Line]:
    metrics = state.metrics
    assert metrics is not None
    if not metrics["mistakes"]:
        yield Line()
        yield Line(paint.words("It is right on every test row."))
        return
    side = max(5, min(12, max(len(name) for name in metrics["classes"])))
    title = f"{'sure':<7}{'label':<{side + 1}}{'said':<{side + 1}}{'model':<15}answer"
    yield Line(paint.words((title[:width], paint.HEADING)))
    for number, one in enumerate(metrics["mistakes"]):
        row = state.rows.get(one["item_id"])
        parts: list[Content | tuple[str, str] | str] = [f"{one['confidence']:.3f}  "]
        for value, size in ((one["label"], side), (one["said"], side), (one["model"], 14)):
            shown = paint.line(value, size, paint.MUTED if size == 14 else "")
            parts.append(shown.pad_right(size + 1 - shown.cell_length))
        text = (row.response if row.response is not None else row.prompt) if row is not None else ""
        parts.append(paint.line(text, max(4, width - 7 - 2 * side - 2 - 15)))
        yield Line(paint.words(*parts), f"{MISTAKE}:{number}")


def runs_lines(state: TrainingState, width: int) -> Iterator[Line]:
    yield Line(paint.words((f"{'job':>4}  {'name':<18} {'kind':<18} macro-F1 on its test rows", paint.HEADING)))
    for one in state.runs:
        here = one.job_id == state.job_id
        name, kind = paint.line(one.name, 18, paint.STRONG if here else ""), paint.line(one.kind, 18, paint.MUTED)
        figure = "—" if one.macro_f1 is None else figure_text(one.macro_f1)
        parts = (
            f"{one.job_id:>4}  ",
            name.pad_right(19 - name.cell_length),
            kind.pad_right(19 - kind.cell_length),
            figure,
        )
        yield Line(paint.words(*parts, ("  this" if here else "", paint.MUTED)), f"{OTHER}:{one.job_id}")
    yield Line()
    if state.compared is None:
        yield Line(paint.words(("enter compares this run with another on the test rows that both have.", paint.MUTED)))
        return
    yield from _comparison(state, *state.compared, width)


def _comparison(state: TrainingState, other: str, found: Mapping[str, Any], width: int) -> Iterator[Line]:
    side = (width - 30) // 2
    yield Line(paint.words(paint.line(other, side, paint.HEADING), (" against ", paint.MUTED),
                           paint.line(state.run.name, side, paint.HEADING),
                           (f"  {found['rows']:,} shared test rows", paint.MUTED)), "compared")  # fmt: skip
    for name, title in (("macro_f1", "macro-F1"), ("accuracy", "accuracy")):
        before, change = found[f"{name}_before"]["value"], figure_text(found[f"{name}_change"])
        after = found[f"{name}_after"]["value"]
        said = f"{_value(before)} → {_value(after)}   difference {change}"
        yield Line(paint.words((f"{title:<10}", paint.MUTED), said), f"compared:{name}")
    yield Line(paint.words(("right alone ", paint.MUTED), paint.line(state.run.name, side),
                           f" {found['only_first_right']:,}   ", paint.line(other, side),
                           f" {found['only_second_right']:,}"), "compared:alone")  # fmt: skip
    for test, p_value in found["p_values"].items():
        said = f"p = {p_value:.3g}, corrected (Holm) {found['p_values_holm'][test]:.3g}"
        yield Line(paint.words((f"{_TESTS[test]:<33}", paint.MUTED), said), f"compared:{test}")


def _value(value: float | None) -> str:
    return "—" if value is None else f"{value:.3f}"
