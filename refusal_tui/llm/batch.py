"""How are rows sent through the OpenAI Batch API, half the price and up to a day later, without losing a paid one?

Order of events: input file (fsynced) -> row `submitting` with our key -> upload -> creation with our key as metadata ->
row `submitted` with the provider's id. After a crash in between, `adopt_orphans` looks for our key at the provider;
what is not there was never created and is submitted again. Every row that was sent ends as a reply or a failure: rows
that appear in neither of the two result files are failures, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from refusal_tui.errors import RefusalTuiError, UnavailableError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.classify import failure_of_status, reply_of_body
from refusal_tui.llm.client import Client
from refusal_tui.llm.presets import Price
from refusal_tui.llm.request import CallFailure, Reply
from refusal_tui.store.batches import Batch, BatchState, add_batch, batches_of, mark_state, mark_submitted
from refusal_tui.store.ledger import RowKey

METADATA_KEY = "refusal_tui"
CUSTOM_ID_CHARS = 64  # the strictest provider's limit
ROWS_PER_BATCH = 10_000  # OpenAI allows 50,000 and 200 MB
_ENDED = {"completed", "expired", "cancelled"}
_UNDER_WAY = {"validating", "in_progress", "finalizing", "cancelling"}


class BatchRefused(UnavailableError):
    """The provider said no (a wrong key, a file it does not take): asking again now brings the same answer."""


@dataclass(frozen=True, slots=True)
class BatchedRow:
    """One request of a batch: its row and its body (`llm/ladder.py: wire_body`)."""

    key: RowKey
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MergedRow:
    """What a batch brought for one row. `cost_usd` at batch price; None: unknown, or not answered."""

    custom_id: str
    result: Reply | CallFailure
    cost_usd: float | None = None


def custom_id(key: RowKey) -> str:
    """`job:item:stage:k`, hashed when that is longer than providers allow.

    >>> custom_id(RowKey(3, 17, "judge", 1))
    '3:17:judge:1'
    """
    text = ":".join(map(str, key))
    return text if len(text) <= CUSTOM_ID_CHARS else hashlib.sha256(text.encode()).hexdigest()[:CUSTOM_ID_CHARS]


def question(name: str, body: Mapping[str, Any]) -> str:
    """What tells one request from another in a later run: what is asked, and of samples also for which row."""
    asked = hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return asked if body.get("temperature") == 0 else f"{name}/{asked}"


async def submit(
    client: Client,
    connection: sqlite3.Connection,
    rows: Sequence[BatchedRow],
    *,
    job_id: int,
    provider: str,
    folder: Path,
) -> Batch:
    """Send rows as one batch; `folder` keeps its files. Raises UnavailableError when the provider does not take it:
    the batch is then still `submitting`, and `adopt_orphans` goes on with it."""
    key = f"{job_id}-{uuid.uuid4().hex[:16]}"
    path = folder / f"batch-{key}.input.jsonl"
    sha = _write_input(path, rows)
    batch = Batch(key, job_id, provider, BatchState.SUBMITTING, str(path), sha, len(rows))
    add_batch(connection, batch)
    return await _create(client, connection, batch)


async def adopt_orphans(client: Client, connection: sqlite3.Connection, job_id: int, *, provider: str) -> list[Batch]:
    """Finish what a crash interrupted: find the job's `submitting` batches at the provider by our key, or send them
    again. Returns them as they are now."""
    known = [b for b in batches_of(connection, job_id) if b.provider == provider]
    orphans = {b.key: b for b in known if b.state is BatchState.SUBMITTING}
    adopted = await _found(client, connection, orphans)
    lost = [batch for key, batch in orphans.items() if key not in {one.key for one in adopted}]
    return adopted + [await _create(client, connection, batch) for batch in lost]


async def call_off(client: Client, connection: sqlite3.Connection, batches: Sequence[Batch]) -> int:
    """Ask the provider to cancel these batches of a job that is cancelled for good; returns how many it was asked for.
    Those that have ended there, and those that were written down and never created, are forgotten. Raises
    UnavailableError for one that could not be cancelled, once all others were tried."""
    orphans = {batch.key: batch for batch in batches if batch.state is BatchState.SUBMITTING}
    there = [batch for batch in batches if batch.key not in orphans]
    asked = 0
    trouble: RefusalTuiError | None = None
    try:
        there += await _found(client, connection, orphans)
        for key in orphans.keys() - {batch.key for batch in there}:
            mark_state(connection, key, BatchState.CALLED_OFF, note="never created")
    except UnavailableError as error:
        trouble = error
    for batch in there:
        try:
            with _sentences(client):
                seen = await client.sdk.batches.retrieve(str(batch.provider_batch_id))
                if seen.status in _UNDER_WAY - {"cancelling"}:  # of others it is refused
                    seen = await client.sdk.batches.cancel(seen.id)
                    asked += 1
        except UnavailableError as error:
            trouble = error
        else:
            mark_state(connection, batch.key, BatchState.CALLED_OFF, note=seen.status)
    if trouble is not None:
        raise trouble
    return asked


async def _found(client: Client, connection: sqlite3.Connection, orphans: Mapping[str, Batch]) -> list[Batch]:
    """Those of batches without a provider's id that the provider knows by our key."""
    if not orphans:
        return []
    found: dict[str, Batch] = {}
    with _sentences(client):
        async for seen in client.sdk.batches.list(limit=100):
            key = (seen.metadata or {}).get(METADATA_KEY)
            if key is not None and key in orphans and key not in found:
                found[key] = _submitted(connection, orphans[key], seen.id)
    return list(found.values())


async def poll(client: Client, connection: sqlite3.Connection, batch: Batch) -> Batch:
    """Look at the provider once; when the batch has ended, its result files are fetched beside its input."""
    if batch.state is not BatchState.SUBMITTED or batch.provider_batch_id is None:
        return batch
    with _sentences(client):
        seen = await client.sdk.batches.retrieve(batch.provider_batch_id)
        output: Path | None = None
        note: str = seen.status
        if seen.status in _UNDER_WAY:
            state = BatchState.SUBMITTED
        elif seen.status in _ENDED:
            state = BatchState.FINISHED
            output = await _fetch(client, batch, [seen.output_file_id, seen.error_file_id])
        else:
            errors = seen.errors.data if seen.errors is not None and seen.errors.data else []
            said = "; ".join(error.message or "" for error in errors)
            state, note = BatchState.FAILED, f"{seen.status}: {said}".rstrip(": ")
    path = None if output is None else str(output)
    mark_state(connection, batch.key, state, output_path=path, note=note)
    return replace(batch, state=state, output_path=path or batch.output_path, note=note, polled=time.time())


def merge(batch: Batch, price: Price | None = None) -> Iterator[MergedRow]:
    """Every row of a batch that has ended, exactly once, in the order of its input.

    Rows without an answer fail as `timeout` (the batch expired) or `server` (lost by the provider): both may be asked
    again. A batch that was refused as a whole fails every row as `bad_request`. Memory: the results of one batch.
    """
    results = dict(_results(batch.output_path, price)) if batch.output_path else {}
    for line in _lines(Path(batch.input_path)):
        row = json.loads(line)["custom_id"]
        yield results.get(row) or MergedRow(row, _missing(batch))


def input_rows(batch: Batch) -> Iterator[tuple[str, dict[str, Any]]]:
    """(custom id, body) of every request that a batch carries, in order."""
    for line in _lines(Path(batch.input_path)):
        entry = json.loads(line)
        yield entry["custom_id"], entry["body"]


def mark_merged(connection: sqlite3.Connection, batch: Batch) -> None:
    """To be called once every row's outcome is committed; merging twice before that is harmless (rows are keyed)."""
    mark_state(connection, batch.key, BatchState.MERGED, note=batch.note)


async def submit_all(
    client: Client,
    connection: sqlite3.Connection,
    rows: Iterable[BatchedRow],
    *,
    job_id: int,
    provider: str,
    folder: Path,
    rows_per_batch: int = ROWS_PER_BATCH,
) -> AsyncIterator[Batch]:
    """Rows as batches of at most `rows_per_batch`, one after the other; never holds more than one in memory."""
    group: list[BatchedRow] = []
    for row in rows:
        group.append(row)
        if len(group) == rows_per_batch:
            yield await submit(client, connection, group, job_id=job_id, provider=provider, folder=folder)
            group = []
    if group:
        yield await submit(client, connection, group, job_id=job_id, provider=provider, folder=folder)


async def _create(client: Client, connection: sqlite3.Connection, batch: Batch) -> Batch:
    with _sentences(client):
        with Path(batch.input_path).open("rb") as content:
            uploaded = await client.sdk.files.create(file=content, purpose="batch")
        created = await client.sdk.batches.create(
            input_file_id=uploaded.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={METADATA_KEY: batch.key},
        )
    return _submitted(connection, batch, created.id)


def _submitted(connection: sqlite3.Connection, batch: Batch, provider_batch_id: str) -> Batch:
    when = mark_submitted(connection, batch.key, provider_batch_id)
    return replace(batch, state=BatchState.SUBMITTED, provider_batch_id=provider_batch_id, submitted=when)


def _write_input(path: Path, rows: Sequence[BatchedRow]) -> str:
    """Write the request lines durably; returns their sha256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for row in rows:
            entry = {
                "custom_id": custom_id(row.key), "method": "POST", "url": "/v1/chat/completions", "body": row.body,
            }  # fmt: skip
            line = json.dumps(entry).encode() + b"\n"
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


async def _fetch(client: Client, batch: Batch, file_ids: Sequence[str | None]) -> Path:
    """Both result files in one file beside the input, complete or not there at all."""
    path = Path(batch.input_path.replace(".input.jsonl", ".output.jsonl"))
    draft = path.with_suffix(".part")
    with draft.open("wb") as file:
        for file_id in filter(None, file_ids):
            content = await client.sdk.files.content(file_id)
            file.write(content.content.rstrip(b"\n") + b"\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return path


def _results(path: str, price: Price | None) -> Iterator[tuple[str, MergedRow]]:
    for line in _lines(Path(path)):
        try:
            entry = json.loads(line)
            row = entry["custom_id"]
        except (ValueError, KeyError, TypeError):
            continue  # a line without a name: its row is missing, which `merge` reports
        result = _result(entry)
        cost = price.cost(result.usage, batch=True) if price is not None and isinstance(result, Reply) else None
        yield row, MergedRow(row, result, cost)


def _result(entry: Mapping[str, Any]) -> Reply | CallFailure:
    response = entry.get("response")
    if response:
        status, body = int(response.get("status_code") or 200), json.dumps(response.get("body"))
        return failure_of_status(status, {}, body) if status >= 400 else reply_of_body(body)
    error = entry.get("error") or {}
    code, message = str(error.get("code") or ""), str(error.get("message") or "no answer")
    expired = "expired" in code
    return CallFailure(ErrorClass.TIMEOUT if expired else ErrorClass.SERVER, message)


def _missing(batch: Batch) -> CallFailure:
    if batch.state is BatchState.FAILED:
        return CallFailure(ErrorClass.BAD_REQUEST, f"the provider refused the batch ({batch.note})")
    if batch.note in ("expired", "cancelled"):
        return CallFailure(ErrorClass.TIMEOUT, f"the batch was {batch.note} before this row was answered")
    return CallFailure(ErrorClass.SERVER, "the row is in neither of the batch's result files")


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from (line for line in file if line.strip())


@contextmanager
def _sentences(client: Client) -> Iterator[None]:
    """Turns what the SDK raises into the user's sentence."""
    import openai

    try:
        yield
    except openai.OpenAIError as error:
        raise _refused(client.base_url, client.failure_of(error)) from error


def _refused(base_url: str, failure: CallFailure) -> RefusalTuiError:
    step = "Set the right key" if failure.error_class is ErrorClass.AUTH else "Wait until it answers"
    kind = UnavailableError if failure.error_class.retryable else BatchRefused
    return kind(
        f"The batch service at {base_url} failed: {failure.message.rstrip('.')}.",
        f"{step}, then resume the job: nothing that was submitted is lost.",
    )
