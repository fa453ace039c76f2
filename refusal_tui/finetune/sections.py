"""What does the report of a robustness run hold? Sections of tables and curves: one source for all faces.

Every figure follows from the stored outcomes (`figures.py`), every sentence from `conclude.py`. `opens` of a line is
the filter of the answers that it speaks of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isnan
from typing import Any

from refusal_tui.finetune.conclude import conclusion, signed
from refusal_tui.finetune.figures import VANILLA, ArmFigures, Point, Rate, base_point, figures
from refusal_tui.finetune.files import BASE
from refusal_tui.finetune.report import IN_TOTAL, PER_STEP, Run, TrialState
from refusal_tui.stats.intervals import Interval
from refusal_tui.store.query import quoted
from refusal_tui.text.blocks import Block, Cell, Curves, Rows, Section, Series, Words, is_empty

Figures = Sequence[ArmFigures]
_MOST_POINTS = 400  # of a curve over steps
_STATES = {"done": "✓", "running": "▶", "waiting": "·", "diverged": "✗"}
_HELD = {True: "✓ held", False: "✗ broken", None: ""}  # an exact constraint; of the others there is nothing to hold
MATRICES = 12  # that are listed, those with most along the direction first


def sections_of(run: Run) -> list[Section]:
    """All that a run has to say so far; sections without anything in them are left out."""
    found = figures(run)
    made: list[tuple[str, str, Iterator[Block]]] = [
        ("conclusion", "Conclusion", (Words(sentence) for sentence in conclusion(run))),
        ("retention", "Retention against task loss", (curve_of(run, found, variant) for variant in run.variants)),
        ("arms", "Arms", (table(run, found, v) for v in run.variants for table in (arms_table, seeds_table))),
        ("paired", "Paired comparisons", (paired_table(run, found, variant) for variant in run.variants)),
        ("training", "Training", (table for table in (invariants_table(run), matrices_table(run, _latest(run))))),
        ("curves", "Training: curves", _curves(run)),
        ("made", "What it was made of", _made_of(run)),
    ]
    sections = [Section(name, title, [b for b in blocks if not is_empty(b)]) for name, title, blocks in made]
    return [section for section in sections if section.blocks]


# --- result ----------------------------------------------------------------------------------------------------------


def curve_of(run: Run, found: Figures, variant: str, joined: Sequence[str] | None = None) -> Curves:
    """Refusal over the loss of the task, a mark per stop. `joined`: arms with lines and intervals, the others are marks
    alone; None: all."""
    series = []
    base = base_point(run)
    if base is not None:
        series.append(_retention(BASE, (base,), True))
    arms = _of(found, variant)
    series += [_retention(arm.arm, arm.curve, joined is None or arm.arm in joined) for arm in arms]
    return Curves(
        _titled("refused, by the loss of the task", variant), "loss on rows of the task that are not learnt", series,
        bounds=(0.0, 1.0), remark="left: more is learnt; an arm above vanilla's curve protects, one along it has only "
        "learnt less. 95 % intervals.",
    )  # fmt: skip


def _retention(name: str, points: Sequence[Point], joined: bool) -> Series:
    kept = [p for p in points if not isnan(p.refused.interval.value)]
    at = [(p.task_loss, p.refused.interval.value) for p in kept]
    intervals = [(p.refused.interval.low, p.refused.interval.high) for p in kept] if joined else ()
    return Series(name, at, dots=not joined, intervals=intervals)


def arms_table(run: Run, found: Figures, variant: str) -> Rows:
    """Base and arms at their last stops, rates with Wilson's intervals. `opens`: the answers to the prompts."""
    lines: list[tuple[Cell, ...]] = []
    opens = []
    base, arms = base_point(run), _of(found, variant)
    points = [] if base is None else [(BASE, base, "")]
    points += [(arm.arm, arm.final, _HELD[arm.holds]) for arm in arms]
    exact = any(point.exact is not None for _, point, _ in points)
    benign = any(point.benign_fulfilled is not None for _, point, _ in points)
    for name, point, word in points:
        lines.append((
            name, rate_text(point.refused), rate_text(point.fulfilled),
            *([rate_text(point.exact)] if exact else []), *([rate_text(point.benign_fulfilled)] if benign else []),
            f"{point.task_loss:.3f}", word,
        ))  # fmt: skip
        opens.append(answers_filter(run, name, variant, point.step))
    steps = sorted({arm.final.step for arm in arms})
    columns = ["refused", "fulfilled", *(["exact"] if exact else []), *(["benign"] if benign else [])]
    return Rows(
        _titled("arms" + (f" at step {', '.join(map(str, steps))}" if steps else ""), variant),
        ("arm", *columns, "loss", "held"), lines, opens, [name for name, _, _ in points],
        remark=f"% of {_prompts(run):,} prompts, 95 % interval" + ("; benign: fulfilled" if benign else ""),
    )  # fmt: skip


def seeds_table(run: Run, found: Figures, variant: str) -> Rows:
    """What the intervals beside do not hold: how much the rate of refusals differs from seed to seed."""
    most = max((len(arm.final.refused.by_seed) for arm in _of(found, variant)), default=0)
    lines: list[tuple[Cell, ...]] = []
    for arm in _of(found, variant):
        rates, losses = arm.final.refused.by_seed, arm.final.losses
        against = arm.against.get(VANILLA)
        beside = [] if against is None else [signed(100 * each) for each in against.by_seed]
        lines.append((
            arm.arm, " ".join(f"{100 * rate:.0f}" for rate in rates), " ".join(beside) or "—",
            " ".join(f"{loss:.3f}" for loss in losses),
        ))  # fmt: skip
    return Rows(
        _titled("refused, seed by seed", variant), ("arm", "refused", "beside vanilla", "loss"),
        lines if most > 1 else [],
        remark="intervals are over prompts, for these seeds; so few seeds allow none of their own, and an arm protects "
        "only where it does so in every one",
    )  # fmt: skip


def paired_table(run: Run, found: Figures, variant: str) -> Rows:
    """Every arm against base, vanilla and its control on the same prompts."""
    lines, opens, names = [], [], []
    for arm in _of(found, variant):
        for one in arm.against.values():
            lines.append((
                one.one, one.other, points_text(one.interval), f"{one.only_one}:{one.only_other}", p_text(one.p_value),
                p_text(one.p_holm), "✓ yes" if one.sure else "· no",
            ))  # fmt: skip
            opens.append(answers_filter(run, arm.arm, variant, arm.final.step))
            names.append(arm.arm)
    return Rows(
        _titled("refusal rates, paired by prompt", variant),
        ("arm", "against", "points", "alone", "p", "Holm", "sure"), lines, opens, names,
        remark="exact McNemar, Holm over all; alone: prompts that only one of them refuses in most seeds",
    )  # fmt: skip


def answers_filter(run: Run, arm: str, variant: str, step: int) -> str:
    """The answers of an arm to the prompts at a stop, of all seeds, as a filter."""
    model = run.model if arm == BASE else f"{run.model}+{arm}{variant}@{step}"
    return f"dataset:{quoted(run.dataset)} split:prompts model:{quoted(model)}"


def final_answers(run: Run, found: Figures, variant: str) -> str:
    """The answers of base and all arms to the prompts at their last stops, as a filter."""
    models = [run.model, *(f"{run.model}+{arm.arm}{variant}@{arm.final.step}" for arm in _of(found, variant))]
    return f"dataset:{quoted(run.dataset)} split:prompts model:{','.join(map(quoted, models))}"


# --- training --------------------------------------------------------------------------------------------------------


def _curves(run: Run) -> Iterator[Block]:
    for variant in run.variants:
        first = {trial.arm: trial for trial in reversed(run.trials) if trial.variant == variant and trial.steps}
        shown = [first[arm] for arm in run.arms if arm in first]
        yield Curves(_titled("loss, the first seed of each arm", variant), "step", [_loss(t, t.arm) for t in shown])
        inner = [Series(t.arm, [(s["step"], s["inner"]) for s in thinned(t.steps) if "inner" in s]) for t in shown]
        yield Curves(_titled("along the refusal direction", variant), "step", inner,
                     remark="<dW, U>/|dW|, mean over the matrices; below 0: away from refusal")  # fmt: skip


def invariants_table(run: Run) -> Rows:
    """Every arm with its seeds' states and the invariants: of the trial at work, or of the last one."""
    lines: list[tuple[Cell, ...]] = []
    opens, names = [], []
    for trials in trials_by_arm(run):
        now = at_work(trials)
        last = now.last or {}
        violation, total = max(t.worst[0] for t in trials), max(t.worst[1] for t in trials)
        lines.append((
            now.arm + now.variant, seeds_text(trials), f"{last.get('step', 0)}/{now.planned}",
            _or_dash(last, "loss", ".3f"), _or_dash(last, "inner", "+.3f"),
            f"{violation:.0e}" if last else "—", f"{total:.0e}" if last else "—",
            _or_dash(last, "norm", ".3g"), _HELD[_holds(trials)],
        ))  # fmt: skip
        asked = run.of(now.arm, now.variant)
        opens.append(answers_filter(run, now.arm, now.variant, max(asked)) if asked else "")
        names.append(now.arm + now.variant)
    return Rows(
        "arms",
        ("arm", "seeds", "step", "loss", "inner", "viol", "total", "|dW|", "held"), lines, opens, names,
        remark=f"inner <dW, U>/|dW|; worst violation per step, in total ({PER_STEP:.0e}, {IN_TOTAL:.0e} hold)",
    )  # fmt: skip


def trials_by_arm(run: Run) -> list[list[TrialState]]:
    """The seeds of every arm and variant, in the order of the run."""
    found: dict[tuple[str, str], list[TrialState]] = {}
    for trial in run.trials:
        found.setdefault((trial.variant, trial.arm), []).append(trial)
    return list(found.values())


def at_work(trials: Sequence[TrialState]) -> TrialState:
    """The trial that is being trained, or the last one that was, or the first that waits."""
    begun = [trial for trial in trials if trial.steps]
    return next((t for t in begun if t.state == "running"), begun[-1] if begun else trials[0])


def seeds_text(trials: Sequence[TrialState]) -> str:
    """A glyph per seed: ✓ done, ▶ at work, · waits, ✗ diverged."""
    return "".join(_STATES[trial.state] for trial in trials)


def matrices_table(run: Run, line: Mapping[str, Any] | None) -> Rows:
    """The inner product with the direction of every matrix where an arm was looked at, the largest first."""
    if line is None or "by_matrix" not in line:
        return Rows("", (), [])
    names = run.about.get("matrices", [])
    pairs = sorted(zip(names, line["by_matrix"], strict=False), key=lambda pair: -abs(pair[1]))
    more = f"; {len(pairs) - MATRICES} more are smaller" if len(pairs) > MATRICES else ""
    return Rows(
        f"along each direction, {line['trial']} at step {line['step']}", ("matrix", "<dW, U>/|dW|"),
        [(name, f"{value:+.1e}" if abs(value) < 1e-3 else f"{value:+.3f}") for name, value in pairs[:MATRICES]],
        remark=f"{len(pairs)} matrices, the largest first{more}",
    )  # fmt: skip


def loss_curve(trial: TrialState) -> Curves:
    return Curves(f"loss, {trial.name}", "step", [_loss(trial, "training")])


def inner_curve(trial: TrialState) -> Curves:
    points = [(line["step"], line["inner"]) for line in thinned(trial.steps) if "inner" in line]
    return Curves("along the refusal direction", "step", [Series("<dW, U>/|dW|", points)])


def thinned(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most 400 steps and the last one: a picture has no more points."""
    every = max(1, -(-len(steps) // _MOST_POINTS))
    return [*steps[:-1:every], *steps[-1:]]


def _latest(run: Run) -> Mapping[str, Any] | None:
    return run.lines[-1] if run.lines else None


def _loss(trial: TrialState, name: str) -> Series:
    return Series(name, [(line["step"], line["loss"]) for line in thinned(trial.steps)])


def _holds(trials: Sequence[TrialState]) -> bool | None:
    known = [trial.holds for trial in trials if trial.holds is not None]
    return all(known) if known else None


# --- what it was made of ---------------------------------------------------------------------------------------------


def _made_of(run: Run) -> Iterator[Block]:
    about = run.about
    if not about:
        return
    yield Rows("", ("arm", "what it does"), list(run.arms.items()))
    directions = about.get("directions", {})
    agreement = directions.get("agreement")
    yield Rows("", ("", ""), [
        ("model", run.model), ("answers", f"dataset:{quoted(run.dataset)}"), ("judge", run.judge),
        ("directions", f"of {directions.get('adapter', '')}" + (
            f", the difference to {directions['before']}" if directions.get("before") else "")),
        ("cosine between seeds of the directions", "not known" if agreement is None else f"{agreement:.2f}"),
        ("matrices", f"{len(about.get('matrices', [])):,}"),
        *((f"rows, {name.replace('_', ' ')}", f"{count:,}") for name, count in about.get("rows", {}).items()),
        *((name.replace("_", " "), str(value)) for name, value in about.get("settings", {}).items()
          if value not in ("", None)),
    ])  # fmt: skip


# --- words -----------------------------------------------------------------------------------------------------------


def rate_text(rate: Rate | None) -> str:
    """
    >>> rate_text(Rate(Interval(0.95, 0.888, 0.978), (), 100, 0)), rate_text(None)
    ('95 89-98', '—')
    """
    if rate is None or isnan(rate.interval.value):
        return "—"
    value, low, high = rate.interval
    return f"{100 * value:.0f} {100 * low:.0f}-{100 * high:.0f}"


def points_text(interval: Interval) -> str:
    """
    >>> points_text(Interval(-0.96, -0.99, -0.89))
    '-96 (-99 -89)'
    """
    value, low, high = (signed(100 * part) for part in interval)
    return f"{value} ({low} {high})"


def p_text(p: float) -> str:
    """
    >>> [p_text(p) for p in (1.0, 0.0321, 2e-9)]
    ['1.000', '0.032', '<.001']
    """
    return "<.001" if p < 0.001 else f"{p:.3f}"


def _of(found: Figures, variant: str) -> list[ArmFigures]:
    """Vanilla first: it is what the others are compared with."""
    return sorted((arm for arm in found if arm.variant == variant), key=lambda arm: arm.arm != VANILLA)


def _prompts(run: Run) -> int:
    return len(run.lines[0]["prompts"]) if run.lines else 0


def _titled(title: str, variant: str) -> str:
    return f"{title} ({variant.removeprefix('-')})" if variant else title


def _or_dash(line: Mapping[str, Any], name: str, spec: str) -> str:
    return format(line[name], spec) if line.get(name) is not None else "—"
