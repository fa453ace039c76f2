"""How fast, how many, how much: state machines over an explicit clock."""

from __future__ import annotations

import pytest

from refusal_tui.llm.limits import Budget, BudgetGuard, Concurrency, TokenBucket, TokenEstimate, backoff_seconds


def starts(bucket: TokenBucket, number: int, amount: float = 1) -> list[float]:
    """When `number` requests may go out, all asked for at time 0."""
    return [bucket.reserve(amount, 0.0) for _ in range(number)]


def test_no_minute_sees_more_requests_than_the_rate_and_one_seconds_worth() -> None:
    moments = starts(TokenBucket(60), 200)
    for begin in moments:
        assert sum(1 for moment in moments if begin <= moment < begin + 60) <= 61


def test_requests_are_spread_evenly_and_none_waits_too_long() -> None:
    assert starts(TokenBucket(120), 6) == pytest.approx([0, 0, 0, 0.5, 1.0, 1.5], abs=0.51)
    assert starts(TokenBucket(120), 241)[-1] == pytest.approx(120, abs=1)


def test_an_amount_beyond_the_limit_goes_out_late_but_goes_out() -> None:
    bucket = TokenBucket(600)
    assert bucket.reserve(6000, now=0.0) == 0.0
    assert bucket.reserve(10, now=0.0) == pytest.approx(599.0)


def test_real_usage_corrects_the_estimate() -> None:
    bucket = TokenBucket(600)
    bucket.reserve(1000, now=0.0)
    bucket.correct(-900)
    assert bucket.reserve(10, now=0.0) == pytest.approx(9.0)


def test_the_servers_headers_are_believed_where_they_are_stricter() -> None:
    bucket = TokenBucket(6000)
    bucket.observe(limit=60, remaining=0, reset=7.0, now=0.0)
    assert bucket.per_minute == 60
    assert bucket.reserve(1, now=0.0) == pytest.approx(7.0)


def clean_rounds(limiter: Concurrency, rounds: int) -> list[int]:
    limits = []
    for _ in range(rounds):
        for _ in range(limiter.limit):
            limiter.succeeded(limiter.limit)
        limits.append(limiter.limit)
    return limits


def test_the_limit_doubles_until_the_first_429_and_stops_at_the_ceiling() -> None:
    assert clean_rounds(Concurrency(100), 4) == [40, 80, 100, 100]
    assert Concurrency(8).limit == 8


def test_after_a_429_it_is_cut_by_a_fifth_and_grows_by_five_percent() -> None:
    limiter = Concurrency(100, start=100)
    limiter.rate_limited(None, now=0.0)
    assert limiter.limit == 80
    assert clean_rounds(limiter, 3) == [84, 88, 92]


def test_the_429s_of_one_burst_cut_once() -> None:
    limiter = Concurrency(100, start=100)
    for moment in (0.0, 1.0, 14.9):
        limiter.rate_limited(None, now=moment)
    assert limiter.limit == 80
    limiter.rate_limited(None, now=15.0)
    assert limiter.limit == 64


def test_the_limit_never_falls_below_one() -> None:
    limiter = Concurrency(4)
    for burst in range(50):
        limiter.rate_limited(None, now=burst * 20.0)
    assert limiter.limit == 1


def test_retry_after_holds_everything_and_the_longest_wait_wins() -> None:
    limiter = Concurrency(100)
    limiter.rate_limited(30.0, now=0.0)
    limiter.rate_limited(2.0, now=1.0)
    assert limiter.held_for(10.0) == 20.0
    assert limiter.held_for(31.0) == 0.0


def test_a_server_error_does_not_cut_but_the_round_was_not_clean() -> None:
    limiter = Concurrency(100)
    for _ in range(19):
        limiter.succeeded(20)
    limiter.failed()
    limiter.succeeded(20)
    assert limiter.limit == 20


def test_a_round_that_left_places_empty_proves_nothing() -> None:
    limiter = Concurrency(100)
    for _ in range(500):
        limiter.succeeded(3)
    assert limiter.limit == 20


def guard(**limits: float) -> BudgetGuard:
    return BudgetGuard(Budget(**limits), now=0.0)  # type: ignore[arg-type]


def test_money_counts_what_is_under_way() -> None:
    budget = guard(usd=1.0)
    assert budget.reason(0.0, usd=0.6) is None
    budget.begin(10, 0.6)
    assert "budget of 1.00 USD" in str(budget.reason(0.0, usd=0.6))
    budget.end(10, 0.6, used=5, cost=0.1, answered=True)
    assert budget.usd == pytest.approx(0.1)
    assert budget.reason(0.0, usd=0.6) is None


def test_a_failed_request_costs_nothing() -> None:
    budget = guard(usd=1.0)
    budget.begin(10, 0.6)
    budget.end(10, 0.6, used=None, cost=None, answered=False)
    assert (budget.usd, budget.tokens) == (0.0, 0)


def test_an_unknown_price_cannot_keep_a_money_budget_and_says_so() -> None:
    assert "price" in str(guard(usd=1.0).reason(0.0, usd=None))
    assert guard(tokens=100).reason(0.0, usd=None) is None


def test_tokens_and_time_have_budgets_of_their_own() -> None:
    assert "100 tokens" in str(guard(tokens=100).reason(0.0, tokens=101))
    assert guard(seconds=60).reason(59.9) is None
    assert "60 s" in str(guard(seconds=60).reason(60.0))


def test_what_earlier_runs_have_used_counts() -> None:
    budget = BudgetGuard(Budget(usd=1.0, seconds=60), now=100.0, usd=0.9, seconds=50)
    assert budget.reason(100.0, usd=0.2) is not None
    assert budget.reason(111.0, usd=0.0) is not None


def test_the_token_estimate_learns_from_the_server() -> None:
    estimate = TokenEstimate()
    assert estimate.completion(100) == 100
    for _ in range(200):
        estimate.learn(1000, 500, 20)
    assert estimate.prompt(1000) == pytest.approx(508, rel=0.02)
    assert estimate.completion(100) == pytest.approx(20)


def test_backoff_is_full_jitter_up_to_a_minute_and_never_shorter_than_asked() -> None:
    assert [backoff_seconds(n, draw=lambda: 1.0) for n in (1, 2, 3, 20)] == [1.0, 2.0, 4.0, 60.0]
    assert backoff_seconds(5, draw=lambda: 0.0) == 0.0
    assert backoff_seconds(1, retry_after=9.0, draw=lambda: 0.0) == 9.0
