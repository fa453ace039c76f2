"""What becomes of a review file that comes in? A queue where there was none, and decisions where there were none.

Importing twice changes nothing. A decision is never overwritten unless that is asked for: two different answers of the
same person to the same card are a conflict, and told. A label for a card that others have labelled often enough in the
meantime is kept beside the queue: it is somebody's work and counts for agreement.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.labels.rows import ItemId, Message
from refusal_tui.labels.verdict import Verdict
from refusal_tui.review.roundtrip import Package, SentCard, SentDecision, fingerprint, sent_cards
from refusal_tui.store.datasets import Provenance, begin_dataset, find_dataset, record_progress
from refusal_tui.store.encoding import chunks
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts, verdicts_of
from refusal_tui.store.review_answers import Decision, decisions
from refusal_tui.store.review_queues import Queue, QueueItem, create_queue, get_queue, list_queues
from refusal_tui.store.review_work import CardState, Place, Said, TakenError, decide, flag, note, skip


@dataclass(frozen=True, slots=True)
class Clash:
    """The same person has answered the same card otherwise here; what is here stands."""

    position: int
    annotator: str
    here: str
    there: str


@dataclass(slots=True)
class Imported:
    """What has happened. `beside`: labels of cards that had enough of them; `unknown`: decisions about other rows."""

    queue: str
    created: bool = False
    new_rows: int = 0
    added: int = 0
    unchanged: int = 0
    replaced: int = 0
    beside: int = 0
    unknown: int = 0
    clashes: list[Clash] = field(default_factory=list)


class _Received(NamedTuple):
    prompt: str | tuple[Message, ...]
    response: str | None
    model: str | None
    split: str | None
    category: str | None
    meta: Mapping[str, Any]


def import_package(
    connection: sqlite3.Connection,
    package: Package,
    *,
    name: str | None = None,
    annotator: str | None = None,
    overwrite: bool = False,
) -> Imported:
    """Take a package into this workspace; the caller holds the transaction.

    `name`: the queue's name here (default: its own). `annotator`: who has labelled, where the file's one name is not
    the right one (a login name, say). `overwrite`: the file's answers replace others of the same person. Raises
    ConflictError where the queue of that name holds other cards, InputError for a package that does not belong here.
    """
    queue, done = _queue(connection, package, name or package.queue)
    said = _renamed(package.decisions, annotator)
    places = _places(sent_cards(connection, queue))
    standing = {(d.item.position, d.annotator): d for d in decisions(connection, queue)}
    for decision in sorted(said, key=lambda d: (d.position, d.annotator)):
        position = _position(places, decision)
        if position is None:
            done.unknown += 1
            continue
        place = Place(queue, position, decision.annotator)
        _take(connection, place, decision, standing.get((position, decision.annotator)), done, overwrite)
    if done.unknown and done.unknown == len(said):
        raise InputError(
            f"None of the {len(said):,} decisions is about a row of the queue {queue.name!r}.",
            f"The file comes from another workspace ({package.workspace or 'not named'}) or another queue.",
        )
    return done


# --- the queue -----------------------------------------------------------------------------------------------------


def _queue(connection: sqlite3.Connection, package: Package, name: str) -> tuple[Queue, Imported]:
    known = {queue.name for queue in list_queues(connection)}
    if name in known or package.settings is None:
        queue = get_queue(connection, name)
        here = sent_cards(connection, queue)
        if package.cards and fingerprint(here) != fingerprint(package.cards):
            shared = len({card.content for card in here} & {card.content for card in package.cards})
            raise ConflictError(
                f"The queue {name!r} here holds other cards than the file's: {shared:,} rows of {len(package.cards):,} "
                f"are in both. The file was written in the workspace {package.workspace!r}.",
                "Import it into the workspace it came from, or beside this queue with --name.",
            )
        return queue, Imported(name)
    ids, new_rows = _rows(connection, package, name)
    items = [
        QueueItem(card.position, ids[card.content], card.stratum, card.inclusion, card.wanted, card.repeat_of)
        for card in package.cards
    ]
    return create_queue(connection, name, package.settings, items), Imported(name, created=True, new_rows=new_rows)


def _rows(connection: sqlite3.Connection, package: Package, name: str) -> tuple[dict[str, ItemId], int]:
    """content -> row here; rows that are not here yet are added as a data set of their own."""
    ids = _known_rows(connection, package.cards)
    missing = {card.content: card for card in package.cards if card.content not in ids}
    if missing:
        terms = package.terms
        where = Provenance(
            "review", "1", f"review file of {package.workspace}", sha256=fingerprint(package.cards),
            licence=terms.get("licence"), redistribution=terms.get("redistribution"),
            eval_only=bool(terms.get("eval_only")),
        )  # fmt: skip
        dataset = begin_dataset(connection, _free_name(connection, f"review-{name}"), where)
        batch = [
            (content, _Received(c.prompt, c.response, c.model, c.split, c.category, {"from": f"{c.dataset}/{c.key}"}))
            for content, c in missing.items()
        ]
        added = add_items(connection, dataset.id, batch)
        record_progress(
            connection, dataset.id, records_read=len(batch), added=added.count, rejected=0, done=True
        )  # fmt: skip
        ids |= {content: item_id for content, item_id in zip(missing, added.ids, strict=True) if item_id is not None}
    return ids, len(missing)


def _known_rows(connection: sqlite3.Connection, cards: Sequence[SentCard]) -> dict[str, ItemId]:
    """content -> row, by data set and key where these are the same here, else by a look at every row."""
    found: dict[str, ItemId] = {}
    for card in cards:
        row = connection.execute(
            """SELECT item.id, item.content_hash FROM item JOIN dataset ON dataset.id = item.dataset_id
               WHERE dataset.name = ? AND item.key = ?""",
            (card.dataset, card.key),
        ).fetchone()
        if row is not None and row[1].hex() == card.content:
            found[card.content] = ItemId(row[0])
    missing = [bytes.fromhex(card.content) for card in cards if card.content not in found]
    if missing:
        connection.execute("CREATE TEMP TABLE wanted_content (hash BLOB PRIMARY KEY) WITHOUT ROWID")
        for some in chunks(sorted(set(missing)), 900):
            connection.executemany("INSERT INTO wanted_content VALUES (?)", [(content,) for content in some])
        for row in connection.execute(
            "SELECT min(id), content_hash FROM item WHERE content_hash IN (SELECT hash FROM wanted_content) GROUP BY 2"
        ):
            found[row[1].hex()] = ItemId(row[0])
        connection.execute("DROP TABLE wanted_content")
    return found


def _free_name(connection: sqlite3.Connection, wanted: str) -> str:
    name, number = wanted, 2
    while find_dataset(connection, name) is not None:
        name, number = f"{wanted}-{number}", number + 1
    return name


# --- the decisions -------------------------------------------------------------------------------------------------


def _renamed(said: Iterable[SentDecision], annotator: str | None) -> list[SentDecision]:
    found = list(said)
    if annotator is None:
        return found
    if not re.fullmatch(r"[\w.\-/]{1,60}", annotator.removeprefix("human:")):
        raise InputError(f"{annotator!r} cannot be a name.", "Use letters, digits, dot, dash, underscore.")
    names = sorted({decision.annotator for decision in found})
    if len(names) > 1:
        raise InputError(
            f"The file holds the work of {len(names)} people ({', '.join(names[:5])}), who cannot all be {annotator}.",
            "Leave out --as, or export one person's decisions with: review export --annotator NAME",
        )
    return [replace(decision, annotator=f"human:{annotator.removeprefix('human:')}") for decision in found]


def _places(cards: Sequence[SentCard]) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for card in cards:
        places.setdefault(card.content, []).append(card.position)
    return places


def _position(places: Mapping[str, Sequence[int]], decision: SentDecision) -> int | None:
    """The card of that row: the one at the same place, or the only one."""
    known = places.get(decision.content, ())
    if decision.position in known:
        return decision.position
    return known[0] if len(known) == 1 else None


def _take(
    connection: sqlite3.Connection,
    place: Place,
    sent: SentDecision,
    here: Decision | None,
    done: Imported,
    overwrite: bool,
) -> None:
    _take_remarks(connection, place, sent, here)
    if sent.state is CardState.OPEN or (here is not None and _same(sent, here)):
        done.unchanged += 1
        return
    if here is not None and here.state is CardState.LABEL:
        if sent.state is CardState.SKIP:
            done.unchanged += 1  # a label says more than a skip
            return
        if not overwrite:
            done.clashes.append(Clash(place.position, place.annotator, _words(here), _words(sent)))
            return
        done.replaced += 1
    if sent.state is CardState.SKIP:
        skip(connection, place, seconds=sent.seconds, now=sent.created)
        done.added += 1
        return
    said = Said(sent.answers, sent.question_set, sent.version)
    try:
        decide(connection, place, said, seconds=sent.seconds, seen_judge=sent.seen_judge, now=sent.created)
    except TakenError:
        _keep_beside(connection, place, sent, done)
    else:
        done.added += here is None or here.state is not CardState.LABEL


def _take_remarks(connection: sqlite3.Connection, place: Place, sent: SentDecision, here: Decision | None) -> None:
    """A flag and a note are added; those that are here stay."""
    if sent.note and (here is None or not here.note):
        note(connection, place, sent.note, now=sent.created)
    if sent.flagged and (here is None or not here.flagged):
        flag(connection, place, now=sent.created)


def _keep_beside(connection: sqlite3.Connection, place: Place, sent: SentDecision, done: Imported) -> None:
    item_id = next(
        row[0]
        for row in connection.execute(
            "SELECT item_id FROM queue_item WHERE queue_id = ? AND position = ?", (place.queue.id, place.position)
        )
    )
    values = {name: answer.value for name, answer in sent.answers.items()}
    own = [v.verdict for v in verdicts_of(connection, item_id) if v.verdict.annotator == place.annotator]
    if any({name: answer.value for name, answer in verdict.answers.items()} == values for verdict in own):
        done.unchanged += 1
        return
    add_verdicts(
        connection,
        [Verdict(item_id, place.annotator, sent.question_set, sent.version, sent.answers, rationale=sent.note,
                 seen_judge=sent.seen_judge, profile=place.queue.settings.profile)],
    )  # fmt: skip
    done.beside += 1


def _same(sent: SentDecision, here: Decision) -> bool:
    if sent.state is not here.state:
        return False
    return sent.state is not CardState.LABEL or _words(sent) == _words(here)


def _words(decision: SentDecision | Decision) -> str:
    answers = decision.answers if isinstance(decision, SentDecision) else _answers(decision)
    said = ", ".join(f"{name}={answer.value}" for name, answer in sorted(answers.items()) if answer.value is not None)
    return said or decision.state.value


def _answers(decision: Decision) -> Mapping[str, Any]:
    return {} if decision.verdict is None else decision.verdict.answers
