"""What Home says, without a screen."""

from __future__ import annotations

from contextlib import closing

from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.overview import Overview, fingerprint, overview
from refusal_tui.tui.state.home import HomeState, Target, model_filter, todo
from refusal_tui.tui.state.jobs import JobWatch
from tests.tui.job_rows import add_job, one_of_each


def state_of(workspace) -> HomeState:
    with closing(workspace.open(read_only=True)) as connection:
        return HomeState(overview(connection), JobWatch().read(connection, 0.0))


def test_an_empty_workspace_shows_the_first_steps(empty_workspace) -> None:
    assert state_of(empty_workspace).empty


def test_before_anything_is_counted_home_does_not_claim_to_be_empty() -> None:
    assert not HomeState().empty


def test_places_tell_how_much_there_is(workspace) -> None:
    says = {entry.target: entry.says for entry in state_of(workspace).places}
    assert says[Target.DATASETS] == "2 datasets, 2 rows in quarantine"
    assert says[Target.BROWSE] == "44 rows, 31 labelled by a judge, 12 by people"
    assert says[Target.JOBS] == "1 done"


def test_no_two_places_share_a_key(workspace) -> None:
    state = state_of(workspace)
    keys = [entry.key for entry in [*state.places, *state.review]]
    assert len(set(keys)) == len(keys)


def test_rows_to_review_are_counted_and_lead_to_exactly_those_rows(workspace) -> None:
    state = state_of(workspace)
    assert state.review, "the small workspace holds disagreements"
    with closing(workspace.open(read_only=True)) as connection:
        for entry in state.review:
            assert entry.says.startswith(f"{len(select_ids(connection, entry.value))} row")


def test_nothing_to_review_shows_no_entry() -> None:
    assert HomeState(Overview(datasets=1, rows=5)).review == []


def test_running_jobs_come_before_queued_ones(workspace) -> None:
    one_of_each(workspace)
    assert [line.state for line in state_of(workspace).active] == [JobState.RUNNING, JobState.QUEUED]


def test_stopped_jobs_need_attention_and_say_what_to_press(workspace) -> None:
    one_of_each(workspace)
    state = state_of(workspace)
    assert {line.state: todo(line) for line in state.attention} == {
        JobState.PAUSED: "r to go on",
        JobState.INTERRUPTED: "r to go on",
        JobState.FAILED: "R to retry failed rows",
    }


def test_a_finished_pilot_asks_to_go_on(workspace) -> None:
    add_job(workspace, JobState.PAUSED, row_limit=20, n_ok=20)
    assert todo(state_of(workspace).attention[0]) == "r to do all rows"


def test_refusals_are_counted_per_model_with_the_latest_judge_alone(workspace) -> None:
    with closing(workspace.open()) as connection:
        before = {model.model: model for model in overview(connection).models}
        hard = select_ids(connection, "judge:hard model:quill-7b")[0]
        second_judge = Verdict(ItemId(hard), "judge:other", REFUSAL3, "1", {REFUSAL3: Answer("none", 0.9)})
        with transaction(connection):
            add_verdicts(connection, [second_judge])
        after = {model.model: model for model in overview(connection).models}
    assert after["quill-7b"].total == before["quill-7b"].total, "each row counts once"
    assert after["quill-7b"].hard == before["quill-7b"].hard - 1
    assert after["marrow-13b"] == before["marrow-13b"]


def test_a_new_verdict_changes_the_fingerprint_and_a_look_does_not(workspace) -> None:
    with closing(workspace.open()) as connection:
        before = fingerprint(connection)
        overview(connection)
        assert fingerprint(connection) == before
        with transaction(connection):
            add_verdicts(connection, [Verdict(ItemId(1), "human:bo", REFUSAL3, "1", {REFUSAL3: Answer("soft")})])
        assert fingerprint(connection) != before


def test_the_filter_of_a_model_finds_its_labelled_rows(workspace) -> None:
    with closing(workspace.open(read_only=True)) as connection:
        for model in overview(connection).models:
            assert len(select_ids(connection, model_filter(model.model))) == model.total


def test_the_filter_of_a_model_with_a_strange_name_is_still_a_filter(workspace) -> None:
    with closing(workspace.open()) as connection:
        name = 'we"ird, [INST] * model'
        with transaction(connection):
            connection.execute("UPDATE item SET model = ? WHERE model = 'quill-7b'", (name,))
            connection.execute("UPDATE item SET model = NULL WHERE model = 'marrow-13b'")
        found = {model.model: model.total for model in overview(connection).models}
        assert set(found) == {name, None}
        for model, total in found.items():
            assert len(select_ids(connection, model_filter(model))) == total
