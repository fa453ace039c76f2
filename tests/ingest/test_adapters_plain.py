"""alpaca, dolly, flan and generic."""

from __future__ import annotations

import json

import pytest
from ingest_rows import everything, items_of, plan_of

from refusal_tui.errors import InputError, UsageError
from refusal_tui.ingest.items import Rejected
from refusal_tui.ingest.plan import make_plan
from refusal_tui.ingest.registry import get_adapter
from refusal_tui.labels.rows import Message


def test_alpacas_input_stands_below_its_instruction_and_stays_in_the_metadata():
    items = items_of("alpaca/alpaca.json")
    assert (items[0].prompt, items[0].meta) == ("Name three kettles.", {"input": ""})
    assert (items[1].prompt, items[1].response) == ("Translate.\n\nblorp", "frindle")
    assert items[2].response == ""


def test_dollys_context_stands_below_its_instruction():
    items = items_of("dolly/databricks-dolly-15k.jsonl")
    assert items[0].prompt == "Question 0?\n\nKettles are warm."
    assert (items[1].prompt, items[1].category) == ("Question 1?", "open_qa")


def test_flan_rows_have_their_task_as_category():
    item = items_of("flan/train.jsonl")[0]
    assert (item.prompt, item.response, item.category, item.split) == ("Is blorp 0 heavy?", "no", "blorp_nli", "train")


def test_a_mapping_reaches_into_nested_columns_and_leaves_the_rest_in_the_metadata():
    item = items_of("generic/mine.jsonl", mapping={"prompt": "question", "response": "output.text", "key": "qid"})[0]
    assert (item.key, item.prompt, item.response) == ("q0", "Why 0?", "Because 0.")
    assert item.meta == {"output": {"tokens": 0}, "topic": "blorp"}


def test_a_list_of_chat_turns_serves_as_prompt_and_response():
    item = items_of("generic/chat.jsonl", mapping={"prompt": "conversations"})[0]
    assert item.prompt == (Message("system", "Be kind."), Message("user", "Why 0?"))
    assert item.response == "Because."


def convert(row, **mapping):
    from refusal_tui.ingest.items import Record

    (out,) = get_adapter("generic").convert([Record(1, row)], mapping)
    return out


def test_a_system_column_becomes_the_system_turn():
    item = convert({"s": "Be brief.", "q": "Why?"}, prompt="q", system="s")
    assert item.prompt == (Message("system", "Be brief."), Message("user", "Why?"))


def test_a_place_in_a_list_can_be_mapped_and_a_name_with_a_dot_is_found_first():
    assert convert({"turns": ["a", "b"]}, prompt="turns.0", response="turns.-1").response == "b"
    assert convert({"a.b": "dotted", "a": {"b": "nested"}}, prompt="a.b").prompt == "dotted"


def test_numbers_become_text_and_a_null_response_stays_null():
    assert convert({"q": "6*7?", "a": 42}, prompt="q", response="a").response == "42"
    assert convert({"q": "6*7?", "a": None}, prompt="q", response="a").response is None


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompts": "x"}, "column prompt is missing; found prompts"),
        ({"prompt": None}, "column prompt is empty"),
        ({"prompt": "  "}, "column prompt is empty"),
        ({"prompt": ["x"]}, "column prompt holds a list, not a text; map one of them, for example prompt.0"),
        (
            {"prompt": {"t": "x"}},
            "column prompt holds an object, not a text; map one of its fields, for example prompt.t",
        ),
        ({"prompt": [{"role": "wizard", "content": "x"}]}, "a chat turn has the role 'wizard'"),
        ({"prompt": [{"role": "user", "content": [{"type": "image"}]}]}, "a chat turn holds something that is no text"),
        ({"prompt": [{"role": "assistant", "content": "x"}]}, "the dialogue holds no turn to answer"),
    ],
)
def test_a_row_that_the_mapping_does_not_fit_is_rejected_with_the_reason(row, reason):
    out = convert(row, prompt="prompt")
    assert isinstance(out, Rejected)
    assert out.reason.startswith(reason)


def test_columns_are_guessed_from_names_and_contents_with_reasons():
    plan = plan_of("generic/mine.jsonl")
    assert plan.mapping == {"prompt": "question", "response": "output.text", "key": "qid", "category": "topic"}
    assert any(reason.startswith("prompt is question: its name says so") for reason in plan.reasons)


def test_a_column_whose_values_repeat_is_not_taken_for_the_key(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"id": 1, "question": f"{i}?"}) + "\n" for i in range(3)))
    assert "key" not in make_plan(str(path)).mapping


def test_the_only_text_column_is_taken_for_the_prompt(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"blorp": "What is it?", "n": 1}\n')
    assert make_plan(str(path)).mapping == {"prompt": "blorp"}


def test_a_table_without_a_prompt_says_which_columns_there_are(tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"n": 1, "m": 2}\n')
    with pytest.raises(InputError, match="No column looks like a prompt") as caught:
        make_plan(str(path))
    assert "n, m" in caught.value.next_step


@pytest.mark.parametrize("mapping", [{"answer": "a"}, {"response": "a"}])
def test_a_mapping_of_unknown_names_or_without_a_prompt_is_a_usage_error(mapping):
    with pytest.raises(UsageError):
        plan_of("generic/mine.jsonl", mapping=mapping)


def test_an_adapter_never_raises_for_a_row_of_another_kind():
    from refusal_tui.ingest.items import Record
    from refusal_tui.ingest.registry import all_adapters

    odd = [Record(1, {}), Record(2, {"prompt": 3, "turns": 7, "data": {}, "messages": [[]], "verdicts": 5, "id": []})]
    for adapter in all_adapters():
        shapes = [
            Record(3, dict.fromkeys(shape.columns, value))
            for shape in adapter.shapes
            for value in (None, 1, [1], {"a": 1})
        ]
        options = {"prompt": "prompt"} if adapter.name == "generic" else {}
        for out in adapter.convert([*odd, *shapes], options):
            assert isinstance(out, tuple)


def test_rejected_rows_of_the_reader_pass_through_every_adapter():
    from refusal_tui.ingest.registry import all_adapters

    row = Rejected(7, "broken", "x")
    for adapter in all_adapters():
        options = {"prompt": "prompt"} if adapter.name == "generic" else {}
        assert list(adapter.convert([row], options)) == [row]


def test_everything_of_a_fixture_is_an_item_or_a_rejected_row():
    items, rejected = everything(plan_of("generic/mine.jsonl"))
    assert (len(items), len(rejected)) == (5, 0)
