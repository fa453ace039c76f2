"""OpenAssistant/oasst1: message trees written by volunteers (Köpf et al. 2023, arXiv:2304.07327). No refusal labels.

Three published forms: tree files (`{message_tree_id, prompt: {..., replies: [...]}}`), message files that are still
nested, and the Hub's flat rows (one message each, `parent_id` points up). Every assistant message becomes one item:
its thread up to the message above is the prompt. Deleted messages, and what hangs below them, are left out.
`meta["rank"]` 0 is the answer that people liked best; `answers=best` keeps only those.

Flat rows may come in any order, so all messages read so far are held in memory (oasst1: 88,838 messages, about
100 MB): the one adapter whose memory grows with its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from refusal_tui.ingest.adapters.base import Adapter, Shape, rejected, rest, text, word
from refusal_tui.ingest.items import BadRow, Options, Record, Rejected, SourceItem
from refusal_tui.labels.rows import Message

_ROLES = {"prompter": "user", "assistant": "assistant"}
_READ = frozenset({"message_id", "text", "role", "replies", "deleted", "model_name"})

Thread = tuple[Message, ...]


def convert(rows: Iterable[Record | Rejected], options: Options) -> Iterator[SourceItem | Rejected]:
    best_only = options.get("answers") == "best"
    flat = _FlatRows(best_only)
    for row in rows:
        if isinstance(row, Rejected):
            yield row
            continue
        try:
            if "prompt" in row.data or isinstance(row.data.get("replies"), list):
                yield from list(_tree_items(row, best_only))
            else:
                yield from flat.add(row)
        except BadRow as error:
            yield rejected(row, str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            yield rejected(row, f"the row has not the expected form ({type(error).__name__}: {error})")
    yield from flat.orphans()


def _tree_items(record: Record, best_only: bool) -> Iterator[SourceItem]:
    """The items of one nested tree, parents before children."""
    row = record.data
    root = row.get("prompt", row)
    if not isinstance(root, dict):
        raise BadRow("column prompt holds no message")
    tree: dict[str, Any] = {name: row[name] for name in ("message_tree_id", "tree_state") if name in row}
    waiting: list[tuple[dict[str, Any], Thread]] = [(root, ())]
    while waiting:  # a list, not recursion: a hostile tree may be deep
        message, above = waiting.pop()
        if _deleted(message):
            continue
        thread = (*above, _message(message))
        if thread[-1].role == "assistant" and above and _wanted(message, best_only):
            yield _item(message, above, tree, record.origin.split)
        replies = message.get("replies") or []
        waiting += [(reply, thread) for reply in reversed(replies)]


class _FlatRows:
    """Threads rebuilt from single messages by `parent_id`."""

    def __init__(self, best_only: bool) -> None:
        self._best_only = best_only
        # message_id -> (parent_id, message); None for a deleted message and for all that hangs below it
        self._known: dict[str, tuple[str | None, Message] | None] = {}
        self._waiting: dict[str, list[Record]] = {}  # parent_id -> messages that came before their parent

    def add(self, record: Record) -> Iterator[SourceItem | Rejected]:
        """The items that this message completes: its own, and those of messages that waited for it."""
        ready = [record]
        while ready:
            one = ready.pop()
            row = one.data
            message_id, parent_id = text(row, "message_id"), word(row, "parent_id")
            if parent_id is not None and parent_id not in self._known:
                self._waiting.setdefault(parent_id, []).append(one)
                continue
            if message_id in self._known:
                yield rejected(one, f"the message_id {message_id} occurs twice")
                continue
            lost = _deleted(row) or (parent_id is not None and self._known[parent_id] is None)
            try:
                self._known[message_id] = None if lost else (parent_id, _message(row))
                if not lost and parent_id and row["role"] == "assistant" and _wanted(row, self._best_only):
                    yield _item(row, self._thread(parent_id), {}, one.origin.split)
            except BadRow as error:
                self._known[message_id] = None
                yield rejected(one, str(error))
            ready += reversed(self._waiting.pop(message_id, ()))

    def orphans(self) -> Iterator[Rejected]:
        """The messages whose parent never came."""
        for parent_id, records in self._waiting.items():
            for record in records:
                yield rejected(record, f"the parent message {parent_id} is not in the source")

    def _thread(self, message_id: str | None) -> Thread:
        turns: list[Message] = []
        while message_id is not None and (node := self._known[message_id]) is not None:
            message_id, message = node
            turns.append(message)
        return tuple(reversed(turns))


def _deleted(message: Mapping[str, Any]) -> bool:
    return message.get("deleted") in (True, "True", "true", "TRUE")


def _wanted(message: Mapping[str, Any], best_only: bool) -> bool:
    return not best_only or message.get("rank") in (0, "0", 0.0)


def _message(row: Mapping[str, Any]) -> Message:
    role = row.get("role")
    if role not in _ROLES:
        raise BadRow(f"column role holds {role!r}; known are {', '.join(_ROLES)}")
    return Message(_ROLES[role], text(row, "text"))


def _item(message: dict[str, Any], above: Thread, tree: dict[str, Any], split: str | None) -> SourceItem:
    prompt = above[0].content if len(above) == 1 and above[0].role == "user" else above
    meta = {**tree, **rest(message, _READ)}
    return SourceItem(
        word(message, "message_id"), prompt, message["text"], word(message, "model_name"), split, None, meta
    )


ADAPTER = Adapter(
    name="oasst1",
    version="1",
    title="OpenAssistant conversations",
    hub_id="OpenAssistant/oasst1",
    licence="Apache-2.0",
    gated=False,
    redistribution="full",
    eval_only=False,
    size="84,437 + 4,401 messages",
    splits=("train", "validation"),
    citation="Köpf et al. 2023, arXiv:2304.07327",
    notes="No refusal labels. Many languages (meta lang). Tree and message exports are read, too.",
    shapes=(
        Shape("tree", {"message_tree_id": "text", "tree_state": "text", "prompt": "object"}),
        Shape("message", {"message_id": "text", "text": "text", "role": "text", "replies": "list"}),
        Shape(
            "flat",
            {
                "message_id": "text",
                "parent_id": "text?",
                "text": "text",
                "role": "text",
                "rank": "number|int?",
                "message_tree_id": "text",
            },
        ),
    ),
    options={"answers": ("all", "best")},
    convert=convert,
    stands_alone=False,
)
