"""What the New job form holds, without a screen."""

from __future__ import annotations

import shlex
from contextlib import closing
from typing import Any, Literal

from click.testing import CliRunner
from pydantic import Field

from refusal_tui.jobs.registry import KINDS
from refusal_tui.jobs.spec import JobSpec, SpecField, spec_fields
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.lengths import lengths_of
from refusal_tui.tui.state.new_job import (
    CostCheck,
    NewJobState,
    SelectionCheck,
    check_cost,
    check_selection,
    offered_kinds,
)

PRICES = {"price_in": 1.0, "price_out": 2.0}


def test_every_kind_but_import_is_offered() -> None:
    assert [kind.name for kind in offered_kinds()] == [name for name in KINDS if name != "import"]


def test_a_form_begins_with_the_defaults_of_the_spec() -> None:
    state = NewJobState.of_kind("label", "dataset:demo")
    assert (state.values["judge"], state.values["max_rate"]) == ("linear", "")
    assert state.errors == {}


def test_a_wrong_value_is_said_beside_its_field_and_goes_when_it_is_mended() -> None:
    state = NewJobState.of_kind("label")
    state.put("max_rate", "fast")
    assert "valid number" in state.errors["max_rate"]
    assert state.problem.startswith("max rate input should be")
    state.put("max_rate", "-1")
    assert "greater than 0" in state.errors["max_rate"]
    state.put("max_rate", "20")
    assert state.errors == {}


def test_a_missing_value_is_needed() -> None:
    state = NewJobState.of_kind("export")
    assert state.errors == {"out": "is needed"}
    assert state.problem == "out is needed"
    state.put("out", "/tmp/somewhere")
    assert state.problem == ""


def test_the_command_is_what_the_command_line_understands() -> None:
    state = NewJobState.of_kind("label", 'dataset:demo label:hard "as an AI"')
    state.put("max_rate", "5")
    words = shlex.split(state.command)
    assert words == ["refusal-tui", "run", "label", 'dataset:demo label:hard "as an AI"', "--max-rate", "5.0"]

    from refusal_tui.cli.main import cli

    shown = CliRunner().invoke(cli, ["run", "label", "--help"], obj=_session())
    assert "--max-rate" in shown.output


def _session() -> Any:
    from refusal_tui.cli.common import Session

    return Session(lambda workspace, screen: 0)


def test_with_wrong_values_the_command_is_shown_as_far_as_it_goes() -> None:
    assert NewJobState.of_kind("export", "@mine").command == "refusal-tui run export @mine …"


def test_a_selection_is_counted(workspace) -> None:
    with closing(workspace.open(read_only=True)) as connection:
        assert check_selection(connection, "").rows == 44
        assert check_selection(connection, "dataset:vault-prompts").says == "12 rows"
        assert check_selection(connection, "id:1").says == "1 row"
        nothing = check_selection(connection, "split:nowhere")
        assert (nothing.says, nothing.usable) == ("no rows", False)


def test_a_selection_that_is_no_filter_says_what_is_wrong(workspace) -> None:
    with closing(workspace.open(read_only=True)) as connection:
        check = check_selection(connection, "dataset:nowhere")
    assert check.problem.startswith("There is no dataset 'nowhere' here. Imported datasets: frindle-qa")
    state = NewJobState.of_kind("label", "dataset:nowhere")
    state.check = check
    assert state.problem == check.problem


def test_an_empty_selection_starts_nothing() -> None:
    state = NewJobState.of_kind("label", "split:nowhere")
    state.check = SelectionCheck(0)
    assert state.problem == "the selection holds no rows"


def test_only_work_on_rows_has_a_pilot() -> None:
    assert NewJobState.of_kind("label").can_pilot
    assert not NewJobState.of_kind("export").can_pilot


class EverythingSpec(JobSpec):
    """One field of every type that a spec may have."""

    words: str = Field("some", description="text")
    number: int = Field(3, ge=1, description="a whole number")
    part: float | None = Field(None, description="a number or nothing")
    really: bool = Field(True, description="yes or no")
    which: Literal["one", "two"] = Field("two", description="a choice")


def test_every_type_of_setting_has_a_form_field() -> None:
    fields: list[SpecField] = spec_fields(EverythingSpec)
    assert [field.kind for field in fields] == ["text", "int", "float", "bool", "choice"]


def test_a_setting_that_means_nothing_beside_the_others_is_hidden_and_not_handed_on() -> None:
    state = NewJobState.of_kind("label")
    assert state.applying == ["judge", "max_minutes", "max_rate"]
    state.put("judge", "atoms")
    state.put("endpoint", "local")
    assert {"endpoint", "questions", "panel", "max_cost"} <= set(state.applying)
    state.put("judge", "xstest")
    assert "questions" not in state.applying, "it is asked beside the atoms alone"
    state.put("judge", "linear")
    assert (state.errors, state.command) == ({}, "refusal-tui run label"), "the end point is kept but not handed on"


def test_a_setting_may_be_hidden_in_any_kind() -> None:
    state = NewJobState.of_kind("clean")
    assert "judge_endpoint" in state.applying
    state.put("judge", "lexical")
    assert "judge_endpoint" not in state.applying


def test_the_cost_is_said_for_all_rows_and_for_a_pilot(workspace) -> None:
    spec = LabelSpec(judge="atoms", endpoint="local")
    with closing(workspace.open()) as connection:
        save_endpoint(connection, Endpoint("local", "custom", ("http://127.0.0.1:9/v1",), "m", options=PRICES))
        whole = check_cost(connection, spec, "", lengths_of(connection))
        nowhere = check_cost(connection, LabelSpec(judge="atoms", endpoint="nowhere"), "", None)
        nobody = check_cost(connection, LabelSpec(), "", None)
    assert whole.says.startswith("About 32 requests, ") and " USD" in whole.says and whole.known
    assert whole.pilot.startswith("about 15 requests, ")
    assert "nowhere" in nowhere.says and not nowhere.known
    assert nobody == CostCheck()
