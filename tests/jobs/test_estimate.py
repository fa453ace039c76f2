"""How many requests, tokens and dollars a job will take, before anything is sent."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.clean.spec import CleanSpec
from refusal_tui.errors import InputError
from refusal_tui.generate.prompts_spec import PromptsSpec
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs.estimate import Asks, Which, estimate, estimate_job, estimate_words
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.llm.presets import Price
from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.lengths import Lengths, lengths_of
from refusal_tui.store.requests import usage_of
from refusal_tui.store.workspace import Workspace
from tests.support.judging import add_endpoint, honest_atoms, label, serving
from tests.support.loopback import Settings
from tests.support.workspaces import make_workspace

HALF = Lengths(1000, prompt_chars=400, response_chars=800, answered=0.5)
PRICES = {"a": Price(1.0, 10.0, 0.5, 5.0, "a table"), "b": None}


def test_every_row_is_asked_about_as_often_as_the_spec_says() -> None:
    found = estimate([Asks("a", 400, 100, 50, times=2, at_most=3, once=10)], HALF, PRICES, 1000)
    assert (found.requests, found.most_requests) == (2010, 3010)
    assert (found.prompt_tokens, found.answer_tokens) == (2010 * 208, 2010 * 50)
    assert found.usd == pytest.approx(2010 * (208 * 1.0 + 50 * 10.0) / 1e6)
    assert found.most_usd == pytest.approx(3010 * (208 * 1.0 + 100 * 10.0) / 1e6)


def test_rows_without_a_response_are_not_judged_and_those_with_one_not_backfilled() -> None:
    judged = estimate([Asks("a", 0, 9, which=Which.ANSWERED)], HALF, PRICES, 100)
    filled = estimate([Asks("a", 0, 9, which=Which.UNANSWERED)], Lengths(10, 5, 5, 0.9), PRICES, 10)
    assert (judged.requests, filled.requests) == (50, 1)


def test_an_unknown_price_makes_an_unknown_cost() -> None:
    found = estimate([Asks("a", 0, 9, 1), Asks("b", 0, 9, 1)], HALF, PRICES, 10)
    assert (found.usd, found.unpriced) == (None, ("b",))
    assert estimate_words(found).endswith("cost unknown (b has no price)")


def test_a_batch_costs_the_batch_price_and_is_unknown_without_one() -> None:
    one = estimate([Asks("a", 0, 9, 1)], HALF, PRICES, 10)
    batch = estimate([Asks("a", 0, 9, 1, batch=True)], HALF, PRICES, 10)
    assert batch.usd == pytest.approx((one.usd or 0) / 2)
    assert estimate([Asks("a", 0, 9, 1, batch=True)], HALF, {"a": Price(1, 1)}, 10).usd is None


def test_answers_are_as_long_as_the_responses_are_and_never_longer_than_allowed() -> None:
    assert estimate([Asks("a", 0, 512)], HALF, PRICES, 1).answer_tokens == 200
    assert estimate([Asks("a", 0, 64)], HALF, PRICES, 1).answer_tokens == 64
    assert estimate([Asks("a", 0, 64)], Lengths(1, 5), PRICES, 1).answer_tokens == 32, "nothing to go by: half"


# --- what the kinds of jobs say of themselves -------------------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = make_workspace(tmp_path / "ws", rows=100, prompts_only=20)
    with closing(made.open()) as connection:
        save_endpoint(connection, Endpoint("a", "openai", ("http://127.0.0.1:9/v1",), "gpt-4o-mini"))
        save_endpoint(connection, Endpoint("b", "custom", ("http://127.0.0.1:9/v1",), "m"))
    return made


CASES = [
    (LabelSpec(), None),
    (LabelSpec(judge="atoms", endpoint="a"), 80),
    (LabelSpec(judge="atoms", endpoint="a", panel="b", canaries=5), 165),
    (LabelSpec(judge="xstest", endpoint="a", second_pass=0.8), 96),
    (LabelSpec(judge="xstest", endpoint="a", free_first=True), 40),
    (GenerateSpec(name="new", endpoints="a,b", samples=3, temperature=1.0), 600),
    (GenerateSpec(name="new", endpoints="a", missing_only=True), 20),
    (PromptsSpec(name="new", endpoint="a", categories="vaults", number=1000), 2600),
    (CleanSpec(name="new", endpoint="a", rounds=1), 380),
    (CleanSpec(name="new", endpoint="a", judge="lexical", rounds=1), 200),
]


@pytest.mark.parametrize(("spec", "requests"), CASES, ids=lambda value: getattr(value, "title", lambda: str(value))())
def test_every_kind_counts_its_requests(workspace: Workspace, spec: JobSpec, requests: int | None) -> None:
    with closing(workspace.open()) as connection:
        found = estimate_job(connection, spec)
    assert (None if found is None else found.requests) == requests


def test_a_pilot_takes_its_part(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        whole = estimate_job(connection, LabelSpec(judge="atoms", endpoint="a"))
        pilot = estimate_job(connection, LabelSpec(judge="atoms", endpoint="a"), rows=20)
    assert whole is not None and pilot is not None and whole.usd is not None and pilot.usd is not None
    assert pilot.usd == pytest.approx(whole.usd / 5)
    assert "as of" in whole.sources[0], "the price table says how old it is"


def test_an_end_point_that_is_not_there_is_named(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection, pytest.raises(InputError, match="nowhere"):
        estimate_job(connection, LabelSpec(judge="atoms", endpoint="nowhere"))


def test_the_lengths_of_a_selection_are_sampled(workspace: Workspace) -> None:
    with closing(workspace.open()) as connection:
        assert lengths_of(connection, "dataset:blorp").answered == 0.8
        assert lengths_of(connection, "key:row-99").answered == 0.0
        assert lengths_of(connection, "split:nowhere") == Lengths(0)


def test_the_estimate_of_a_labelling_job_is_near_what_it_then_takes(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=40)
    spec = LabelSpec(judge="atoms", endpoint="local")
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server, price_in=1.0, price_out=2.0)
        with closing(workspace.open()) as connection:
            found = estimate_job(connection, spec)
        job = label(workspace, spec)
    with closing(workspace.open()) as connection:
        usage = usage_of(connection, job.id)
    assert found is not None
    assert (found.requests, usage.sent) == (40, 40)
    assert found.prompt_tokens == pytest.approx(usage.prompt_tokens, rel=0.1)
    assert found.answer_tokens == pytest.approx(usage.completion_tokens, rel=1.0), "within a factor of two"
