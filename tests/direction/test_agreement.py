"""Does the projection say what judges and people say? Figures on rows whose answer is known."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest

from refusal_tui.direction.agreement import best_threshold, projection_agreement
from refusal_tui.direction.readings import Reading, Readings
from refusal_tui.direction.select import Cell
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store import datasets, items, labels
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import create_job
from refusal_tui.store.outcomes import MadeItem
from refusal_tui.store.workspace import create_workspace

ARMS = ("baseline", "ablated", "steered")


@pytest.fixture
def labelled(tmp_path):
    """Six prompts with three answers each. The projection of prompts tells refused ones from others, but for one; that
    of answers says nothing. One judge has labelled all, a person the first three baseline answers."""
    connection = create_workspace(tmp_path / "w").open()
    job = create_job(connection, kind="direction", title="d", lane="cpu", spec="{}", spec_version=1)
    at_prompt = [5.0, 4.0, 1.0, 2.0, 0.5, 0.0]
    refused = [True, True, True, False, False, False]
    readings, rows, verdicts = [], [], []
    for n, (value, hard) in enumerate(zip(at_prompt, refused, strict=True)):
        kind = "harmful" if n < 3 else "harmless"
        for arm in ARMS:
            readings.append(Reading(f"{kind}_val", f"k{n}", arm, (), 0, value, float(n % 2)))
            meta = {"arm": arm, "job": job, "source": f"k{n}"}
            rows.append((f"{n}{arm}", MadeItem(f"prompt {n}", f"{arm} {n}", category=kind, meta=meta)))
            verdicts.append("hard" if hard and arm == "baseline" else "none")
    with transaction(connection):
        ids = items.add_items(connection, datasets.begin_made(connection, "arms", job, "direction").id, rows).ids
        said = [("judge:lexical", item, value) for item, value in zip(ids, verdicts, strict=True)]
        said += [("human:ada", ids[3 * n], "soft") for n in range(3)]
        labels.add_verdicts(connection, [
            Verdict(ItemId(item), who, "refusal3", "1", {"refusal3": Answer(value, 0.9)}) for who, item, value in said
        ])  # fmt: skip
    with closing(connection):
        yield connection, job, Readings(Cell(-1, 2), (0.0, 1.0), (0.0, 0.0), tuple(readings))


def test_prompts_are_held_against_the_answers_of_the_unchanged_model(labelled) -> None:
    connection, job, readings = labelled
    found = {(one.annotator, one.of): one for one in projection_agreement(connection, "arms", job, readings)}
    judge = found["judge:lexical", "prompt"]
    assert (judge.rows, judge.refused) == (6, 3)
    assert judge.auroc.value == pytest.approx(8 / 9) and judge.auroc.low < judge.auroc.value
    assert judge.threshold in (0.75, 3.0) and judge.kappa == pytest.approx(2 / 3)
    assert judge.kappa_left_out < judge.kappa, "a threshold that these rows have chosen flatters"


def test_answers_of_all_arms_are_held_against_their_own_labels(labelled) -> None:
    connection, job, readings = labelled
    found = {(one.annotator, one.of): one for one in projection_agreement(connection, "arms", job, readings)}
    assert found["judge:lexical", "answer"].rows == 18
    assert found["judge:lexical", "answer"].auroc.value == pytest.approx(0.5, abs=0.2)


def test_people_come_first_and_one_label_only_gives_no_figure(labelled) -> None:
    connection, job, readings = labelled
    found = projection_agreement(connection, "arms", job, readings)
    assert [one.annotator for one in found] == ["human:ada", "human:ada", "judge:lexical", "judge:lexical"]
    assert (found[0].rows, found[0].refused) == (3, 3)
    assert np.isnan(found[0].auroc.value) and np.isnan(found[0].kappa) and np.isnan(found[0].kappa_left_out)


def test_answers_of_another_run_in_the_same_dataset_do_not_count(labelled) -> None:
    connection, job, readings = labelled
    assert projection_agreement(connection, "arms", job + 1, readings) == []


def test_the_best_threshold_is_the_one_with_the_highest_kappa() -> None:
    values, refused = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, True, False, True])
    threshold, kappa = best_threshold(values, refused)
    assert threshold in (0.5, 2.5) and kappa == pytest.approx(0.5)
    assert np.isnan(best_threshold(np.array([1.0, 1.0]), np.array([True, False]))[0]), "equal values tell nothing apart"
