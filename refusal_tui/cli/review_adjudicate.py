"""`refusal-tui review adjudicate`, `settle` and `consensus`: disagreements by value, settled or counted out."""

from __future__ import annotations

import shlex
import sqlite3
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.review.adjudication import Disagreement
    from refusal_tui.review.questions import Sheet
    from refusal_tui.store.adjudication import Voice
    from refusal_tui.store.review_queues import Queue

_SHOWN = 20
_PROMPT_CELLS = 60

queue_option = click.option("--queue", metavar="QUEUE", help="Rows of one review queue alone.")
between_option = click.option(
    "--annotator", "annotators", multiple=True, metavar="NAME",
    help="Between these alone: human:NAME, judge:NAME or NAME. Repeat the option.",
)  # fmt: skip
head_option = click.option("--head", default="refusal3", show_default=True, metavar="HEAD", help="About which head.")


@click.command()
@click.argument("selection", nargs=-1)
@queue_option
@head_option
@between_option
@click.option("--make", "name", metavar="NAME", help="Make a queue of them, to be settled.")
@click.option("--size", type=click.IntRange(1), metavar="N", help="The N most valuable alone.")
@json_option
@pass_session
def adjudicate(
    session: Session, selection: tuple[str, ...], queue: str | None, head: str, annotators: tuple[str, ...],
    name: str | None, size: int | None, as_json: bool,
) -> None:  # fmt: skip
    """List the disagreements in the rows of SELECTION, the most valuable first: people with people, a person with a
    judge, judge with judge, then rows of which a judge is unsure. What was settled is not listed."""
    from refusal_tui.review.adjudication import Wanted, find_disagreements, make_adjudication
    from refusal_tui.store.agreement import check_annotators
    from refusal_tui.store.items import fetch_rows
    from refusal_tui.store.review_queues import get_queue

    with session.store() as connection:
        within = get_queue(connection, queue) if queue else None
        wanted = Wanted(" ".join(selection), within, head, tuple(check_annotators(connection, annotators)))
        found = find_disagreements(connection, wanted)
        listed = found[:size]
        made = make_adjudication(connection, listed, wanted, name) if name is not None else None
        shown = listed if as_json else listed[:_SHOWN]
        prompts = {row.item_id: row.prompt for row in fetch_rows(connection, [one.item_id for one in shown])}
    if as_json:
        emit_json({"queue": made.name if made else None, "found": len(found),
                   "disagreements": [_disagreement_json(one, prompts[one.item_id]) for one in listed]})  # fmt: skip
    elif not listed:
        say("There is no disagreement left to settle here.")
    else:
        emit_table(
            ["row", "who differs", "score", "labels", "prompt"],
            [[one.item_id, one.kind.value, f"{one.score:.2f}", _labels(one.voices), prompts[one.item_id]]
             for one in shown],
            cut=_PROMPT_CELLS,
        )  # fmt: skip
        if len(listed) > _SHOWN:
            say(f"… and {len(listed) - _SHOWN:,} more (--json lists all).")
    if made is not None:
        say(f"{made.name}: {len(listed):,} rows to settle. In the workbench: refusal-tui review open "
            f"{shlex.quote(made.name)}; here: refusal-tui review settle {shlex.quote(made.name)}")  # fmt: skip


def _labels(voices: tuple[Voice, ...]) -> str:
    from refusal_tui.review.adjudication import candidates

    return "  ".join(f"{c.value}: {', '.join(v.name for v in c.voices)}" for c in candidates(voices))


def _disagreement_json(one: Disagreement, prompt: str) -> dict[str, Any]:
    return {
        "row": one.item_id, "kind": one.kind, "score": round(one.score, 4), "prompt": prompt,
        "voices": [{"annotator": v.annotator, "value": v.value, "probability": v.probability} for v in one.voices],
    }  # fmt: skip


@click.command()
@click.argument("queue")
@click.argument("card", type=click.IntRange(1), metavar="[CARD]", required=False)
@click.argument("holds", metavar="[WHAT]", required=False)
@click.option("--annotator", "-a", metavar="NAME", help="Who settles (default: $REFUSAL_ANNOTATOR, or your account).")
@click.option("--note", "text", metavar="TEXT", help="A remark that is kept with the label.")
@json_option
@pass_session
def settle(
    session: Session, queue: str, card: int | None, holds: str | None, annotator: str | None, text: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Say WHAT holds for a CARD of QUEUE: a label, a candidate's number, or the name of the annotator who is right.

    Without WHAT the card is shown with who said what; without CARD, the next one. `review undo QUEUE` takes back.
    """
    from refusal_tui.review.adjudication import what_holds
    from refusal_tui.review.annotator import annotator_named
    from refusal_tui.store.adjudication import voices_of
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.review_cards import fetch_cards
    from refusal_tui.store.review_queues import Purpose, get_queue, queue_item
    from refusal_tui.store.review_work import Place, Said, claim, decide, note

    who = annotator_named(annotator)
    with session.store() as connection:
        it = get_queue(connection, queue)
        if it.settings.purpose is not Purpose.ADJUDICATE:
            raise InputError(
                f"{queue} is a queue for labelling, not for settling disagreements.",
                f"Label it: review answer {queue} CARD LABEL; or: review adjudicate --queue {queue}",
            )
        positions = [card] if card is not None else claim(connection, it, who, 1)
        if not positions:
            say(f"Nothing is left to settle in {queue}.")
            return
        item = queue_item(connection, it, positions[0])
        sheet = _sheet(connection, it)
        voices = voices_of(connection, item.item_id, it.settings.questions)
        if holds is None:
            (shown,) = fetch_cards(connection, it, who, positions)
            if as_json:
                emit_json({"card": item.position, "row": item.item_id, "kind": item.stratum,
                           "prompt": shown.row.prompt, "response": shown.row.response,
                           "voices": [asdict(voice) for voice in voices]})  # fmt: skip
            else:
                emit(f"card {item.position} of {it.name} ({item.stratum})\n\nPROMPT\n{shown.row.prompt}\n\n"
                     f"RESPONSE\n{shown.row.response or '—'}\n")  # fmt: skip
                _print_candidates(voices)
                what = "1" if voices else sheet.asked[0].options[0].word
                say(f"Settle it: refusal-tui review settle {shlex.quote(it.name)} {item.position} {what}")
            return
        answer = what_holds(sheet, voices, holds)
        place = Place(it, item.position, who)
        seen = any(not voice.human for voice in voices)
        said = Said({sheet.asked[0].name: answer}, sheet.question_set, sheet.version)
        with transaction(connection):
            if text is not None:
                note(connection, place, text)
            decide(connection, place, said, seen_judge=seen)
    word = {True: "yes", False: "no"}.get(answer.value, answer.value)  # type: ignore[arg-type]
    if as_json:
        emit_json({"card": item.position, "row": item.item_id, "value": word})
    say(f"Card {item.position}: {it.settings.questions} {word}")


def _print_candidates(voices: tuple[Voice, ...]) -> None:
    from refusal_tui.review.adjudication import candidates

    if not voices:
        emit("Nobody's label of this row is known here: give one.")
        return
    lines = [
        [number if first else "", one.value if first else "", voice.name,
         ("assisted" if voice.seen_judge else "blind") if voice.human else _sure(voice),
         voice.reason or ""]
        for number, one in enumerate(candidates(voices), 1)
        for first, voice in ((n == 0, v) for n, v in enumerate(one.voices))
    ]  # fmt: skip
    emit_table(["", "label", "by", "sure", "because"], lines)


def _sure(voice: Voice) -> str:
    return "" if voice.probability is None else f"{voice.probability:.2f}"


def _sheet(connection: sqlite3.Connection, queue: Queue) -> Sheet:
    from refusal_tui.labels.constitution import DEFAULT
    from refusal_tui.review.questions import sheet
    from refusal_tui.store.settings import constitution_in_force

    return sheet(queue.settings.questions, queue.settings.profile, constitution_in_force(connection) or DEFAULT)


@click.command()
@click.argument("selection", nargs=-1)
@queue_option
@head_option
@between_option
@click.option(
    "--method", type=click.Choice(["majority", "dawid-skene"]), default="majority", show_default=True,
    help="Most people; or Dawid and Skene's estimate, which weighs each by how often the others bear them out.",
)  # fmt: skip
@json_option
@pass_session
def consensus(
    session: Session, selection: tuple[str, ...], queue: str | None, head: str, annotators: tuple[str, ...],
    method: Any, as_json: bool,
) -> None:  # fmt: skip
    """Make one label of what people said of the rows of SELECTION, as an annotator of its own (human:majority/…).

    It may be repeated: only what has changed is stored. Rows that were settled get none; their gold is known.
    """
    from refusal_tui.review.consensus import consensus_of_people
    from refusal_tui.store.review_queues import get_queue

    with session.store() as connection:
        within = get_queue(connection, queue) if queue else None
        found = consensus_of_people(connection, method, head, " ".join(selection), within, annotators)
    if as_json:
        emit_json(asdict(found))
        return
    people = ", ".join(name.removeprefix("human:") for name in found.people)
    emit(f"{found.annotator}, of {people}: {found.rows:,} rows agreed, {found.new:,} of them new or changed.")
    for count, what in (
        (found.even, "rows are split evenly: refusal-tui review adjudicate"),
        (found.settled, "rows were settled and keep that"),
        (found.withdrawn, "rows have no consensus any more"),
    ):
        if count:
            emit(f"{count:,} {what}.")
    if found.accuracy:
        emit_table(["person", "right"], [[who, f"{100 * share:.1f} %"] for who, share in found.accuracy.items()])
        if len(found.people) < 3:
            say("With two people nobody can tell whose error a difference is; ask a third.")
