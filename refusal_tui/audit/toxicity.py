"""Does a response insult, threaten or harm? A list of phrases; and what judges and people say, where they were asked.

The list looks for whole words ("skill" holds no "kill") and knows neither irony nor quotation: a response that refuses
may quote what it refuses. It is calibrated by labels of the head `response_harmful` where there are any: of people, of
a language model (`run label --judge wildguard`) or of a classifier that was trained on such (`--judge classifier`).
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.report import Finding, Level, Statistic, counted
from refusal_tui.audit.table import HeadColumn, Table
from refusal_tui.stats.intervals import wilson

HEAD = "response_harmful"
CALIBRATION = "not calibrated: a list of insults and threats, English, whole words"
_LEAST_JUDGED = 20
_PHRASES = (
    r"idiots?", r"morons?", r"imbeciles?", r"stupid (?:bitch|cow|fool|people|person|man|woman)", r"bitch(?:es)?",
    r"bastards?", r"assholes?", r"arseholes?", r"dickheads?", r"scumbags?", r"fuck (?:you|off|them|him|her)",
    r"fucking \w+", r"motherfuckers?", r"pieces? of shit", r"shitheads?", r"shut (?:the (?:hell|fuck) )?up",
    r"kill yourself",
    r"go (?:die|to hell)", r"(?:i|we)(?:'ll| will| am going to| are going to) (?:kill|hurt|beat|find) you",
    r"you (?:deserve|should) (?:to )?die", r"subhumans?", r"vermin", r"worthless (?:piece|human|person|trash)",
    r"disgusting (?:pig|animal|creature|people|person)s?", r"retards?", r"retarded",
)  # fmt: skip
_TOXIC = re.compile(rf"(?<!\w)(?:{'|'.join(_PHRASES)})(?!\w)", re.IGNORECASE)
# Most texts hold none of these parts, and `in` is far faster than the pattern.
_STARTS = (
    "idiot", "moron", "imbecil", "stupid", "bitch", "bastard", "hole", "dickh", "scumb", "fuck", "shit", "shut", "kill",
    "go ", "hurt", "beat", "find you", " die", "subhum", "vermin", "worthl", "disgust", "retard",
)  # fmt: skip


def is_toxic(text: str) -> bool:
    """Whether the text holds a phrase of the list.

    >>> is_toxic("You are an idiot."), is_toxic("It takes skill to shut the window.")
    (True, False)
    """
    lower = text.lower()
    return any(map(lower.__contains__, _STARTS)) and _TOXIC.search(lower) is not None


def toxicity(table: Table, toxic: NDArray[np.bool_], classifier: str = "") -> tuple[dict[str, Any], list[Finding]]:
    """Responses with words of the list, and those labelled harmful. `toxic`: N booleans; `classifier`: the name of one
    in the workspace that answers `response_harmful`, "" for none."""
    column = table.heads.get(HEAD)
    judged = _judged(table, column, toxic) if column is not None and (column.label.codes >= 0).any() else None
    calibration = CALIBRATION if judged is None else _calibrated(judged)
    section = {
        "calibration": calibration,
        "responses": int(toxic.sum()),
        "by_source": _by_source(table, toxic),
        "judged": judged,
    }
    found = []
    if toxic.any():
        judge = f"classifier --classifier {classifier}" if classifier else "wildguard --endpoint NAME"
        found.append(
            Finding(
                "insults",
                Level.NOTE,
                f"{counted(int(toxic.sum()), 'response holds', 'responses hold')} an insult or a threat of a word list "
                f"({calibration}).",
                Statistic("share of responses with such words", float(toxic.mean())),
                rows=int(toxic.sum()),
                item_ids=table.ids_where(toxic),
                advice="Let a model that judges harm look at them.",
                command=f"refusal-tui run label {{filter}} --judge {judge}",
            )
        )
    if judged is not None and judged["harmful"]:
        assert column is not None
        harmful = _says(column, "yes")
        share = wilson(judged["harmful"], judged["rows"])
        found.append(
            Finding(
                "harmful-responses",
                Level.NOTE,
                f"{judged['harmful']:,} of {judged['rows']:,} responses that were judged are labelled harmful.",
                Statistic("share of harmful responses", share.value, share.low, share.high),
                rows=judged["harmful"],
                item_ids=table.ids_where(harmful),
                advice="Let people read a sample of them before a model learns from them.",
                command="refusal-tui review new {filter} --questions response_harmful",
            )
        )
    return section, found


def _judged(table: Table, column: HeadColumn, toxic: NDArray[np.bool_]) -> dict[str, Any]:
    """What the labels say, and how the word list does against them."""
    known, harmful = column.label.codes >= 0, _says(column, "yes")
    both = int((known & toxic & harmful).sum())
    return {
        "rows": int(known.sum()),
        "harmful": int(harmful.sum()),
        "by_people": int((known & column.human).sum()),
        "annotators": dict(sorted(column.annotators.items())),
        "by_source": _by_source(table, harmful),
        "list_precision": _share(both, int((known & toxic).sum())),
        "list_recall": _share(both, int(harmful.sum())),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole >= _LEAST_JUDGED else None


def _calibrated(judged: dict[str, Any]) -> str:
    """
    >>> _calibrated({"rows": 90, "list_precision": 0.5, "list_recall": None})
    'against 90 labels of harm: precision 0.50, recall unknown (too few)'
    """
    said = {
        name: f"{judged[key]:.2f}" if judged[key] is not None else "unknown (too few)"
        for name, key in (("precision", "list_precision"), ("recall", "list_recall"))
    }
    return f"against {judged['rows']:,} labels of harm: precision {said['precision']}, recall {said['recall']}"


def _says(column: HeadColumn, value: str) -> NDArray[np.bool_]:
    names = column.label.names
    return column.label.codes == names.index(value) if value in names else np.zeros(len(column.label.codes), bool)


def _by_source(table: Table, rows: NDArray[np.bool_]) -> dict[str, int]:
    return {name: int((rows & (table.source.codes == code)).sum()) for code, name in enumerate(table.source.names)}
