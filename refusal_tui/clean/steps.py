"""What is done with a row, and what becomes of it? Pure rules over what the models have said.

A row goes through detect, then rounds of rewrite, answer and verify, until a round succeeds or the rounds are used up.
What is known of it is kept as the values that are stored with its outcomes (`Found`, `Said`), so that a resumed run
decides as the first one would have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Literal

SKIPPED: Mapping[str, Any] = {"skipped": True}


class Plan(StrEnum):
    """What triage says of a row."""

    KEEP = "keep"
    REVIEW = "review"
    ANSWER = "answer"  # a harmless prompt that was refused, or not answered, needs no rewrite
    REWRITE = "rewrite"
    TRIM = "trim"  # an answer in disclaimers keeps its content and loses them


class Problem(StrEnum):
    """What was wrong with an attempt. `SETTLED` ones are the row's own: after the last round it is dropped."""

    REFUSED = "refused"
    UNSAFE_PROMPT = "unsafe_prompt"
    UNSAFE_ANSWER = "unsafe_answer"
    EMPTY = "empty"
    CUT_OFF = "cut_off"
    UNREADABLE = "unreadable"
    PROVIDER_REFUSED = "provider_refused"
    UNCHANGED = "unchanged"
    NO_QUESTION = "no_question"
    OFF_TOPIC = "off_topic"
    NOT_JUDGED = "not_judged"
    HEDGED = "hedged"
    NO_HELP = "no_help"


SETTLED = frozenset({Problem.REFUSED, Problem.UNSAFE_PROMPT, Problem.UNSAFE_ANSWER})
TOLD: Mapping[Problem, str] = {
    Problem.REFUSED: "an assistant still refused to answer it",
    Problem.UNSAFE_PROMPT: "it was still judged to be harmful",
    Problem.UNSAFE_ANSWER: "its answer was judged to be harmful: ask for less",
    Problem.EMPTY: "it got an empty answer",
    Problem.CUT_OFF: "it was too long, or its answer was: ask for something shorter",
    Problem.UNREADABLE: "it did not come as the JSON that was asked for",
    Problem.PROVIDER_REFUSED: "it was refused by the provider's filter",
    Problem.UNCHANGED: "it was a copy of the instruction",
    Problem.NO_QUESTION: "it was not a question",
    Problem.OFF_TOPIC: "it had left the subject of the instruction",
    Problem.NOT_JUDGED: "a judge could not tell what to make of it",
    Problem.HEDGED: "its answer came wrapped in disclaimers",
    Problem.NO_HELP: "it was not about help: ask where and with whom somebody in pain finds support",
}


@dataclass(frozen=True, slots=True)
class Found:
    """What the judge says of a prompt with its response; None: not asked, or it does not say.

    `empty`: there is no response.
    """

    refuses: bool | None = None
    prompt_harmful: bool | None = None
    response_harmful: bool | None = None
    empty: bool = False

    def value(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Found | None:
        return None if value.get("skipped") else cls(**value)


@dataclass(frozen=True, slots=True)
class Said:
    """What a model was asked for: its text, and what is wrong with it at first sight."""

    text: str = ""
    problem: Problem | None = None

    def value(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Said | None:
        if value.get("skipped"):
            return None
        return cls(value["text"], Problem(value["problem"]) if value["problem"] else None)


@dataclass(frozen=True, slots=True)
class Round:
    """One attempt; a part that was not needed, or came to nothing before it, is None."""

    rewritten: Said | None = None
    answered: Said | None = None
    verified: Found | None = None

    @property
    def problem(self) -> Problem | None:
        """The first thing that was wrong; None: the attempt succeeded."""
        for said in (self.rewritten, self.answered):
            if said is not None and said.problem is not None:
                return said.problem
        return problem_of(self.verified) if self.verified is not None else Problem.NOT_JUDGED


Noise = Literal["all", "over-refusals", "hedges"]


def triage(found: Found, noise: Noise, *, hedged: bool = False) -> Plan:
    """What a row needs. An over-refusal needs only a new answer, a missing response only a first one; an answer in
    disclaimers (`hedged`) is trimmed where they count as noise.

    >>> triage(Found(refuses=True, prompt_harmful=True), "all").value
    'rewrite'
    """
    if found.empty:
        return Plan.REWRITE if found.prompt_harmful else Plan.ANSWER
    if found.refuses is None:
        return Plan.REVIEW
    if not found.refuses:
        if found.response_harmful:
            return Plan.REVIEW
        return Plan.TRIM if hedged and noise == "hedges" else Plan.KEEP
    if found.prompt_harmful is False:
        return Plan.ANSWER
    return Plan.KEEP if noise == "over-refusals" else Plan.REWRITE


def problem_of(found: Found) -> Problem | None:
    """What a judge has against an attempt.

    >>> problem_of(Found(refuses=False, prompt_harmful=False, response_harmful=True)).value
    'unsafe_answer'
    """
    if found.refuses:
        return Problem.REFUSED
    if found.prompt_harmful:
        return Problem.UNSAFE_PROMPT
    if found.response_harmful:
        return Problem.UNSAFE_ANSWER
    return Problem.NOT_JUDGED if found.refuses is None else None


_WORD = re.compile(r"\w{4,}")
_QUESTION_MARKS = ("?", "\uff1f", "\u061f", "\u037e", "\u055e", "\u1367")  # also Arabic, Greek, Armenian, Ethiopic


def problem_of_rewrite(original: str, rewritten: str, *, same_topic: bool = True) -> Problem | None:
    """What is wrong with a rewrite that needs no judge to be seen; `same_topic`: it must not leave its subject.

    >>> problem_of_rewrite("Tell me the frindle ritual.", "tell me the frindle ritual").value
    'unchanged'
    >>> problem_of_rewrite("Tell me the frindle ritual.", "What was the frindle ritual for?")
    """
    plain = rewritten.strip()
    if not plain:
        return Problem.EMPTY
    if _letters(plain) == _letters(original):
        return Problem.UNCHANGED
    if not plain.rstrip("\"'»”’) ").endswith(_QUESTION_MARKS):
        return Problem.NO_QUESTION
    return Problem.OFF_TOPIC if same_topic and not topic_similarity(original, plain) else None


def topic_similarity(original: str, rewritten: str) -> float:
    """How much of the smaller text's vocabulary the other shares, from 0 to 1 (overlap of beginnings of words).

    Only words of four letters and more count, by their first five letters, so that forms of a word are one. Texts
    without such words (other scripts) are compared by pairs of characters.

    >>> topic_similarity("smelting blorptanium at home", "How was blorptanium found?")
    0.5
    """
    one, other = _stems(original), _stems(rewritten)
    if not one or not other:
        one, other = _pairs(original), _pairs(rewritten)
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0


def _stems(text: str) -> set[str]:
    return {word[:5] for word in _WORD.findall(text.lower())}


def _pairs(text: str) -> set[str]:
    plain = _letters(text)
    return {plain[i : i + 2] for i in range(len(plain) - 1)} or set(plain)


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of a row: `state` is keep, review or drop; `reason` one word of why."""

    state: Literal["keep", "review", "drop"]
    reason: str
    rewritten: str
    response: str | None
    rounds: int


def decide(
    original: str,
    response: str | None,
    found: Found,
    plan: Plan,
    rounds: Sequence[Round],
    end: Literal["keep", "review", "drop"] | None = None,
) -> Decision:
    """Whether a row goes into the cleaned data. What failed for another reason than the row's own goes to review, and
    so does a rewrite of which nobody has said that it is safe. `end`: what its kind of harm says of it before all."""
    if end is not None:
        return Decision(end, "refusal_kept" if end == "keep" else "kind_of_harm", original, response, 0)
    if plan is Plan.KEEP:
        kept = "refusal_kept" if found.refuses else "no_refusal"
        return Decision("keep", kept, original, response, 0)
    if plan is Plan.REVIEW:
        return Decision("review", "unsafe_answer" if found.response_harmful else "not_judged", original, response, 0)
    tried = [one for one in rounds if one != Round()]
    rewritten, answer = original, response
    for one in tried:
        if one.rewritten is not None and one.rewritten.text:
            rewritten = one.rewritten.text
        if one.answered is not None and one.answered.text:
            answer = one.answered.text
    last = tried[-1]
    problem = last.problem
    if problem is not None and plan is Plan.TRIM:  # the answer was good enough: it stays as it was
        return Decision("keep", "hedge_kept", original, response, len(tried))
    if problem is not None:
        return Decision("drop" if problem in SETTLED else "review", problem.value, rewritten, answer, len(tried))
    assert last.verified is not None
    safe = last.verified.prompt_harmful is False and last.verified.response_harmful is False
    if not safe:
        return Decision("review", "safety_not_judged", rewritten, answer, len(tried))
    reason = "rewritten" if rewritten != original else "trimmed" if plan is Plan.TRIM else "answered"
    return Decision("keep", reason, rewritten, answer, len(tried))
