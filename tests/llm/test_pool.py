"""The pool between a job and its servers: nothing lost, nothing sent twice, everything written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.cache import ReplyCache
from refusal_tui.llm.limits import Budget, PauseJob
from refusal_tui.llm.pool import Pool
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Sampling
from refusal_tui.store.endpoints import Endpoint
from refusal_tui.store.ledger import Attempt, Backoff, RowKey
from tests.support.fake_clock import FakeClock
from tests.support.loopback import Loopback, Settings
from tests.support.loopback_faults import FLAKY, Faults


def endpoint(*servers: Loopback, **options: object) -> Endpoint:
    return Endpoint("blorp", "custom", tuple(s.base_url for s in servers), "loopback-1", options=options)


def row(number: int, *, temperature: float = 0.0) -> ChatRequest:
    text = f"[row {number}] Is this a refusal?"
    return ChatRequest((Message("user", text),), Sampling(temperature=temperature, max_tokens=32))


async def ask_all(pool: Pool, numbers: range) -> list[Reply | CallFailure]:
    return list(await asyncio.gather(*(pool.ask(row(n), RowKey(1, n)) for n in numbers)))


async def test_a_flaky_server_loses_no_row_and_every_try_is_in_the_ledger() -> None:
    attempts: list[Attempt] = []
    clock = FakeClock()
    async with (
        Loopback(Settings(faults=FLAKY, seed=3)) as server,
        Pool(endpoint(server), record=attempts.append, clock=clock.clock) as pool,
    ):
        (replies,) = await clock.run(ask_all(pool, range(300)))
    assert [reply.text.split(":")[0] for reply in replies] == [f"About {n}" for n in range(300)]  # type: ignore[attr-defined]
    assert sum(server.stats.answered.values()) == 300
    assert len(attempts) == server.stats.requests > 300
    assert sum(1 for a in attempts if a.error_class is None) == 300
    assert {a.error_class for a in attempts} == {None, ErrorClass.RATE_LIMIT, ErrorClass.SERVER}


async def test_identical_requests_at_temperature_0_are_sent_once() -> None:
    async with Loopback(Settings(latency=0.01)) as server, Pool(endpoint(server)) as pool:
        replies = await asyncio.gather(*(pool.ask(row(1), RowKey(1, n)) for n in range(10)))
    assert server.stats.requests == 1
    assert len({reply.text for reply in replies if isinstance(reply, Reply)}) == 1
    assert sum(1 for reply in replies if isinstance(reply, Reply) and reply.cached) == 9


async def test_a_refused_key_is_not_tried_again_for_every_row() -> None:
    async with Loopback(Settings(api_key="blorp")) as server, Pool(endpoint(server, concurrency=4)) as pool:
        failures = await ask_all(pool, range(50))
    assert {f.error_class for f in failures if isinstance(f, CallFailure)} == {ErrorClass.AUTH}
    assert len(failures) == 50 and server.stats.statuses[401] <= 4


async def test_samples_above_temperature_0_are_all_sent() -> None:
    async with Loopback() as server, Pool(endpoint(server)) as pool:
        await asyncio.gather(*(pool.ask(row(1, temperature=1.0), RowKey(1, n)) for n in range(10)))
    assert server.stats.requests == 10


async def test_when_the_first_of_identical_requests_is_cancelled_another_one_asks() -> None:
    async with Loopback(Settings(latency=0.02)) as server, Pool(endpoint(server)) as pool:
        first = asyncio.create_task(pool.ask(row(1)))
        await asyncio.sleep(0)
        second = asyncio.create_task(pool.ask(row(1)))
        await asyncio.sleep(0)
        first.cancel()
        reply = await second
    assert isinstance(reply, Reply) and not reply.cached
    assert first.cancelled()


async def test_a_later_run_is_answered_from_the_cache() -> None:
    cache = ReplyCache()
    async with Loopback() as server:
        async with Pool(endpoint(server), cache=cache) as pool:
            asked = await pool.ask(row(1))
        async with Pool(endpoint(server), cache=cache) as pool:
            again = await pool.ask(row(1))
    assert isinstance(asked, Reply) and isinstance(again, Reply)
    assert (again.text, again.cached, server.stats.requests) == (asked.text, True, 1)
    new, hits = cache.unwritten()
    assert len(new) == 1 and sum(hits.values()) == 1


async def test_load_is_balanced_over_replicas() -> None:
    async with (
        Loopback(Settings(latency=0.01)) as a,
        Loopback(Settings(latency=0.01)) as b,
        Pool(endpoint(a, b)) as pool,
    ):
        await ask_all(pool, range(80))
    assert abs(a.stats.requests - b.stats.requests) <= 8


async def test_a_replica_that_dies_loses_no_row_and_one_that_comes_back_is_used_again() -> None:
    clock = FakeClock()
    slow = Settings(latency=0.005)
    async with Loopback(slow) as a, Loopback(slow) as b, Pool(endpoint(a, b), clock=clock.clock) as pool:
        asking = asyncio.create_task(clock.run(ask_all(pool, range(200))))
        while a.stats.requests < 20:
            await asyncio.sleep(0)
        await a.die()
        (replies,) = await asking
        assert all(isinstance(reply, Reply) for reply in replies)  # type: ignore[attr-defined]
        before = a.stats.requests
        await a.start()
        while pool.status().replicas[0].alive is False:
            clock.advance_to_next()
            await asyncio.sleep(0.005)
        await clock.run(ask_all(pool, range(200, 240)))
        assert a.stats.requests > before
    answered = a.stats.answered + b.stats.answered
    assert set(answered) == {str(n) for n in range(240)}


async def test_without_any_server_the_job_pauses_with_the_reason() -> None:
    clock = FakeClock()
    async with Loopback() as server:
        pass  # it is gone again
    async with Pool(endpoint(server), clock=clock.clock, patience=60) as pool:
        (error,) = await clock.run(pool.ask(row(1)))
    assert isinstance(error, PauseJob) and server.base_url in str(error)
    assert clock.time >= 1060


async def test_a_lone_server_that_restarts_is_waited_for() -> None:
    clock = FakeClock()
    async with Loopback() as server, Pool(endpoint(server), clock=clock.clock) as pool:
        await server.die()
        asking = asyncio.create_task(clock.run(pool.ask(row(1))))
        while pool.status().replicas[0].alive:
            await asyncio.sleep(0.001)
        await server.start()
        (reply,) = await asking
    assert isinstance(reply, Reply)


async def test_a_429_holds_the_whole_pool_for_as_long_as_the_server_asked() -> None:
    clock = FakeClock()
    async with (
        Loopback(Settings(max_parallel=2, latency=0.005, faults=Faults(retry_after=20))) as server,
        Pool(endpoint(server), clock=clock.clock) as pool,
    ):
        (replies,) = await clock.run(ask_all(pool, range(30)))
    assert all(isinstance(reply, Reply) for reply in replies)  # type: ignore[attr-defined]
    assert clock.time - 1000 >= 20


async def test_an_auth_error_is_final_at_once() -> None:
    async with Loopback(Settings(api_key="right")) as server, Pool(endpoint(server), api_key="wrong") as pool:
        failure = await pool.ask(row(1))
    assert isinstance(failure, CallFailure) and failure.error_class is ErrorClass.AUTH
    assert server.stats.statuses[401] == 1


async def test_tries_end_and_backoffs_are_handed_out_to_be_stored() -> None:
    clock, waits = FakeClock(), list[tuple[RowKey, Backoff]]()
    remember: Callable[[RowKey, Backoff], None] = lambda key, backoff: waits.append((key, backoff))  # noqa: E731
    async with (
        Loopback(Settings(faults=Faults(server_error=1))) as server,
        Pool(endpoint(server), clock=clock.clock, wait=remember) as pool,
    ):
        (failure,) = await clock.run(pool.ask(row(1), RowKey(7, 1)))
    assert isinstance(failure, CallFailure) and failure.error_class is ErrorClass.SERVER
    assert server.stats.requests == 6
    assert [backoff.attempts for _, backoff in waits] == [1, 2, 3, 4, 5]
    assert all(key == RowKey(7, 1) and backoff.not_before >= 1000 for key, backoff in waits)


async def test_a_backoff_of_an_earlier_run_is_sat_out_and_its_tries_count_on() -> None:
    clock, attempts = FakeClock(), list[Attempt]()
    waiting = {RowKey(7, 1): Backoff(1042.0, 3)}
    async with (
        Loopback() as server,
        Pool(endpoint(server), clock=clock.clock, waiting=waiting, record=attempts.append) as pool,
    ):
        await clock.run(pool.ask(row(1), RowKey(7, 1)))
    assert clock.time >= 1042
    assert [attempt.n for attempt in attempts] == [4]


async def test_the_rate_is_kept() -> None:
    clock = FakeClock()
    async with Loopback() as server, Pool(endpoint(server, rpm=60), clock=clock.clock) as pool:
        await clock.run(ask_all(pool, range(31)))
    assert 28 <= clock.time - 1000 <= 32


async def test_a_budget_pauses_the_job_before_it_is_passed() -> None:
    priced = {"price_in": 100.0, "price_out": 100.0}
    async with Loopback() as server, Pool(endpoint(server, **priced), budget=Budget(usd=0.02)) as pool:
        with pytest.raises(PauseJob, match=r"budget of 0\.02 USD"):
            for number in range(100):
                await pool.ask(row(number))
        spent = pool.status().usd
    assert spent is not None and 0 < spent <= 0.02
    assert server.stats.requests > 0


async def test_stop_lets_waiting_rows_go_without_an_outcome() -> None:
    clock = FakeClock()
    busy = Settings(max_parallel=0, faults=Faults(retry_after=3600))
    async with Loopback(busy) as server, Pool(endpoint(server, concurrency=3), clock=clock.clock) as pool:
        asking = [asyncio.create_task(pool.ask(row(n))) for n in range(20)]  # 3 back off, the others wait for a place
        while pool.status().replicas[0].held_for == 0:
            await asyncio.sleep(0.001)
        pool.stop()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(outcome, PauseJob) for outcome in outcomes)
    assert server.stats.requests <= 3


async def test_never_more_side_by_side_than_asked() -> None:
    async with Loopback(Settings(latency=0.005)) as server, Pool(endpoint(server, concurrency=7)) as pool:
        await ask_all(pool, range(100))
    assert server.stats.peak == 7


async def test_a_filter_at_the_door_is_a_reply_for_those_who_generate() -> None:
    async with Loopback(Settings(faults=Faults(content_filter=1))) as server, Pool(endpoint(server)) as pool:
        reply = await pool.ask(row(1))
    assert isinstance(reply, Reply) and reply.provider_refused
