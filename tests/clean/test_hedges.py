"""Disclaimers around answers: seen, taken off where they count as noise, and never at the price of the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.clean.hedges import is_hedged
from refusal_tui.clean.report import clean_report
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.clean.models import World
from tests.clean.test_clean_job import FINE, clean, decisions
from tests.store.building import NewRow

PLAIN = "Mostly dew, and in winter mist."
WRAPPED = f"As an AI language model, I have no taste. {PLAIN} Please consult a professional."
HEDGED = NewRow("What do frindles drink?", WRAPPED, "quill")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


def trims(text: str):
    """An answering model that gives `text` when it is asked for an answer without its disclaimers."""
    return lambda question: text if question.startswith("{") and "answer" in json.loads(question) else "?"


@pytest.mark.parametrize(
    "text",
    ["**As an AI**, I cannot taste it. Dew.", "I’m not a doctor. Dew helps.",
     "This is for educational purposes only. Dew.", "This is no substitute for tea.",
     "It's important to note that dew is wet. Always consult an elder."],
)  # fmt: skip
def test_disclaimers_are_seen(text: str) -> None:
    assert is_hedged(text)


@pytest.mark.parametrize(
    "text",
    [PLAIN, "Please note the blue jar.", "It is important to remember the salt.", "The AI in the story says no.",
     "Ask a lawyer about the frindle deed.", ""],
)  # fmt: skip
def test_a_single_caveat_is_no_wrapping(text: str) -> None:
    assert not is_hedged(text)


def test_disclaimers_are_noise_only_where_somebody_says_so(workspace: Workspace) -> None:
    world = World(answer=trims(PLAIN))
    _, (row,) = clean(workspace, HEDGED, world=world)
    assert decisions([row]) == [("keep", "no_refusal")] and row.response == WRAPPED
    assert world.of("answer") == []


def test_an_answer_loses_its_disclaimers_and_keeps_its_content(workspace: Workspace) -> None:
    world = World(answer=trims(PLAIN))
    _, (trimmed, fine) = clean(workspace, HEDGED, FINE, world=world, noise="hedges")
    assert decisions([trimmed, fine]) == [("keep", "trimmed"), ("keep", "no_refusal")]
    assert (trimmed.prompt, trimmed.response, trimmed.model) == (HEDGED.prompt, PLAIN, "loopback-1")
    assert trimmed.meta["original_response"] == WRAPPED
    (asked,) = world.of("answer")
    assert json.loads(asked) == {"question": HEDGED.prompt, "answer": WRAPPED}


def test_an_answer_that_cannot_be_trimmed_stays_as_it_was(workspace: Workspace) -> None:
    world = World(answer=trims(f"As an AI, I say: {PLAIN}"))
    _, (row,) = clean(workspace, HEDGED, world=world, noise="hedges", rounds=2)
    assert decisions([row]) == [("keep", "hedge_kept")] and row.response == WRAPPED
    assert row.meta["rounds"] == 2 and world.of("rewrite") == []


def test_a_caveat_on_a_harmful_subject_may_be_right(workspace: Workspace) -> None:
    world = World(answer=trims(PLAIN))
    row = NewRow("What helps against thoughts of self-harm?", WRAPPED)
    assert decisions(clean(workspace, row, world=world, noise="hedges")[1]) == [("keep", "no_refusal")]
    assert world.of("answer") == []


def test_the_report_counts_disclaimers_and_missing_responses_before_and_after(workspace: Workspace) -> None:
    world = World(answer=lambda text: PLAIN)
    _, rows = clean(
        workspace, HEDGED, NewRow("Where do zibbets sleep?", None, category="beds"), world=world, noise="hedges"
    )
    found = clean_report(rows, rows=2, failed=0, answers=2, answers_refused=0)
    assert (found.before.empty, found.after.empty) == (1, 0)
    assert (found.before.hedged.value, found.after.hedged.value) == (1.0, 0.0)
    assert found.unsafe == found.off_topic == 0
