"""The plan: recognition, drift in words, options, splits, estimates, and what it refuses."""

from __future__ import annotations

import gzip
import json

import pytest
from ingest_rows import FIXTURES, everything, plan_of

from refusal_tui.errors import InputError, UsageError
from refusal_tui.ingest.items import SourceItem
from refusal_tui.ingest.plan import make_plan, suggest_name
from refusal_tui.ingest.registry import ADAPTERS, get_adapter

FILES = sorted(
    path
    for path in FIXTURES.rglob("*")
    if path.is_file() and path.suffix != ".md" and path.relative_to(FIXTURES).parts[0] != "generic"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FIXTURES).as_posix())
def test_every_dataset_is_recognised_by_its_columns(path):
    folder = path.relative_to(FIXTURES).parts[0]
    expected = "sorry-bench" if folder.startswith("sorry-bench") else folder
    plan = make_plan(str(path))
    assert plan.adapter.name == expected
    assert plan.warnings == ()


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "generic"])
def test_every_adapter_has_a_fixture_in_each_of_its_shapes(name):
    from refusal_tui.ingest.items import Record

    seen = set()
    for path in FILES:
        plan = make_plan(str(path))
        if plan.adapter.name == name:
            first = next(row for row in plan.open() if isinstance(row, Record))
            shape = plan.adapter.shape_of(first)
            assert shape is not None
            seen.add(shape.name)
    assert seen == {shape.name for shape in get_adapter(name).shapes}


def test_a_renamed_column_is_reported_in_words(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = (FIXTURES / "wildguardmix" / "wildguard_train.jsonl").read_text()
    path.write_text(rows.replace("response_refusal_label", "response_refusal"))
    plan = make_plan(str(path), adapter="wildguardmix")
    assert plan.warnings == ("column response_refusal_label is missing; found response_refusal",)


def test_a_column_of_another_kind_is_reported_in_words(tmp_path):
    path = tmp_path / "x.jsonl"
    rows = (FIXTURES / "sorry-bench-202503" / "question.jsonl").read_text()
    path.write_text(rows.replace('"prompt_style": "base"', '"prompt_style": 7'))
    assert "column prompt_style holds whole numbers; expected null, text" in make_plan(str(path)).warnings


def test_a_source_that_its_adapter_cannot_read_at_all_is_refused_with_the_reason():
    with pytest.raises(InputError, match="column chosen is missing") as caught:
        plan_of("alpaca/alpaca.json", adapter="hh-rlhf")
    assert "--as" in caught.value.next_step


def test_a_source_without_a_readable_row_is_refused_with_the_first_reason(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("oops\n")
    with pytest.raises(InputError, match="broken JSON"):
        make_plan(str(path))


def test_the_preview_shows_the_first_items_and_the_first_rejected_rows(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{i}"}) + "\n" for i in range(9)) + "oops\n")
    plan = make_plan(str(path))
    assert [item.prompt for item in plan.preview] == ["p0", "p1", "p2", "p3", "p4"]
    assert [row.line for row in plan.rejected] == [10]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"adapter": "hh-rhlf"}, "There is no adapter 'hh-rhlf'"),
        ({"options": {"turn": "last"}}, "has no option 'turn'"),
        ({"options": {"turns": "first"}}, "The option turns cannot be 'first'"),
        ({"adapter": "hh-rlhf", "mapping": {"prompt": "chosen"}}, "A mapping is for the adapter generic"),
    ],
)
def test_wrong_settings_are_usage_errors_with_a_next_step(settings, sentence):
    with pytest.raises(UsageError, match=sentence) as caught:
        plan_of("hh-rlhf/harmless-base/test.jsonl", **settings)
    assert caught.value.next_step


def test_an_unknown_adapter_is_answered_with_the_nearest_one():
    with pytest.raises(UsageError) as caught:
        get_adapter("hh-rhlf")
    assert "Did you mean hh-rlhf?" in caught.value.next_step


def test_a_mapping_alone_chooses_the_generic_adapter():
    plan = plan_of("alpaca/alpaca.json", mapping={"prompt": "output"})
    assert plan.adapter.name == "generic"
    assert plan.preview[0].prompt == "Red, blue, green."


def test_the_reason_names_the_columns_and_whose_licence_it_is():
    (reason,) = plan_of("alpaca/alpaca.json").reasons
    assert "instruction, input, output" in reason
    assert "licence is that of tatsu-lab/alpaca" in reason


def rows_with_splits(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"p{i}", "split": "ab"[i % 2]}) + "\n" for i in range(6)))
    return str(path)


def test_a_split_selects_the_rows_that_say_so(tmp_path):
    items, _ = everything(make_plan(rows_with_splits(tmp_path), split="b"))
    assert [item.prompt for item in items] == ["p1", "p3", "p5"]


def test_a_split_names_all_rows_of_a_source_that_has_none(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "p"}\n')
    items, _ = everything(make_plan(str(path), split="mine"))
    assert [item.split for item in items] == ["mine"]


def test_a_split_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="split c"):
        make_plan(rows_with_splits(tmp_path), split="c")


def test_train_and_test_of_wildguard_in_one_import_are_warned_about():
    assert any("evaluation only" in warning for warning in plan_of("wildguardmix").warnings)
    assert plan_of("wildguardmix", split="test").eval_only
    assert plan_of("wildguardmix", split="test").warnings == ()


def test_the_rows_of_a_small_source_are_counted(tmp_path):
    assert plan_of("hh-rlhf/harmless-base/test.jsonl").estimated_rows == 6


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv", "x.jsonl.gz"])
def test_the_rows_of_a_big_source_are_reckoned_within_a_tenth(tmp_path, name):
    rows = [{"prompt": f"prompt {i} " + "x" * (i * 7919 % 400), "n": str(i)} for i in range(30_000)]
    if name.endswith(".json"):
        content = json.dumps(rows)
    elif name.endswith(".csv"):
        content = "prompt,n\n" + "".join(f"{row['prompt']},{row['n']}\n" for row in rows)
    else:
        content = "".join(json.dumps(row) + "\n" for row in rows)
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data, 1) if name.endswith(".gz") else data)
    estimate = make_plan(str(tmp_path / name), mapping={"prompt": "prompt"}).estimated_rows
    assert estimate is not None
    assert abs(estimate - 30_000) < 3_000


def test_parquet_says_itself_how_many_rows_it_has(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"prompt": [f"p{i}" for i in range(25_000)]}), path)
    assert make_plan(str(path)).estimated_rows == 25_000


def test_going_on_after_a_stop_gives_the_items_that_were_left(tmp_path):
    plan = plan_of("hh-rlhf/harmless-base/test.jsonl")
    whole = [item for item in plan.items(plan.open()) if isinstance(item, SourceItem)]
    assert list(plan.items(plan.open(skip=2))) == whole[4:]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/data/hh_sample.jsonl", "hh_sample"),
        ("/data/XSTest v2 (final).csv.gz", "xstest-v2-final"),
        ("hf:allenai/wildguardmix:wildguardtest@main", "wildguardmix-wildguardtest"),
        ("hf:bench-llm/or-bench:or-bench-80k", "or-bench-or-bench-80k"),
        ("/data/???.jsonl", "dataset"),
    ],
)
def test_a_dataset_name_is_suggested_from_the_source(source, name):
    assert suggest_name(source) == name


def test_a_missing_source_is_an_input_error_that_mentions_the_hub():
    with pytest.raises(InputError, match="does not exist") as caught:
        make_plan("/nowhere/x.jsonl")
    assert "hf:owner/name" in caught.value.next_step
