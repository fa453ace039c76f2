"""What does a labelling job that asks a language model store, and what does it send? Against a real server."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.jobs import JobState, requeue_job
from refusal_tui.store.labels import labels_of, verdicts_of
from refusal_tui.store.ledger import spent_by
from refusal_tui.store.trouble import retry_failed
from refusal_tui.store.workspace import Workspace
from tests.support.judging import (
    add_endpoint,
    honest_atoms,
    honest_xstest,
    label,
    letter_of,
    refuses,
    run_again,
    serving,
)
from tests.support.ledger import errors, labels
from tests.support.loopback import Settings
from tests.support.loopback_faults import FLAKY, Faults
from tests.support.workspaces import make_workspace

ROWS = 24  # six of each of the four responses: two refuse


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=ROWS)


def threes(workspace: Workspace, annotator: str) -> list[str]:
    return [value for _, head, who, _, value, _ in labels(workspace) if head == "refusal3" and who == annotator]


# --- one judge, one pass ---------------------------------------------------------------------------------------------


def test_atoms_become_labels_of_every_head(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        assert server.stats.requests == ROWS
    assert (job.state, job.n_ok, job.note) == (JobState.DONE, ROWS, "")
    with closing(workspace.open()) as connection:
        by_head = {found.head: found.value for found in labels_of(connection, 1)}
        (stored,) = verdicts_of(connection, 1)
    assert by_head["refusal3"] == "hard" and by_head["response_refusal"] == "yes"
    assert by_head["head_a"] == "REFUSAL.OVER" and {"head_b", "head_c_a", "head_c_b"} <= by_head.keys()
    assert stored.verdict.annotator == "judge:atoms@local"
    assert json.loads(stored.verdict.raw or "")["refusal_reason"] == "policy", "the raw answer is kept"
    assert threes(workspace, "judge:atoms@local") == ["hard", "none"] * (ROWS // 2)


def test_probabilities_are_those_of_the_tokens(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_xstest)) as server:
        add_endpoint(workspace, server)
        label(workspace, LabelSpec(judge="xstest", endpoint="local"))
        assert all(body["logprobs"] and body["max_tokens"] == 16 for body in server.bodies)
    found = [p for _, head, _, _, _, p in labels(workspace) if head == "refusal3"]
    assert len(found) == ROWS and all(p is not None and 0.8 < p <= 1 for p in found)


def test_without_log_probabilities_there_are_none(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server, capabilities={"json_schema": True, "logprobs": False})
        label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        assert not any("logprobs" in body for body in server.bodies)
    assert {p for *_, p in labels(workspace)} == {None}


def test_every_attempt_is_in_the_ledger_with_its_cost(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server, price_in=1.0, price_out=2.0)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
    with closing(workspace.open()) as connection:
        spent = spent_by(connection, job.id)
    assert spent.requests == ROWS and spent.unpriced == 0
    assert spent.usd == pytest.approx((spent.prompt_tokens + 2 * spent.completion_tokens) / 1e6)


def test_a_second_job_over_the_same_rows_asks_for_nothing(workspace: Workspace) -> None:
    """The fences' codes come from a secret of the workspace, so the same request is the same."""
    spec = LabelSpec(judge="atoms", endpoint="local")
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        label(workspace, spec)
        assert label(workspace, spec).n_ok == ROWS
        assert server.stats.requests == ROWS


def test_the_fence_code_does_not_stand_in_the_text_and_differs_by_row(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        codes = {body["messages"][1]["content"].split("<<<request ")[1].split("\n")[0] for body in server.bodies}
    assert len(codes) == ROWS and all(len(code) == 16 for code in codes)


# --- answers that are no labels --------------------------------------------------------------------------------------


def test_a_judge_that_refuses_to_judge_is_an_error_of_its_own_class(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms, faults=Faults(judge_refusal=0.5))) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        refused = server.stats.faults["judge_refusal"]
    assert 0 < refused == job.n_failed and job.n_ok == ROWS - refused
    assert {error_class for error_class, _ in errors(workspace, job.id).values()} == {"judge_refusal"}


def test_a_retry_of_rows_that_could_not_be_read_really_asks_again(workspace: Workspace) -> None:
    spec = LabelSpec(judge="atoms", endpoint="local")
    answers = iter(["The frindle is blue."] * ROWS)
    with serving(Settings(answer=lambda body, row: next(answers, None) or honest_atoms(body, row))) as server:
        add_endpoint(workspace, server)
        job = label(workspace, spec)
        assert job.n_unparsable == ROWS
        with closing(workspace.open()) as connection:
            assert retry_failed(connection, job.id, "parse") == ROWS
        assert run_again(workspace, job.id, spec).n_ok == ROWS
        assert server.stats.requests == 2 * ROWS


@pytest.mark.parametrize(
    ("fault", "error_class"), [("provider_refusal", "judge_refusal"), ("content_filter", "content_filter")]
)
def test_a_providers_refusal_is_no_label(workspace: Workspace, fault: str, error_class: str) -> None:
    with serving(Settings(answer=honest_atoms, faults=Faults(**{fault: 0.4}))) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
    found = errors(workspace, job.id)
    assert found and {one for one, _ in found.values()} == {error_class}


def test_an_answer_that_cannot_be_read_is_kept_raw(workspace: Workspace) -> None:
    def muddled(body: dict, row: str) -> str:
        return "The frindle is quite blue today." if refuses(body) else honest_atoms(body, row)

    with serving(Settings(answer=muddled)) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
    assert (job.n_ok, job.n_unparsable) == (ROWS // 2, ROWS // 2)
    with closing(workspace.open()) as connection:
        raw = {row[0] for row in connection.execute("SELECT raw FROM outcome WHERE state = 'unparsable'")}
    assert raw == {"The frindle is quite blue today."}


def test_a_server_that_ignores_the_response_format_is_understood_all_the_same(workspace: Workspace) -> None:
    """As `transformers serve` does: the rung is plain text, the JSON stands between chatter and a fence."""

    def chatty(body: dict, row: str) -> str:
        assert "response_format" not in body and "structured_outputs" not in body
        refused = "yes" if refuses(body) else "no"
        answer = {"prompt_harmful": "no", "response_refusal": refused, "response_harmful": "No", "rationale": "plain"}
        return f"Let me think {{aloud}}.\n```json\n{json.dumps(answer)}\n```\nThat is my view."

    with serving(Settings(answer=chatty)) as server:
        add_endpoint(workspace, server, capabilities={"json_schema": False, "json_mode": False, "logprobs": False})
        job = label(workspace, LabelSpec(judge="wildguard", endpoint="local"))
    assert job.n_ok == ROWS
    refusal = [value for _, head, _, _, value, _ in labels(workspace) if head == "response_refusal"]
    assert refusal == ["yes", "no"] * (ROWS // 2)


def test_a_letter_within_a_sentence_is_no_answer(workspace: Workspace) -> None:
    with serving(Settings(answer=lambda body, row: "This is a tricky case: I see a point in both.")) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local"))
    assert (job.n_ok, job.n_unparsable) == (0, ROWS)


def test_rows_without_a_response_are_not_sent(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", rows=8, prompts_only=3)
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        assert server.stats.requests == 5
    assert {one for one, _ in errors(workspace, job.id).values()} == {"no_response"} and job.n_failed == 3


def test_a_flaky_server_costs_attempts_but_no_row(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms, faults=FLAKY, seed=3)) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
        requests = server.stats.requests
    assert job.n_ok == ROWS
    with closing(workspace.open()) as connection:
        assert spent_by(connection, job.id).requests == requests
        assert connection.execute("SELECT count(*) FROM backoff").fetchone()[0] == 0


# --- budgets ---------------------------------------------------------------------------------------------------------


def test_a_used_up_budget_pauses_with_the_reason_and_a_raised_one_goes_on(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms)) as server:
        add_endpoint(workspace, server, concurrency=2)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local", max_tokens=12_000))
        assert job.state is JobState.PAUSED and "budget of 12,000 tokens" in job.note
        assert 0 < job.n_ok < ROWS and job.n_failed == 0
        with closing(workspace.open()) as connection:
            assert spent_by(connection, job.id).tokens <= 12_000
            requeue_job(connection, job.id)
        job = run_again(workspace, job.id, LabelSpec(judge="atoms", endpoint="local", max_tokens=10_000_000))
        assert (job.state, job.n_ok) == (JobState.DONE, ROWS)
        assert server.stats.requests == ROWS, "no row is paid for twice"


def test_a_wrong_key_stops_the_job(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_atoms, api_key="secret-of-the-server")) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="atoms", endpoint="local"))
    assert job.state is JobState.FAILED and "refuses the key" in job.note


# --- the rest of the protocol, when it is asked for ------------------------------------------------------------------


def test_permuted_choices_are_mapped_back(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_xstest)) as server:
        add_endpoint(workspace, server)
        label(workspace, LabelSpec(judge="xstest", endpoint="local", permute=True))
        letters = {letter_of(body, "full_refusal") for body in server.bodies}
    assert letters == {"A", "B", "C"}, "the class has stood in every place"
    assert threes(workspace, "judge:xstest@local") == ["hard", "none"] * (ROWS // 2)


def test_every_member_of_a_panel_votes_on_every_row(workspace: Workspace) -> None:
    def lenient(body: dict, row: str) -> str:
        return letter_of(body, "full_compliance")

    with serving(Settings(answer=honest_xstest)) as one, serving(Settings(answer=lenient)) as other:
        add_endpoint(workspace, one, "strict")
        add_endpoint(workspace, other, "lenient")
        job = label(workspace, LabelSpec(judge="xstest", endpoint="strict", panel="lenient"))
        assert (one.stats.requests, other.stats.requests) == (ROWS, ROWS)
    assert (job.state, job.n_ok, job.total) == (JobState.DONE, 2 * ROWS, 2 * ROWS)
    assert threes(workspace, "judge:xstest@strict") == ["hard", "none"] * (ROWS // 2)
    assert threes(workspace, "judge:xstest@lenient") == ["none"] * ROWS


def test_a_second_look_is_taken_only_where_there_is_a_doubt(workspace: Workspace) -> None:
    """The judge calls everything an answer: the offline judge disagrees on the refusals, and on those alone."""
    with serving(Settings(answer=lambda body, row: letter_of(body, "full_compliance"))) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local", second_pass=0.5))
        assert ROWS < server.stats.requests < 2 * ROWS
        asked_twice = server.stats.requests - ROWS
    assert job.n_ok == 2 * ROWS
    assert len(threes(workspace, "judge:xstest@local+second")) == asked_twice


def test_the_arbiter_is_asked_only_where_the_votes_differ(workspace: Workspace) -> None:
    with (
        serving(Settings(answer=honest_xstest)) as one,
        serving(Settings(answer=lambda body, row: letter_of(body, "full_compliance"))) as other,
        serving(Settings(answer=honest_xstest)) as arbiter,
    ):
        add_endpoint(workspace, one, "one")
        add_endpoint(workspace, other, "other")
        add_endpoint(workspace, arbiter, "arbiter")
        spec = LabelSpec(judge="xstest", endpoint="one", panel="other", arbiter="arbiter")
        pilot = label(workspace, spec, pilot=5)
        with closing(workspace.open()) as connection:
            requeue_job(connection, pilot.id)
        job = run_again(workspace, pilot.id, spec)
        assert arbiter.stats.requests == ROWS // 2
    assert (job.state, job.n_ok) == (JobState.DONE, 3 * ROWS)
    assert threes(workspace, "judge:xstest@arbiter") == ["hard"] * (ROWS // 2)


def test_a_vote_that_is_taken_again_brings_the_arbiter_in_where_it_differs(workspace: Workspace) -> None:
    """In the first run one member refuses to judge half of the rows, so that no votes differ there."""
    spec = LabelSpec(judge="xstest", endpoint="one", panel="other", arbiter="arbiter")
    with (
        serving(Settings(answer=lambda body, row: letter_of(body, "full_compliance"))) as one,
        serving(Settings(answer=honest_xstest, faults=Faults(judge_refusal=0.5))) as flaky,
        serving(Settings(answer=honest_xstest)) as whole,
        serving(Settings(answer=honest_xstest)) as arbiter,
    ):
        add_endpoint(workspace, one, "one")
        add_endpoint(workspace, flaky, "other")
        add_endpoint(workspace, arbiter, "arbiter")
        job = label(workspace, spec)
        assert 0 < job.n_failed < ROWS and arbiter.stats.requests < ROWS // 2
        add_endpoint(workspace, whole, "other")
        with closing(workspace.open()) as connection:
            retry_failed(connection, job.id)
        job = run_again(workspace, job.id, spec)
        assert (job.state, job.n_ok) == (JobState.DONE, 3 * ROWS)
        assert arbiter.stats.requests == ROWS // 2
    with closing(workspace.open()) as connection:
        assert connection.execute("SELECT count(*) FROM outcome WHERE state = 'ok'").fetchone()[0] == job.n_ok
    assert threes(workspace, "judge:majority/xstest") == ["hard", "none"] * (ROWS // 2)


def test_rows_that_the_offline_judge_is_sure_of_cost_nothing(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_xstest)) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local", free_first=True))
        asked = server.stats.requests
    free = threes(workspace, "judge:linear")
    assert job.n_ok == ROWS and 0 < asked < ROWS and len(free) == ROWS - asked


def test_canaries_are_counted_and_never_stored_as_labels(workspace: Workspace) -> None:
    """A judge that looks for words is fooled by none of the refusals, and by none of the answers."""
    with serving(Settings(answer=honest_xstest)) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local", canaries=10))
        assert server.stats.requests == ROWS + 10
    assert job.n_ok == ROWS
    with closing(workspace.open()) as connection:
        rows = connection.execute("SELECT step, value FROM metric WHERE name = 'canary' ORDER BY step").fetchall()
        assert [tuple(row) for row in rows] == [(number, 1.0) for number in range(10)]
        assert connection.execute("SELECT count(*) FROM verdict WHERE item_id < 1").fetchone()[0] == 0
        assert spent_by(connection, job.id).requests == ROWS + 10, "they are paid for as well"
