"""Which figures does a map of candidates show, and how high is each of eight bars?"""

from __future__ import annotations

from bisect import bisect_left
from enum import StrEnum

from refusal_tui.direction.report import Report
from refusal_tui.direction.select import Cell, Reason

LEVELS = 8
_KL = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # above the sixth level's bound, 0.1, a candidate is out
_COSINE = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99)
_AUROC = (0.55, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)


class Measure(StrEnum):
    """What the map shows. Their order is that of the digit keys."""

    ABLATION = "ablation"
    ADDITION = "addition"
    KL = "KL"
    RELIABILITY = "reliability"
    SEPARATION = "separation"
    VERDICT = "verdict"


MEASURES = tuple(Measure)
MEANING = {
    Measure.ABLATION: "taken out: ▁ refuses as before … █ answers like harmless prompts",
    Measure.ADDITION: "added: ▁ answers as before … █ refuses like harmful prompts",
    Measure.KL: "harm to harmless answers: ▁ none, ▅ 0.1 the limit, █ above 1",
    Measure.RELIABILITY: "cosine of resampled directions, 5 % quantile: ▁ below 0.3 … █ above 0.99",
    Measure.SEPARATION: "AUROC of the projection: ▁ below 0.55 … █ above 0.99",
    Measure.VERDICT: "why a candidate was not chosen",
}
# The letter of a reason on the map, and what it stands for.
LETTERS = {
    Reason.PICKED: ("◆", "selected"),
    Reason.BEATEN: ("+", "passes"),
    Reason.STEERING: ("a", "addition too weak"),
    Reason.KL: ("k", "KL too high"),
    Reason.LAYER: ("l", "late layer"),
    Reason.ZERO: ("0", "no difference"),
    Reason.NAN: ("!", "no number"),
    Reason.UNKNOWN: ("·", "not measured"),
}


def figure(report: Report, measure: Measure, cell: Cell) -> float | None:
    """The number behind the bar; None where it is not known, and for the verdict."""
    scores = report.grid[cell]
    match measure:
        case Measure.ABLATION:
            return scores.ablation
        case Measure.ADDITION:
            return scores.steering
        case Measure.KL:
            return scores.kl
        case Measure.RELIABILITY:
            return report.reliability(cell, report.bootstrap_floor)
        case Measure.SEPARATION:
            return report.reliability(cell, report.auroc)
        case Measure.VERDICT:
            return None


def level(report: Report, measure: Measure, cell: Cell) -> int | None:
    """0 to 7, or None where the figure is not known. For KL a high level is bad, for the others it is good."""
    value = figure(report, measure, cell)
    match measure:
        case Measure.ABLATION:
            effect = report.effect(cell)
            return _share(effect if effect is not None else _odds(value, -1))
        case Measure.ADDITION:
            addition = report.addition(cell)
            return _share(addition if addition is not None else _odds(value, 1))
        case Measure.KL:
            return _step(value, _KL)
        case Measure.RELIABILITY:
            return _step(value, _COSINE)
        case Measure.SEPARATION:
            return _step(value, _AUROC)
        case Measure.VERDICT:
            return None


def _share(value: float | None) -> int | None:
    if value is None or value != value:
        return None
    return max(0, min(LEVELS - 1, round(value * (LEVELS - 1))))


def _odds(score: float | None, sign: int) -> float | None:
    """The score itself as a share, for a model that treats both sets alike: from -5 to 5, or from 5 to -5.

    >>> _odds(0.0, 1), _odds(-5.0, -1), _odds(None, 1)
    (0.5, 1.0, None)
    """
    return None if score is None else 0.5 + sign * score / 10


def _step(value: float | None, bounds: tuple[float, ...]) -> int | None:
    """
    >>> _step(0.1, _KL), _step(0.11, _KL), _step(None, _KL)
    (4, 5, None)
    """
    return None if value is None or value != value else bisect_left(bounds, value)
