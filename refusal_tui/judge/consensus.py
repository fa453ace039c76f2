"""What does a panel say together? One more annotator, derived from the votes of a labelling job.

Every question is settled for itself, an atom as well as a three-class label, and the labels follow from the answers as
they follow from a single judge's: a change of the constitution changes them, too, and nobody is asked again. The votes
stay. It is made when the job ends, and may be made again at any time, by the same method or another.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.jobs.judging import OFFLINE_JUDGES
from refusal_tui.jobs.spec import load_spec
from refusal_tui.judge.interview import questions_of
from refusal_tui.judge.llm_job import annotator_of
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.questions import QuestionSet
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Profile, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import Job
from refusal_tui.store.labels import add_verdicts, annotator_verdicts, job_verdicts

if TYPE_CHECKING:
    from numpy import int32
    from numpy.typing import NDArray

Method = Literal["majority", "dawid-skene"]
METHODS: tuple[Method, ...] = ("majority", "dawid-skene")
_BATCH = 1000
_NO_VOTE = -1


@dataclass(frozen=True, slots=True)
class Consensus:
    """`rows` have a consensus now, `new` of them another one than before; `left_out` had too few votes.

    `open_answers`: question -> rows on which the votes are even. `accuracy`: voter -> how often it is right about the
    first question, as Dawid and Skene estimate it; empty for a majority.
    """

    annotator: str
    voters: tuple[str, ...]
    rows: int
    new: int
    left_out: int
    open_answers: Mapping[str, int]
    accuracy: Mapping[str, float]


def consensus_annotator(method: Method, judge: str) -> str:
    """Who a consensus is by.

    >>> consensus_annotator("majority", "atoms")
    'judge:majority/atoms'
    """
    return f"judge:{method}/{judge}"


def made_in(method: Method, job_id: int) -> str:
    """What stands in a consensus as its reason: it names the votes that it is of."""
    return f"{method} of the votes in job {job_id}"


def make_consensus(
    connection: sqlite3.Connection,
    job: Job,
    method: Method,
    within: Callable[[sqlite3.Connection], object] | None = None,
) -> Consensus:
    """Settle the votes of a labelling job and store what came out, as verdicts of an annotator of its own.

    A row takes part with votes of more than half of the panel; an arbiter's vote counts as any other. What is stored
    already is not stored again. `within` is called in every transaction (a worker proves there that the job is its).
    Raises InputError for a job without a panel, ConflictError while it is active and `within` is not given.
    """
    spec = load_spec(LabelSpec, job.spec, job.spec_version) if job.kind == "label" else None
    if not isinstance(spec, LabelSpec) or spec.judge in OFFLINE_JUDGES or not has_panel(spec):
        raise InputError(
            f"Job {job.id} has no panel of judges.", "Ask one with: refusal-tui run label --endpoint A --panel B,C"
        )
    if within is None and job.state.active:
        raise ConflictError(f"Job {job.id} is {job.state.value}.", "Wait for its end; it settles the votes itself.")
    voters = [annotator_of(spec.judge, name) for name in (*spec.voters, *([spec.arbiter] if spec.arbiter else []))]
    ballots = _read(connection, job.id, voters, questions_of(spec.judge, spec.beside))
    enough = [n for n, count in enumerate(ballots.votes()) if 2 * count > len(spec.voters)]
    settled, accuracy = _settle(ballots, method)
    annotator = consensus_annotator(method, spec.judge)
    even: Counter[str] = Counter()
    new = 0
    for start in range(0, len(enough), _BATCH):
        verdicts = [
            _verdict(ballots, settled, row, annotator, method, job.id) for row in enough[start : start + _BATCH]
        ]
        even.update(name for one in verdicts for name, answer in one.answers.items() if answer.value is None)
        before = annotator_verdicts(connection, annotator, [one.item_id for one in verdicts])
        fresh = [one for one in verdicts if one.item_id not in before or before[one.item_id].answers != one.answers]
        if fresh:
            with transaction(connection):
                if within is not None:
                    within(connection)
                add_verdicts(connection, fresh)
        new += len(fresh)
    return Consensus(
        annotator,
        tuple(name.removeprefix("judge:") for name in voters),
        len(enough),
        new,
        len(ballots.items) - len(enough),
        dict(even),
        accuracy,
    )


def has_panel(spec: LabelSpec) -> bool:
    return len(spec.voters) + (spec.arbiter is not None) > 1


# --- the votes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ballots:
    """`said[question]` is an array [row, voter] of numbers in `values[question]`, _NO_VOTE where nothing was said."""

    items: list[ItemId]
    voters: list[str]
    questions: QuestionSet
    values: dict[str, list[str | bool]]
    said: dict[str, NDArray[int32]]
    present: NDArray[int32]
    profile: Profile

    def votes(self) -> list[int]:
        return [int(count) for count in self.present.sum(axis=1)]


def _read(connection: sqlite3.Connection, job_id: int, voters: list[str], questions: QuestionSet) -> _Ballots:
    import numpy as np

    place = {name: n for n, name in enumerate(voters)}
    items: dict[ItemId, int] = {}
    for verdict in job_verdicts(connection, job_id):
        if verdict.annotator in place:
            items.setdefault(verdict.item_id, len(items))
    shape = (len(items), len(voters))
    said = {q.name: np.full(shape, _NO_VOTE, np.int32) for q in questions.questions}
    present = np.zeros(shape, np.int32)
    codes: dict[str, dict[str | bool, int]] = {q.name: {} for q in questions.questions}
    profile = Profile.XSTEST
    for verdict in job_verdicts(connection, job_id):  # oldest first: a voter's last word stands
        if (voter := place.get(verdict.annotator)) is None:
            continue
        row = items[verdict.item_id]
        present[row, voter] = 1
        profile = verdict.profile
        for name, known in codes.items():
            value = verdict.answers[name].value if name in verdict.answers else None
            said[name][row, voter] = _NO_VOTE if value is None else known.setdefault(value, len(known))
    return _Ballots(list(items), voters, questions, {n: list(c) for n, c in codes.items()}, said, present, profile)


# --- settling them ----------------------------------------------------------------------------------------------------


def _settle(ballots: _Ballots, method: Method) -> tuple[dict[str, Callable[[int], Answer]], dict[str, float]]:
    """Question -> what gives the answer of a row; and how often each voter is right about the first question."""
    settled: dict[str, Callable[[int], Answer]] = {}
    accuracy: dict[str, float] = {}
    for question in ballots.questions.questions:
        said, values = ballots.said[question.name], ballots.values[question.name]
        if question.several or method == "majority" or not values:
            count = _list_majority if question.several else majority
            settled[question.name] = partial(_counted, said, values, count)
        else:
            settled[question.name], right = _estimated(said, values)
            if not accuracy:
                accuracy = dict(zip((v.removeprefix("judge:") for v in ballots.voters), right, strict=True))
    return settled, accuracy


def _counted(
    said: NDArray[int32], values: Sequence[str | bool], count: Callable[[Sequence[str | bool]], Answer], row: int
) -> Answer:
    return count([values[code] for code in said[row].tolist() if code >= 0])


def majority(votes: Sequence[str | bool]) -> Answer:
    """The answer of most votes, with their share; open where two answers have equally many, or nobody has voted.

    >>> majority(["hard", "soft", "hard"])
    Answer(value='hard', probability=0.6666666666666666)
    >>> majority(["hard", "soft"]).value
    """
    if not votes:
        return Answer(None)
    (value, most), *others = Counter(votes).most_common(2)
    if others and others[0][1] == most:
        return Answer(None)
    return Answer(value, most / len(votes))


def _list_majority(votes: Sequence[str | bool]) -> Answer:
    """Of lists (harms, topics; comma-joined) what more than half of the votes name, in order of the names."""
    if not votes:
        return Answer(None)
    named = Counter(label for vote in votes for label in str(vote).split(",") if label)
    return Answer(",".join(sorted(label for label, count in named.items() if 2 * count > len(votes))))


def _estimated(
    said: NDArray[int32], values: Sequence[str | bool]
) -> tuple[Callable[[int], Answer], list[float]]:  # fmt: skip
    """Dawid and Skene's answers with their posterior probability, and every voter's share of right answers."""
    import numpy as np

    from refusal_tui.stats.consensus import dawid_skene

    rows, voters = np.nonzero(said >= 0)
    voted, items = np.unique(rows, return_inverse=True)
    found = dawid_skene(items, voters, said[rows, voters].astype(np.intp), len(values))
    best, sure = np.full(len(said), _NO_VOTE), np.zeros(len(said))
    best[voted], sure[voted] = found.posterior.argmax(axis=1), found.posterior.max(axis=1)
    right = np.zeros(said.shape[1])
    counted = np.diagonal(found.says, axis1=1, axis2=2) @ found.shares
    right[: len(counted)] = counted

    def answer(row: int) -> Answer:
        return Answer(values[best[row]], float(sure[row])) if best[row] >= 0 else Answer(None)

    return answer, [float(share) for share in right]


def _verdict(
    ballots: _Ballots,
    settled: Mapping[str, Callable[[int], Answer]],
    row: int,
    annotator: str,
    method: Method,
    job_id: int,
) -> Verdict:
    answers: Mapping[str, Answer] = {name: answer(row) for name, answer in settled.items()}
    if ballots.questions.finish is not None:
        answers = ballots.questions.finish(answers)
    return Verdict(
        ballots.items[row],
        annotator,
        ballots.questions.name,
        f"{method}/1",
        answers,
        rationale=made_in(method, job_id),
        profile=ballots.profile,
    )
