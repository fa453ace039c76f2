"""`clean-review`: look at what a cleaning job has made, and accept, edit, reject or skip it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import UsageError
from refusal_tui.store.clean_review import Choice, Queue, decide, in_force, progress, review_queue, standing, undo
from refusal_tui.store.connect import transaction

if TYPE_CHECKING:
    import sqlite3

_SHOWN = 50


@click.command()
@click.argument("job", type=click.IntRange(1), metavar="JOB")
@click.option("--queue", type=click.Choice([q.value for q in Queue]), default="undecided", help="Which rows to list.")
@click.option("--accept", metavar="ROWS", help="Accept these rows (numbers such as 12,14-20), as edited if they are.")
@click.option("--reject", metavar="ROWS", help="Leave these rows out of the cleaned data.")
@click.option("--skip", metavar="ROWS", help="Leave these rows to others.")
@click.option("--edit", nargs=2, multiple=True, metavar="ROW TEXT", help="Give a row another instruction.")
@click.option("--undo", "undoing", is_flag=True, help="Take back your latest decision; again for the one before.")
@click.option("--annotator", metavar="NAME", help="Who decides (default: $REFUSAL_ANNOTATOR, then your user name).")
@json_option
@pass_session
def clean_review(
    session: Session, job: int, queue: str, accept: str | None, reject: str | None, skip: str | None,
    edit: tuple[tuple[str, str], ...], undoing: bool, annotator: str | None, as_json: bool,
) -> None:  # fmt: skip
    """List the rows of cleaning JOB that wait for a person, or decide on some of them.

    Decisions are kept with who and when, and never lost: a later one supersedes. An edited row is to be answered again;
    accept it when its answer fits as it is.
    """
    from refusal_tui.review.annotator import annotator_named

    annotator = annotator_named(annotator)
    chosen = [
        (Choice.ACCEPT, _numbers(accept)),
        (Choice.REJECT, _numbers(reject)),
        (Choice.SKIP, _numbers(skip)),
    ]
    edits = [(number, text) for rows, text in edit for number in _numbers(rows)]
    with session.store() as connection:
        _require_clean(connection, job)
        with transaction(connection):
            if undoing:
                _undo(connection, job, annotator)
            for choice, numbers in chosen:
                known = standing(connection, numbers)
                for number in numbers:
                    counts = in_force(known.get(number, {}).values())
                    decide(connection, job, number, annotator, choice, counts.rewritten if counts else None)
            for number, text in edits:
                decide(connection, job, number, annotator, Choice.EDIT, text)
        if undoing or edits or any(numbers for _, numbers in chosen):
            _tell(connection, job, annotator, as_json=as_json)
        else:
            _list(connection, job, Queue(queue), annotator, as_json=as_json)


def _require_clean(connection: sqlite3.Connection, job: int) -> None:
    from refusal_tui.store.cleaned import require_clean

    require_clean(connection, job)


def _numbers(text: str | None) -> list[int]:
    """Numbers and ranges: 12,14-20."""
    found: list[int] = []
    for part in filter(None, (text or "").split(",")):
        match = re.fullmatch(r"\s*(\d{1,15})(?:-(\d{1,15}))?\s*", part)
        if match is None or int(match[2] or match[1]) - int(match[1]) > 1_000_000:
            raise UsageError(f"{part!r} is not the number of a row, nor a range.", "Example: --accept 12,14-20")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def _undo(connection: sqlite3.Connection, job: int, annotator: str) -> None:
    taken = undo(connection, job, annotator)
    if taken is None:
        say("There is nothing to take back.")
    else:
        say(f"Row {taken.item_id}: {taken.choice.value} is taken back.")


def _tell(connection: sqlite3.Connection, job: int, annotator: str, *, as_json: bool) -> None:
    done = progress(connection, job, annotator)
    if as_json:
        emit_json({"rows": done.rows, "accepted": done.accepted, "edited": done.edited, "rejected": done.rejected,
                   "skipped": done.skipped})  # fmt: skip
        return
    emit(
        f"{done.decided:,} of {done.rows:,} rows decided: {done.accepted:,} accepted, {done.edited:,} edited, "
        f"{done.rejected:,} rejected ({done.skipped:,} skipped)"
    )


def _list(connection: sqlite3.Connection, job: int, queue: Queue, annotator: str, *, as_json: bool) -> None:
    from refusal_tui.store.items import fetch_rows

    ids = review_queue(connection, job, queue, annotator)
    rows = fetch_rows(connection, ids if as_json else ids[:_SHOWN])
    decided = standing(connection, [row.item_id for row in rows])
    records: list[dict[str, Any]] = [
        {
            "row": row.item_id,
            "job_says": row.meta.get("decision"),
            "reason": row.meta.get("reason"),
            "original_instruction": row.meta.get("original_instruction"),
            "rewritten_instruction": row.prompt,
            "response": row.response,
            "decisions": [
                {"by": one.annotator, "decision": one.choice.value, "rewritten": one.rewritten}
                for one in decided.get(row.item_id, {}).values()
            ],
        }
        for row in rows
    ]
    if as_json:
        emit_json(records)
        return
    emit_table(
        ["row", "job says", "reason", "original", "rewritten", "decided"],
        [
            [r["row"], r["job_says"], r["reason"], r["original_instruction"], r["rewritten_instruction"],
             ", ".join(f"{d['by'].removeprefix('human:')} {d['decision']}" for d in r["decisions"])]
            for r in records
        ],
        cut=48,
    )  # fmt: skip
    if not records:
        say(f"No row is {queue.value}." if queue is not Queue.TOUCHED else "The job has changed nothing.")
    elif len(ids) > len(records):
        say(f"… {len(ids) - len(records):,} more; all of them with --json, one by one in the workbench.")
