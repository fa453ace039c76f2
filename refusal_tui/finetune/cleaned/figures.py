"""What has each arm learnt to refuse, how helpful and how diverse are its answers, and how sure is the difference?

The arithmetic is that of the robustness experiment (`finetune/figures.py`): the prompt is the unit, seeds of an arm are
several answers to one prompt; rates with Wilson's interval at the effective number of rows, differences paired by
prompt, exact McNemar, Holm over all that are shown together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from refusal_tui.finetune.cleaned.read import GRADES, Comparison
from refusal_tui.finetune.cleaned.sets import CLEANED, RAW
from refusal_tui.finetune.figures import BENIGN, HELPFUL, PROMPTS, REFUSED, Difference, Rate, difference, rate
from refusal_tui.finetune.files import BASE
from refusal_tui.stats.paired import holm

OVER = "over-refused"
# measure -> (the letters of a line, what is counted in them), in the order of the tables
MEASURES: Mapping[str, tuple[str, str]] = {
    OVER: (BENIGN, REFUSED), REFUSED: (PROMPTS, REFUSED), HELPFUL: (GRADES, HELPFUL),
}  # fmt: skip
PAIRS = ((CLEANED, RAW), (RAW, BASE), (CLEANED, BASE))


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """`rates`: of MEASURES those that are known. `grade`: the mean one, None: not graded. `losses`: held-out rows of
    RAW and of CLEANED -> the loss of each seed."""

    arm: str
    rates: Mapping[str, Rate]
    grade: float | None
    losses: Mapping[str, tuple[float, ...]]
    diverged: int

    def loss(self, of: str) -> float:
        return sum(self.losses[of]) / len(self.losses[of])


@dataclass(frozen=True, slots=True)
class Figures:
    """`arms` in the order base, raw, cleaned, as far as they were asked; `against`: (one, other) -> measure."""

    arms: Mapping[str, ArmFigures]
    against: Mapping[tuple[str, str], Mapping[str, Difference]]


def figures(found: Comparison) -> Figures:
    lines = {arm: lines_of(found, arm) for arm in (BASE, RAW, CLEANED)}
    lines = {arm: some for arm, some in lines.items() if some}
    against = {
        (one, other): {
            measure: difference(one, lines[one], other, lines[other], kind, what)
            for measure, (kind, what) in MEASURES.items()
            if all(kind in line for line in (*lines[one], *lines[other]))
        }
        for one, other in PAIRS
        if one in lines and other in lines
    }
    return Figures({arm: _arm(found, arm, some) for arm, some in lines.items()}, corrected(against))


def corrected(
    against: Mapping[tuple[str, str], Mapping[str, Difference]],
) -> dict[tuple[str, str], dict[str, Difference]]:
    """With Holm's p-values for all of them together."""
    adjusted = iter(holm([one.p_value for measures in against.values() for one in measures.values()]))
    return {
        pair: {name: replace(one, p_holm=next(adjusted)) for name, one in measures.items()}
        for pair, measures in against.items()
    }


def lines_of(found: Comparison, arm: str) -> list[Mapping[str, Any]]:
    """What was asked of an arm, a line per seed; of base one."""
    if arm == BASE:
        return [found.run.base] if found.run.base is not None else []
    return [line for lines in found.run.of(arm).values() for line in lines]


def _arm(found: Comparison, arm: str, lines: Sequence[Mapping[str, Any]]) -> ArmFigures:
    rates = {
        measure: rate([line[kind] for line in lines], what)
        for measure, (kind, what) in MEASURES.items()
        if all(kind in line for line in lines)
    }
    grades = [int(letter) for line in lines for letter in line.get(GRADES, "") if letter != "-"]
    losses = {of: tuple(float(line[f"{of}_loss"]) for line in lines) for of in (RAW, CLEANED)}
    diverged = sum(trial.state == "diverged" for trial in found.run.trials if trial.arm == arm)
    return ArmFigures(arm, rates, sum(grades) / len(grades) if grades else None, losses, diverged)
