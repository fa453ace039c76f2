"""What a job has asked of language models, read from the ledger and from what its worker publishes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import transaction
from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.ledger import Attempt, RowKey, add_attempts
from refusal_tui.store.requests import NOTHING_ASKED, Places, gauges_of, live_of, publish, usage_of
from refusal_tui.store.workspace import create_workspace
from tests.store.building import queue

ONE, TWO = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(create_workspace(tmp_path / "ws").open()) as opened:
        queue(opened, [])
        yield opened


def attempt(item: int, base_url: str = ONE, job: int = 1, **values: object) -> Attempt:
    known = {"status_code": 200, "prompt_tokens": 100, "completion_tokens": 10, "cost_usd": 0.25}
    return Attempt(RowKey(job, item), 1, "blorp", base_url, "m", 10.0, 10.5, **(known | values))  # type: ignore[arg-type]


def failed(item: int, error_class: ErrorClass, base_url: str = ONE) -> Attempt:
    return Attempt(RowKey(1, item), 1, "blorp", base_url, "m", 10.0, 10.5, 500, error_class)


def write(connection: sqlite3.Connection, *attempts: Attempt) -> None:
    with transaction(connection):
        add_attempts(connection, attempts)


def test_tries_tokens_and_money_are_added_up_per_server(connection) -> None:
    write(connection, attempt(1), attempt(2), attempt(3, TWO), failed(4, ErrorClass.SERVER, TWO), attempt(9, job=2))
    usage = usage_of(connection, 1)
    assert [(s.base_url, s.sent, s.answered, s.seconds) for s in usage.servers] == [(ONE, 2, 2, 1.0), (TWO, 2, 1, 0.5)]
    assert (usage.sent, usage.tokens, usage.usd, usage.seconds_an_answer) == (4, 330, 0.75, 0.5)
    assert usage.errors == {"server": 1}


def test_a_later_look_adds_what_came_since(connection) -> None:
    write(connection, attempt(1), failed(2, ErrorClass.RATE_LIMIT))
    first = usage_of(connection, 1)
    assert usage_of(connection, 1, first) is first, "nothing new, nothing read"
    write(connection, attempt(2), failed(3, ErrorClass.RATE_LIMIT), attempt(3, TWO))
    assert usage_of(connection, 1, first) == usage_of(connection, 1, NOTHING_ASKED)


def test_an_answer_without_a_price_is_told_apart_from_an_end_point_without_one(connection) -> None:
    write(connection, attempt(1), attempt(2, cost_usd=None))
    usage = usage_of(connection, 1)
    assert (usage.unpriced, usage.without_price) == (1, ())
    write(connection, Attempt(RowKey(1, 3), 1, "frindle", TWO, "m", 1.0, 2.0, 200, prompt_tokens=1))
    assert usage_of(connection, 1).without_price == ("frindle",)


def test_what_a_worker_publishes_is_replaced_and_belongs_to_its_run(connection) -> None:
    save_endpoint(connection, Endpoint("a/b", "custom", (ONE, TWO), "m"))
    for in_flight in (3, 7):
        places = [Places("a/b", 0, in_flight, 16), Places("a/b", 1, 0, 8, alive=False, held_until=99.0)]
        with transaction(connection):
            publish(connection, 1, 1, gauges_of(places, cached=5))
    live = live_of(connection, 1, 1)
    assert live.places == (
        Places("a/b", 0, 7, 16, base_url=ONE),
        Places("a/b", 1, 0, 8, alive=False, held_until=99.0, base_url=TWO),
    )
    assert (live.in_flight, live.limit, live.cached) == (7, 16, 5), "a dead server has no places"
    with transaction(connection):
        publish(connection, 1, 2, gauges_of([], cached=2))
    assert live_of(connection, 1, 2).places == ()
    assert live_of(connection, 1, 2).cached == 7, "of all runs"
    assert connection.execute("SELECT count(*) FROM metric").fetchone()[0] == 10, "nothing piles up"
