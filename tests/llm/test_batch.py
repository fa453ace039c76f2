"""The Batch API: nothing that was paid for is lost, every row ends."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import UnavailableError
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.batch import (
    BatchedRow,
    MergedRow,
    adopt_orphans,
    custom_id,
    mark_merged,
    merge,
    poll,
    submit,
    submit_all,
)
from refusal_tui.llm.client import Client
from refusal_tui.llm.ladder import wire_body
from refusal_tui.llm.presets import Price
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply
from refusal_tui.store.batches import BatchState, batches_of
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.workspace import create_workspace
from tests.support.loopback import Loopback

ROWS = [
    BatchedRow(RowKey(1, n, "judge"), wire_body(ChatRequest((Message("user", f"[row {n}] Hm?"),)), model="loopback-1"))
    for n in range(6)
]
IDS = [custom_id(row.key) for row in ROWS]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(create_workspace(tmp_path / "ws").open()) as opened:
        yield opened


@pytest.fixture
async def server() -> AsyncIterator[Loopback]:
    async with Loopback() as running:
        yield running


@pytest.fixture
async def client(server: Loopback) -> AsyncIterator[Client]:
    made = Client(server.base_url)
    yield made
    await made.close()


async def run_batch(
    server: Loopback, client: Client, connection: sqlite3.Connection, folder: Path, **end: object
) -> list[MergedRow]:
    batch = await submit(client, connection, ROWS, job_id=1, provider="blorp", folder=folder)
    server.batches.finish(str(batch.provider_batch_id), **end)  # type: ignore[arg-type]
    batch = await poll(client, connection, batch)
    assert batch.state is BatchState.FINISHED
    return list(merge(batch, Price(1.0, 2.0, 0.5, 1.0)))


async def test_answers_come_back_to_their_rows_whatever_order_the_provider_keeps(
    server: Loopback, client: Client, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    merged = await run_batch(server, client, connection, tmp_path)
    assert [row.custom_id for row in merged] == IDS
    assert [row.result.text.split(":")[0] for row in merged if isinstance(row.result, Reply)] == [
        f"About {n}" for n in range(6)
    ]


async def test_the_cost_is_at_batch_price(
    server: Loopback, client: Client, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    merged = await run_batch(server, client, connection, tmp_path)
    for row in merged:
        assert isinstance(row.result, Reply)
        usage = row.result.usage
        assert usage.prompt_tokens is not None and usage.completion_tokens is not None
        assert row.cost_usd == pytest.approx((usage.prompt_tokens * 0.5 + usage.completion_tokens * 1.0) / 1e6)


async def test_failed_and_lost_rows_end_as_failures_of_their_own(
    server: Loopback, client: Client, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    merged = await run_batch(server, client, connection, tmp_path, fail=[IDS[1]], lose=[IDS[4]])
    kinds = [r.result.error_class if isinstance(r.result, CallFailure) else None for r in merged]
    assert kinds == [None, ErrorClass.CONTEXT_LENGTH, None, None, ErrorClass.SERVER, None]


async def test_what_an_expired_batch_answered_is_kept_and_the_rest_may_be_asked_again(
    server: Loopback, client: Client, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    merged = await run_batch(server, client, connection, tmp_path, status="expired", unanswered=IDS[2:5], lose=[IDS[5]])
    kinds = [r.result.error_class if isinstance(r.result, CallFailure) else None for r in merged]
    assert kinds == [None, None, *[ErrorClass.TIMEOUT] * 4]


async def test_a_batch_that_is_under_way_stays_so(
    client: Client, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    batch = await submit(client, connection, ROWS, job_id=1, provider="blorp", folder=tmp_path)
    batch = await poll(client, connection, batch)
    assert batch.state is BatchState.SUBMITTED and batch.note == "in_progress"


async def test_the_row_is_written_before_anything_is_sent(
    server: Loopback, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    client = Client(server.base_url)
    await server.die()
    with pytest.raises(UnavailableError, match="batch service"):
        await submit(client, connection, ROWS, job_id=1, provider="blorp", folder=tmp_path)
    await client.close()
    (batch,) = batches_of(connection, 1)
    assert batch.state is BatchState.SUBMITTING and batch.n == 6
    assert hashlib.sha256(Path(batch.input_path).read_bytes()).hexdigest() == batch.input_sha


async def test_a_crash_between_creation_and_its_record_is_mended_without_paying_twice(
    server: Loopback, client: Client, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    for _ in range(3):  # others' batches, so that pages have to be turned
        await submit(client, connection, ROWS[:1], job_id=2, provider="blorp", folder=tmp_path)
    await submit(client, connection, ROWS, job_id=1, provider="blorp", folder=tmp_path)
    for _ in range(3):
        await submit(client, connection, ROWS[:1], job_id=2, provider="blorp", folder=tmp_path)
    connection.execute("UPDATE batch SET state = 'submitting', provider_batch_id = NULL WHERE job_id = 1")
    (adopted,) = await adopt_orphans(client, connection, 1, provider="blorp")
    assert adopted.provider_batch_id == "batch_4" and adopted.state is BatchState.SUBMITTED
    assert len(server.batches.batches) == 7


async def test_a_crash_before_creation_is_mended_by_sending_again(
    server: Loopback, client: Client, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    server.batches.fail_creation = True
    with pytest.raises(UnavailableError):
        await submit(client, connection, ROWS, job_id=1, provider="blorp", folder=tmp_path)
    (again,) = await adopt_orphans(client, connection, 1, provider="blorp")
    assert again.state is BatchState.SUBMITTED
    assert [batch.state for batch in batches_of(connection, 1)] == [BatchState.SUBMITTED]
    assert len(server.batches.batches) == 1
    assert await adopt_orphans(client, connection, 1, provider="blorp") == []


async def test_many_rows_become_several_batches(client: Client, connection: sqlite3.Connection, tmp_path: Path) -> None:
    async for batch in submit_all(
        client, connection, ROWS, job_id=1, provider="blorp", folder=tmp_path, rows_per_batch=4
    ):
        mark_merged(connection, batch)
    assert sorted((batch.n, batch.state) for batch in batches_of(connection, 1)) == [
        (2, BatchState.MERGED),
        (4, BatchState.MERGED),
    ]


def test_long_ids_are_hashed_to_what_providers_allow() -> None:
    assert custom_id(RowKey(3, 17, "judge", 1)) == "3:17:judge:1"
    long = [custom_id(RowKey(3, n, "stage" * 20, 1)) for n in (1, 2)]
    assert [len(text) for text in long] == [64, 64] and long[0] != long[1]
