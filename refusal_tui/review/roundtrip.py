"""How does a queue travel to somebody who has no access to this machine, and back? One JSONL file.

The first line says what the file is: format, workspace, queue and its settings, and a fingerprint of the cards. Then
one line per card with its whole text, and one per decision. A card is told by its content (sha256 of prompt, response
and model, as in the store), never by a row number: numbers differ between workspaces. What judges said is not in the
file, so that labelling elsewhere is as blind as here.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.labels.derive import derive
from refusal_tui.labels.rows import ItemId, Message, Row
from refusal_tui.labels.verdict import Answer, Profile, Verdict
from refusal_tui.store.datasets import get_dataset
from refusal_tui.store.items import content_hash, fetch_rows
from refusal_tui.store.prompts import stored_prompt
from refusal_tui.store.review_answers import Decision, decisions
from refusal_tui.store.review_queues import Purpose, Queue, QueueItem, QueueSettings, View, get_queue, queue_items
from refusal_tui.store.review_work import CardState

FORMAT, VERSION = "refusal-tui review", 1


@dataclass(frozen=True, slots=True)
class SentCard:
    """A card with its text. `content` is the hash that tells the row in every workspace."""

    position: int
    content: str
    dataset: str
    key: str
    model: str | None
    category: str | None
    split: str | None
    prompt: str | tuple[Message, ...]
    response: str | None
    stratum: str
    inclusion: float | None
    wanted: int
    repeat_of: int | None


@dataclass(frozen=True, slots=True)
class SentDecision:
    """What one person said about one card. `state` is label or skip, or open for a flag or a note alone."""

    position: int
    content: str
    annotator: str
    state: CardState
    answers: dict[str, Answer]
    question_set: str
    version: str
    seen_judge: bool
    flagged: bool
    note: str | None
    seconds: float | None
    created: float | None


@dataclass(frozen=True, slots=True)
class Package:
    """A file that was read: where it comes from, the queue, its cards and what was said about them.

    `settings` None: the file (of another tool) only holds decisions for a queue that must be here.
    """

    workspace: str
    queue: str
    settings: QueueSettings | None
    terms: dict[str, Any]
    cards: tuple[SentCard, ...]
    decisions: tuple[SentDecision, ...]


def queue_records(
    connection: sqlite3.Connection,
    name: str,
    *,
    workspace: str,
    program: str,
    blank: bool = False,
    annotators: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """The lines of the file: header, cards, decisions. `blank` leaves out the decisions, `annotators` all but theirs.

    `workspace` and `program` are for the record. Raises InputError for an unknown queue.
    """
    queue = get_queue(connection, name)
    cards = sent_cards(connection, queue)
    said = [] if blank else [d for d in decisions(connection, queue) if not annotators or d.annotator in annotators]
    yield {
        "record": "queue", "format": FORMAT, "version": VERSION, "program": program, "workspace": workspace,
        "queue": queue.name, "created": queue.created, "fingerprint": fingerprint(cards), "cards": len(cards),
        "decisions": len(said), "settings": asdict(queue.settings), "terms": _terms(connection, cards),
    }  # fmt: skip
    for card in cards:
        yield {"record": "card", **_card_record(card)}
    content = {card.position: card.content for card in cards}
    for decision in said:
        yield {"record": "decision", **_decision_record(decision, content[decision.item.position])}


def sent_cards(connection: sqlite3.Connection, queue: Queue) -> list[SentCard]:
    """The cards of a queue with their text, by position."""
    items = queue_items(connection, queue.id)
    rows = {row.item_id: row for row in fetch_rows(connection, [item.item_id for item in items])}
    return [_sent_card(item, rows[item.item_id]) for item in items]


def content_of(prompt: str | tuple[Message, ...], response: str | None, model: str | None) -> str:
    """The hash that the store knows a row by, in hexadecimal digits."""
    return content_hash(stored_prompt(prompt).hash, response, model).hex()


def fingerprint(cards: Iterable[SentCard]) -> str:
    """The same for two queues that show the same rows in the same order."""
    text = "".join(f"{card.position}:{card.content}:{card.repeat_of}\n" for card in cards)
    return hashlib.sha256(text.encode()).hexdigest()


def read_package(lines: Iterable[str]) -> Package:
    """A file that `queue_records` wrote, checked as if a stranger had written it.

    Raises InputError with the line's number for anything that is not such a file, or was changed since.
    """
    header: dict[str, Any] | None = None
    cards: list[SentCard] = []
    said: list[SentDecision] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            kind = record["record"]
            if header is None:
                header = _checked_header(record)
            elif kind == "card":
                cards.append(_card(record))
            elif kind == "decision":
                said.append(_decision(record))
            else:
                raise ValueError(f"a record of kind {kind!r}")
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            why = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"Line {number} is not that of a review file: {why}.", "Export the queue again: review export"
            ) from None
    if header is None:
        raise InputError("The file is empty.", "Export a queue first: refusal-tui review export QUEUE FILE")
    if header["fingerprint"] != fingerprint(cards):
        raise InputError(
            f"The cards are not those that were exported ({len(cards)} of {header['cards']} are there).",
            "The file was cut off or changed on its way; ask for it again.",
        )
    settings = _settings(header["settings"])
    return Package(str(header["workspace"]), header["queue"], settings, header.get("terms") or {}, tuple(cards),
                   tuple(said))  # fmt: skip


# --- writing -------------------------------------------------------------------------------------------------------


def _sent_card(item: QueueItem, row: Row) -> SentCard:
    prompt = row.messages or row.prompt
    return SentCard(
        item.position, content_of(prompt, row.response, row.model), row.dataset, row.key, row.model, row.category,
        row.split, prompt, row.response, item.stratum, item.inclusion, item.wanted, item.repeat_of,
    )  # fmt: skip


def _card_record(card: SentCard) -> dict[str, Any]:
    record = {field.name: getattr(card, field.name) for field in fields(card)}
    if not isinstance(card.prompt, str):
        record["prompt"] = [{"role": turn.role, "content": turn.content} for turn in card.prompt]
    return record


def _decision_record(decision: Decision, content: str) -> dict[str, Any]:
    verdict = decision.verdict
    return {
        "position": decision.item.position, "content": content, "annotator": decision.annotator,
        "state": decision.state.value,
        "answers": {} if verdict is None
        else {name: {"value": a.value, "probability": a.probability} for name, a in verdict.answers.items()},
        "question_set": "" if verdict is None else verdict.question_set,
        "version": "" if verdict is None else verdict.version,
        "seen_judge": verdict is not None and verdict.seen_judge,
        "flagged": decision.flagged, "note": decision.note, "seconds": decision.seconds, "created": decision.created,
    }  # fmt: skip


def _terms(connection: sqlite3.Connection, cards: Sequence[SentCard]) -> dict[str, Any]:
    """The strictest terms of the data sets that the cards come from."""
    sources = [get_dataset(connection, name).provenance for name in dict.fromkeys(card.dataset for card in cards)]
    strictness = ("none", "labels-only", "full")
    said = [s.redistribution for s in sources if s.redistribution in strictness]
    return {
        "licence": "; ".join(dict.fromkeys(s.licence for s in sources if s.licence)) or None,
        "redistribution": min(said, key=strictness.index) if said else None,
        "eval_only": any(s.eval_only for s in sources),
    }


# --- reading -------------------------------------------------------------------------------------------------------


def _checked_header(record: dict[str, Any]) -> dict[str, Any]:
    if record.get("record") != "queue" or record.get("format") != FORMAT:
        raise InputError("This is not a review file.", "Write one with: refusal-tui review export QUEUE FILE")
    if record.get("version") != VERSION:
        raise InputError(
            f"The file has version {record.get('version')} of the format; this program reads {VERSION}.",
            "Use the same version of refusal-tui on both sides.",
        )
    for name in ("queue", "fingerprint", "cards", "settings", "workspace"):
        record[name]
    return record


def _settings(said: dict[str, Any]) -> QueueSettings:
    known = {field.name for field in fields(QueueSettings)}
    values = {name: value for name, value in said.items() if name in known}
    try:
        values["profile"], values["view"] = Profile(values["profile"]), View(values["view"])
        values["purpose"] = Purpose(values["purpose"])
        return QueueSettings(**values)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"The queue's settings cannot be read: {error}.", "Export the queue again.") from None


def _card(record: dict[str, Any]) -> SentCard:
    prompt = record["prompt"]
    if not isinstance(prompt, str):
        prompt = tuple(Message(turn["role"], turn["content"]) for turn in prompt)
    card = SentCard(
        int(record["position"]), record["content"], record["dataset"], str(record["key"]), record["model"],
        record["category"], record["split"], prompt, record["response"], str(record["stratum"]),
        None if record["inclusion"] is None else float(record["inclusion"]), int(record["wanted"]),
        record["repeat_of"],
    )  # fmt: skip
    if content_of(card.prompt, card.response, card.model) != card.content:
        raise ValueError("the text is not the one that was exported")
    return card


def _decision(record: dict[str, Any]) -> SentDecision:
    answers = {
        name: Answer(_plain(answer["value"]), answer.get("probability")) for name, answer in record["answers"].items()
    }
    decision = SentDecision(
        int(record["position"]), record["content"], record["annotator"], CardState(record["state"]), answers,
        record["question_set"], record["version"], bool(record["seen_judge"]), bool(record["flagged"]),
        record["note"], record["seconds"], record["created"],
    )  # fmt: skip
    check_decision(decision)
    return decision


def check_decision(decision: SentDecision) -> None:
    """Raise ValueError for an annotator who is nobody, or an answer that its question does not take."""
    side, _, name = decision.annotator.partition(":")
    if side != "human" or not name.strip():
        raise ValueError(f"the annotator {decision.annotator[:80]!r} is not human:NAME")
    if decision.state is CardState.LABEL and not decision.answers:
        raise ValueError("a label without an answer")
    try:
        derive(Verdict(ItemId(0), decision.annotator, decision.question_set, decision.version, decision.answers))
    except InputError as error:
        raise ValueError(str(error)) from None


def _plain(value: Any) -> str | bool | None:
    if value is None or isinstance(value, (str, bool)):
        return value
    raise ValueError("an answer is neither a text nor true or false")
