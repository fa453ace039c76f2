"""What was asked, what did it cost, and what waits for another try?

Every try of every request is one row of `attempt`. The writers here run inside the caller's transaction, so that
attempts stand or fall with the outcomes of the same commit group (`store/outcomes.py`).
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from refusal_tui.labels.verdict import ErrorClass


class RowKey(NamedTuple):
    """Whose request it is: the identity of an outcome."""

    job_id: int = 0
    item_id: int = 0
    stage: str = ""
    k: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one request. Times are unix seconds; `cost_usd` None: the price or the usage is unknown.

    `raw` is kept where the answer could not be used, so that it can be read again without asking again.
    """

    key: RowKey
    n: int
    endpoint: str
    base_url: str
    model: str
    started: float
    ended: float
    status_code: int | None = None
    error_class: ErrorClass | None = None
    retry_after: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    request_hash: bytes | None = None
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class CachedReply:
    """An answer at temperature 0, kept under the hash of its request. `text` is JSON of the caller's making."""

    request_hash: bytes
    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Spent:
    """What a job has used so far, all attempts counted. `unpriced`: answered attempts whose cost is unknown."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Backoff(NamedTuple):
    """A row that waits: not before this unix time, after so many attempts."""

    not_before: float
    attempts: int


def add_attempts(connection: sqlite3.Connection, attempts: Iterable[Attempt]) -> None:
    """Append to the ledger, inside the caller's transaction."""
    connection.executemany(
        """INSERT INTO attempt (job_id, item_id, stage, k, n, endpoint, base_url, model, started, ended, status_code,
               error_class, retry_after, prompt_tokens, completion_tokens, cost_usd, request_hash, raw_gz)
           VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)""",
        (
            (
                *a.key, a.n, a.endpoint, a.base_url, a.model, a.started, a.ended, a.status_code,
                a.error_class.value if a.error_class else None, a.retry_after, a.prompt_tokens, a.completion_tokens,
                a.cost_usd, a.request_hash, None if a.raw is None else _pack(a.raw),
            )
            for a in attempts
        ),
    )  # fmt: skip


def add_attempts_once(connection: sqlite3.Connection, attempts: Iterable[Attempt]) -> None:
    """Append the attempts that the ledger does not hold yet, inside the caller's transaction: after a kill between a
    commit and the end of a side file they come twice."""
    add_attempts(
        connection,
        [
            one
            for one in attempts
            if not connection.execute(
                """SELECT 1 FROM attempt WHERE job_id = ? AND item_id = ? AND stage = ? AND k = ? AND n = ?
                     AND started = ?""",
                (*one.key, one.n, one.started),
            ).fetchone()
        ],
    )


def attempt_to_json(attempt: Attempt) -> dict[str, Any]:
    """An attempt as plain JSON; `attempt_from_json` gives it back."""
    digest = attempt.request_hash
    return asdict(attempt) | {"key": list(attempt.key), "request_hash": None if digest is None else digest.hex()}


def attempt_from_json(record: Mapping[str, Any]) -> Attempt:
    error_class, digest = record["error_class"], record["request_hash"]
    return Attempt(
        **dict(record)
        | {
            "key": RowKey(*record["key"]),
            "error_class": ErrorClass(error_class) if error_class else None,
            "request_hash": None if digest is None else bytes.fromhex(digest),
        }
    )


def spent_by(connection: sqlite3.Connection, job_id: int) -> Spent:
    row = connection.execute(
        """SELECT count(*), coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0),
                  coalesce(sum(cost_usd), 0.0),
                  coalesce(sum(cost_usd IS NULL AND status_code BETWEEN 200 AND 299), 0)
           FROM attempt WHERE job_id = ?""",
        (job_id,),
    ).fetchone()
    return Spent(*row)


def attempts_of(connection: sqlite3.Connection, job_id: int, item_id: int) -> list[Attempt]:
    """Every try of one item in one job, oldest first, with the raw answers that were kept."""
    rows = connection.execute("SELECT * FROM attempt WHERE job_id = ? AND item_id = ? ORDER BY id", (job_id, item_id))
    return [_attempt(row) for row in rows]


def attempt_starts(connection: sqlite3.Connection, job_id: int) -> set[tuple[RowKey, float]]:
    """Row and start of every attempt of a job: what is in the ledger already."""
    rows = connection.execute("SELECT item_id, stage, k, started FROM attempt WHERE job_id = ?", (job_id,))
    return {(RowKey(job_id, *row[:3]), row[3]) for row in rows}


def unread_answers(connection: sqlite3.Connection, job_id: int) -> list[Attempt]:
    """Answers that arrived but could not be read (class `parse`): to be read again without a request."""
    rows = connection.execute(
        "SELECT * FROM attempt WHERE job_id = ? AND error_class = ? AND raw_gz IS NOT NULL ORDER BY id",
        (job_id, ErrorClass.PARSE.value),
    )
    return [_attempt(row) for row in rows]


def cached_reply(connection: sqlite3.Connection, request_hash: bytes) -> CachedReply | None:
    row = connection.execute("SELECT response_gz, usage FROM request_cache WHERE hash = ?", (request_hash,)).fetchone()
    if row is None:
        return None
    prompt_tokens, completion_tokens = json.loads(row["usage"])
    return CachedReply(request_hash, _unpack(row["response_gz"]), prompt_tokens, completion_tokens)


def add_cached(
    connection: sqlite3.Connection, replies: Iterable[CachedReply], hits: Mapping[bytes, int] | None = None
) -> None:
    """Keep answers and count the hits of earlier ones, inside the caller's transaction. The first answer stays."""
    now = time.time()
    connection.executemany(
        "INSERT INTO request_cache (hash, response_gz, usage, created) VALUES (?,?,?,?) ON CONFLICT (hash) DO NOTHING",
        ((r.request_hash, _pack(r.text), json.dumps([r.prompt_tokens, r.completion_tokens]), now) for r in replies),
    )
    if hits:
        connection.executemany(
            "UPDATE request_cache SET hits = hits + ? WHERE hash = ?", [(n, key) for key, n in hits.items()]
        )


def drop_cached(connection: sqlite3.Connection, hashes: Iterable[bytes]) -> None:
    """Forget answers that turned out to be of no use, inside the caller's transaction."""
    connection.executemany("DELETE FROM request_cache WHERE hash = ?", ((key,) for key in hashes))


def set_backoff(connection: sqlite3.Connection, waiting: Mapping[RowKey, Backoff]) -> None:
    """Remember when each row may be tried again, inside the caller's transaction."""
    connection.executemany(
        "INSERT OR REPLACE INTO backoff (job_id, item_id, stage, k, not_before, attempts) VALUES (?,?,?,?,?,?)",
        [(*key, *backoff) for key, backoff in waiting.items()],
    )


def clear_backoff(connection: sqlite3.Connection, keys: Sequence[RowKey]) -> None:
    """Forget rows that have their outcome, inside the caller's transaction."""
    connection.executemany("DELETE FROM backoff WHERE job_id = ? AND item_id = ? AND stage = ? AND k = ?", keys)


def backoffs_of(connection: sqlite3.Connection, job_id: int) -> dict[RowKey, Backoff]:
    rows = connection.execute("SELECT * FROM backoff WHERE job_id = ?", (job_id,))
    return {
        RowKey(r["job_id"], r["item_id"], r["stage"], r["k"]): Backoff(r["not_before"], r["attempts"]) for r in rows
    }


def _attempt(row: sqlite3.Row) -> Attempt:
    return Attempt(
        key=RowKey(row["job_id"], row["item_id"], row["stage"], row["k"]),
        n=row["n"],
        endpoint=row["endpoint"],
        base_url=row["base_url"],
        model=row["model"],
        started=row["started"],
        ended=row["ended"],
        status_code=row["status_code"],
        error_class=ErrorClass(row["error_class"]) if row["error_class"] else None,
        retry_after=row["retry_after"],
        prompt_tokens=row["prompt_tokens"],
        completion_tokens=row["completion_tokens"],
        cost_usd=row["cost_usd"],
        request_hash=row["request_hash"],
        raw=None if row["raw_gz"] is None else _unpack(row["raw_gz"]),
    )


def _pack(text: str) -> bytes:
    return gzip.compress(text.encode("utf-8", "surrogatepass"), compresslevel=1, mtime=0)


def _unpack(packed: bytes) -> str:
    return gzip.decompress(packed).decode("utf-8", "surrogatepass")
