"""What does the report of a raw-against-cleaned run hold? Sections of tables and curves: one source for all faces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan

from refusal_tui.finetune.cleaned.conclude import conclusion, tenths
from refusal_tui.finetune.cleaned.diversity import DISTINCT_1, DISTINCT_2, LENGTH, REPEATED
from refusal_tui.finetune.cleaned.diversity import MEASURES as DIVERSE
from refusal_tui.finetune.cleaned.figures import MEASURES, OVER, Figures, figures
from refusal_tui.finetune.cleaned.read import Comparison
from refusal_tui.finetune.cleaned.sets import CLEANED, RAW
from refusal_tui.finetune.figures import HELPFUL, REFUSED
from refusal_tui.finetune.files import BASE
from refusal_tui.finetune.report import Run
from refusal_tui.finetune.sections import (
    at_work,
    p_text,
    points_text,
    rate_text,
    seeds_text,
    thinned,
    trials_by_arm,
)
from refusal_tui.stats.intervals import Interval
from refusal_tui.store.query import quoted
from refusal_tui.text.blocks import Block, Cell, Curves, Rows, Section, Series, Words, is_empty

SPLITS = {OVER: "benign", HELPFUL: "benign", REFUSED: "prompts"}


def sections_of(found: Comparison) -> list[Section]:
    """All that a run has to say so far; sections without anything in them are left out."""
    figured = figures(found)
    made: list[tuple[str, str, Iterator[Block]]] = [
        ("conclusion", "Conclusion", (Words(sentence) for sentence in conclusion(found))),
        ("arms", "Arms", iter([arms_table(found, figured), losses_table(found, figured)])),
        ("paired", "Paired comparisons", iter([paired_table(found, figured)])),
        ("diversity", "Diversity of the answers", diversity_tables(found)),
        ("training", "Training", iter([training_table(found.run), *loss_curves(found.run)])),
        ("made", "What it was made of", _made_of(found)),
    ]
    sections = [Section(name, title, [b for b in blocks if not is_empty(b)]) for name, title, blocks in made]
    return [section for section in sections if section.blocks]


# --- result ----------------------------------------------------------------------------------------------------------


def arms_table(found: Comparison, figured: Figures) -> Rows:
    """Base and both arms, rates with Wilson's intervals. `opens`: the answers to the benign prompts."""
    graded = any(arm.grade is not None for arm in figured.arms.values())
    lines: list[tuple[Cell, ...]] = []
    for name, arm in figured.arms.items():
        helpful = (rate_text(arm.rates.get(HELPFUL)), "—" if arm.grade is None else f"{arm.grade:.2f}")
        lines.append((
            name, rate_text(arm.rates[OVER]), _seeds(arm.rates[OVER].by_seed), rate_text(arm.rates[REFUSED]),
            _seeds(arm.rates[REFUSED].by_seed), *(helpful if graded else ()),
        ))  # fmt: skip
    return Rows(
        "arms", ("arm", OVER, "by seed", REFUSED, "by seed", *((HELPFUL, "grade") if graded else ())), lines,
        [answers_filter(found.run, name, "benign") for name in figured.arms], list(figured.arms),
        remark=f"% of {_asked(found.run):,} benign prompts and of as many to be refused, 95 % interval",
    )  # fmt: skip


def losses_table(found: Comparison, figured: Figures) -> Rows:
    return Rows(
        "loss on held-out rows", ("arm", "of raw", "of cleaned"),
        [(name, f"{arm.loss(RAW):.3f}", f"{arm.loss(CLEANED):.3f}") for name, arm in figured.arms.items()],
        [answers_filter(found.run, name, "benign") for name in figured.arms], list(figured.arms),
        remark="per token of the answer; the same prompts are held out of both sets",
    )  # fmt: skip


def paired_table(found: Comparison, figured: Figures) -> Rows:
    """Each measure: cleaned against raw, and both against base, on the same prompts."""
    lines, opens, names = [], [], []
    for measure in MEASURES:
        for (one, other), measures in figured.against.items():
            if (of := measures.get(measure)) is not None:
                lines.append((
                    measure, f"{one} - {other}", points_text(of.interval), f"{of.only_one}:{of.only_other}",
                    p_text(of.p_value), p_text(of.p_holm), "✓ yes" if of.sure else "· no",
                ))  # fmt: skip
                opens.append(answers_filter(found.run, one, SPLITS[measure]))
                names.append(one)
    return Rows(
        "differences, paired by prompt", ("measure", "of", "points", "alone", "p", "Holm", "sure"), lines, opens, names,
        remark="exact McNemar, Holm over all; alone: prompts of which it is true for one of them only in most seeds",
    )  # fmt: skip


def diversity_tables(found: Comparison) -> Iterator[Rows]:
    """Each arm's, then the differences."""
    if found.diversity is None:
        return
    of, run = found.diversity.of, found.run
    yield Rows(
        "answers to the benign prompts", ("arm", DISTINCT_1, DISTINCT_2, REPEATED, LENGTH),
        [(arm, *(_diverse_text(name, by[name]) for name in DIVERSE)) for arm, by in of.items()],
        [answers_filter(run, arm, "benign") for arm in of], list(of),
        remark="; ".join(f"{name}: {says}" for name, says in DIVERSE.items()),
    )  # fmt: skip
    pairs = found.diversity.difference
    yield Rows(
        "differences, the same prompts left out on both sides", ("of", DISTINCT_1, DISTINCT_2, REPEATED, LENGTH),
        [(f"{one} - {other}", *(_difference_text(name, by[name]) for name in DIVERSE))
         for (one, other), by in pairs.items()],
        [answers_filter(run, one, "benign") for one, _ in pairs], [one for one, _ in pairs],
        remark="points, and words; jackknife over prompts, not corrected for their number",
    )  # fmt: skip


def answers_filter(run: Run, arm: str, split: str) -> str:
    """The answers of an arm to one kind of prompts, of all seeds, as a filter."""
    return f"dataset:{quoted(run.dataset)} split:{split} model:{quoted(model_of(run, arm))}"


def all_answers(found: Comparison) -> str:
    """The answers of base and both arms, as a filter; "" while nothing was asked."""
    if found.run.base is None:
        return ""
    models = ",".join(quoted(model_of(found.run, arm)) for arm in (BASE, RAW, CLEANED))
    return f"dataset:{quoted(found.run.dataset)} model:{models}"


def model_of(run: Run, arm: str) -> str:
    return run.model if arm == BASE else f"{run.model}+{arm}"


# --- training --------------------------------------------------------------------------------------------------------


def training_table(run: Run) -> Rows:
    """Both arms with their seeds' states: the trial at work, or the last one."""
    lines: list[tuple[Cell, ...]] = []
    names = []
    for trials in trials_by_arm(run):
        now = at_work(trials)
        last: Mapping[str, float] = now.last or {}
        lines.append((
            now.arm, seeds_text(trials), f"{last.get('step', 0)}/{now.planned}",
            f"{last['loss']:.3f}" if last else "—", f"{last['learning_rate']:.1e}" if last else "—",
        ))  # fmt: skip
        names.append(now.arm)
    return Rows("arms", ("arm", "seeds", "step", "loss", "rate"), lines, [""] * len(names), names)


def loss_curves(run: Run) -> list[Curves]:
    """The first seed of each arm that has begun."""
    first = {trial.arm: trial for trial in reversed(run.trials) if trial.steps}
    series = [
        Series(arm, [(line["step"], line["loss"]) for line in thinned(first[arm].steps)])
        for arm in run.arms
        if arm in first
    ]
    return [Curves("loss, the first seed of each", "step", series)]


# --- what it was made of ---------------------------------------------------------------------------------------------


def _made_of(found: Comparison) -> Iterator[Block]:
    run = found.run
    if not run.about:
        return
    yield Rows("", ("arm", "what it learns"), list(run.arms.items()))
    yield Rows("", ("", ""), [
        ("model", run.model), ("answers", f"dataset:{quoted(run.dataset)}"), ("judge of refusals", run.judge),
        ("judge of helpfulness", ", ".join(found.graders) or "none"),
        *((f"rows, {name}", f"{count:,}") for name, count in found.counts.items()),
        *((name.replace("_", " "), str(value)) for name, value in run.about.get("settings", {}).items()
          if value not in ("", None)),
    ])  # fmt: skip


# --- words -----------------------------------------------------------------------------------------------------------


def _seeds(shares: Sequence[float]) -> str:
    """
    >>> _seeds((0.5, 0.496, 0.0))
    '50 50 0'
    """
    return " ".join("—" if isnan(share) else f"{100 * share:.0f}" for share in shares)


def _diverse_text(name: str, of: Interval) -> str:
    if isnan(of.value):
        return "—"
    if name == LENGTH:
        return f"{of.value:.1f} {of.low:.1f}-{of.high:.1f}"
    return f"{100 * of.value:.0f} {100 * of.low:.0f}-{100 * of.high:.0f}"


def _difference_text(name: str, of: Interval) -> str:
    if isnan(of.value):
        return "—"
    return points_text(of) if name != LENGTH else f"{tenths(of.value)} ({tenths(of.low)} {tenths(of.high)})"


def _asked(run: Run) -> int:
    return len(run.lines[0]["benign"]) if run.lines else 0
