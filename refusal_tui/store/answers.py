"""What has a job answered so far? Counts that go on from where the last look stopped, and a sample in full."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from refusal_tui.labels.atoms import VALUES
from refusal_tui.labels.derive import REFUSAL3, derive
from refusal_tui.labels.rows import ItemId, Row
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.encoding import select_in
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.settings import constitution_in_force

if TYPE_CHECKING:
    from refusal_tui.labels.constitution import Constitution

_LOOK_BACK = 100_000  # verdicts


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """How often each answer was given by a job, up to verdict `upto`; "open" is an answer left open.

    The three classes where a judge was asked for them or they follow from its atoms; otherwise what it was asked for:
    refusal or none, fulfilled or not, OR-Bench's classes.
    """

    counts: Mapping[str, int]
    upto: int = 0


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """One row as a job has done it. `value` is None where there is no label; `evidence` quotes the item; `remark` says
    what else is known of it (who wrote it, what was decided). Hostile."""

    item_id: ItemId
    state: str
    prompt: str
    response: str | None
    value: str | None
    confidence: float | None
    evidence: tuple[str, ...]
    error: str | None
    remark: str = ""


NOTHING_COUNTED = AnswerCounts({})


def count_answers(connection: sqlite3.Connection, job_id: int, known: AnswerCounts = NOTHING_COUNTED) -> AnswerCounts:
    """`known` and the verdicts that came after it. The first look passes over all verdicts (about 0.5 s for a million),
    the next ones over the new ones alone: verdicts are only ever appended."""
    last = int(connection.execute("SELECT coalesce(max(id), 0) FROM verdict").fetchone()[0])
    found = f"SELECT id, answers, {_MAIN_ANSWER} AS value FROM verdict WHERE id > ? AND id <= ? AND job_id = ?"
    span = (known.upto, last, job_id)
    counts = Counter(known.counts)
    for value, number in connection.execute(f"SELECT value, count(*) FROM ({found}) GROUP BY 1", span):
        if value is not None:
            counts[value] += number
    for (answers,) in connection.execute(f"SELECT answers FROM ({found}) WHERE value IS NULL", span):
        counts[_derived(connection, answers)] += 1
    return AnswerCounts(dict(counts), last)


# What a verdict says first of all; NULL: nothing that SQL could see. A label counts only while it is this verdict's.
_MAIN_ANSWER = f"""coalesce(json_extract(answers, '$.{REFUSAL3}[0]'),
    CASE WHEN question_set LIKE 'atoms%' THEN (SELECT value FROM label WHERE label.item_id = verdict.item_id
        AND label.annotator = verdict.annotator AND head = '{REFUSAL3}' AND verdict_id = verdict.id LIMIT 1) END,
    json_extract(answers, '$.or_bench[0]'),
    CASE json_extract(answers, '$.sorry[0]') WHEN '1' THEN 'fulfilled' WHEN '0' THEN 'not fulfilled' END,
    CASE coalesce(json_extract(answers, '$.response_refusal[0]'), json_extract(answers, '$.refused[0]'))
        WHEN 1 THEN 'refusal' WHEN 0 THEN 'none' END)"""


def _derived(connection: sqlite3.Connection, answers: str) -> str:
    """The three classes behind the atoms of a verdict whose labels are a later verdict's by now, or "open"."""
    said = json.loads(answers)
    atoms = tuple((name, said[name][0]) for name in sorted(said.keys() & VALUES.keys()))
    return _three_of_atoms(atoms, constitution_in_force(connection)) if atoms else "open"


@lru_cache(maxsize=4096)
def _three_of_atoms(atoms: tuple[tuple[str, str | bool | None], ...], constitution: Constitution | None) -> str:
    verdict = Verdict(ItemId(0), "", "atoms", "", {name: Answer(value) for name, value in atoms})
    return next((label.value for label in derive(verdict, constitution) if label.head == REFUSAL3), "open")


def answers_of(connection: sqlite3.Connection, job_id: int, limit: int = 20) -> list[JobAnswer]:
    """The first rows of a job that have an outcome, in the job's order: what a pilot is looked at for."""
    outcomes = connection.execute(
        """SELECT o.item_id, o.state, o.error FROM job_item AS i
           JOIN outcome AS o ON o.job_id = i.job_id AND o.item_id = i.item_id
           WHERE i.job_id = ? GROUP BY i.position ORDER BY i.position LIMIT ?""",
        (job_id, limit),
    ).fetchall()
    return _judged(connection, job_id, {row["item_id"]: (row["state"], row["error"]) for row in outcomes})


def latest_answers(connection: sqlite3.Connection, job_id: int, limit: int = 8) -> list[JobAnswer]:
    """The newest rows that a job has made or judged, the newest first."""
    made = connection.execute("SELECT id FROM dataset WHERE source = ?", (f"job {job_id}",)).fetchone()
    if made is not None:
        ids = connection.execute(
            "SELECT id FROM item WHERE dataset_id = ? ORDER BY id DESC LIMIT ?", (made[0], limit)
        ).fetchall()
        return [_made(row) for row in fetch_rows(connection, [row[0] for row in ids])]
    # The newest verdicts are at the end: as far back as a job's last rows may lie, not through a million others.
    last = int(connection.execute("SELECT coalesce(max(id), 0) FROM verdict").fetchone()[0])
    judged = connection.execute(
        "SELECT DISTINCT item_id FROM verdict WHERE id > ? AND +job_id = ? ORDER BY id DESC LIMIT ?",
        (last - _LOOK_BACK, job_id, limit),
    ).fetchall()
    return _judged(connection, job_id, {row["item_id"]: ("ok", None) for row in judged})


def _made(row: Row) -> JobAnswer:
    """An item of a job's own making: what was decided on it, or which model it is by."""
    meta, remark = row.meta, row.model or ""
    if meta.get("provider_refused"):
        remark = "refused by the provider"
    elif "decision" in meta:
        remark = str(meta["decision"])
    elif "accepted" in meta:
        remark = "accepted" if meta["accepted"] else "not good"
    return JobAnswer(row.item_id, "ok", row.prompt, row.response, None, None, (), None, remark)


def _judged(
    connection: sqlite3.Connection, job_id: int, outcomes: Mapping[ItemId, tuple[str, str | None]]
) -> list[JobAnswer]:
    """The rows with the job's verdicts, in the order of `outcomes` (item -> state and error)."""
    ids = list(outcomes)
    rows = {row.item_id: row for row in fetch_rows(connection, ids)}
    verdicts = {
        row["item_id"]: row
        for row in select_in(
            connection,
            f"SELECT id, item_id, answers, spans, {_MAIN_ANSWER} AS value FROM verdict "
            "WHERE job_id = ? AND item_id IN ({}) ORDER BY id",
            ids,
            (job_id,),
        )
    }
    labels = {  # where the three classes follow from other questions
        row["verdict_id"]: (row["value"], row["probability"])
        for row in select_in(
            connection,
            f"SELECT verdict_id, value, probability FROM label WHERE head = '{REFUSAL3}' AND item_id IN ({{}})",
            ids,
        )
    }
    answers: list[JobAnswer] = []
    for item_id, (state, error) in outcomes.items():
        item = rows.get(item_id)
        if item is None:
            continue
        verdict = verdicts.get(item_id)
        said: Mapping[str, Any] = json.loads(verdict["answers"]) if verdict else {}
        known = verdict["value"] if verdict else None
        value, confidence = said.get(REFUSAL3) or labels.get(verdict["id"] if verdict else 0, (known, None))
        spans: Sequence[tuple[str, int, int, str]] = json.loads(verdict["spans"] or "[]") if verdict else ()
        texts = {"prompt": item.prompt, "response": item.response or ""}
        evidence = tuple(texts[field][start:end] for field, start, end, _ in spans)
        remark = "" if value is not None else ", ".join(f"{name} {one[0]}" for name, one in list(said.items())[:2])
        answers.append(
            JobAnswer(item_id, state, item.prompt, item.response, value, confidence, evidence, error, remark)
        )
    return answers
