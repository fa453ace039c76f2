"""What does a judge card say? Counted by hand for small sets of rows, and read from a job over a real server."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.judge.card import CardRow, fit_temperature, make_card, scale
from refusal_tui.judge.card_data import job_cards
from refusal_tui.judge.card_text import render_card
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace
from tests.support.judging import add_endpoint, honest_xstest, label, letter_of, refuses, serving
from tests.support.loopback import Settings
from tests.support.loopback_faults import Faults
from tests.support.workspaces import make_workspace

ROWS = 24


def card(rows: list[CardRow], **more: object):
    return make_card(rows, judge="blorp", version="1/abc", profile="xstest", **more)


def rows_of(said: str, gold: str, other: str = "", **more: object) -> list[CardRow]:
    """One row per letter: n(one), h(ard), s(oft)."""
    names = {"n": "none", "h": "hard", "s": "soft"}
    return [
        CardRow(number, names[one], humans={"human:a": names[g]} | ({"human:b": names[o]} if other else {}), **more)
        for number, (one, g, o) in enumerate(zip(said, gold, other or gold, strict=True))
    ]


def test_agreement_stands_beside_that_of_two_humans() -> None:
    made = card(rows_of("nnhhns", "nnhhhs", "nnhhsh"))
    three, two = made.agreement
    assert made.gold == "human:a"
    assert three.accuracy.value == pytest.approx(5 / 6) and two.accuracy.value == pytest.approx(5 / 6)
    assert made.ceiling is not None and made.ceiling.between == ("human:a", "human:b")
    assert made.ceiling.tasks[0].accuracy.value == pytest.approx(4 / 6)


def test_a_third_human_label_is_the_gold_one_and_the_ceiling_is_that_of_the_others() -> None:
    rows = [CardRow(n, "hard", humans={"human:a": "hard", "human:b": "none", "human:z": "hard"}) for n in range(4)]
    made = card(rows, gold="human:z")
    assert made.gold == "human:z" and made.ceiling is not None and made.ceiling.between == ("human:a", "human:b")


def test_a_row_on_which_the_judge_failed_counts_as_wrong_and_one_without_a_response_does_not_count() -> None:
    failed = CardRow(10, None, error_class="parse", humans={"human:a": "hard"})
    empty = CardRow(11, None, error_class="no_response", humans={"human:a": "hard"})
    made = card([*rows_of("nhh", "nhh"), failed, empty])
    assert made.agreement[0].rows == 4 and made.agreement[0].accuracy.value == pytest.approx(3 / 4)
    assert made.errors == {"parse": 1, "no_response": 1} and made.parse_errors.value == pytest.approx(1 / 5)


def test_a_two_class_judge_is_measured_by_the_two_class_question_alone() -> None:
    rows = [CardRow(n, "refusal", humans={"human:a": "soft"}) for n in range(4)]
    (task,) = card(rows).agreement
    assert task.task == "any refusal" and task.accuracy.value == 1.0


def test_without_human_labels_there_is_no_agreement_and_the_text_says_so() -> None:
    made = card([CardRow(1, "hard")])
    assert made.agreement == () and made.gold is None
    assert "No human has labelled these rows" in render_card(made)


def test_rates_of_flips_and_canaries() -> None:
    rows = [CardRow(1, "hard", second="none"), CardRow(2, "hard", second="hard"), CardRow(3, "none")]
    made = card(rows, canaries=[True, True, True, False], usd=0.006, seconds=3.0)
    assert made.order_flips is not None and made.order_flips.value == 0.5
    assert made.fooled is not None and made.fooled.value == 0.25
    assert (made.usd_per_thousand, made.seconds_per_thousand) == (2.0, 1000.0)


def test_what_was_not_measured_is_none_and_never_nought() -> None:
    made = card([CardRow(1, "hard")])
    assert made.order_flips is made.fooled is made.usd_per_thousand is None


# --- calibration -----------------------------------------------------------------------------------------------------


def test_an_overconfident_judge_gets_a_temperature_above_one() -> None:
    chance = random.Random(5)
    pairs = []
    for _ in range(4000):
        honest = chance.uniform(0.5, 0.95)
        pairs.append((scale(honest, 0.5), chance.random() < honest))
    assert fit_temperature(pairs) == pytest.approx(2.0, rel=0.1)


def test_scaling_lowers_the_calibration_error_on_rows_it_was_not_fitted_on() -> None:
    chance = random.Random(6)
    rows = []
    for number in range(1500):
        honest = chance.uniform(0.5, 0.95)
        right = chance.random() < honest
        rows.append(CardRow(number, "hard", scale(honest, 0.4), humans={"human:a": "hard" if right else "none"}))
    made = card(rows)
    assert made.scaling is not None and made.agreement[0].ece is not None
    assert made.scaling.ece < made.agreement[0].ece / 2


def test_too_few_rows_give_no_temperature() -> None:
    rows = [CardRow(n, "hard", 0.9, humans={"human:a": "hard"}) for n in range(30)]
    assert card(rows).scaling is None


# --- from a job ------------------------------------------------------------------------------------------------------


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace whose rows two humans have labelled; the second one calls the first three refusals answers."""
    workspace = make_workspace(tmp_path / "ws", rows=ROWS)
    verdicts = []
    for number in range(ROWS):
        truth = "hard" if number % 2 == 0 else "none"
        for who, value in (("human:ada", truth), ("human:bob", "none" if number < 6 else truth)):
            verdicts.append(Verdict(ItemId(number + 1), who, "refusal3", "1", {"refusal3": Answer(value)}))
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(connection, verdicts)
    return workspace


def test_the_card_of_a_job_counts_what_the_job_has_seen(workspace: Workspace) -> None:
    settings = Settings(answer=honest_xstest, faults=Faults(judge_refusal=0.4), seed=4)
    with serving(settings) as server:
        add_endpoint(workspace, server, price_in=1.0, price_out=1.0)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local", canaries=12))
        refused = job.n_failed
    with closing(workspace.open()) as connection:
        (made,) = job_cards(connection, job)
    assert (made.judge, made.asked, made.gold) == ("xstest@local", ROWS, "human:ada")
    assert refused > 0 and made.judge_refusals.value == pytest.approx(refused / ROWS)
    assert made.agreement[0].accuracy.value == pytest.approx(1 - refused / ROWS)
    assert made.ceiling is not None and made.ceiling.tasks[0].accuracy.value == pytest.approx(1 - 3 / ROWS)
    assert made.agreement[0].ece is not None and made.usd_per_thousand is not None and made.usd_per_thousand > 0
    assert made.fooled is not None
    text = render_card(made)
    assert "kappa" in text and max(map(len, text.splitlines())) <= 80


def test_answers_that_were_cut_off_do_not_hide_what_the_others_cost(workspace: Workspace) -> None:
    with serving(Settings(answer=honest_xstest, faults=Faults(truncated=0.2), seed=4)) as server:
        add_endpoint(workspace, server, price_in=1.0, price_out=1.0)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local"))
        assert server.stats.faults["truncated"] > 0
    with closing(workspace.open()) as connection:
        (made,) = job_cards(connection, job)
    priced = 1000 * server.stats.tokens / 1e6 / ROWS
    assert made.usd_per_thousand is not None and made.usd_per_thousand > priced


def test_every_member_of_a_panel_has_its_card(workspace: Workspace) -> None:
    with (
        serving(Settings(answer=honest_xstest)) as one,
        serving(Settings(answer=lambda body, row: letter_of(body, "full_compliance"))) as other,
    ):
        add_endpoint(workspace, one, "one")
        add_endpoint(workspace, other, "other")
        job = label(workspace, LabelSpec(judge="xstest", endpoint="one", panel="other"))
    with closing(workspace.open()) as connection:
        good, bad, together = job_cards(connection, job)
    assert (good.judge, bad.judge, together.judge) == ("xstest@one", "xstest@other", "majority/xstest")
    assert together.errors == {"even_votes": ROWS // 2} and together.usd_per_thousand == 0.0
    assert good.agreement[0].kappa.value == 1.0 and bad.agreement[0].kappa.value == 0.0


def test_a_judge_that_goes_by_the_place_of_the_choices_shows_order_flips(workspace: Workspace) -> None:
    """It always takes the first choice, so another order gives another label."""
    with serving(Settings(answer=lambda body, row: "A")) as server:
        add_endpoint(workspace, server)
        job = label(workspace, LabelSpec(judge="xstest", endpoint="local", second_pass=1.0))
    with closing(workspace.open()) as connection:
        (made,) = job_cards(connection, job)
    assert made.order_flips is not None and made.order_flips.value > 0.3


def test_order_flips_of_a_random_sample_are_those_of_all_rows(workspace: Workspace) -> None:
    """A judge that sees the text does not flip; one that always takes the first choice flips on every sampled row, for
    the other order is really another one."""

    def honest(body: dict, row: str) -> str:
        return letter_of(body, "yes" if refuses(body) else "no")

    for answer, flips in ((honest, 0.0), (lambda body, row: "A", 1.0)):
        with serving(Settings(answer=answer)) as server:
            add_endpoint(workspace, server)
            job = label(workspace, LabelSpec(judge="refusal-strict", endpoint="local", order_sample=0.5))
            sampled = server.stats.requests - ROWS
        assert ROWS / 4 < sampled < ROWS and job.n_ok == 2 * ROWS
        with closing(workspace.open()) as connection:
            (made,) = job_cards(connection, job)
        assert made.order_sampled and made.order_flips is not None
        assert made.order_flips.value == flips
        assert "in other order (sample)" in render_card(made)


def test_the_offline_judge_has_a_card_as_well(workspace: Workspace) -> None:
    job = label(workspace, LabelSpec())
    with closing(workspace.open()) as connection:
        (made,) = job_cards(connection, job)
    assert (made.judge, made.usd_per_thousand) == ("linear", 0.0) and made.agreement[0].rows == ROWS


def test_a_computed_consensus_is_no_person_unless_it_is_the_gold_that_is_asked_for(workspace: Workspace) -> None:
    together = "human:majority/refusal3"
    verdicts = [
        Verdict(ItemId(n + 1), together, "refusal3", "majority/1", {"refusal3": Answer("none")}) for n in range(ROWS)
    ]
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(connection, verdicts)
    job = label(workspace, LabelSpec())
    with closing(workspace.open()) as connection:
        (made,) = job_cards(connection, job)
        (against,) = job_cards(connection, job, gold="majority/refusal3")
    assert made.ceiling is not None and set(made.ceiling.between) == {"human:ada", "human:bob"}
    assert against.gold == together and against.agreement[0].accuracy.value == pytest.approx(0.5)
