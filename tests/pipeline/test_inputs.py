"""What a step depends on is told apart; datasets may have any name."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.constitution import from_mapping
from refusal_tui.pipeline.inputs import judge_hash, rows_filter, rows_hash, settings_hash
from refusal_tui.store.encoding import storable
from refusal_tui.store.endpoints import Endpoint, save_endpoint
from refusal_tui.store.query import parse
from refusal_tui.text.hostile import HOSTILE
from tests.support.workspaces import make_workspace


def test_a_dataset_of_any_name_is_found_by_its_filter() -> None:
    for hostile in HOSTILE:
        name = storable(hostile.text)[:200]
        if name.strip():
            (term, more) = parse(rows_filter([name, "other"], "has:response"))
            assert term.values == (name, "other") and more.field == "has"


def test_rows_that_come_change_the_hash_of_a_selection(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws", 4)
    with closing(workspace.open()) as connection:
        before = rows_hash(connection, "dataset:blorp")
    make_workspace(tmp_path / "ws", 3, dataset="frindle")
    with closing(workspace.open()) as connection:
        assert rows_hash(connection, "dataset:blorp") == before
        assert rows_hash(connection, "dataset:blorp,frindle")[0] == 7


def test_budgets_and_the_pace_are_no_part_of_the_settings() -> None:
    plain = LabelSpec(judge="xstest", endpoint="local")
    assert settings_hash(plain) == settings_hash(plain.model_copy(update={"max_cost": 3.0, "max_rate": 2.0}))
    assert settings_hash(plain) != settings_hash(plain.model_copy(update={"permute": True}))


def test_a_judge_is_another_one_when_it_is_asked_otherwise_but_not_when_rules_change(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "ws")
    rules = from_mapping({})
    other_rules = from_mapping({"labeling_rules": {"outcome_determination": {"REFUSAL.DIRECT": "empathy"}}})
    other_words = from_mapping({"atoms": {"empathy": "Does the response show that it cares?"}})
    spec = LabelSpec(judge="atoms", endpoint="local")
    local = Endpoint("local", "custom", ("http://127.0.0.1:8000/v1",), "quill-70b")
    with closing(workspace.open()) as connection:
        save_endpoint(connection, local)
        asked = judge_hash(connection, spec, rules)
        assert judge_hash(connection, spec, other_rules) == asked
        assert judge_hash(connection, spec, other_words) != asked
        save_endpoint(connection, replace(local, base_urls=("http://127.0.0.1:9000/v1",)))
        assert judge_hash(connection, spec, rules) == asked  # another place, the same model
        save_endpoint(connection, replace(local, model="quill-7b"))
        assert judge_hash(connection, spec, rules) != asked
