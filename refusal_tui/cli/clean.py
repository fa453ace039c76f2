"""`cleaned`: what a cleaning job has changed, and its rows as a file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import StorageError

if TYPE_CHECKING:
    from refusal_tui.clean.report import CleanReport, Texts
    from refusal_tui.labels.rows import Row


_SHOWN_CATEGORIES = 12


@click.command()
@click.argument("job", type=click.IntRange(1), metavar="JOB")
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE", help="Write the kept rows there, as JSON lines."
)
@click.option("--full", is_flag=True, help="With --out: every row with its decision, reason and provenance.")
@json_option
@pass_session
def cleaned(session: Session, job: int, out: Path | None, full: bool, as_json: bool) -> None:
    """Show what cleaning JOB has changed. With --out write original_instruction, rewritten_instruction and response of
    the rows that were kept. What people have decided (clean-review) holds: rejected rows are left out, edited ones
    come as edited, without a response and marked answer_again."""
    from refusal_tui.clean.report import clean_report
    from refusal_tui.store.cleaned import clean_counts, made_by

    with session.store() as connection:
        if out is not None:
            count = _write(out, (_record(row, full) for row in made_by(connection, job, None if full else "keep")))
            say(f"Wrote {count:,} rows to {out}")
        counts = clean_counts(connection, job)
        report = clean_report(made_by(connection, job), **asdict(counts))
    if as_json:
        emit_json(_json(report))
    else:
        _show(report)


def _record(row: Row, full: bool) -> dict[str, Any]:
    """The three keys of cleaned data, and the rest of what is known on request."""
    record = {
        "original_instruction": row.meta.get("original_instruction"),
        "rewritten_instruction": row.prompt,
        "response": row.response,
    }
    if row.meta.get("answer_again"):  # a person has edited the instruction: its answer is still to come
        record["answer_again"] = True
    if not full:
        return record
    known = {name: value for name, value in row.meta.items() if name not in record}
    return {**record, "id": row.key, "model": row.model, "category": row.category, "split": row.split, **known}


def _write(out: Path, records: Iterable[dict[str, Any]]) -> int:
    """Through a temporary file: the whole file is there, or the old one. Raises StorageError."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    count = 0
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            for record in records:
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
                count += 1
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}.", "Choose another --out.") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def _json(report: CleanReport) -> dict[str, Any]:
    value = asdict(report)
    value["reasons"] = [{"decision": s, "reason": r, "rows": n} for (s, r), n in report.reasons.items()]
    for side in ("before", "after"):
        value[side]["refused"] = _interval(getattr(report, side).refused)
        value[side]["hedged"] = _interval(getattr(report, side).hedged)
    value["refused_again"] = _interval(report.refused_again)
    value["categories"] = [
        {"category": name, "before": _interval(before), "after": _interval(after)}
        for name, (before, after) in report.categories.items()
    ]
    return {**value, "decisions": report.states}


def _interval(interval: tuple[float, float, float]) -> dict[str, float] | None:
    value, low, high = interval
    return None if value != value else {"rate": value, "low": low, "high": high}


def _show(report: CleanReport) -> None:
    waiting = report.rows - report.decided - report.failed
    states = ", ".join(f"{count:,} {state}" for state, count in report.states.items())
    emit(f"{report.rows:,} rows: {states}, {report.failed:,} failed (try again: jobs retry), {waiting:,} to do\n")
    emit_table(["decision", "reason", "rows"], [[state, reason, n] for (state, reason), n in report.reasons.items()])
    emit("")
    before, after = _side(report.before), _side(report.after)
    emit_table(["responses", "before", "kept"], [[name, before[name], after[name]] for name in before])
    similarity = "—" if report.similarity is None else f"{report.similarity:.2f}"
    emit(f"\n{report.rewritten:,} instructions rewritten; mean similarity of the topic {similarity} (0 to 1)")
    emit(f"Rewrites that share no word with their instruction: {report.off_topic:,}")
    emit(f"New answers that refused again: {_rate(report.refused_again)}")
    emit(f"Rows that a judge called harmful to the end: {report.unsafe:,}")
    if len(report.categories) > 1:
        emit("")
        shown = list(report.categories.items())[:_SHOWN_CATEGORIES]
        emit_table(["category", "refused before", "kept"], [[name, _rate(b), _rate(a)] for name, (b, a) in shown])
        if len(report.categories) > len(shown):
            emit(f"and {len(report.categories) - len(shown):,} more categories: --json")


def _side(texts: Texts) -> dict[str, str]:
    return {
        "number": f"{texts.responses:,}",
        "refused (95 %)": _rate(texts.refused),
        "length, mean": f"{texts.mean_length:,.0f}",
        "length, median": f"{texts.median_length:,.0f}",
        "distinct words": f"{texts.distinct_1:.3f}",
        "distinct word pairs": f"{texts.distinct_2:.3f}",
        "same opening": f"{100 * texts.same_opening:.1f} %",
        "in disclaimers": _rate(texts.hedged),
        "rows without one": f"{texts.empty:,}",
    }


def _rate(interval: tuple[float, float, float]) -> str:
    value, low, high = interval
    return "—" if value != value else f"{100 * value:.1f} % ({100 * low:.1f}–{100 * high:.1f})"
