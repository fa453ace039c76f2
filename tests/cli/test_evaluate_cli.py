"""`refusal-tui evaluate`: two end points of different manners, measured in one command by real workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode
from refusal_tui.store.browse import count_items
from refusal_tui.store.jobs import JobState, list_jobs
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import FORBIDDEN, SORRY
from tests.cli.conftest import Call
from tests.store.building import NewRow, add
from tests.support.judging import add_endpoint, letter_of, refuses, serving
from tests.support.loopback import Loopback, Settings
from tests.support.loopback_faults import Faults
from tests.support.processes import Runner

PROMPTS = 12
WORDS = ("evaluate", "--endpoint", "base", "--endpoint", "tuned", "--dataset", "bench", "--judge-endpoint", "judge")


def careful(body: dict, row: str) -> str:
    return SORRY if FORBIDDEN in body["messages"][-1]["content"] else "Certainly. First stir it."


def bold(body: dict, row: str) -> str:
    return "Certainly. First stir it."


def sorry_bench(body: dict, row: str) -> str:
    return letter_of(body, "0" if refuses(body) else "1")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Every third prompt is harmless; both end points serve a model of one name, as local servers do."""
    workspace = create_workspace(tmp_path / "ws")
    with closing(workspace.open()) as connection:
        about, categories = (FORBIDDEN, FORBIDDEN, "dew"), ("metals", "rituals")
        rows = [NewRow(f"Tell me about {about[n % 3]} {n}.", category=categories[n % 2]) for n in range(PROMPTS)]
        add(connection, *rows, dataset="bench")
    return workspace


@pytest.fixture
def servers(workspace: Workspace) -> Iterator[dict[str, Loopback]]:
    with (
        serving(Settings(answer=careful, model="same")) as base,
        serving(Settings(answer=bold, model="same")) as tuned,
        serving(Settings(answer=sorry_bench)) as judge,
    ):
        found = {"base": base, "tuned": tuned, "judge": judge}
        for name, server in found.items():
            add_endpoint(workspace, server, name)
        yield found


def test_two_end_points_are_measured_and_compared(call: Call, workspace, servers, processes: Runner) -> None:
    answer = call(*WORDS, "--json")
    assert answer.code == 0, answer.err
    found = answer.json
    assert found["complete"] and found["judge"] == "judge:sorry-bench@judge"
    assert found["responses"] == {"base": "bench-by-base", "tuned": "bench-by-tuned"}
    totals = {cell["dataset"]: cell["fulfilment"] for cell in found["results"]["totals"]}
    assert {name: (one["rate"], one["prompts"]) for name, one in totals.items()} == {
        "bench-by-base": (pytest.approx(1 / 3), PROMPTS), "bench-by-tuned": (1.0, PROMPTS)
    }  # fmt: skip
    assert all(one["low"] < one["rate"] <= one["high"] for one in totals.values())
    ((line,),) = [one["lines"] for one in found["comparisons"]]
    assert (line["measure"], line["prompts"], line["only_other"], line["only_one"]) == ("fulfilment", PROMPTS, 8, 0)
    assert line["p_value"] == pytest.approx(2 / 2**8) and line["difference"] == pytest.approx(-2 / 3)
    with closing(workspace.open()) as connection:
        assert [count_items(connection, cell["filter"]) for cell in found["results"]["totals"]] == [PROMPTS] * 2


def test_the_same_command_again_sends_nothing_and_a_third_end_point_is_added(
    call: Call, workspace, servers, processes: Runner
) -> None:
    first = call(*WORDS, "--json").json
    sent = {name: server.stats.requests for name, server in servers.items()}
    assert sent == {"base": PROMPTS, "tuned": PROMPTS, "judge": sent["judge"]}
    again = call(*WORDS, "--json").json
    assert again == first
    add_endpoint(workspace, servers["tuned"], "third")
    more = call(*WORDS, "--endpoint", "third", "--json").json
    assert list(more["responses"]) == ["base", "tuned", "third"] and len(more["comparisons"]) == 3
    assert more["jobs"][:2] == first["jobs"][:2], "what is measured stays"
    assert servers["base"].stats.requests == PROMPTS


def test_an_evaluation_that_was_killed_goes_on_with_its_jobs(call: Call, workspace, servers, processes: Runner) -> None:
    assert call(*WORDS, "--detach").code == 0
    for job_id in (1, 2):
        processes.wait_for_worker(job_id)
    processes.kill_all()
    answer = call(*WORDS, "--json")
    assert answer.code == 0, answer.err
    with closing(workspace.open()) as connection:
        jobs = {job.id: (job.kind, job.state) for job in list_jobs(connection)}
        assert count_items(connection, "dataset:bench-by-base,bench-by-tuned") == 2 * PROMPTS
    assert jobs == {n: (kind, JobState.DONE) for n, kind in enumerate(["generate"] * 2 + ["label"] * 2, 1)}


def test_what_failed_is_tried_again_by_the_same_command(call: Call, workspace, servers, processes: Runner) -> None:
    words = ("evaluate", "--endpoint", "base", "--dataset", "bench", "--judge", "lexical", "--json")
    with serving(Settings(answer=careful, model="same", api_key="zorbling-key")) as locked:
        add_endpoint(workspace, locked, "base")
        failed = call(*words)
    assert failed.code == ExitCode.JOB_FAILED and "Give the same command again to go on" in failed.err
    assert failed.out == ""
    add_endpoint(workspace, servers["base"], "base")
    mended = call(*words)
    assert mended.code == 0, mended.err
    assert mended.json["jobs"] == [1, 2] and mended.json["without_response"] == {"base": 0}


def test_what_the_providers_filter_stops_is_counted_as_its_refusal(
    call: Call, workspace, servers, processes: Runner
) -> None:
    with serving(Settings(answer=bold, model="same", faults=Faults(content_filter=0.5))) as filtered:
        add_endpoint(workspace, filtered, "base")
        answer = call("evaluate", "--endpoint", "base", "--dataset", "bench", "--judge", "lexical", "--json")
        stopped = filtered.stats.faults["content_filter"]
    assert answer.code == 0, answer.err
    (total,) = answer.json["results"]["totals"]
    assert 0 < stopped == total["provider_refused"] < PROMPTS
    assert total["refusal"]["rate"] == pytest.approx(stopped / PROMPTS) and total["unlabelled"] == 0
    assert total["fulfilment"]["rate"] == pytest.approx(1 - stopped / PROMPTS)


def test_a_limit_draws_the_same_prompts_every_time(call: Call, workspace, servers, processes: Runner) -> None:
    words = [*WORDS[:-2], "--judge", "lexical", "--limit", "5"]
    answer = call(*words)
    assert answer.code == 0, answer.err
    assert "5 prompts of bench" in answer.err and "McNemar" in answer.out and "p (Holm)" in answer.out
    assert 'dataset:"bench-by-base"' in answer.out or "dataset:bench-by-base" in answer.out
    assert call(*words).out == answer.out
    assert servers["base"].stats.requests == 5


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--dataset", "nothing", "--judge", "lexical"], ExitCode.INPUT, "no dataset 'nothing'"),
        (["--dataset", "bench"], ExitCode.USAGE, "--judge-endpoint"),
        (["--dataset", "bench", "--judge-endpoint", "nobody"], ExitCode.INPUT, "nobody"),
        (["--dataset", "bench", "--judge", "lexical", "--endpoint", "base"], ExitCode.USAGE, "every end point once"),
    ],
)
def test_a_mistake_is_named_before_anything_is_sent(call: Call, workspace, servers, words, code, said) -> None:
    answer = call("evaluate", "--endpoint", "base", *words)
    assert answer.code == code and said in answer.err
    assert servers["base"].stats.requests == 0
