"""How sure is an annotator really? The temperature that makes its probabilities honest, fitted on human labels.

It is applied where labels are derived; the verdicts keep what the annotator said, so that it can be taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log

_LEAST_PROBABILITY = 1e-6
# The heads that say whether a response refuses: what the temperature was fitted on.
ABOUT_REFUSING = frozenset({"refusal3", "response_refusal", "or_bench", "sorry"})


@dataclass(frozen=True, slots=True)
class Calibration:
    """Temperature scaling (Guo et al., 2017) of one annotator. `ece` was measured on held-out prompts, before (`raw`)
    and after; `gold` names whose labels were right, `job_id` the job on whose rows it was fitted."""

    annotator: str
    temperature: float
    ece: float
    raw_ece: float | None
    rows: int
    gold: str
    job_id: int

    def of(self, head: str, probability: float | None) -> float | None:
        """The probability of a label as it is stored."""
        if probability is None or head not in ABOUT_REFUSING:
            return probability
        return scale(probability, self.temperature)


def scale(probability: float, temperature: float) -> float:
    """The probability at another temperature: above 1 it moves towards one half.

    >>> scale(0.9, 1.0), round(scale(0.9, 2.0), 2)
    (0.9, 0.75)
    """
    p = min(max(probability, _LEAST_PROBABILITY), 1 - _LEAST_PROBABILITY)
    return round(1 / (1 + exp(-log(p / (1 - p)) / temperature)), 12)
