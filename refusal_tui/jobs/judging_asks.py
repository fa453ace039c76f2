"""What does a judge send per row? For the estimate of any job that has rows judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refusal_tui.jobs.estimate import Asks, Which
from refusal_tui.labels.questions import QuestionSet
from refusal_tui.labels.rows import ItemId, Row

LETTER_TOKENS = 16  # what an answer of one letter may take
JSON_TOKENS = 1024  # twelve atoms, three heads and two sentences take about 400
_SENTENCE_TOKENS = 45


def judge_asks(
    questions: QuestionSet, endpoint: str, *, logprobs: bool = False, times: float = 1.0, at_most: float = 1.0,
    once: int = 0, assumes: str = "", which: Which | None = None,
) -> Asks:  # fmt: skip
    """The requests of one judge. `logprobs`: the end point tells probabilities, so one question takes one letter."""
    one_token = logprobs and len(questions.questions) == 1 and not questions.questions[0].several
    form = questions.form(one_token=one_token)
    messages = form.render(Row(ItemId(0), "p", "r"), "0" * 16)
    return Asks(
        endpoint,
        fixed_chars=sum(len(message.content) for message in messages),
        most_tokens=LETTER_TOKENS if one_token else JSON_TOKENS,
        answer_tokens=1.0 if one_token else _answer_tokens(form.schema),
        times=times,
        at_most=at_most,
        once=once,
        responses=1.0,
        which=which or (Which.ANSWERED if questions.needs_response else Which.ALL),
        assumes=assumes,
    )


def _answer_tokens(schema: Mapping[str, Any]) -> float:
    """Of the JSON object: its names, one value each, and its sentences."""
    tokens = 4.0
    for name, part in schema["properties"].items():
        longest = max((len(str(value)) for value in part.get("enum", ())), default=0)
        tokens += (
            len(name) / 4 + 4 + (longest / 4 if longest else _SENTENCE_TOKENS if part.get("type") == "string" else 6)
        )
    return tokens
