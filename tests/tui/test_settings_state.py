"""The state behind Settings, without an app."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_tui.llm.detect import Candidate
from refusal_tui.llm.presets import PRESETS
from refusal_tui.store.endpoints import Endpoint
from refusal_tui.tui.state.settings import EndpointForm, endpoint_lines, facts, own_command, problem_of, within_reach

HERE = Endpoint("here", "vllm", ("http://127.0.0.1:8000/v1",), "blorp-8b", "BLORP_KEY", {"rpm": 60, "price_in": 0.5})


def test_a_key_in_a_dotenv_file_counts_and_is_not_in_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BLORP_KEY=sk-secret-blorp\n")
    (line,) = endpoint_lines([HERE], [tmp_path])
    assert line.has_key is True and line.key_says == "key set: $BLORP_KEY"
    assert "sk-secret" not in repr(line) + repr(facts(line))


def test_an_end_point_without_a_key_needs_none() -> None:
    (line,) = endpoint_lines([Endpoint("tiny", "local", ("local",), "blorp/tiny")], [])
    assert line.has_key is None and dict(facts(line))["key"] == "no key needed"
    assert "server" not in dict(facts(line))


def test_a_server_that_is_an_end_point_already_is_not_offered() -> None:
    known, other = Candidate("vllm", "http://127.0.0.1:8000/v1/"), Candidate("ollama", "http://127.0.0.1:11434/v1")
    assert within_reach([known, other], [HERE]) == [other]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_has_a_form_that_lacks_at_most_a_model(preset: str) -> None:
    form = EndpointForm.empty(preset)
    assert set(form.errors) <= {"model"} and form.values["name"]
    assert next(field.name for field in form.fields) == "name"


def test_a_form_is_the_command_that_it_shows() -> None:
    form = EndpointForm.of_candidate(Candidate("vllm", "http://127.0.0.1:8000/v1", ("blorp-8b",)))
    form.values |= {"url": "http://a:1/v1, http://b:2/v1", "rpm": "60"}
    assert form.command == (
        "refusal-tui endpoint add vllm --preset vllm --url http://a:1/v1 --url http://b:2/v1 --model blorp-8b "
        "--rpm 60 --test"
    )


def test_an_end_point_comes_back_as_it_was_saved() -> None:
    form = EndpointForm.of_endpoint(HERE)
    assert form.fixed and form.values["model"] == "blorp-8b" and form.values["rpm"] == "60"
    assert "name" not in [field.name for field in form.fields]
    assert form.arguments[:5] == ["endpoint", "add", "here", "--preset", "vllm"]


def test_a_new_end_point_replaces_none() -> None:
    form = EndpointForm.empty("vllm").beside(["vllm", "vllm-2"])
    assert form.values["name"] == "vllm-3" and "name" not in form.errors
    form.values["name"] = "vllm-2"
    assert "is taken" in form.errors["name"]
    assert "is taken" in form.as_preset("custom").errors["name"]


def test_another_kind_keeps_what_was_typed_and_takes_its_own_suggestions() -> None:
    form = EndpointForm.empty("vllm")
    form.values |= {"model": "blorp", "rpm": "60"}
    other = form.as_preset("openai")
    assert (other.values["model"], other.values["rpm"], other.values["key_env"]) == ("blorp", "60", "OPENAI_API_KEY")
    assert "url" not in other.values and other.values["name"] == "openai"
    assert other.as_preset("ollama").values["url"] == "http://127.0.0.1:11434/v1"


def test_what_a_failed_command_said_is_its_error_alone() -> None:
    said = "  models\n  a plain question\nError: It cannot be reached.\nStart the server."
    assert problem_of(6, said) == "It cannot be reached.\nStart the server."
    assert problem_of(2, "Usage: x\n\nError: No such option.") == "No such option."
    assert problem_of(137, "") == "It ended with exit code 137."


def test_commands_name_their_workspace(tmp_path: Path) -> None:
    assert own_command(tmp_path, "endpoint", "probe", "x")[1:] == [
        "-m", "refusal_tui", "--workspace", str(tmp_path), "endpoint", "probe", "x",
    ]  # fmt: skip
