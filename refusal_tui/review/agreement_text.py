"""How is a report on agreement written? As records for JSON and as lines for a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from refusal_tui.review.agreement_report import ClassFigures, Figures, HeadAgreement, JudgeErrors, Pair
from refusal_tui.stats.intervals import Interval

if TYPE_CHECKING:
    from refusal_tui.stats.weighted import WeightedRate

NAMES = {
    "percent": "agree", "kappa": "kappa", "alpha": "alpha", "ac1": "AC1", "weighted_kappa": "weighted kappa",
    "ordinal_alpha": "ordinal alpha", "ac2": "AC2",
}  # fmt: skip
NOTE = (
    "95 % intervals: BCa bootstrap over prompts; of the judges' errors by the weights of the sample. kappa is Cohen's "
    "for pairs and Fleiss' for groups. Where one class is nearly all rows, read AC1 beside kappa. too few: no interval "
    "under ten prompts, or where all draws are alike."
)


def report_json(report: Sequence[HeadAgreement]) -> dict[str, Any]:
    """Everything, exact; what is not known is null."""
    return {"level": 0.95, "heads": [_head(one) for one in report]}


def _head(one: HeadAgreement) -> dict[str, Any]:
    return {
        "head": one.head,
        "classes": list(one.labels),
        "annotators": list(one.annotators),
        "people": None if one.people is None else _figures(one.people),
        "everybody": None if one.everybody is None else _figures(one.everybody),
        "pairs": [_pair(pair) for pair in one.pairs],
        "self": [
            {"annotator": alone.annotator, **_figures(alone.figures), "matrix": [list(line) for line in alone.matrix]}
            for alone in one.alone
        ],
        "judge_errors": [_errors(errors) for errors in one.errors],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "one": pair.one,
        "other": pair.other,
        **_figures(pair.figures),
        "matrix": [list(line) for line in pair.matrix],
        "filters": [list(line) for line in pair.filters],
        "apart": pair.apart,
        "classes": [_class(one) for one in pair.classes],
        "parts": [{"by": part.by, "value": part.value, **_figures(part.figures)} for part in pair.parts],
    }


def _figures(figures: Figures) -> dict[str, Any]:
    return {
        "rows": figures.rows,
        "prompts": figures.prompts,
        **{name: _interval(interval) for name, interval in figures.values.items()},
    }


def _class(one: ClassFigures) -> dict[str, Any]:
    return {
        "class": one.name, "one": one.one, "other": one.other, "both": one.both, "shared": _interval(one.shared),
        "kappa": _interval(one.kappa),
    }  # fmt: skip


def _errors(errors: JudgeErrors) -> dict[str, Any]:
    return {
        "queue": errors.queue,
        "judge": errors.judge,
        "population": errors.population,
        "rows": errors.rows,
        "open": errors.open,
        "wrong": _rate(errors.wrong),
        "classes": [
            {
                "class": one.name,
                "found": _rate(one.found),
                "right": _rate(one.right),
                "people": _rate(one.people),
                "called": number(one.called),
                "corrected": _interval(one.corrected),
            }
            for one in errors.classes
        ],
    }


def _rate(rate: WeightedRate) -> dict[str, Any] | None:
    if not rate.rows:
        return None
    effective = rate.effective if math.isfinite(rate.effective) else None
    return {"value": rate.interval.value, "low": rate.interval.low, "high": rate.interval.high, "rows": rate.rows,
            "effective_rows": effective, "estimated_rows": rate.total}  # fmt: skip


def _interval(interval: Interval) -> dict[str, float | None] | None:
    if math.isnan(interval.value):
        return None
    return {"value": interval.value, "low": number(interval.low), "high": number(interval.high)}


def number(value: float) -> float | None:
    return None if math.isnan(value) else value


def figure(interval: Interval) -> str:
    """A coefficient with the digits that agreement is quoted in; a dash where it is not defined.

    >>> figure(Interval(0.9534, 0.93, 0.97)), figure(Interval(-0.02, -0.1, 0.1)), figure(Interval(float("nan"), 0, 0))
    ('.953', '-.020', '—')
    """
    return "—" if math.isnan(interval.value) else _short(interval.value)


def bounds(interval: Interval) -> str:
    """
    >>> bounds(Interval(0.9534, 0.93, 0.97)), bounds(Interval(1.0, float("nan"), float("nan")))
    ('.930–.970', 'too few')
    """
    if math.isnan(interval.value):
        return ""
    return "too few" if math.isnan(interval.low) else f"{_short(interval.low)}–{_short(interval.high)}"


def _short(value: float) -> str:
    text = f"{value:.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.endswith("1.000") else text


def short_name(annotator: str) -> str:
    """
    >>> short_name("human:ada"), short_name("judge:lexical")
    ('ada', 'lexical (judge)')
    """
    side, _, name = annotator.partition(":")
    return name if side == "human" else f"{name} ({side})"


def pair_lines(one: HeadAgreement, *, narrow: bool = False) -> tuple[list[str], list[list[object]]]:
    """Head and lines for a terminal: groups, pairs and the parts of each pair, everybody with themselves.

    `narrow` leaves out how many prompts there are and the interval of the percentage, so that 80 cells hold the rest.
    """
    head = ["", "rows", "prompts", "agree", "95 %", "kappa", "95 %", "alpha", "AC1"]
    lines: list[list[object]] = []
    for name, group in (("people together", one.people), ("everybody", one.everybody)):
        if group is not None and len(one.annotators) > 2:
            lines.append(_line(name, group))
    for pair in one.pairs:
        lines.append(_line(f"{short_name(pair.one)} × {short_name(pair.other)}", pair.figures))
        lines += [_line(f"  {part.by} {part.value or '(not named)'}", part.figures) for part in pair.parts]
    lines += [_line(f"{short_name(alone.annotator)}, twice", alone.figures) for alone in one.alone]
    if narrow:
        shown = [0, 1, 3, 5, 6, 7, 8]
        return [head[i] for i in shown], [[line[i] for i in shown] for line in lines]
    return head, lines


def _line(name: str, figures: Figures) -> list[object]:
    percent, kappa = figures["percent"], figures["kappa"]
    return [name, figures.rows, figures.prompts, figure(percent), bounds(percent), figure(kappa), bounds(kappa),
            figure(figures["alpha"]), figure(figures["ac1"])]  # fmt: skip


def class_lines(one: HeadAgreement, pair: Pair) -> tuple[list[str], list[list[object]]]:
    """The confusion matrix of a pair with each class's figures."""
    head = [f"{short_name(pair.one)} ↓ {short_name(pair.other)} →", *one.labels, "shared", "95 %", "kappa", "95 %"]
    by_name = {found.name: found for found in pair.classes}
    lines: list[list[object]] = []
    for place, name in enumerate(one.labels):
        found = by_name.get(name)
        rest = ["", "", "", ""]
        if found is not None:
            rest = [figure(found.shared), bounds(found.shared), figure(found.kappa), bounds(found.kappa)]
        lines.append([name, *pair.matrix[place], *rest])
    return head, lines


def error_lines(errors: Sequence[JudgeErrors]) -> tuple[list[str], list[list[object]]]:
    """What a judge gets wrong on all rows, per class."""
    head = ["judge", "class", "found", "95 %", "right", "95 %", "calls", "corrected", "95 %"]
    lines: list[list[object]] = []
    for one in errors:
        for c in one.classes:
            found, right = c.found.interval, c.right.interval
            called = Interval(c.called, c.called, c.called)
            lines.append(
                [short_name(one.judge), c.name, figure(found), bounds(found), figure(right), bounds(right),
                 figure(called), figure(c.corrected), bounds(c.corrected)]
            )  # fmt: skip
    return head, lines
