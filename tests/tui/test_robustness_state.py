"""What does the Robustness screen know and say? Without an app, on runs whose outcomes we wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.finetune.files import EVALUATIONS, RUN, STEPS, TRIALS
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import JobState, claim_job, create_job, end_job
from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.text.safe import cell_width
from refusal_tui.tui.screens.robustness_lines import below, head, robustness_lines, tabs
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.state.robustness import (
    CURVE,
    PAIRED,
    RESULT,
    TABS,
    TRAINING,
    RobustnessState,
    answers_of,
    arm_of,
    see,
)
from tests.tui.robustness_run import add_answers, add_run
from tests.tui.small_workspace import EPOCH, frozen_time

WIDTH = 77

Read = Callable[..., RobustnessState]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Job 1 has ended, job 2 goes on."""
    with frozen_time():
        made = create_workspace(tmp_path / "demo")
        add_answers(made, add_run(made))
        add_run(made, looked_at=7)
    return made


@pytest.fixture
def states(workspace: Workspace) -> Iterator[Read]:
    """`states(job, tab)`: a state that has read that run."""
    with closing(workspace.open(read_only=True)) as connection:

        def read(job_id: int | None = None, tab: str = "") -> RobustnessState:
            state = RobustnessState(job_id=job_id, chosen=tab)
            state.read_job(connection, JobWatch(), EPOCH)
            assert state.job_id is not None
            state.take(see(workspace.artifacts / f"job-{state.job_id}", state.job_id, connection))
            return state

        yield read


def shown(state: RobustnessState, at: str | None = None) -> list[str]:
    return [line.content.plain for line in robustness_lines(state, at, WIDTH, 17)]


def key_at(state: RobustnessState, arm: str) -> str:
    return next(line.key for line in robustness_lines(state, None, WIDTH, 17) if arm_of(line.key) == arm and line.key)


def test_a_run_that_goes_on_begins_with_its_training_and_one_that_has_ended_with_its_result(states: Read) -> None:
    assert states().job_id == 2 and states().tab == TRAINING and states(1).tab == RESULT
    state = states(1)
    state.turn(1)
    assert state.tab == CURVE and state.next_job(-1) == 2 and state.next_job(1) is None


def test_the_training_shows_every_arm_s_seeds_loss_and_invariants_and_the_trial_under_the_cursor(states: Read) -> None:
    state = states(2)
    now, *_ = lines = shown(state)
    assert now.startswith("orthogonal-s1: step 3 of 8  loss 0.667  7 of 18 trained")
    assert any(line.split() == ["orthogonal", "✓▶·", "3/8", "0.667", "+0.100", "1e-08", "1e-08", "0.3", "✓", "held"]
               for line in lines)  # fmt: skip
    assert any("loss, orthogonal-s1" in line for line in lines)
    surgery = shown(state, key_at(state, "surgery"))
    assert any("loss, surgery-s0" in line for line in surgery)
    assert any("along each direction, surgery-s0 at step 8" in line for line in surgery)


def test_new_steps_are_seen_when_it_looks_again_and_no_line_changes_otherwise(
    workspace: Workspace, states: Read
) -> None:
    before = shown(states(2))
    assert shown(states(2)) == before
    steps = workspace.artifacts / "job-2" / TRIALS / "orthogonal-s1" / STEPS
    last = json.loads(steps.read_text().splitlines()[-1])
    with steps.open("a") as file:
        file.write(json.dumps({**last, "step": 4, "loss": 0.5}) + "\n")
    changed = [new for old, new in zip(before, shown(states(2)), strict=True) if old != new]
    assert "loss 0.500" in changed[0] and "4/8" in changed[1]


def test_the_result_begins_with_the_conclusion_and_an_arm_s_line_opens_its_answers(
    workspace: Workspace, states: Read
) -> None:
    state = states(1)
    assert "Refusal is protected by: subspace" in " ".join(shown(state)[:3])
    answers = answers_of(key_at(state, "vanilla"))
    with closing(workspace.open(read_only=True)) as connection:
        assert len(select_ids(connection, answers)) == 2 and "tiny+vanilla@8" in answers
        assert len(select_ids(connection, state.all_answers)) == 6, "without those on the way"
    assert "the update neither writes" in below(state, key_at(state, "subspace"), 76).plain


def test_the_curve_is_drawn_through_for_vanilla_and_for_the_arm_under_the_cursor(states: Read) -> None:
    state = states(1, CURVE)
    assert state.joined(key_at(state, "subspace")) == ["vanilla", "subspace"]
    plain, chosen = shown(state), shown(state, key_at(state, "subspace"))
    assert "⠒" not in plain[1] and "⠒" in chosen[1] and [line[:1] for line in plain[-7:]] == list("○◆△+×●□")
    assert len(plain) <= 17, "no scrolling in 80x24"


@pytest.mark.parametrize("tab", TABS)
def test_no_line_is_longer_than_the_screen(states: Read, tab: str) -> None:
    for state in (states(1, tab), states(2, tab)):
        texts = [*shown(state), head(state, 76).plain, tabs(state).plain]
        assert max(map(cell_width, texts)) <= WIDTH


def test_paired_lines_say_what_is_sure_in_words(states: Read) -> None:
    lines = shown(states(1, PAIRED))
    assert any(line.split() == ["subspace", "vanilla", "+93", "(+85", "+97)", "93:0", "<.001", "<.001", "✓", "yes"]
               for line in lines)  # fmt: skip
    assert any("orthogonal" in line and "1.000  · no" in line for line in lines)


def test_a_grid_has_a_variant_at_a_time(workspace: Workspace, states: Read) -> None:
    folder = workspace.artifacts / "job-1"
    about = json.loads((folder / RUN).read_text())
    about["trials"] += [
        {**one, "name": one["name"] + "-n9", "variant": "-n9", "steps": 9, "stops": [9]} for one in about["trials"][:6]
    ]
    (folder / RUN).write_text(json.dumps(about))
    state = states(1)
    assert state.variant == "" and state.turn_variant() and state.variant == "-n9"
    assert "n9  2 of 2, t shows the next" in tabs(state).plain
    assert not states(2).turn_variant()


def test_a_run_that_failed_before_anything_was_measured_says_why_where_its_result_would_be(
    workspace: Workspace,
) -> None:
    with closing(workspace.open()) as connection:
        job_id = create_job(connection, kind="robustness", title="t", lane="gpu", spec="{}", spec_version=1)
        job = claim_job(connection, job_id, host="box", boot_id="b", pid=1, start_ticks=1)
        assert job is not None
        end_job(connection, job, JobState.FAILED, note="No frindle can be asked.")
        state = RobustnessState(job_id=job_id, chosen=RESULT)
        state.read_job(connection, JobWatch(), EPOCH)
    assert "No frindle can be asked." in shown(state)


def test_of_a_grid_the_result_begins_with_the_part_that_is_shown(workspace: Workspace, states: Read) -> None:
    folder = workspace.artifacts / "job-1"
    about = json.loads((folder / RUN).read_text())
    about["trials"] = [{**one, "variant": "-n8"} for one in about["trials"]] + [
        {**one, "name": one["name"] + "-n9", "variant": "-n9", "steps": 9, "stops": [9]} for one in about["trials"][:6]
    ]
    (folder / RUN).write_text(json.dumps(about))
    lines = [json.loads(line) for line in (folder / EVALUATIONS).read_text().splitlines()]
    twice = [{**line, "variant": "-n8"} for line in lines] + [
        {**line, "variant": "-n9", "trial": f"{line['trial']}-n9"} for line in lines if line["arm"] != "base"
    ]
    (folder / EVALUATIONS).write_text("".join(f"{json.dumps(line)}\n" for line in twice))
    state = states(1, RESULT)
    assert shown(state)[0].startswith("n8: ") and not any("n9: " in line for line in shown(state))
    assert state.turn_variant()
    assert shown(state)[0].startswith("n9: ") and not any("n8: " in line for line in shown(state))
    assert any("Judged by the offline judge" in line for line in shown(state)), "what is said of the whole run stays"


def test_a_workspace_without_a_run_says_how_one_is_started() -> None:
    said = shown(RobustnessState())
    assert any("g n" in line and "Train a refusal adapter, then Test robustness" in line for line in said)
    assert max(map(cell_width, said)) <= WIDTH
