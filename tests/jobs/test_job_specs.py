"""A setting is written once: its checks, its words, and what becomes of settings of another version."""

from __future__ import annotations

import shlex
from enum import StrEnum
from typing import Any, ClassVar, Literal

import pytest
from pydantic import Field

from refusal_tui.errors import JobError
from refusal_tui.jobs.spec import JobSpec, SpecError, build_spec, command_line, load_spec, spec_fields


class Heat(StrEnum):
    LOW = "low"
    HIGH = "high"


class KettleSpec(JobSpec):
    """Version 2 renamed `water` to `litres`; version 3 dropped `whistle`."""

    VERSION: ClassVar[int] = 3

    litres: float = Field(1.0, gt=0, description="how much water")
    heat: Heat = Field(Heat.LOW, description="how hot")
    lid: bool = Field(True, description="with the lid on")
    name: str = Field(description="what to call it")
    tea: Literal["black", "green"] | None = Field(None, description="which tea")
    cups: int = Field(2, ge=1)

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        if version < 2:
            data = {("litres" if name == "water" else name): value for name, value in data.items()}
        data.pop("whistle", None)
        return data


def test_every_kind_of_setting_is_recognised() -> None:
    assert [(f.name, f.kind, f.required) for f in spec_fields(KettleSpec)] == [
        ("litres", "float", False), ("heat", "choice", False), ("lid", "bool", False), ("name", "text", True),
        ("tea", "choice", False), ("cups", "int", False),
    ]  # fmt: skip
    assert spec_fields(KettleSpec)[1].choices == ("low", "high")


def test_text_of_a_form_becomes_values_and_empty_means_not_given() -> None:
    spec = build_spec(KettleSpec, {"litres": "0.5", "cups": "3", "heat": "high", "name": "blorp", "tea": ""})
    assert spec == KettleSpec(litres=0.5, cups=3, heat=Heat.HIGH, name="blorp")


def test_every_bad_setting_is_named_with_what_is_wrong() -> None:
    with pytest.raises(SpecError) as caught:
        build_spec(KettleSpec, {"litres": "-1", "cups": "many", "frindle": "1"})
    assert set(caught.value.fields) == {"litres", "cups", "frindle", "name"}
    assert caught.value.fields["name"] == "is needed"
    assert caught.value.fields["frindle"] == "is not a setting of this job"
    assert "--litres input should be greater than 0" in str(caught.value)
    assert "--tea: No leaf is named." in str(SpecError({"tea": "No leaf is named."})), (
        "a sentence stands behind a colon"
    )


@pytest.mark.parametrize(
    ("version", "stored"),
    [(1, '{"water": 2.5, "whistle": true, "name": "old"}'), (2, '{"litres": 2.5, "whistle": false, "name": "old"}')],
)
def test_settings_of_an_older_version_are_upgraded(version: int, stored: str) -> None:
    assert load_spec(KettleSpec, stored, version) == KettleSpec(litres=2.5, name="old")


def test_settings_of_a_newer_version_are_refused_with_a_sentence() -> None:
    with pytest.raises(JobError, match="made by a newer refusal-tui") as caught:
        load_spec(KettleSpec, '{"name": "new", "steam": 7}', 4)
    assert caught.value.next_step == "Upgrade this installation and resume the job."


def test_a_spec_comes_back_from_the_store_as_it_was() -> None:
    spec = KettleSpec(name="two words", heat=Heat.HIGH, lid=False, tea="green")
    assert load_spec(KettleSpec, spec.model_dump_json(), KettleSpec.VERSION) == spec


def test_the_command_line_says_what_differs_from_the_defaults() -> None:
    spec = KettleSpec(name="it's", heat=Heat.HIGH, lid=False)
    shown = command_line("kettle", spec, selection='dataset:blorp label:"hard"', pilot=20)
    assert shlex.split(shown) == [
        "refusal-tui", "run", "kettle", 'dataset:blorp label:"hard"', "--heat", "high", "--no-lid", "--name", "it's",
        "--pilot", "20",
    ]  # fmt: skip
