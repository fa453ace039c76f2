"""What is said of a job's money, tokens and requests."""

from __future__ import annotations

from dataclasses import replace

from refusal_tui.jobs.standing import (
    Standing,
    cost_words,
    places_words,
    raise_command,
    requests_words,
    tokens_words,
)
from refusal_tui.store.jobs import Job, JobState
from refusal_tui.store.requests import NOTHING_LIVE, Live, Places, ServerUse, Usage

JOB = Job(
    id=1, kind="label", title="t", lane="free", state=JobState.RUNNING, wish=None, spec="{}", spec_version=2,
    selection="", total=1000, row_limit=None, run=1, n_ok=240, n_failed=10, n_unparsable=0, cursor=0, done=0, step="",
    active_seconds=0.0, created=0.0, started=None, finished=None, note="",
)  # fmt: skip
LOCAL = ServerUse("local", "http://a", "m", 250, {"server": 3, "rate_limit": 12}, 100_000, 5_000, 0.5, seconds=100.0)
USAGE = Usage((LOCAL,))


def standing(usage: Usage = USAGE, live: Live = NOTHING_LIVE, **job: object) -> Standing:
    return Standing(replace(JOB, **job), usage, live)  # type: ignore[arg-type]


def test_the_cost_is_projected_to_the_end_of_the_job() -> None:
    assert standing().projected_usd == 2.0
    assert cost_words(standing()) == "0.50 USD so far, about 2.00 USD at the end"
    budget = cost_words(standing(spec='{"max_cost": 5}'))
    assert budget == "0.50 USD so far, about 2.00 USD at the end, budget 5.00 USD"


def test_a_pilot_projects_to_all_rows_and_not_to_its_own() -> None:
    assert standing(row_limit=250, state=JobState.PAUSED).projected_usd == 2.0


def test_a_job_that_is_done_says_what_it_has_cost() -> None:
    assert cost_words(standing(n_ok=990)) == "0.50 USD"


def test_an_unknown_price_is_said_and_never_projected() -> None:
    free = ServerUse("free", "http://b", "m", 10, unpriced=10)
    found = standing(Usage((free,)))
    assert (found.projected_usd, cost_words(found)) == (None, "unknown: free has no price")
    both = standing(Usage((LOCAL, free)))
    assert (both.projected_usd, cost_words(both)) == (None, "0.50 USD so far, unknown: free has no price")


def test_answers_that_came_without_a_count_of_tokens_are_named() -> None:
    said = cost_words(standing(Usage((replace(LOCAL, unpriced=3),))))
    assert said == "0.50 USD so far, about 2.00 USD at the end, 3 answers of unknown cost"
    one = Usage((replace(LOCAL, unpriced=1),))
    assert cost_words(standing(one, spec='{"max_cost": 5}')).endswith(", budget 5.00 USD, 1 answer of unknown cost")


def test_a_job_that_a_budget_has_stopped_says_which_setting_lets_it_go_on() -> None:
    def stopped(note: str, state: JobState = JobState.PAUSED) -> str:
        return raise_command(standing(state=state, note=note).job)

    assert stopped("Paused: the next request would pass the budget of 0.50 USD (0.49 spent).").endswith("max-cost=…")
    assert stopped("Paused: the next request would pass the budget of 9 tokens (8 used).").endswith("max-tokens=…")
    assert stopped("Paused: the time budget of 60 s is used up.").endswith("max-minutes=…")
    assert stopped("stopped by SIGTERM") == stopped("the budget was small", JobState.DONE) == ""


def test_nothing_has_cost_nothing_before_the_first_answer() -> None:
    assert cost_words(standing(Usage((ServerUse("local", "u", "m", 0, {"server": 2}),)))) == "nothing yet"


def test_requests_are_told_with_what_went_wrong_and_what_was_known_already() -> None:
    said = requests_words(standing(live=Live(cached=40)))
    assert said == "265 sent, 40 from memory; tries failed: 12 rate limit, 3 server"


def test_tokens_are_told_with_their_speed() -> None:
    assert tokens_words(standing(), 1234.5) == "100,000 in, 5,000 out, 1,234/s, 0.4 s an answer"
    assert tokens_words(standing(spec='{"max_tokens": 1000000}'), None).endswith("budget 1,000,000")


def test_places_say_how_many_requests_are_under_way_and_who_is_silent() -> None:
    two = Live((Places("a", 0, 40, 64), Places("a", 1, 0, 64, alive=False)))
    assert places_words(two) == "40 of 64 in use; 1 of 2 servers does not answer"


def test_a_job_that_asks_nobody_has_nothing_to_tell() -> None:
    assert not standing(Usage()).asks
