"""What has a job answered so far? Counts that go on from where the last look stopped, and the first rows in full."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.rows import ItemId
from refusal_tui.store.encoding import select_in
from refusal_tui.store.items import fetch_rows


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """How often each three-class answer was given by a job, up to verdict `upto`; "open" is an answer left open."""

    counts: Mapping[str, int]
    upto: int = 0


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """One row as a job has done it. `value` is None where there is no label; `evidence` quotes the item. Hostile."""

    item_id: ItemId
    state: str
    prompt: str
    response: str | None
    value: str | None
    confidence: float | None
    evidence: tuple[str, ...]
    error: str | None


NOTHING_COUNTED = AnswerCounts({})


def count_answers(connection: sqlite3.Connection, job_id: int, known: AnswerCounts = NOTHING_COUNTED) -> AnswerCounts:
    """`known` and the verdicts that came after it. The first look passes over all verdicts (about 0.5 s for a million),
    the next ones over the new ones alone: verdicts are only ever appended."""
    last = int(connection.execute("SELECT coalesce(max(id), 0) FROM verdict").fetchone()[0])
    rows = connection.execute(
        f"""SELECT coalesce(json_extract(answers, '$.{REFUSAL3}[0]'), 'open'), count(*) FROM verdict
            WHERE id > ? AND id <= ? AND job_id = ? GROUP BY 1""",
        (known.upto, last, job_id),
    )
    counts = dict(known.counts)
    for value, number in rows:
        counts[value] = counts.get(value, 0) + number
    return AnswerCounts(counts, last)


def answers_of(connection: sqlite3.Connection, job_id: int, limit: int = 20) -> list[JobAnswer]:
    """The first rows of a job that have an outcome, in the job's order."""
    outcomes = connection.execute(
        """SELECT o.item_id, o.state, o.error FROM job_item AS i
           JOIN outcome AS o ON o.job_id = i.job_id AND o.item_id = i.item_id
           WHERE i.job_id = ? GROUP BY i.position ORDER BY i.position LIMIT ?""",
        (job_id, limit),
    ).fetchall()
    ids = [row["item_id"] for row in outcomes]
    rows = {row.item_id: row for row in fetch_rows(connection, ids)}
    verdicts = {
        row["item_id"]: row
        for row in select_in(
            connection,
            "SELECT item_id, answers, spans FROM verdict WHERE job_id = ? AND item_id IN ({}) ORDER BY id",
            ids,
            (job_id,),
        )
    }
    labels = {  # where the three classes follow from other questions
        row["item_id"]: (row["value"], row["probability"])
        for row in select_in(
            connection,
            f"""SELECT item_id, value, probability FROM label WHERE head = '{REFUSAL3}' AND
                verdict_id IN (SELECT id FROM verdict WHERE job_id = ?) AND item_id IN ({{}})""",
            ids,
            (job_id,),
        )
    }
    answers: list[JobAnswer] = []
    for outcome in outcomes:
        item = rows.get(outcome["item_id"])
        if item is None:
            continue
        verdict = verdicts.get(item.item_id)
        said = json.loads(verdict["answers"]).get(REFUSAL3) if verdict else None
        value, confidence = said or labels.get(item.item_id, (None, None))
        spans: Sequence[tuple[str, int, int, str]] = json.loads(verdict["spans"] or "[]") if verdict else ()
        texts = {"prompt": item.prompt, "response": item.response or ""}
        evidence = tuple(texts[field][start:end] for field, start, end, _ in spans)
        answers.append(
            JobAnswer(
                item.item_id, outcome["state"], item.prompt, item.response, value, confidence, evidence,
                outcome["error"],
            )
        )  # fmt: skip
    return answers
