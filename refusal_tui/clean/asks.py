"""Which requests does a cleaning job send per row? For its estimate."""

from __future__ import annotations

from refusal_tui.clean.prompts import REWRITE_TOKENS, answer_request, rewrite_request
from refusal_tui.clean.spec import CleanSpec
from refusal_tui.clean.strategies import read_strategy
from refusal_tui.jobs.estimate import Asks, Which
from refusal_tui.jobs.judging_asks import judge_asks
from refusal_tui.labels.question_sets import question_set

_ROUNDS = 1.3  # how many a row needs, as a rule
_QUESTION_TOKENS = 40
_ANSWER_TOKENS = 200


def clean_asks(spec: CleanSpec) -> list[Asks]:
    """Detect, then rounds of rewrite, answer and verify. Raises InputError for an unknown judge or strategy."""
    times, most = min(_ROUNDS, spec.rounds), spec.rounds
    rewrite = rewrite_request(read_strategy(spec.strategy), "", None, None)
    answer = answer_request("", spec.answer_tokens)
    assumes = f"every row is a refusal and needs {times:g} rounds"
    found = [
        Asks(spec.endpoint, rewrite.chars, REWRITE_TOKENS, _QUESTION_TOKENS, times, most, assumes=assumes),
        Asks(spec.answered_by, answer.chars, spec.answer_tokens, min(_ANSWER_TOKENS, spec.answer_tokens), times, most),
    ]
    if spec.judged_by is not None and spec.ask_harms:
        assumes = "every row is a refusal"
        found.append(judge_asks(question_set("harms"), spec.judged_by, which=Which.ALL, assumes=assumes))
    if spec.judged_by is not None:
        questions = question_set(spec.judge)
        found.append(judge_asks(questions, spec.judged_by, which=Which.ANSWERED))
        found.append(judge_asks(questions, spec.judged_by, times=times, at_most=most, which=Which.ALL))
    return found
