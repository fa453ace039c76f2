"""Has the same question been answered already? Answers at temperature 0 are kept and given again.

Reading goes straight to the store; what is new waits in `unwritten` for the writer's next commit group, so that the
cache never costs a transaction of its own.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from refusal_tui.llm.request import Reply, Rung, TokenLogprob, Usage
from refusal_tui.store.ledger import CachedReply, cached_reply

_KEPT = ("text", "finish_reason", "refusal", "model_returned", "rung")  # beside the two that have fields of their own


@dataclass(slots=True)
class ReplyCache:
    """`connection` may be None: then only this process's own answers are known.

    `get` and `put` belong to the event loop, `unwritten` and `wrote` to the writer's thread. An answer can be found
    all the time: among the new ones, among those that are being written, then in the store.
    """

    connection: sqlite3.Connection | None = None
    _new: dict[bytes, CachedReply] = field(default_factory=dict)
    _hits: Counter[bytes] = field(default_factory=Counter)
    _writing: dict[bytes, CachedReply] = field(default_factory=dict)
    _hits_writing: Counter[bytes] = field(default_factory=Counter)
    _dropped: set[bytes] = field(default_factory=set)
    _dropping: set[bytes] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: bytes) -> Reply | None:
        with self._lock:
            found = self._new.get(key) or self._writing.get(key)
        if found is None and self.connection is not None:
            found = cached_reply(self.connection, key)
        if found is None:
            return None
        with self._lock:
            self._hits[key] += 1
        return reply_from_json(found.text)

    def put(self, key: bytes, reply: Reply) -> None:
        usage = reply.usage
        text = reply_to_json(reply)
        with self._lock:
            self._new[key] = CachedReply(key, text, usage.prompt_tokens, usage.completion_tokens)

    def drop(self, key: bytes) -> None:
        """Do not keep this answer after all: it is of no use, and another try should really ask."""
        with self._lock:
            self._new.pop(key, None)
            self._writing.pop(key, None)
            self._dropped.add(key)  # the writer may have been faster

    def unwanted(self) -> list[bytes]:
        """What `store/ledger.py: drop_cached` has to delete, after `unwritten` was written."""
        with self._lock:
            self._dropping |= self._dropped
            self._dropped.clear()
            return list(self._dropping)

    def unwritten(self) -> tuple[list[CachedReply], dict[bytes, int]]:
        """What has to be written by `store/ledger.py: add_cached`: new answers, and hits by hash. The same and more
        when it is asked again before `wrote`."""
        with self._lock:
            self._writing.update(self._new)
            self._hits_writing.update(self._hits)
            self._new.clear()
            self._hits.clear()
            return list(self._writing.values()), dict(self._hits_writing)

    def wrote(self) -> None:
        """What `unwritten` and `unwanted` gave is durable."""
        with self._lock:
            self._writing.clear()
            self._hits_writing.clear()
            self._dropping.clear()


def reply_to_json(reply: Reply) -> str:
    value: dict[str, Any] = {name: getattr(reply, name) for name in _KEPT}
    value["usage"] = {
        "prompt_tokens": reply.usage.prompt_tokens,
        "completion_tokens": reply.usage.completion_tokens,
    }
    value["logprobs"] = [{"token": p.token, "logprob": p.logprob, "top": p.top} for p in reply.logprobs]
    return json.dumps(value)


def reply_from_json(text: str) -> Reply:
    """The reply as it was, marked as cached."""
    value: dict[str, Any] = json.loads(text)
    value["usage"] = Usage(**value["usage"])
    value["rung"] = Rung(value["rung"])
    value["logprobs"] = tuple(
        TokenLogprob(p["token"], p["logprob"], tuple((t, q) for t, q in p["top"])) for p in value["logprobs"]
    )
    return replace(Reply(**value), cached=True)
