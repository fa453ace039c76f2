"""The Judge card screen as it is drawn and as it answers keys."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.browse import count_items
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState
from refusal_tui.store.labels import add_verdicts
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.screens.judge_card import JudgeCardScreen
from refusal_tui.tui.state.judge_card import confusions, read_cards
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import NARROW_EVERY_RUN, SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.job_rows import add_job, change_job
from tests.tui.test_hostile_screens import assert_harmless


def add(workspace, verdicts: list[Verdict]) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        add_verdicts(connection, verdicts)


@pytest.fixture
def judged(workspace):
    """Two people have labelled the first rows of job 1; they differ on three of them, and with the judge on two."""
    labels = ["none", "hard", "none", "none", "hard", "none", "soft", "none", "hard", "none", "none", "hard"]
    second = ["hard", "hard", "soft", *labels[3:]]
    verdicts = []
    for who, said in (("human:ada", ["soft", *labels[1:]]), ("human:ben", second)):
        verdicts += [
            Verdict(ItemId(n), who, "refusal3", "1", {"refusal3": Answer(value)}) for n, value in enumerate(said, 1)
        ]
    add(workspace, verdicts)
    with closing(workspace.open()) as connection:
        change_job(connection, 1, active_seconds=0.8)
    return workspace


def shown(pilot) -> list[str]:
    return [line.content.plain for line in pilot.app.screen.query_one(LineList).shown]


def summary(pilot) -> str:
    return pilot.app.screen.query_one("#card-summary").content.plain


async def press(pilot, *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settle(pilot)


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_a_card_looks_like_this(judged, open_app, svg, size) -> None:
    async with open_app(judged, "judge_card", size=SIZES[size], job_id=1) as pilot:
        assert svg(pilot.app, size)


async def test_the_end_of_a_card_looks_like_this(judged, open_app, svg) -> None:
    async with open_app(judged, "judge_card", job_id=1) as pilot:
        pilot.app.screen.query_one(LineList).scroll_end(animate=False)
        await settle(pilot)
        assert svg(pilot.app, "80x24")


@pytest.mark.parametrize("size", NARROW_EVERY_RUN)
async def test_a_workspace_without_labelling_jobs_looks_like_this(empty_workspace, open_app, svg, size) -> None:
    async with open_app(empty_workspace, "judge_card", size=SIZES[size]) as pilot:
        assert svg(pilot.app, size)


async def test_g_c_leads_to_the_card_of_the_latest_labelling_job(judged, open_app) -> None:
    async with open_app(judged) as pilot:
        await press(pilot, "g", "c")
        assert isinstance(pilot.app.screen, JudgeCardScreen)
        assert "lexical" in summary(pilot) and "32 rows, 31 answered" in "\n".join(shown(pilot))


async def test_v_on_a_labelling_job_leads_to_its_card(judged, open_app) -> None:
    async with open_app(judged, "job", job_id=1) as pilot:
        await press(pilot, "v")
        assert isinstance(pilot.app.screen, JudgeCardScreen) and pilot.app.screen.state.job_id == 1


async def test_the_judge_stands_beside_two_people(judged, open_app) -> None:
    async with open_app(judged, "judge_card", job_id=1) as pilot:
        text = "\n".join(shown(pilot))
        assert "right is  human:ada" in text and "ada and ben" in text
        accuracy = next(line for line in shown(pilot) if line.strip().startswith("accuracy"))
        assert accuracy.count("[") == 2  # the judge's and the people's


async def test_every_line_with_rows_opens_as_many_as_it_says(judged, open_app) -> None:
    async with open_app(judged, "judge_card", job_id=1) as pilot:
        lines = [line for line in pilot.app.screen.query_one(LineList).shown if line.key]
        card = pilot.app.screen.state.card
        with closing(judged.open(read_only=True)) as connection:
            for line in lines:
                found = count_items(connection, line.key)
                if "but the judge" in line.content.plain:
                    assert found == int(line.content.plain.split()[0]), line.key
                assert found > 0, line.key
            assert count_items(connection, lines[0].key) == card.asked
        assert any("but the judge" in line.content.plain for line in lines)


async def test_enter_opens_the_rows(judged, open_app) -> None:
    async with open_app(judged, "judge_card", job_id=1) as pilot:
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, BrowseScreen) and len(pilot.app.screen.state.ids) == 32


async def test_l_takes_another_person_as_right(judged, open_app) -> None:
    async with open_app(judged, "judge_card", job_id=1) as pilot:
        await press(pilot, "l", "l")
        assert "right is  human:ben" in "\n".join(shown(pilot))
        await press(pilot, "l")
        assert "right is  human:ada" in "\n".join(shown(pilot))


async def test_brackets_go_through_the_labelling_jobs(judged, open_app) -> None:
    job_id = add_job(judged, JobState.DONE, title="label again", n_failed=32)
    async with open_app(judged, "judge_card") as pilot:
        assert f"job {job_id} label again" in summary(pilot)
        await press(pilot, "right_square_bracket")
        assert "job 1 lexical on frindle-qa" in summary(pilot) and "31 answered" in "\n".join(shown(pilot))
        await press(pilot, "left_square_bracket")
        assert f"job {job_id}" in summary(pilot)


async def test_without_labels_of_people_it_says_so(workspace, open_app) -> None:
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("DELETE FROM label WHERE annotator = 'human:ada'")
    async with open_app(workspace, "judge_card", job_id=1) as pilot:
        assert "No person has labelled these rows" in "\n".join(shown(pilot))


async def test_the_card_of_another_kind_of_job_is_a_sentence(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.DONE, kind="export", n_ok=3)
    async with open_app(workspace, "judge_card", job_id=job_id) as pilot:
        assert "no labelling job" in "\n".join(shown(pilot))


@pytest.mark.parametrize("hostile", hostile_cases(longest=500))
async def test_a_person_with_a_hostile_name(workspace, open_app, hostile) -> None:
    from refusal_tui.store.encoding import storable

    name = storable(f"human:{hostile.text}")
    add(workspace, [Verdict(ItemId(n), name, "refusal3", "1", {"refusal3": Answer("hard")}) for n in range(1, 20)])
    async with open_app(workspace, "judge_card", job_id=1) as pilot:
        assert_harmless(pilot)
        await press(pilot, "j", "j", "enter")
        assert pilot.app.screen.state.error is None
        assert_harmless(pilot)


def test_a_judge_of_two_classes_is_found_by_its_own_head(workspace) -> None:
    with closing(workspace.open(read_only=True)) as connection:
        found = read_cards(connection, 1, None)
    assert found.heads["judge:lexical"] == {"refusal3"} and found.people == ["ada"]
    from refusal_tui.tui.state.judge_card import label_filter

    heads = {"judge:lexical": frozenset({"response_refusal"}), "human:ada": frozenset({"refusal3"})}
    rows = label_filter(1, heads, found.cards[0], gold="refusal", said="no refusal")
    assert rows == "job:1 gold.ada:hard,soft judge.response_refusal.lexical:no"


def test_rows_on_which_both_agree_are_no_confusion() -> None:
    assert confusions(("hard", "none", "error"), ((3, 1, 2), (0, 5, 0))) == [("hard", "error", 2), ("hard", "none", 1)]
