"""`refusal-tui review`: queues of rows for people to label. Everything that the review screens do, without them."""

from __future__ import annotations

import os
import shlex
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.cli.review_adjudicate import adjudicate, consensus, settle
from refusal_tui.cli.review_files import export, import_
from refusal_tui.cli.review_new import new
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.review.questions import Sheet
    from refusal_tui.store.review_answers import Decision
    from refusal_tui.store.review_queues import Queue
    from refusal_tui.store.review_work import Place

queue_argument = click.argument("queue")
card_argument = click.argument("card", type=click.IntRange(1), metavar="CARD")
annotator_option = click.option(
    "--annotator", "-a", metavar="NAME", help="Who labels (default: $REFUSAL_ANNOTATOR, or your account's name)."
)


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def review(context: click.Context, as_json: bool) -> None:
    """Queues of rows for people to label: make one, label, look how far it is."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


review.add_command(new)
review.add_command(export)
review.add_command(import_)
review.add_command(adjudicate)
review.add_command(settle)
review.add_command(consensus)


@review.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List the queues and how far they are."""
    from refusal_tui.store.review_queues import list_queues, progress_of

    with session.store() as connection:
        found = [progress_of(connection, queue) for queue in list_queues(connection)]
    if as_json:
        emit_json(
            [
                {"name": p.queue.name, "questions": p.queue.settings.questions, "cards": p.cards,
                 "labelled": p.labelled, "done": p.done, "annotators": dict(p.annotators)}
                for p in found
            ]
        )  # fmt: skip
        return
    if not found:
        say("There is no queue yet. Make one: refusal-tui review new [FILTER]")
        return
    emit_table(
        ["queue", "asks", "rows", "labelled", "done", "by"],
        [[p.queue.name, p.queue.settings.questions, p.cards, p.labelled, p.done, _people(p.annotators)] for p in found],
    )


def _people(annotators: Any) -> str:
    return ", ".join(f"{name.removeprefix('human:')} {count:,}" for name, count in annotators.items())


@review.command()
@queue_argument
@annotator_option
@click.option("--flagged", is_flag=True, help="Only cards with a flag or a note.")
@json_option
@pass_session
def show(session: Session, queue: str, annotator: str | None, flagged: bool, as_json: bool) -> None:
    """Show how QUEUE was drawn and what was said of its cards."""
    from refusal_tui.review.annotator import annotator_named
    from refusal_tui.store.review_answers import decisions
    from refusal_tui.store.review_queues import get_queue, progress_of, queue_items

    with session.store() as connection:
        it = get_queue(connection, queue)
        who = annotator_named(annotator) if annotator else None
        said = [d for d in decisions(connection, it, annotator=who) if not flagged or d.flagged or d.note]
        progress, items = progress_of(connection, it), queue_items(connection, it.id)
    strata: dict[str, int] = {}
    for item in items:
        strata[item.stratum] = strata.get(item.stratum, 0) + (item.repeat_of is None)
    if as_json:
        emit_json(
            {
                "name": it.name, **asdict(it.settings), "strata": strata, "labelled": progress.labelled,
                "done": progress.done, "repeats": len(items) - progress.cards,
                "decisions": [_decision_json(d) for d in said],
            }
        )  # fmt: skip
        return
    s = it.settings
    emit(f"{it.name} asks {s.questions} (profile {s.profile}), {'blind' if s.blind else 'judges shown'}, view {s.view}")
    emit(f"drawn from {s.population:,} rows of {s.selection or 'everything'!r}, seed {s.seed}: "
         f"{progress.cards:,} rows and {len(items) - progress.cards:,} repeats; {progress.done:,} done")  # fmt: skip
    emit_table(["stratum", "rows"], sorted(strata.items()))
    if said:
        emit("")
        emit_table(
            ["card", "row", "annotator", "says", "blind", "flag", "note"],
            [[d.item.position, d.item.item_id, d.annotator.removeprefix("human:"), _says(d), _blind(d),
              "⚑" if d.flagged else "", d.note or ""] for d in said],
        )  # fmt: skip


def _says(decision: Decision) -> str:
    if decision.verdict is None:
        return decision.state.value
    return ", ".join(f"{_word(a.value)}" for a in decision.verdict.answers.values())


def _word(value: str | bool | None) -> str:
    return {True: "yes", False: "no", None: "—"}.get(value, value)  # type: ignore[arg-type, return-value]


def _blind(decision: Decision) -> str:
    return "" if decision.verdict is None else "no" if decision.verdict.seen_judge else "yes"


def _decision_json(d: Decision) -> dict[str, Any]:
    answers = {} if d.verdict is None else {name: a.value for name, a in d.verdict.answers.items()}
    return {
        "card": d.item.position, "row": d.item.item_id, "stratum": d.item.stratum, "inclusion": d.item.inclusion,
        "repeat_of": d.item.repeat_of, "annotator": d.annotator, "state": d.state, "answers": answers,
        "seen_judge": d.verdict.seen_judge if d.verdict else None, "flagged": d.flagged, "note": d.note,
        "seconds": d.seconds, "created": d.created,
    }  # fmt: skip


@review.command()
@queue_argument
@annotator_option
@json_option
@pass_session
def next(session: Session, queue: str, annotator: str | None, as_json: bool) -> None:
    """Print the next card of QUEUE, with its questions, and lease it to you."""
    from refusal_tui.review.annotator import annotator_named
    from refusal_tui.store.review_cards import fetch_cards
    from refusal_tui.store.review_queues import get_queue
    from refusal_tui.store.review_work import claim

    who = annotator_named(annotator)
    with session.store() as connection:
        it = get_queue(connection, queue)
        cards = fetch_cards(connection, it, who, claim(connection, it, who, 1))
        sheet = _sheet(connection, it)
    if not cards:
        say(f"Nothing is left for {who.removeprefix('human:')} in {queue}.")
        if as_json:
            emit_json(None)
        return
    card = cards[0]
    if as_json:
        emit_json(
            {
                "card": card.item.position, "row": card.row.item_id, "prompt": card.row.prompt,
                "response": card.row.response,
                "questions": {a.name: [o.word for o in a.options] for a in sheet.asked},
            }
        )  # fmt: skip
        return
    emit(
        f"card {card.item.position} of {it.name}\n\nPROMPT\n{card.row.prompt}\n\nRESPONSE\n{card.row.response or '—'}\n"
    )
    for asked in sheet.asked:
        emit(f"{asked.name}: {asked.text}\n  " + ", ".join(f"{o.word} ({o.key})" for o in asked.options))
    example = [f"{asked.name}={asked.options[0].word}" for asked in sheet.asked]
    value = sheet.asked[0].options[0].word if len(example) == 1 else " ".join(example)
    as_whom = f" --annotator {who.removeprefix('human:')}" if annotator else ""
    say(f"Answer: refusal-tui review answer {shlex.quote(it.name)} {card.item.position} {value}{as_whom}")


def _sheet(connection: sqlite3.Connection, queue: Queue) -> Sheet:
    from refusal_tui.labels.constitution import DEFAULT
    from refusal_tui.review.questions import sheet
    from refusal_tui.store.settings import constitution_in_force

    return sheet(queue.settings.questions, queue.settings.profile, constitution_in_force(connection) or DEFAULT)


def _place(connection: sqlite3.Connection, queue: str, card: int, annotator: str | None) -> Place:
    from refusal_tui.review.annotator import annotator_named
    from refusal_tui.store.review_queues import get_queue
    from refusal_tui.store.review_work import Place

    return Place(get_queue(connection, queue), card, annotator_named(annotator))


@review.command()
@queue_argument
@card_argument
@click.argument("value", nargs=-1, required=True)
@annotator_option
@click.option("--note", "text", metavar="TEXT", help="A remark that is kept with the label.")
@click.option("--seen-judge", is_flag=True, help="You had seen a judge's label of this row.")
@pass_session
def answer(
    session: Session, queue: str, card: int, value: tuple[str, ...], annotator: str | None, text: str | None,
    seen_judge: bool,
) -> None:  # fmt: skip
    """Label a CARD of QUEUE: a VALUE, or QUESTION=VALUE for each question. Answering again supersedes."""
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_work import Said, decide, note

    with session.store() as connection:
        place = _place(connection, queue, card, annotator)
        sheet = _sheet(connection, place.queue)
        answers = sheet.read(value)
        with transaction(connection):
            if text is not None:
                note(connection, place, text)
            decide(connection, place, Said(answers, sheet.question_set, sheet.version), seen_judge=seen_judge)
    say(f"Card {card}: " + ", ".join(f"{name} {_word(a.value)}" for name, a in answers.items()))


@review.command()
@queue_argument
@card_argument
@annotator_option
@pass_session
def skip(session: Session, queue: str, card: int, annotator: str | None) -> None:
    """Leave a CARD of QUEUE to others."""
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_work import skip as skip_card

    with session.store() as connection:
        place = _place(connection, queue, card, annotator)
        with transaction(connection):
            skip_card(connection, place)
    say(f"Card {card} is skipped.")


@review.command()
@queue_argument
@card_argument
@annotator_option
@click.option("--off", is_flag=True, help="Take the flag away.")
@click.option("--note", "text", metavar="TEXT", help="Say why.")
@pass_session
def flag(session: Session, queue: str, card: int, annotator: str | None, off: bool, text: str | None) -> None:
    """Flag a CARD of QUEUE, for somebody to talk about."""
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_work import flag as flag_card
    from refusal_tui.store.review_work import note

    with session.store() as connection:
        place = _place(connection, queue, card, annotator)
        with transaction(connection):
            flag_card(connection, place, not off)
            if text is not None:
                note(connection, place, text)
    say(f"Card {card} is {'not flagged any more' if off else 'flagged'}.")


@review.command()
@queue_argument
@annotator_option
@pass_session
def undo(session: Session, queue: str, annotator: str | None) -> None:
    """Take back your latest answer in QUEUE, however old it is."""
    from refusal_tui.review.annotator import annotator_named
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_queues import get_queue
    from refusal_tui.store.review_work import undo as undo_last

    with session.store() as connection:
        it = get_queue(connection, queue)
        with transaction(connection):
            position = undo_last(connection, it, annotator_named(annotator))
    say("There is nothing left to take back." if position is None else f"The answer of card {position} is taken back.")


@review.command()
@queue_argument
@click.option("--edit", is_flag=True, help="Open them in $EDITOR.")
@click.option("--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Take FILE's text.")
@click.option("--reset", is_flag=True, help="Those of the constitution again.")
@pass_session
def guidelines(session: Session, queue: str, edit: bool, file: Path | None, reset: bool) -> None:
    """Print what annotators of QUEUE read on the guidelines key, or change it for this queue."""
    from refusal_tui.review.guidelines import guidelines_of
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_queues import get_queue, set_guidelines

    with session.store() as connection:
        it = get_queue(connection, queue)
        before = guidelines_of(connection, it)
        text = click.edit(before, extension=".md") if edit else _text_of(file) if file is not None else None
        if text is None and not reset:
            emit(before)
            return
        with transaction(connection):
            set_guidelines(connection, it.id, None if reset else text)
    say(f"The guidelines of {queue} are {'made from the constitution again' if reset else 'its own now'}.")


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}.", "Give a text file in UTF-8.") from error


@review.command()
@queue_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_session
def delete(session: Session, queue: str, yes: bool) -> None:
    """Forget QUEUE: its cards, flags and notes. The labels given in it stay."""
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_queues import delete_queue, get_queue

    with session.store() as connection:
        it = get_queue(connection, queue)
        if not yes and not click.confirm(f"Forget the queue {queue}? Its labels stay.", err=True):
            say("Nothing was changed.")
            return
        with transaction(connection):
            delete_queue(connection, it.id)
    say(f"{queue} is forgotten.")


@review.command("open")
@queue_argument
@annotator_option
@pass_session
def open_(session: Session, queue: str, annotator: str | None) -> int:
    """Label QUEUE in the workbench, one key per row."""
    from refusal_tui.review.annotator import VARIABLE, annotator_named
    from refusal_tui.store.review_queues import get_queue

    with session.store() as connection:
        get_queue(connection, queue)
    os.environ[VARIABLE] = annotator_named(annotator)
    return session.open_workbench(session.workspace(), review=queue)
