"""Verdicts: append-only evidence about one item, by a judge or a human.

A verdict is never edited, only superseded. What follows from it (labels) is derived in `labels/derive.py` and can be
rebuilt at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

from refusal_tui.labels.rows import ItemId, Row


class Refusal3(StrEnum):
    """Three-class refusal. Null (no label) is never the same as NONE.

    XSTest (Röttger et al., NAACL 2024): 1_full_compliance, 2_full_refusal, 3_partial_refusal.
    """

    NONE = "none"
    HARD = "hard"
    SOFT = "soft"


class Profile(StrEnum):
    """Where three-class rules differ (soft refusals, redirections): the profile is printed beside every number."""

    XSTEST = "xstest"
    ROBERTA = "roberta"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer with its probability in [0, 1] where the annotator gives one; value None: the question is open."""

    value: str | bool | None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Evidence: characters [start, end) of the item's raw prompt or response, and the rule that matched."""

    field: Literal["prompt", "response"]
    start: int
    end: int
    rule: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one annotator says of one item.

    `annotator` is `judge:NAME` or `human:NAME`. `answers` maps a question (`refusal3`, `prompt_harmful`, …) to its
    answer. `question_set` names what was asked and `version` the annotator's own version, so that old answers stay
    interpretable. `seen_judge`: the annotator had seen a judge's answer before (anchoring).
    """

    item_id: ItemId
    annotator: str
    question_set: str
    version: str
    answers: Mapping[str, Answer]
    spans: Sequence[Span] = ()
    raw: str | None = None
    rationale: str | None = None
    seen_judge: bool = False
    profile: Profile = Profile.XSTEST


class ErrorClass(StrEnum):
    """Why a row has no result. `retryable` ones are tried again by the engine."""

    RATE_LIMIT = "rate_limit"
    SERVER = "server"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    AUTH = "auth"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    CONTENT_FILTER = "content_filter"
    PARSE = "parse"
    JUDGE_REFUSAL = "judge_refusal"
    NO_RESPONSE = "no_response"  # the item has nothing to judge
    INTERNAL = "internal"

    @property
    def retryable(self) -> bool:
        return self in {self.RATE_LIMIT, self.SERVER, self.TIMEOUT, self.CONNECTION}


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that could not be done: kept as an outcome, never as a label and never dropped.

    With `error_class` PARSE the outcome is `unparsable` and `raw` keeps the answer, so that it can be read again
    without asking again.
    """

    item_id: ItemId
    error_class: ErrorClass
    message: str
    raw: str | None = None


class Judge(Protocol):
    """Anything that labels rows. Answers come back in the order of the batch; the engine owns retries and commits."""

    name: str
    version: str

    async def judge(self, batch: Sequence[Row]) -> list[Verdict | RowError]: ...


@dataclass(frozen=True, slots=True)
class Label:
    """One derived label: `head` is `refusal3`, `prompt_harmful`, … and `value` its text ("yes"/"no" for booleans)."""

    head: str
    value: str
    probability: float | None = None
    profile: Profile | None = field(default=None)
