"""How does a score report read in a terminal? Plain aligned columns of at most 80 cells."""

from __future__ import annotations

from math import isnan

from refusal_tui.judge.score import ScoreReport, TaskScore
from refusal_tui.stats.intervals import Interval
from refusal_tui.text.safe import cell_width, safe_text, shorten

WIDTH = 80
_GROUP_WIDTH = 22


def render_text(report: ScoreReport) -> str:
    """The report as text, without a line end at the end. Names from data are made safe for the terminal."""
    field = safe_text(report.gold, newlines=False)
    lines = [
        f"judge {report.judge} (version {report.version}), profile {report.profile or '-'}",
        f"gold field {shorten(field, 24)}: {report.scored:,} of {report.records:,} records scored, "
        f"{report.rows_per_second:,.0f} rows/s",
    ]
    left_out = [(report.no_gold, "without a gold label"), (report.no_response, "without a response")]
    lines += [f"  left out: {count:,} {why}" for count, why in left_out if count]
    lines += [f"  counted as wrong: {count:,} judge errors ({name})" for name, count in report.errors.items()]
    for task in report.tasks:
        lines += ["", *_task_lines(task)]
    if report.groups:
        lines += ["", *_group_lines(report)]
    cluster = shorten(safe_text(report.cluster, newlines=False), 20)
    lines += ["", f"In brackets: 95 % intervals, bootstrap over {report.tasks[0].clusters:,} values of {cluster}."]
    return "\n".join(lines)


def _task_lines(task: TaskScore) -> list[str]:
    lines = [
        f"{task.task} ({task.rows:,} rows)",
        f"  accuracy {_interval(task.accuracy)}   macro-F1 {_interval(task.macro_f1)}",
        f"  kappa    {_interval(task.kappa)}"
        + ("" if task.ece is None else f"   calibration error {_number(task.ece)}"),
        "",
        f"  {'class':<11}{'gold':>6}{'judge':>7}  {'precision':<18}{'recall':<18}F1",
    ]
    lines += [
        f"  {each.label:<11}{each.support:>6}{each.predicted:>7}  {_short(each.precision):<18}"
        f"{_short(each.recall):<18}{_short(each.f1)}"
        for each in task.classes
    ]
    lines += ["", f"  {'gold / judge':<13}" + "".join(f"{label:>12}" for label in task.labels)]
    for label, row in zip(task.labels, task.matrix):
        lines.append(f"  {label:<13}" + "".join(f"{cell:>12,}" for cell in row))
    return lines


def _group_lines(report: ScoreReport) -> list[str]:
    lines = []
    for index, task in enumerate(report.tasks):
        by = shorten(safe_text(report.by or "", newlines=False), _GROUP_WIDTH)
        lines.append(f"{task.task}, by {by}")
        lines.append(f"  {'':<{_GROUP_WIDTH}}{'rows':>7}  {'macro-F1':<19}{'kappa':<19}accuracy")
        for group in report.groups:
            score = group.tasks[index]
            name = shorten(safe_text(group.value, newlines=False), _GROUP_WIDTH)
            pad = " " * (_GROUP_WIDTH - cell_width(name))
            lines.append(
                f"  {name}{pad}{score.rows:>7,}  {_short(score.macro_f1):<19}{_short(score.kappa):<19}"
                f"{_number(score.accuracy.value)}"
            )
        lines.append("")
    return lines[:-1]


def _interval(interval: Interval) -> str:
    return f"{_number(interval.value)} [{_number(interval.low)} to {_number(interval.high)}]"


def _short(interval: Interval) -> str:
    return f"{_number(interval.value)} [{_number(interval.low)}-{_number(interval.high)}]"


def _number(value: float) -> str:
    """Four characters: three decimals without the leading zero, as papers print them; 1.00; - for undefined."""
    if isnan(value):
        return "-"
    text = f"{value:.3f}"
    return "1.00" if text == "1.000" else text.replace("0.", ".", 1)
