"""Which requests does a labelling job send per row? For its estimate."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from refusal_tui.jobs.estimate import Asks
from refusal_tui.jobs.judging import OFFLINE_JUDGES
from refusal_tui.jobs.judging_asks import judge_asks
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.question_sets import question_set
from refusal_tui.labels.questions import together
from refusal_tui.llm.ladder import Capabilities
from refusal_tui.store.endpoints import get_endpoint

_FREE = 0.5  # of the rows the offline judge is sure of, as a rule
_DOUBTED, _SPLIT = 0.2, 0.15


def label_asks(spec: LabelSpec, connection: sqlite3.Connection) -> list[Asks]:
    """One per vote. Raises InputError for an end point or a question set that is not there."""
    if spec.judge in OFFLINE_JUDGES or not spec.endpoint:
        return []
    names = list(dict.fromkeys([spec.judge, *(n.strip() for n in spec.beside.split(",") if n.strip())]))
    sets = [question_set(name) for name in names]
    questions = sets[0] if len(sets) == 1 else together(*sets)
    times = _FREE if spec.free_first else 1.0
    free = "the offline judge is sure of half of the rows" if spec.free_first else ""

    def asks(name: str, times: float, assumes: str, once: int = 0) -> Asks:
        logprobs = Capabilities.from_json(get_endpoint(connection, name).capabilities).logprobs
        found = judge_asks(questions, name, logprobs=bool(logprobs), times=times, assumes=assumes, once=once)
        return replace(found, batch=spec.batch)

    found = [asks(name, times, free, spec.canaries if k == 0 else 0) for k, name in enumerate(spec.voters)]
    if spec.second_pass is not None:
        found.append(asks(spec.endpoint, times * _DOUBTED, "one row of five is asked a second time"))
    if spec.order_sample is not None:
        found.append(asks(spec.endpoint, times * spec.order_sample, "drawn at random, asked in another order"))
    if spec.arbiter:
        found.append(asks(spec.arbiter, times * _SPLIT, "the votes differ on 15 of 100 rows"))
    return found
