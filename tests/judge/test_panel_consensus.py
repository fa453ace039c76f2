"""What a panel says together: derived from its votes, kept beside them, made again at will."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.judge.consensus import majority, make_consensus
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.constitution import DEFAULT
from refusal_tui.labels.verdict import Answer
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, get_job, requeue_job
from refusal_tui.store.labels import labels_of, rebuild_labels, verdicts_of
from refusal_tui.store.workspace import Workspace
from tests.support.judging import add_endpoint, honest_atoms, honest_xstest, label, letter_of, serving
from tests.support.ledger import labels
from tests.support.loopback import Settings
from tests.support.loopback_faults import Faults
from tests.support.workspaces import make_workspace

ROWS = 24
PANEL = LabelSpec(judge="xstest", endpoint="one", panel="two,three")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=ROWS)


def lenient(body: dict, row: str) -> str:
    return letter_of(body, "full_compliance")


def ask(workspace: Workspace, spec: LabelSpec, *answers, faults: Faults | None = None, pilot: int | None = None):
    """One run of a panel whose first members give `answers` in turn; `faults` are the last one's."""
    with (
        serving(Settings(answer=answers[0])) as one,
        serving(Settings(answer=answers[1])) as two,
        serving(Settings(answer=answers[-1], faults=faults or Faults())) as three,
    ):
        for name, server in {"one": one, "two": two, "three": three}.items():
            add_endpoint(workspace, server, name)
        return label(workspace, spec, pilot=pilot)


def threes(workspace: Workspace, annotator: str) -> list[str]:
    return [value for _, head, who, _, value, _ in labels(workspace) if head == "refusal3" and who == annotator]


def test_the_majority_is_there_when_the_job_ends_and_every_vote_stays(workspace: Workspace) -> None:
    job = ask(workspace, PANEL, honest_xstest, honest_xstest, lenient)
    assert job.state is JobState.DONE
    assert threes(workspace, "judge:majority/xstest") == ["hard", "none"] * (ROWS // 2)
    assert threes(workspace, "judge:xstest@three") == ["none"] * ROWS
    with closing(workspace.open()) as connection:
        (found,) = [one for one in labels_of(connection, 1) if one.annotator == "judge:majority/xstest"]
        assert found.probability == pytest.approx(2 / 3), "the share of the votes"


def test_a_pilot_has_no_consensus_before_the_whole_job(workspace: Workspace) -> None:
    job = ask(workspace, PANEL, honest_xstest, honest_xstest, lenient, pilot=4)
    assert job.state is JobState.PAUSED and threes(workspace, "judge:majority/xstest") == []


def test_made_again_it_stores_only_what_is_new(workspace: Workspace) -> None:
    job = ask(workspace, PANEL, honest_xstest, honest_xstest, lenient)
    with closing(workspace.open()) as connection:
        again = make_consensus(connection, job, "majority")
        assert (again.rows, again.new, again.left_out) == (ROWS, 0, 0)
        other = make_consensus(connection, job, "dawid-skene")
        assert (other.annotator, other.new) == ("judge:dawid-skene/xstest", ROWS)
        assert set(other.accuracy) == {"xstest@one", "xstest@two", "xstest@three"}
        assert other.accuracy["xstest@one"] > other.accuracy["xstest@three"]
    assert threes(workspace, "judge:dawid-skene/xstest") == ["hard", "none"] * (ROWS // 2)


def test_even_votes_leave_the_question_open(workspace: Workspace) -> None:
    job = ask(workspace, LabelSpec(judge="xstest", endpoint="one", panel="three"), honest_xstest, lenient, lenient)
    assert threes(workspace, "judge:majority/xstest") == ["none"] * (ROWS // 2), "where both agree"
    with closing(workspace.open()) as connection:
        assert make_consensus(connection, job, "majority").open_answers == {"refusal3": ROWS // 2}


def test_an_arbiters_vote_counts(workspace: Workspace) -> None:
    spec = LabelSpec(judge="xstest", endpoint="one", panel="three", arbiter="two")
    ask(workspace, spec, honest_xstest, honest_xstest, lenient)
    assert threes(workspace, "judge:majority/xstest") == ["hard", "none"] * (ROWS // 2)


def test_a_row_with_votes_of_half_the_panel_is_left_out_until_the_others_are_there(workspace: Workspace) -> None:
    spec = LabelSpec(judge="xstest", endpoint="one", panel="three")
    job = ask(workspace, spec, honest_xstest, honest_xstest, honest_xstest, faults=Faults(judge_refusal=0.5))
    missing = job.n_failed
    assert 0 < missing < ROWS
    assert len(threes(workspace, "judge:majority/xstest")) == ROWS - missing


def test_atoms_are_settled_one_by_one_and_the_labels_follow_the_constitution(workspace: Workspace) -> None:
    spec = LabelSpec(judge="atoms", endpoint="one", panel="two,three")
    ask(workspace, spec, honest_atoms, honest_atoms, honest_atoms)
    with closing(workspace.open()) as connection:
        (together,) = [
            one.verdict for one in verdicts_of(connection, 1) if one.verdict.annotator == "judge:majority/atoms"
        ]
        assert together.answers["explicit_refusal_of_the_whole"] == Answer(True, 1.0)
        assert together.answers["head_c_a"].value is not None
        before = {one.head: one.value for one in labels_of(connection, 1) if one.annotator == "judge:majority/atoms"}
        with transaction(connection):
            rebuild_labels(connection)
        after = {one.head: one.value for one in labels_of(connection, 1) if one.annotator == "judge:majority/atoms"}
    assert before == after and before["head_a"] == "REFUSAL.OVER"
    assert DEFAULT.profile.value == "xstest"


def test_a_score_of_its_own_follows_from_the_settled_parts(workspace: Workspace) -> None:
    def graded(refused: str, grade: str):
        said = json.dumps({"refused": refused, "convincing": grade, "specific": grade, "rationale": "it is"})
        return lambda body, row: said

    spec = LabelSpec(judge="strongreject", endpoint="one", panel="two,three")
    ask(workspace, spec, graded("no", "5"), graded("no", "5"), graded("yes", "1"))
    found = [value for _, head, who, _, value, _ in labels(workspace)
             if head == "strongreject" and who == "judge:majority/strongreject"]  # fmt: skip
    assert found == ["1.000"] * ROWS


def test_a_job_without_a_panel_has_nothing_to_settle(workspace: Workspace) -> None:
    job = label(workspace, LabelSpec())
    with closing(workspace.open()) as connection, pytest.raises(InputError, match="no panel of judges"):
        make_consensus(connection, job, "majority")


def test_a_job_that_is_active_settles_its_votes_itself(workspace: Workspace) -> None:
    job = ask(workspace, PANEL, honest_xstest, honest_xstest, lenient, pilot=4)
    with closing(workspace.open()) as connection:
        requeue_job(connection, job.id)
        with pytest.raises(ConflictError, match="is queued"):
            make_consensus(connection, get_job(connection, job.id), "majority")


def test_it_can_be_left_out(workspace: Workspace) -> None:
    ask(workspace, PANEL.model_copy(update={"consensus": "none"}), honest_xstest, honest_xstest, lenient)
    assert threes(workspace, "judge:majority/xstest") == []


def test_nobody_voting_is_no_majority() -> None:
    assert majority([]) == Answer(None)
