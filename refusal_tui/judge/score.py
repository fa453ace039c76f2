"""How well does a judge agree with human labels? The measuring core of `refusal-tui score`.

Every figure comes with a 95 % interval from a bootstrap over prompts, because answers to one prompt resemble
each other. A row whose gold label is open does not count, nor does one without a response; a row on which the judge
failed counts as a wrong answer. Classes without a gold row are left out of macro-F1.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.errors import InputError
from refusal_tui.judge.gold import THREE, TWO, merged, read_gold
from refusal_tui.judge.stance import stance
from refusal_tui.labels.constitution import Constitution
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import ErrorClass, Judge, RowError, Verdict
from refusal_tui.stats.agreement import accuracy, cohen_kappa, f1, precision, recall
from refusal_tui.stats.bootstrap import Statistic, cluster_bootstrap, cluster_confusions
from refusal_tui.stats.intervals import Interval

ERROR = "error"  # the predicted "class" of a row on which the judge failed
DRAWS = 1000
BINS = 10
_BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One class against the rest. `support` counts gold rows, `predicted` the judge's answers."""

    label: str
    support: int
    predicted: int
    precision: Interval
    recall: Interval
    f1: Interval


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers whose confidence lies in one tenth of [0, 1]: how sure the judge was, and how often it was right."""

    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class TaskScore:
    """One question. `matrix[g][p]` counts rows of gold label g answered p, in the order of `labels`; a last column
    `error` is there when the judge failed on rows. `ece`: expected calibration error over `bins` (Guo et al., 2017),
    None when the judge gives no probabilities."""

    task: str
    labels: tuple[str, ...]
    matrix: tuple[tuple[int, ...], ...]
    rows: int
    clusters: int
    accuracy: Interval
    macro_f1: Interval
    kappa: Interval
    classes: tuple[ClassScore, ...]
    ece: float | None
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The rows with one value of the `by` field."""

    value: str
    tasks: tuple[TaskScore, ...]


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """`records` = `scored` + `no_gold` + `no_response`; rows on which the judge failed (`errors`, by class) are scored.

    `tasks` holds the three-class task (when the gold labels have three classes) and the any-refusal task, `groups` the
    same for each value of the field `by`.
    """

    judge: str
    version: str
    profile: str
    gold: str
    cluster: str
    by: str | None
    records: int
    scored: int
    no_gold: int
    no_response: int
    errors: Mapping[str, int]
    tasks: tuple[TaskScore, ...]
    groups: tuple[GroupScore, ...]
    rows_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and numbers for JSON; an interval is {"value", "low", "high"}, undefined numbers null."""
        return plain(self)


@dataclass(frozen=True, slots=True)
class Given:
    """The three-class answer, its probability, and the probability of the two-class answer that it implies."""

    label: str
    probability: float | None = None
    two_class_probability: float | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """One row: what the human says, what the judge says, and whose rows resemble it."""

    gold: str
    answer: Given
    cluster: Hashable
    group: str = ""


def score_rows(
    records: Iterable[Mapping[str, Any]],
    judge: Judge,
    *,
    gold: str,
    prompt: str = "prompt",
    response: str = "response",
    cluster: str | None = None,
    by: str | None = None,
    any_refusal: bool = False,
    draws: int = DRAWS,
    constitution: Constitution | None = None,
) -> ScoreReport:
    """Let `judge` answer every record that has a gold label, and compare.

    `gold`, `prompt`, `response`, `cluster` (default: the prompt) and `by` name fields of the records; `gold.py` says
    what the gold field may hold. With `any_refusal`, and for a judge of two classes, only the two-class question is
    scored. `constitution`: under which atoms become labels. Raises InputError for a field that no record has, a
    response that is not text, and gold values that are not known.
    """
    rows = list(records)
    cluster = cluster or prompt
    _check_fields(rows, [gold, response, cluster, *([by] if by else [])])
    labels = read_gold([record.get(gold) for record in rows], gold)
    labelled = [index for index, label in enumerate(labels.labels) if label is not None]
    items = [_row(index, rows[index], prompt, response) for index in labelled]

    started = time.perf_counter()
    outcomes = asyncio.run(_judge_all(judge, items))
    seconds = time.perf_counter() - started

    scored: list[Compared] = []
    errors: Counter[str] = Counter()
    profiles: set[str] = set()
    no_response = 0
    for index, outcome in zip(labelled, outcomes):
        answer = Given(ERROR)
        if isinstance(outcome, Verdict):
            answer = _answer(outcome, constitution)
            profiles.add(outcome.profile.value)
        elif outcome.error_class is ErrorClass.NO_RESPONSE:
            no_response += 1
            continue
        else:
            errors[outcome.error_class.value] += 1
        record = rows[index]
        # A record without a value for the cluster is a cluster of its own.
        of_cluster = index if record.get(cluster) is None else str(record[cluster])
        group = "" if by is None else str(record.get(by, "-"))
        scored.append(Compared(str(labels.labels[index]), answer, of_cluster, group))
    if not scored:
        raise InputError(
            "No record has both a gold label and a response to judge.", f"Look at the fields {gold!r} and {response!r}."
        )
    in_three = all(each.answer.label in (*THREE, ERROR) for each in scored)
    three = labels.classes == THREE and in_three and not any_refusal
    values = [] if by is None else sorted({each.group for each in scored})
    groups = [(value, [each for each in scored if each.group == value]) for value in values]
    return ScoreReport(
        judge=judge.name,
        version=judge.version,
        profile=", ".join(sorted(profiles)),
        gold=gold,
        cluster=cluster,
        by=by,
        records=len(rows),
        scored=len(scored),
        no_gold=len(rows) - len(labelled),
        no_response=no_response,
        errors=dict(sorted(errors.items())),
        tasks=tasks_of(scored, three, draws),
        groups=tuple(GroupScore(value, tasks_of(inside, three, draws)) for value, inside in groups),
        rows_per_second=len(items) / seconds if seconds > 0 else float("inf"),
    )


def _check_fields(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> None:
    if not rows:
        raise InputError("There is no record to score.", "Give a file with at least one record.")
    present = dict.fromkeys(name for record in rows for name in record)
    for field in fields:
        if field not in present:
            raise InputError(
                f"No record has the field {field!r}. The fields are: {', '.join(map(str, present))}.",
                "Name an existing field.",
            )


def _row(index: int, record: Mapping[str, Any], prompt: str, response: str) -> Row:
    answer = record.get(response)
    if answer is not None and not isinstance(answer, str):
        raise InputError(
            f"The field {response!r} of record {index + 1} holds {type(answer).__name__}, not text.",
            "Name the field that holds the response as text: --response-field.",
        )
    asked = record.get(prompt)
    return Row(ItemId(index), asked if isinstance(asked, str) else "", answer)


async def _judge_all(judge: Judge, rows: Sequence[Row]) -> list[Verdict | RowError]:
    outcomes: list[Verdict | RowError] = []
    async with contextlib.AsyncExitStack() as stack:
        if isinstance(judge, contextlib.AbstractAsyncContextManager):  # one that holds connections
            await stack.enter_async_context(judge)
        for start in range(0, len(rows), _BATCH_ROWS):
            outcomes.extend(await judge.judge(rows[start : start + _BATCH_ROWS]))
    return outcomes


def _answer(verdict: Verdict, constitution: Constitution | None) -> Given:
    two = verdict.answers.get("any_refusal")
    if two is not None:  # the offline judge is calibrated for both questions
        three = verdict.answers["refusal3"]
        return Given(str(three.value), three.probability, two.probability)
    said = stance(verdict, constitution)
    return Given(ERROR) if said.label is None else Given(said.label, said.probability, said.probability)


def tasks_of(scored: Sequence[Compared], three: bool, draws: int = DRAWS) -> tuple[TaskScore, ...]:
    """The three-class task (when `three`) and the any-refusal task."""
    clusters = [each.cluster for each in scored]
    gold = [each.gold for each in scored]
    answers = [each.answer for each in scored]
    tasks = []
    if three:
        said = [each.label for each in answers]
        tasks.append(_task("three classes", THREE, gold, said, [a.probability for a in answers], clusters, draws))
    said = [ERROR if each.label == ERROR else merged(each.label) for each in answers]
    gold = [merged(label) for label in gold]
    tasks.append(_task("any refusal", TWO, gold, said, [a.two_class_probability for a in answers], clusters, draws))
    return tuple(tasks)


def _task(
    task: str,
    labels: tuple[str, ...],
    gold: Sequence[str],
    said: Sequence[str],
    probabilities: Sequence[float | None],
    clusters: Sequence[Hashable],
    draws: int,
) -> TaskScore:
    columns = (*labels, ERROR) if ERROR in said else labels
    confusions = cluster_confusions(gold, said, clusters, columns)
    matrix = confusions.sum(axis=0)
    supported = [index for index in range(len(labels)) if matrix[index].sum() > 0]
    statistics: dict[str, Statistic] = {
        "accuracy": accuracy,
        "macro_f1": partial(_mean_f1, classes=supported),
        "kappa": cohen_kappa,
    }
    for index, label in enumerate(labels):
        for name, of_class in (("precision", precision), ("recall", recall), ("f1", f1)):
            statistics[f"{name}:{label}"] = partial(_one_class, of_class=of_class, index=index)
    figures = cluster_bootstrap(statistics, confusions, draws=draws)
    ece, bins = calibration(probabilities, [g == a for g, a in zip(gold, said)])
    return TaskScore(
        task=task,
        labels=columns,
        matrix=tuple(tuple(int(cell) for cell in row) for row in matrix[: len(labels)]),
        rows=len(gold),
        clusters=len(confusions),
        accuracy=figures["accuracy"],
        macro_f1=figures["macro_f1"],
        kappa=figures["kappa"],
        classes=tuple(
            ClassScore(
                label=label,
                support=int(matrix[index].sum()),
                predicted=int(matrix[:, index].sum()),
                precision=figures[f"precision:{label}"],
                recall=figures[f"recall:{label}"],
                f1=figures[f"f1:{label}"],
            )
            for index, label in enumerate(labels)
        ),
        ece=ece,
        bins=bins,
    )


def _mean_f1(matrices: NDArray[np.float64], classes: Sequence[int]) -> NDArray[np.float64]:
    return np.asarray(f1(matrices)[..., list(classes)].mean(axis=-1))


def _one_class(matrices: NDArray[np.float64], of_class: Statistic, index: int) -> NDArray[np.float64]:
    return np.asarray(of_class(matrices)[..., index])


def calibration(confidences: Sequence[float | None], right: Sequence[bool]) -> tuple[float | None, tuple[Bin, ...]]:
    """Expected calibration error over ten equal bins, and the bins that hold answers. Answers without a probability are
    left out; without any it is (None, ()).

    >>> calibration([0.75, 0.75], [True, False])[0]
    0.25
    """
    pairs = [(p, ok) for p, ok in zip(confidences, right) if p is not None]
    if not pairs:
        return None, ()
    bins = []
    error = 0.0
    for index in range(BINS):
        inside = [(p, ok) for p, ok in pairs if min(int(p * BINS), BINS - 1) == index]
        if inside:
            confidence = sum(p for p, _ in inside) / len(inside)
            hit = sum(ok for _, ok in inside) / len(inside)
            bins.append(Bin(len(inside), confidence, hit))
            error += len(inside) * abs(confidence - hit)
    return error / len(pairs), tuple(bins)


def plain(report: Any) -> dict[str, Any]:
    """A dataclass as lists, dicts and numbers for JSON; an interval is {"value", "low", "high"}, nan is null."""
    return {field.name: _plain(getattr(report, field.name)) for field in fields(report)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return plain(value)
    if isinstance(value, Interval):
        return {"value": _plain(value.value), "low": _plain(value.low), "high": _plain(value.high)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return round(value, 6) if np.isfinite(value) else None
    return value
