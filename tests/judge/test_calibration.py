"""A judge's confidence made honest: by a temperature from human labels, and by what it leans to before it has read."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.jobs.spec import SpecError
from refusal_tui.judge.calibrate import apply_temperature, remove_temperature
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.calibration import scale
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import Job
from refusal_tui.store.labels import add_verdicts, labels_of, rebuild_labels
from refusal_tui.store.settings import calibrations
from refusal_tui.store.workspace import Workspace
from tests.support.judging import add_endpoint, honest_xstest, label, letter_of, refuses, serving
from tests.support.ledger import labels
from tests.support.loopback import Settings
from tests.support.workspaces import make_workspace

ROWS = 80


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return make_workspace(tmp_path / "ws", rows=ROWS)


def people_say(workspace: Workspace, wrong_every: int) -> None:
    """A human's labels: the truth of the workspace, and the opposite on every so-manieth row."""
    verdicts = []
    for n in range(ROWS):
        refused = (n % 2 == 0) is not (n % wrong_every == 0)
        said = {"refusal3": Answer("hard" if refused else "none")}
        verdicts.append(Verdict(ItemId(n + 1), "human:ada", "refusal3", "1", said))
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(connection, verdicts)


def judged(workspace: Workspace) -> Job:
    with serving(Settings(answer=honest_xstest)) as server:
        add_endpoint(workspace, server)
        return label(workspace, LabelSpec(judge="xstest", endpoint="local"))


def stored(workspace: Workspace) -> list[tuple[str, float, str]]:
    with closing(workspace.open()) as connection:
        rows = connection.execute(
            "SELECT value, probability, derivation FROM label WHERE annotator = 'judge:xstest@local' ORDER BY item_id"
        )
        return [tuple(row) for row in rows]


# --- temperature -----------------------------------------------------------------------------------------------------


def test_a_temperature_from_human_labels_makes_an_overconfident_judge_less_sure(workspace: Workspace) -> None:
    people_say(workspace, wrong_every=4)
    job = judged(workspace)
    before = stored(workspace)
    with closing(workspace.open()) as connection:
        (applied,) = apply_temperature(connection, job)
    found = applied.calibration
    assert (found.annotator, found.gold, found.rows, applied.labels) == ("judge:xstest@local", "human:ada", ROWS, ROWS)
    assert found.temperature > 1.5 and found.raw_ece is not None and found.ece < found.raw_ece
    after = stored(workspace)
    assert [value for value, *_ in after] == [value for value, *_ in before], "labels stay"
    assert [p for _, p, _ in after] == pytest.approx([scale(p, found.temperature) for _, p, _ in before])
    assert {how for *_, how in after} == {f"2/T{found.temperature:.6g}"}


def test_it_is_taken_back_without_a_trace(workspace: Workspace) -> None:
    people_say(workspace, wrong_every=4)
    job = judged(workspace)
    before = stored(workspace)
    with closing(workspace.open()) as connection:
        apply_temperature(connection, job)
        assert remove_temperature(connection, "xstest@local") == ROWS
        assert calibrations(connection) == {}
        with pytest.raises(InputError, match="No temperature is in force"):
            remove_temperature(connection, "xstest@local")
    assert stored(workspace) == before


def test_it_holds_for_later_verdicts_and_survives_a_rebuild_and_another_fit(workspace: Workspace) -> None:
    people_say(workspace, wrong_every=4)
    job = judged(workspace)
    with closing(workspace.open()) as connection:
        (first,) = apply_temperature(connection, job)
        said = {"refusal3": Answer("hard", 0.9)}
        with transaction(connection):
            add_verdicts(connection, [Verdict(ItemId(1), "judge:xstest@local", "xstest", "1", said)])
        (mine,) = [one for one in labels_of(connection, 1) if one.annotator == "judge:xstest@local"]
        assert mine.probability == pytest.approx(scale(0.9, first.calibration.temperature))
        whole = stored(workspace)
        with transaction(connection):
            rebuild_labels(connection)
        assert stored(workspace) == whole
        (again,) = apply_temperature(connection, job)
        assert again.calibration == first.calibration, "fitted on what the judge said, not on what was made of it"


def test_too_few_human_labels_are_told(workspace: Workspace) -> None:
    job = judged(workspace)
    with closing(workspace.open()) as connection:
        with pytest.raises(InputError, match="not enough human labels"):
            apply_temperature(connection, job)
        with pytest.raises(InputError, match="judged nothing"):
            apply_temperature(connection, job, judge="frindle")


def test_a_temperature_is_for_the_heads_about_refusing_alone(workspace: Workspace) -> None:
    people_say(workspace, wrong_every=4)
    job = judged(workspace)
    with closing(workspace.open()) as connection:
        apply_temperature(connection, job)
        said = {"response_refusal": Answer(True, 0.9), "prompt_harmful": Answer(True, 0.9)}
        with transaction(connection):
            add_verdicts(connection, [Verdict(ItemId(1), "judge:xstest@local", "wildguard", "1", said)])
        found = {one.head: one.probability for one in labels_of(connection, 1) if one.annotator == "judge:xstest@local"}
    assert found["prompt_harmful"] == 0.9 and found["response_refusal"] < 0.9


# --- what the judge leans to -----------------------------------------------------------------------------------------


def leaning(body: dict, row: str) -> str:
    """Says "no" of whatever has no content, and of a refusal the truth."""
    return letter_of(body, "yes" if refuses(body) else "no")


def test_a_leaning_is_asked_for_once_per_order_and_taken_off(workspace: Workspace) -> None:
    spec = LabelSpec(judge="refusal-strict", endpoint="local", contextual=True)
    with serving(Settings(answer=leaning)) as server:
        add_endpoint(workspace, server)
        plain = label(workspace, LabelSpec(judge="refusal-strict", endpoint="local"))
        before = {item: p for item, head, _, _, value, p in labels(workspace) if value == "no"}
        job = label(workspace, spec)
        assert server.stats.requests == ROWS + 3, "the rows' answers are known; three texts without content are new"
        again = label(workspace, spec)
        assert server.stats.requests == ROWS + 3
    assert plain.n_ok == job.n_ok == again.n_ok == ROWS
    after = {item: (value, p) for item, head, _, _, value, p in labels(workspace) if head == "response_refusal"}
    for item, probability in before.items():
        value, corrected = after[item]
        assert value == "yes" or corrected < probability, "it would have said no of nothing, too"
    with closing(workspace.open()) as connection:
        versions = {row[0] for row in connection.execute("SELECT version FROM verdict WHERE job_id = ?", (job.id,))}
        assert all(version.endswith("/contextual") for version in versions)
        assert connection.execute("SELECT count(*) FROM verdict WHERE item_id < 1").fetchone()[0] == 0


def test_every_order_of_the_choices_has_a_leaning_of_its_own(workspace: Workspace) -> None:
    with serving(Settings(answer=leaning)) as server:
        add_endpoint(workspace, server)
        label(workspace, LabelSpec(judge="refusal-strict", endpoint="local", contextual=True, permute=True))
        assert server.stats.requests == ROWS + 2 * 3


@pytest.mark.parametrize(("judge", "capabilities"), [("wildguard", None), ("xstest", {"json_schema": True})])
def test_a_judge_without_one_letter_and_its_probability_is_told(workspace: Workspace, judge, capabilities) -> None:
    with serving(Settings(answer=leaning)) as server, closing(workspace.open()) as connection:
        add_endpoint(workspace, server, capabilities=capabilities)
        with pytest.raises(SpecError, match="log-probabilities"):
            LabelSpec(judge=judge, endpoint="local", contextual=True).check_in(connection)
