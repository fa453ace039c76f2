"""Which languages are the responses in? Told by py3langid (97 languages, offline), on at most `MOST_READ` rows.

A naive Bayes model of byte n-grams (Lui and Baldwin, ACL 2012). Of fewer than `LEAST_LETTERS` letters nothing is said:
"No." is a word of many languages. The checks that read English (openings, insults) are blind to the other languages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from refusal_tui.audit.report import Finding, Level, Statistic
from refusal_tui.audit.table import Table
from refusal_tui.stats.intervals import wilson

MOST_READ = 20_000
LEAST_LETTERS = 20
SHORT = "too short to tell"
_CHARACTERS = 600
_LEAST_ROWS, _LEAST_SHARE = 5, 0.01


def language_of(text: str) -> str:
    """ISO 639-1, or SHORT.

    >>> language_of("Es tut mir leid, aber dabei kann ich nicht helfen."), language_of("No.")
    ('de', 'too short to tell')
    """
    import py3langid  # 300 ms; its model is read at the first text

    start = text[:_CHARACTERS]
    if sum(map(str.isalpha, start)) < LEAST_LETTERS and not _dense(start):
        return SHORT
    return str(py3langid.classify(start)[0])


def _dense(text: str) -> bool:
    """A letter of a script without blanks stands for a syllable or a word."""
    return sum("\u3040" <= char <= "\ud7af" for char in text) >= LEAST_LETTERS // 4


def spoken_rows(table: Table, seed: int) -> list[int]:
    """The places whose response is told: all, or a random sample of MOST_READ."""
    places = np.flatnonzero(table.response_chars > 0)
    if len(places) > MOST_READ:
        places = np.random.default_rng([seed, 1]).choice(places, MOST_READ, replace=False)
    return sorted(places.tolist())


def languages(table: Table, told: Mapping[int, str]) -> tuple[dict[str, Any], Finding | None]:
    """Counts by language, and the rows that the checks of English words cannot read. `told`: place -> language."""
    counts = dict(sorted(Counter(told.values()).items(), key=lambda pair: (-pair[1], pair[0])))
    whole = len(told) == int((table.response_chars > 0).sum())
    section = {
        "rows": len(told),
        "counts": counts,
        "remark": "" if whole else f"a random sample of {len(told):,}",
    }
    others = [place for place, name in told.items() if name not in ("en", SHORT)]
    if len(others) < _LEAST_ROWS or len(others) < _LEAST_SHARE * len(told):
        return section, None
    share = wilson(len(others), len(told))
    most = ", ".join(f"{name} {count:,}" for name, count in counts.items() if name not in ("en", SHORT))
    return section, Finding(
        "not-english",
        Level.NOTE,
        f"{len(others):,} of {len(told):,} responses are not in English ({most[:80]}): the checks of "
        "openings and insults cannot read them.",
        Statistic("share that is not in English", share.value, share.low, share.high),
        rows=len(others),
        item_ids=tuple(int(table.ids[place]) for place in sorted(others)),
        advice="Judge them with a model that reads their language, and report figures by language.",
        command="refusal-tui run label {filter} --judge refusal-strict --endpoint NAME",
    )
