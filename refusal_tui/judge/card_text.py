"""How does a judge card read in a terminal? At most 80 cells a line."""

from __future__ import annotations

from math import isnan

from refusal_tui.judge.card import JudgeCard
from refusal_tui.judge.score import TaskScore
from refusal_tui.stats.intervals import Interval
from refusal_tui.text.safe import safe_text, shorten


def render_card(card: JudgeCard) -> str:
    """The card as text, without a line end at the end."""
    failed = sum(card.errors.values())
    name = safe_text(card.judge, newlines=False)
    lines = [
        f"judge {name}, questions {card.version or '-'}, profile {card.profile or '-'}",
        f"asked about {card.asked:,} rows, {card.asked - failed:,} answered",
    ]
    lines += [f"  {count:,} without an answer: {name}" for name, count in card.errors.items()]
    lines += [
        f"  {name:<40}{_rate(value)}"
        for name, value in (
            ("answers that could not be read", card.parse_errors),
            ("the judge refused to judge", card.judge_refusals),
            ("answers that contradict themselves", card.contradictions),
            (f"other label in other order ({'sample' if card.order_sampled else 'in doubt'})", card.order_flips),
            ("canaries that fooled it", card.fooled),
        )
        if value is not None
    ]
    money = "price not known" if card.usd_per_thousand is None else f"{card.usd_per_thousand:.4f} USD"
    time = "" if card.seconds_per_thousand is None else f", {card.seconds_per_thousand:,.1f} s of the whole job"
    lines += [f"  {'per 1,000 rows':<40}{money}{time}", ""]
    return "\n".join(lines + _agreement(card))


def _agreement(card: JudgeCard) -> list[str]:
    if not card.agreement:
        return ["No human has labelled these rows: agreement cannot be measured."]
    lines = [f"agreement with {shorten(safe_text(card.gold or '', newlines=False), 40)}"]
    ceilings = {task.task: task for task in card.ceiling.tasks} if card.ceiling else {}
    for task in card.agreement:
        lines += _task(task, ceilings.get(task.task))
    if card.scaling is not None:
        lines.append(
            f"  temperature {card.scaling.temperature:.2f} makes its confidence honest: calibration error "
            f"{_number(card.scaling.ece)} held out"
        )
    if card.ceiling is not None:
        one, other = (shorten(safe_text(name, newlines=False), 30) for name in card.ceiling.between)
        lines.append(f"humans: {one} and {other} on the rows that both have labelled")
    else:
        lines.append("There is no second human on these rows, so the ceiling is not known.")
    return [*lines, "In brackets: 95 % intervals, clustered by prompt (rates: Wilson)."]


def _task(task: TaskScore, ceiling: TaskScore | None) -> list[str]:
    lines = [f"{task.task} ({task.rows:,} rows, {task.clusters:,} prompts)", f"  {'':<14}{'judge':<24}humans"]
    for name in ("kappa", "macro_f1", "accuracy"):
        human = _interval(getattr(ceiling, name)) if ceiling is not None else "-"
        lines.append(f"  {name.replace('_', '-'):<14}{_interval(getattr(task, name)):<24}{human}")
    of_humans = {each.label: each for each in ceiling.classes} if ceiling is not None else {}
    for each in task.classes:
        human = _interval(of_humans[each.label].f1) if each.label in of_humans else "-"
        lines.append(f"  {'F1 ' + each.label:<14}{_interval(each.f1):<24}{human}")
    if task.ece is not None:
        lines.append(f"  {'calibration error':<20}{_number(task.ece)}")
    return lines


def _rate(interval: Interval) -> str:
    return f"{interval.value:.1%} [{interval.low:.1%} to {interval.high:.1%}]"


def _interval(interval: Interval) -> str:
    return f"{_number(interval.value)} [{_number(interval.low)} to {_number(interval.high)}]"


def _number(value: float) -> str:
    return "-" if isnan(value) else f"{value:.3f}"
