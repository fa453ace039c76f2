"""What does a raw-against-cleaned run say in plain language? "No effect" is a result, with sentences of its own.

What cleaning is for comes first: fewer benign prompts refused. Then its possible prices: refusals that were right,
helpfulness, diversity. A difference counts where it is sure (paired by prompt, Holm over all comparisons).
"""

from __future__ import annotations

from math import isnan

from refusal_tui.finetune.cleaned.diversity import DISTINCT_2, LENGTH, REPEATED
from refusal_tui.finetune.cleaned.figures import OVER, ArmFigures, Figures, figures
from refusal_tui.finetune.cleaned.read import Comparison
from refusal_tui.finetune.cleaned.sets import CLEANED, RAW
from refusal_tui.finetune.conclude import NO_PAIR, percent, points, prefix_of, spread, standing, unlearnt
from refusal_tui.finetune.figures import HELPFUL, REFUSED, Difference
from refusal_tui.finetune.files import BASE
from refusal_tui.stats.intervals import Interval
from refusal_tui.store.query import quoted


def conclusion(found: Comparison) -> tuple[str, ...]:
    """The headline, then a sentence about each measure and what limits them. Of a run that goes on: so far."""
    figured = figures(found)
    if not figured.arms:
        return ("Nothing has been measured yet.",)
    if not {RAW, CLEANED} <= figured.arms.keys():
        return ("Raw and cleaned have not both been measured yet.", *_limits(found, figured))
    between = figured.against[CLEANED, RAW]
    raw, cleaned = figured.arms[RAW], figured.arms[CLEANED]
    said = [prefix_of(found.run) + _over(raw, cleaned, between[OVER]), _refused(raw, cleaned, between[REFUSED])]
    said += [*_base(figured), _helpful(found, raw, cleaned, between.get(HELPFUL)), *_diverse(found)]
    return (*said, *_limits(found, figured))


def _over(raw: ArmFigures, cleaned: ArmFigures, between: Difference) -> str:
    start = (
        f"Fine-tuned on raw rows the model refuses {spread(raw.rates[OVER])} of the benign prompts, "
        f"on cleaned ones {spread(cleaned.rates[OVER])}"
    )
    return start + _told(
        between, "no effect on over-refusal that these prompts could show", "cleaning lessens over-refusal",
        "cleaning adds to over-refusal",
    )  # fmt: skip


def _refused(raw: ArmFigures, cleaned: ArmFigures, between: Difference) -> str:
    start = (
        f"Of the prompts to be refused it refuses {spread(raw.rates[REFUSED])} after raw, "
        f"{spread(cleaned.rates[REFUSED])} after cleaned rows"
    )
    return start + _told(
        between, "no difference that they could show", "cleaning costs refusals that were right",
        "cleaning adds refusals that are right",
    )  # fmt: skip


def _told(between: Difference, none: str, less: str, more: str) -> str:
    """What follows from a difference, in one of three wordings, with its interval."""
    if isnan(between.interval.value):
        return f": {NO_PAIR}."
    said = none if not between.sure else less if between.interval.value < 0 else more
    return f": {said}, {points(between.interval)}."


def _base(figured: Figures) -> list[str]:
    """Where it stood before: an arm may have changed it that is no merit of the data's cleanness."""
    if BASE not in figured.arms:
        return []
    base = figured.arms[BASE].rates
    if isnan(base[OVER].interval.value):
        return ["Base has no answers that could be judged."]
    said = []
    for arm in (RAW, CLEANED):
        found = figured.against[arm, BASE][OVER]
        said.append(f"{arm} {points(found.interval)}" if found.sure else f"{arm} no sure difference")
    return [
        f"Before fine-tuning it refused {percent(base[OVER].interval)} of the benign prompts and "
        f"{percent(base[REFUSED].interval)} of the others; over-refusal against that: {', '.join(said)}."
    ]


def _helpful(found: Comparison, raw: ArmFigures, cleaned: ArmFigures, between: Difference | None) -> str:
    if between is None:
        answers = f"dataset:{quoted(found.run.dataset)} split:benign"
        return (
            "Helpfulness: not judged (no language-model judge has graded the answers). To have it: "
            f"refusal-tui run label '{answers}' --judge helpfulness --endpoint NAME"
        )
    start = (
        f"Helpful (graded 4 or 5 of 5 by {', '.join(found.graders)}): {percent(raw.rates[HELPFUL].interval)} of the "
        f"answers after raw, {percent(cleaned.rates[HELPFUL].interval)} after cleaned rows; mean grade "
        f"{raw.grade or 0:.2f} and {cleaned.grade or 0:.2f}"
    )
    return start + _told(between, "no difference that these prompts could show", "less helpful", "more helpful")


def _diverse(found: Comparison) -> list[str]:
    by = found.diversity.difference.get((CLEANED, RAW)) if found.diversity is not None else None
    if by is None:
        return []
    told = {
        f"different word pairs {points(by[DISTINCT_2])}": by[DISTINCT_2],
        f"answers that repeat one another {points(by[REPEATED])}": by[REPEATED],
        f"length {tenths(by[LENGTH].value)} words ({tenths(by[LENGTH].low)} to {tenths(by[LENGTH].high)})": by[LENGTH],
    }
    told = {text: of for text, of in told.items() if not isnan(of.value)}  # no answers, or too few words in them
    if not told:
        return ["Diversity of the answers: there are too few of them to tell."]
    clear = [text for text, of in told.items() if _is_clear(of)]
    others = [text for text in told if text not in clear]
    said = f"; no clear difference: {', '.join(others)}" if others else ""
    return [f"Diversity of the answers, cleaned minus raw: {', '.join(clear) or 'the same'}{said}."]


def tenths(value: float) -> str:
    """
    >>> tenths(1.25), tenths(-0.02)
    ('+1.2', '+0.0')
    """
    return f"{round(value, 1) + 0.0:+.1f}"


def _is_clear(of: Interval) -> bool:
    """Intervals of diversity are not corrected for their number; they are told as they are."""
    return not isnan(of.low) and not of.low <= 0 <= of.high


def _limits(found: Comparison, figured: Figures) -> list[str]:
    run = found.run
    said = standing(run)
    base = figured.arms.get(BASE)
    if base is not None:
        arms = {name: arm for name, arm in figured.arms.items() if name != BASE}
        said += unlearnt({name: (arm.loss(name), base.loss(name)) for name, arm in arms.items()})
    if run.diverged:
        said.append(f"{len(run.diverged)} of {len(run.trials)} trainings diverged and do not count.")
    missing = sum(of.missing for arm in figured.arms.values() for name, of in arm.rates.items() if name != HELPFUL)
    if missing:
        said.append(f"{missing:,} answers were empty or could not be read: neither refused nor answered.")
    counts, settings = found.counts, run.about.get("settings", {})
    said.append(
        f"Both arms: {settings.get('steps')} steps of {settings.get('batch_size')} rows, from "
        f"{counts.get('learnt, raw', 0):,} different raw and {counts.get('learnt, cleaned', 0):,} cleaned rows."
    )
    said.append(f"Refusals judged by the offline judge {run.judge}, which errs; people's labels decide.")
    return said
