"""The lines of a judge card, painted. Every line with a key has rows behind it: the key is their filter."""

from __future__ import annotations

from math import isnan
from typing import TYPE_CHECKING

from textual.content import Content

from refusal_tui.stats.intervals import Interval
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import count
from refusal_tui.tui.state.judge_card import (
    JudgeCardState,
    confusions,
    error_filter,
    label_filter,
    rows_filter,
)
from refusal_tui.tui.told import error_lines
from refusal_tui.tui.widgets.line_list import Line

if TYPE_CHECKING:
    from refusal_tui.judge.card import JudgeCard
    from refusal_tui.judge.score import TaskScore

_NAME, _FIGURE, _RATE = 16, 24, 40
_BAR = 24
_BINS = 10  # as judge/score.py counts them
_ERRORS = {
    "parse": "could not be read",
    "judge_refusal": "the judge refused to judge",
    "no_response": "have no response to judge",
}


def summary(state: JudgeCardState) -> Content:
    card = state.card
    parts: list[Content | tuple[str, str] | str] = [
        ("job ", paint.MUTED),
        f"{state.job_id or '—'} ",
        paint.line(state.title, 30, paint.MUTED),
    ]
    if card is not None and state.read is not None:
        number = f" ({state.at + 1} of {len(state.read.cards)})" if len(state.read.cards) > 1 else ""
        parts += [("   judge ", paint.MUTED), paint.line(card.judge, 26, paint.STRONG), (number, paint.MUTED)]
    return paint.words(*parts)


def card_lines(state: JudgeCardState, width: int) -> list[Line]:
    if state.error is not None:
        return error_lines(state.error, width)
    if not state.jobs:
        return [
            Line(),
            Line(paint.words("No labelling job has judged a row yet.")),
            Line(paint.words("Its card will say how far the judge can be trusted, beside two people.")),
            Line(),
            Line(paint.keys(("g n", "start a labelling job"))),
        ]
    if state.read is None:
        return [Line(), Line(paint.words(("reading every verdict of the job…", paint.MUTED)))]
    card = state.card
    if card is None or state.job_id is None:
        return [Line(), Line(paint.words("This job has no judge with finished rows."))]
    return [*_rates(card, state.job_id), Line(), *_agreement(state, card, width)]


def _rates(card: JudgeCard, job_id: int) -> list[Line]:
    failed = sum(card.errors.values())
    about = f"questions {card.version or '—'}, rules {card.profile or '—'}"
    lines = [
        Line(paint.heading("How it went", about)),
        Line(_row("asked about", f"{count(card.asked)} rows, {count(card.asked - failed)} answered"),
             rows_filter(job_id)),
    ]  # fmt: skip
    for error_class, number in card.errors.items():
        what = _ERRORS.get(error_class, error_class.replace("_", " "))
        shown = paint.words((f"{count(number)} row{'' if number == 1 else 's'}: ", paint.BAD), paint.line(what, 40))
        lines.append(Line(_row("no answer", shown), error_filter(job_id, error_class)))
    order = "sample" if card.order_sampled else "in doubt"
    for name, value in (
        ("answers that could not be read", card.parse_errors), ("the judge refused to judge", card.judge_refusals),
        ("answers that contradict themselves", card.contradictions),
        (f"other label in other order ({order})", card.order_flips), ("canaries that fooled it", card.fooled),
    ):  # fmt: skip
        shown = paint.words(("not measured", paint.MUTED)) if value is None else _rate(value)
        lines.append(Line(paint.words((f"{name:<{_RATE}}", paint.MUTED), shown)))
    money = "no price" if card.usd_per_thousand is None else f"{card.usd_per_thousand:.4f} USD"
    time = "" if card.seconds_per_thousand is None else f", {card.seconds_per_thousand:,.1f} s of the whole job"
    lines.append(Line(paint.words((f"{'per 1,000 rows':<{_RATE}}", paint.MUTED), money + time)))
    return lines


def _agreement(state: JudgeCardState, card: JudgeCard, width: int) -> list[Line]:
    if not card.agreement:
        says = "No person has labelled these rows, so agreement cannot be measured."
        todo = paint.keys(("g v", "the queues, where n draws some of them to label by hand"))
        return [Line(paint.heading("Agreement")), Line(paint.line(says, width)), Line(todo)]
    ceilings = {task.task: task for task in card.ceiling.tasks} if card.ceiling else {}
    people = " and ".join(one.removeprefix("human:") for one in card.ceiling.between) if card.ceiling else ""
    head = paint.words(("Agreement", paint.HEADING), ("  right is  ", paint.MUTED), paint.line(card.gold, 30))
    lines = [Line(head)]
    for task in card.agreement:
        lines += _task(state, card, task, ceilings.get(task.task), people)
    lines += _calibration(card, card.agreement[0])
    if card.ceiling is None:
        says = "No second person on these rows: what two people reach is not known."
        lines += [Line(), Line(paint.words((says, paint.MUTED)))]
    remark = "In brackets: 95 % intervals, clustered by prompt (rates: Wilson)."
    return [*lines, Line(), Line(paint.words((remark, paint.MUTED)))]


def _task(
    state: JudgeCardState, card: JudgeCard, task: TaskScore, ceiling: TaskScore | None, people: str
) -> list[Line]:
    assert state.read is not None and state.job_id is not None
    job_id, heads = state.job_id, state.read.heads
    said = f"{task.task}, {count(task.rows)} rows, {count(task.clusters)} prompts"
    title = paint.words((f"{said:<{_NAME + _FIGURE}}", paint.STRONG), paint.line(people, 24, paint.MUTED))
    figures = {
        "kappa": (task.kappa, ceiling.kappa if ceiling else None),
        "macro-F1": (task.macro_f1, ceiling.macro_f1 if ceiling else None),
        "accuracy": (task.accuracy, ceiling.accuracy if ceiling else None),
    }
    lines = [Line(title)] + [Line(_beside(name, *pair)) for name, pair in figures.items()]
    of_people = {each.label: each.f1 for each in ceiling.classes} if ceiling else {}
    for each in task.classes:
        if each.support:
            rows = label_filter(job_id, heads, card, gold=each.label)
            lines.append(Line(_beside(f"F1 {each.label}", each.f1, of_people.get(each.label)), rows))
    for gold, answer, number in confusions(task.labels, task.matrix):
        shown = paint.words(_label(gold), (" but the judge: ", paint.MUTED), _label(answer))
        content = paint.words((f"{count(number):>{_NAME - 2}}  ", paint.WARN), shown)
        lines.append(Line(content, label_filter(job_id, heads, card, gold=gold, said=answer)))
    return lines


def _calibration(card: JudgeCard, task: TaskScore) -> list[Line]:
    """A reliability diagram: how sure the judge was (the mark), and how often it was right (the bar)."""
    if task.ece is None:
        says = "The judge gives no probabilities: nothing to calibrate."
        return [Line(), Line(paint.heading("Calibration")), Line(paint.words((says, paint.MUTED)))]
    held = ""
    if card.scaling is not None:
        held = f"; with temperature {card.scaling.temperature:.2f}: {card.scaling.ece:.3f}, held out"
    lines = [
        Line(),
        Line(paint.heading("Calibration", f"error {task.ece:.3f}{held}")),
        Line(paint.words((f"{'how sure':<{_NAME}}█ right, │ sure{'right':>{_BAR - 8}}{'rows':>9}", paint.MUTED))),
    ]
    for bin in task.bins:  # those with rows alone
        if bin.rows:
            low = min(int(bin.confidence * _BINS), _BINS - 1)
            span = f"{low / _BINS:.1f}–{(low + 1) / _BINS:.1f}"
            diagram = reliability(bin.confidence, bin.accuracy)
            lines.append(Line(paint.words(f"{span:<{_NAME}}", (diagram, paint.ACCENT),
                                          f"  {bin.accuracy:5.2f}{count(bin.rows):>9}")))  # fmt: skip
    return lines


def reliability(sure: float, right: float) -> str:
    """A bar of how often the judge was right, and a mark where it thought it would be.

    >>> reliability(0.9, 0.5)
    '████████████·········│··'
    """
    cells = ["█" if (n + 0.5) / _BAR <= right else "·" for n in range(_BAR)]
    cells[min(int(sure * _BAR), _BAR - 1)] = "│"
    return "".join(cells)


def _row(name: str, value: Content | str) -> Content:
    return paint.words((f"{name:<{_NAME}}", paint.MUTED), value)


def _beside(name: str, judge: Interval, people: Interval | None) -> Content:
    """The judge's figure, and that of two people, which no judge should be expected to pass."""
    ceiling = paint.words(("—", paint.MUTED)) if people is None else _interval(people)
    own = _interval(judge)
    return paint.words(("  " + f"{name:<{_NAME - 2}}", paint.MUTED), own.pad_right(_FIGURE - own.cell_length), ceiling)


def _interval(value: Interval) -> Content:
    span = f" [{_number(value.low)} to {_number(value.high)}]"
    return paint.words((_number(value.value), paint.STRONG), (span, paint.MUTED))


def _rate(value: Interval) -> Content:
    if isnan(value.value):
        return paint.words(("—", paint.MUTED))
    style = paint.WARN if value.value > 0 else paint.GOOD
    return paint.words((f"{value.value:.1%}", style), (f" [{value.low:.1%} to {value.high:.1%}]", paint.MUTED))


def _number(value: float) -> str:
    return "—" if isnan(value) else f"{value:.3f}"


def _label(value: str) -> Content:
    return paint.words(("no answer", paint.BAD)) if value == "error" else paint.label(value)
