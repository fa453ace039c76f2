"""How does a figure stand in a JSON file, and how is it read in a sentence?"""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan

from refusal_tui.stats.intervals import Interval

# value, low and high; None: not defined.
Figure = Mapping[str, float | None]


def plain(interval: Interval) -> dict[str, float | None]:
    """Rounded to 12 digits, so that another order of sums does not change the file."""
    return {k: None if isnan(v) else round(float(v), 12) for k, v in interval._asdict().items()}


def figure_text(found: Figure) -> str:
    """
    >>> figure_text({"value": 0.8, "low": 0.7, "high": 0.9}), figure_text({"value": None, "low": None, "high": None})
    ('0.800 [0.700, 0.900]', 'not defined')
    """
    value, low, high = (found[name] for name in ("value", "low", "high"))
    if value is None:
        return "not defined"
    return f"{value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")
