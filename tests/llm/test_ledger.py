"""End points and the ledger in the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.connect import transaction
from refusal_tui.store.endpoints import (
    Endpoint,
    get_endpoint,
    list_endpoints,
    remove_endpoint,
    save_capabilities,
    save_endpoint,
)
from refusal_tui.store.ledger import (
    Attempt,
    Backoff,
    CachedReply,
    RowKey,
    Spent,
    add_attempts,
    add_cached,
    attempts_of,
    backoffs_of,
    cached_reply,
    clear_backoff,
    set_backoff,
    spent_by,
    unread_answers,
)
from refusal_tui.store.workspace import create_workspace

BLORP = Endpoint("blorp", "vllm", ("http://127.0.0.1:8000/v1",), "m", "BLORP_KEY", {"rpm": 60})
KEY = RowKey(1, 7, "judge", 2)
ATTEMPT = Attempt(KEY, 1, "blorp", "http://127.0.0.1:8000/v1", "m", 10.0, 11.0, status_code=200)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(create_workspace(tmp_path / "ws").open()) as opened:
        yield opened


def test_an_end_point_comes_back_as_it_was_saved(connection: sqlite3.Connection) -> None:
    save_endpoint(connection, BLORP)
    assert get_endpoint(connection, "blorp") == BLORP
    assert list_endpoints(connection) == [BLORP]


def test_what_was_probed_survives_a_change_of_options_but_not_of_the_model(connection: sqlite3.Connection) -> None:
    save_endpoint(connection, BLORP)
    save_capabilities(connection, "blorp", {"json_schema": True})
    save_endpoint(connection, replace(BLORP, options={"rpm": 90}))
    assert get_endpoint(connection, "blorp").capabilities == {"json_schema": True}
    save_endpoint(connection, replace(BLORP, model="other"))
    assert get_endpoint(connection, "blorp").capabilities is None


def test_an_unknown_end_point_is_told_with_the_known_ones(connection: sqlite3.Connection) -> None:
    save_endpoint(connection, BLORP)
    with pytest.raises(InputError, match="known: blorp"):
        get_endpoint(connection, "zibbet")
    with pytest.raises(InputError):
        save_capabilities(connection, "zibbet", {})
    remove_endpoint(connection, "blorp")
    with pytest.raises(InputError, match="none yet"):
        remove_endpoint(connection, "blorp")


def test_the_cost_of_a_job_is_the_sum_of_its_attempts(connection: sqlite3.Connection) -> None:
    paid = replace(ATTEMPT, prompt_tokens=100, completion_tokens=10, cost_usd=0.5)
    failed = replace(ATTEMPT, status_code=500, error_class=ErrorClass.SERVER)
    with transaction(connection):
        add_attempts(connection, [failed, paid, replace(paid, n=2), replace(ATTEMPT, n=3)])
    assert spent_by(connection, 1) == Spent(4, 200, 20, 1.0, unpriced=1)
    assert spent_by(connection, 2) == Spent()


def test_attempts_come_back_with_the_raw_answer_whatever_is_in_it(connection: sqlite3.Connection) -> None:
    attempt = replace(ATTEMPT, error_class=ErrorClass.PARSE, raw="\x1b[31m\ud800 {", request_hash=b"h" * 32)
    with transaction(connection):
        add_attempts(connection, [ATTEMPT, attempt])
    assert attempts_of(connection, 1, 7) == [ATTEMPT, attempt]
    assert unread_answers(connection, 1) == [attempt]


def test_the_first_answer_stays_in_the_cache_and_hits_are_counted(connection: sqlite3.Connection) -> None:
    first = CachedReply(b"h" * 32, '{"text": "hard"}', 10, 1)
    with transaction(connection):
        add_cached(connection, [first])
        add_cached(connection, [replace(first, text="{}")], {first.request_hash: 2})
    assert cached_reply(connection, first.request_hash) == first
    assert cached_reply(connection, b"x") is None
    assert connection.execute("SELECT hits FROM request_cache").fetchone()[0] == 2


def test_backoffs_survive_until_the_row_has_its_outcome(connection: sqlite3.Connection) -> None:
    other = RowKey(1, 8)
    with transaction(connection):
        set_backoff(connection, {KEY: Backoff(50.0, 1), other: Backoff(60.0, 2)})
        set_backoff(connection, {KEY: Backoff(70.0, 2)})
        clear_backoff(connection, [other])
    assert backoffs_of(connection, 1) == {KEY: Backoff(70.0, 2)}
