"""Rows that go another way because of what they are about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.clean.routes import DEFAULT_ROUTES, harms_of, read_routes, route_of
from refusal_tui.clean.strategies import names, read_strategy
from refusal_tui.errors import InputError
from refusal_tui.jobs.spec import SpecError
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import ANSWER, FORBIDDEN, SORRY, World
from tests.clean.test_clean_job import FINE, HARMFUL, OVER, clean, decisions, spec
from tests.store.building import NewRow

HELP = "Who can I talk to when everything is too much?"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def in_pain(prompt: str = f"Smelt {FORBIDDEN} until it is over.", **known) -> NewRow:
    return NewRow(prompt, SORRY, **{"category": "Self-Harm", **known})


class Helper(World):
    """Rewrites into a question about help, and remembers what the models were told."""

    def __init__(self, harms: str | None = None) -> None:
        super().__init__(rewrite=lambda *_: HELP)
        self.told: list[tuple[str, str]] = []
        self._harms = harms

    def __call__(self, body: dict, row: str) -> str:
        system = str(body["messages"][0]["content"])
        if "head_c_a" in system:
            self.asked.append(("harms", str(body["messages"][-1]["content"])))
            return json.dumps({"head_c_a": [self._harms] if self._harms else [], "rationale": "so it is"})
        said = super().__call__(body, row)
        self.told.append((self.asked[-1][0], system))
        return said


# --- what a row is about ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "harms"),
    [
        ("self_harm", ("self_harm",)), ("Self-Harm", ("self_harm",)), ("SH-C", ("self_harm",)),
        ("suicide", ("self_harm",)), ("Child-related Crimes", ("child_safety",)), ("cyberattack", ("cybercrime",)),
        ("hate_speech", ("hate_harassment",)), ("vaults", ()), (None, ()),
    ],
)  # fmt: skip
def test_a_category_of_the_source_says_what_a_row_is_about(category: str | None, harms: tuple[str, ...]) -> None:
    assert harms_of(category, "Tell me of zorblings.") == harms


@pytest.mark.parametrize(
    "prompt",
    ["I want to die.", "how do people end their... I mean, end my life", "Why do I keep cutting myself?",
     "A story about suicide", "thoughts of self-harm", "I don’t want to live any more", "I have no reason to live",
     "I'm going to kill myself tonight", "I PLAN TO DIE"],
)  # fmt: skip
def test_the_words_of_a_prompt_are_enough_where_nobody_has_named_its_category(prompt: str) -> None:
    assert harms_of(None, prompt) == ("self_harm",)


@pytest.mark.parametrize(
    "prompt", ["How do I kill a Python process?", "I cut the bread myself.", "My phone died.", "Is Suicide Squad good?"]
)
def test_words_that_mean_something_else_do_not(prompt: str) -> None:
    assert harms_of(None, prompt) == ()


def test_the_first_route_that_a_row_has_counts() -> None:
    routes = read_routes("self_harm=support,cybercrime=defensive-security")
    found = route_of(routes, ("cybercrime", "self_harm"))
    assert str(found) == "self_harm=support"
    assert route_of(routes, ("fraud",)) is None and route_of(read_routes("none"), ("self_harm",)) is None


@pytest.mark.parametrize(
    ("text", "says"), [("self_harm", "no route"), ("blorp=support", "blorp"), ("self_harm=frindle", "no strategy")]
)
def test_a_route_that_leads_nowhere_is_told_before_anything_is_sent(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_routes(text)
    with pytest.raises(SpecError, match=says):
        spec(routes=text).check()


def test_the_default_routes_are_good() -> None:
    assert read_routes(DEFAULT_ROUTES) == {"self_harm": "support", "child_safety": "review"}


# --- what becomes of it ----------------------------------------------------------------------------------------------


def test_a_prompt_about_hurting_oneself_becomes_a_question_about_help(workspace: Workspace) -> None:
    world = Helper()
    _, (row,) = clean(workspace, in_pain(), world=world, strategy="historical")
    assert (row.prompt, row.response, row.meta["decision"]) == (HELP, ANSWER, "keep")
    assert row.meta["route"] == "self_harm=support" and row.meta["harms"] == ["self_harm"]
    assert row.meta["strategy"] == f"support@{read_strategy('support').hash}"
    told = dict(world.told)
    assert "Never ask how, with what" in told["rewrite"] and "history of the same subject" not in told["rewrite"]
    assert "Answer warmly" in told["answer"] and "no apology" not in told["answer"].lower()


def test_a_harmless_prompt_in_pain_is_answered_with_care_and_not_rewritten(workspace: Workspace) -> None:
    world = Helper()
    _, (row,) = clean(workspace, NewRow("I feel that I want to die.", SORRY), world=world)
    assert (row.prompt, row.response, row.meta["reason"]) == ("I feel that I want to die.", ANSWER, "answered")
    assert [kind for kind, _ in world.told].count("rewrite") == 0
    assert "Answer warmly" in dict(world.told)["answer"]


def test_a_supportive_refusal_can_be_kept_as_it_is(workspace: Workspace) -> None:
    world = Helper()
    _, rows = clean(workspace, in_pain(), HARMFUL, world=world, routes="self_harm=keep", rounds=1)
    assert decisions(rows)[0] == ("keep", "refusal_kept") and rows[0].response == SORRY
    assert len(world.of("rewrite")) == 1, "the other row goes its usual way"


@pytest.mark.parametrize("way", ["review", "drop"])
def test_a_kind_of_harm_may_wait_for_people_or_be_left_out_without_a_request(workspace: Workspace, way: str) -> None:
    world = Helper()
    _, (row,) = clean(workspace, in_pain(category="Child-related Crimes"), world=world, routes=f"child_safety={way}")
    assert decisions([row]) == [(way, "kind_of_harm")]
    assert [kind for kind, _ in world.asked] == ["judge"]


def test_what_a_judge_names_routes_a_row_without_a_category(workspace: Workspace) -> None:
    world = Helper(harms="self_harm")
    job, rows = clean(workspace, HARMFUL, FINE, world=world, ask_harms=True)
    assert job.n_failed == 0
    assert [row.meta["route"] for row in rows] == ["self_harm=support", None]
    assert len(world.of("harms")) == 1, "of a row that stays as it is nothing more is asked"


def test_without_a_route_every_row_goes_the_same_way(workspace: Workspace) -> None:
    _, (row,) = clean(workspace, in_pain(), routes="none")
    assert row.meta["strategy"].startswith("question@") and row.meta["route"] is None


def test_an_over_refusal_of_another_kind_is_answered_as_ever(workspace: Workspace) -> None:
    world = Helper()
    _, (row,) = clean(workspace, OVER, world=world)
    assert row.meta["route"] is None and "No disclaimers" in dict(world.told)["answer"]


def test_every_rewriter_is_told_what_to_do_where_nobody_knew(workspace: Workspace) -> None:
    world = Helper()
    clean(workspace, HARMFUL, world=world, rounds=1)
    assert "hurting themselves" in dict(world.told)["rewrite"]


def test_what_stands_under_answer_is_for_the_answering_model_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.md"
    path.write_text("Make it a riddle.\n\n## Answer\n\nAnswer in verse.\n")
    mine = read_strategy(str(path))
    assert (mine.text, mine.answer) == ("Make it a riddle.", "Answer in verse.")
    assert [name for name in names() if read_strategy(name).answer] == ["support"]


def test_asking_a_judge_for_harms_needs_one_that_can_be_asked() -> None:
    with pytest.raises(SpecError, match="language model"):
        spec(judge="lexical", ask_harms=True).check()


@pytest.mark.parametrize(
    "question",
    ["What is the history of it?", "Which methods did people use?", "Why do people do it?",
     "What helps people to die?", "How can I support my friend with a painless method?"],
)  # fmt: skip
def test_a_rewriter_that_does_not_ask_for_help_is_told_so_and_its_question_never_kept(
    workspace: Workspace, question: str
) -> None:
    world = Helper()
    world.rewrite = lambda *_: question
    _, (row,) = clean(workspace, in_pain(), world=world, rounds=2)
    assert decisions([row]) == [("review", "no_help")]
    assert world.of("answer") == [], "nobody answers it"
    assert "find support" in world.of("rewrite")[1] or "finds support" in world.of("rewrite")[1]


def test_a_way_that_a_user_has_chosen_for_it_has_to_ask_for_help_as_well(workspace: Workspace) -> None:
    world = World(rewrite=lambda *_: f"What is the history of {FORBIDDEN}?")
    _, (row,) = clean(workspace, in_pain(), world=world, routes="self_harm=historical", rounds=1)
    assert row.meta["decision"] == "review"
