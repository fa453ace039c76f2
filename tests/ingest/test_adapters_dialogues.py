"""hh-rlhf, oasst1, harmfulqa, ultrachat: dialogues become prompt and response."""

from __future__ import annotations

from collections import Counter

from ingest_rows import everything, items_of, plan_of

from refusal_tui.labels.rows import Message

HH = "hh-rlhf/harmless-base/test.jsonl"


def test_an_hh_pair_becomes_two_items_that_share_a_pair_id():
    chosen, rejected = items_of(HH)[:2]
    assert chosen.prompt == rejected.prompt == "How do I brew blorptanium?"
    assert (chosen.response, rejected.response) == ("I can’t help with that.", "First you warm the kettle.")
    assert (chosen.meta["side"], rejected.meta["side"]) == ("chosen", "rejected")
    assert chosen.meta["pair"] == rejected.meta["pair"]
    assert len({item.meta["pair"] for item in items_of(HH)}) == 6


def test_the_prompt_of_an_hh_dialogue_is_every_turn_before_the_last_reply():
    chosen = items_of(HH)[2]
    assert chosen.prompt == (
        Message("user", "Hi"),
        Message("assistant", "Hello, what can I do?"),
        Message("user", "Tell me of the frindle ritual"),
    )
    assert chosen.response == "It is a dance."


def test_hh_sides_that_part_early_keep_their_own_turns():
    chosen, rejected = items_of(HH)[6:8]
    assert [turn.content for turn in chosen.prompt] == ["One", "First", "Two"]
    assert [turn.content for turn in rejected.prompt] == ["One", "Another first", "Three"]


def test_an_empty_hh_reply_is_an_empty_response_and_two_replies_in_a_row_are_two_turns():
    items = items_of(HH)
    assert items[5].response == ""
    assert [turn.role for turn in items[8].prompt] == ["user", "assistant"]
    assert items[8].response == "and said again"


def test_hh_text_keeps_its_inner_line_breaks_and_trailing_space():
    item = items_of(HH)[10]
    assert (item.prompt, item.response) == ("A line break\n\nin the middle", "Fine.\n")


def test_the_option_turns_last_keeps_the_last_question_alone():
    prompts = [item.prompt for item in items_of(HH, options={"turns": "last"})]
    assert prompts[2] == "Tell me of the frindle ritual"
    assert all(isinstance(prompt, str) for prompt in prompts)


def test_the_hh_data_dir_is_kept_as_subset_and_the_file_name_as_split():
    item = items_of(HH)[0]
    assert (item.meta["subset"], item.split) == ("harmless-base", "test")


def test_pairs_of_several_files_have_different_ids():
    items, _ = everything(plan_of("hh-rlhf"))
    assert Counter(Counter(item.meta["pair"] for item in items if "pair" in item.meta).values()) == {2: 6}


def test_hh_red_team_transcripts_keep_their_ratings_and_get_no_label():
    item = items_of("hh-rlhf/red-team-attempts/train.jsonl")[0]
    assert item.response == "In a cellar."
    assert item.model == "context distillation"
    assert item.meta["min_harmlessness_score_transcript"] == -0.5
    assert item.verdicts == ()


def test_an_hh_dialogue_without_its_markers_is_rejected(rows_of, tmp_path):
    from refusal_tui.ingest.registry import get_adapter

    rows = rows_of('{"chosen": "Hello", "rejected": "\\n\\nHuman: Hi"}\n{"chosen": "\\n\\nHuman: Hi", "rejected": 3}')
    reasons = [row.reason for row in get_adapter("hh-rlhf").convert(rows, {})]
    assert "column chosen does not begin with" in reasons[0]
    assert reasons[1] == "column rejected holds a number, not a text"


def test_an_hh_dialogue_that_ends_with_the_human_is_a_prompt_without_response(rows_of):
    from refusal_tui.ingest.registry import get_adapter

    dialogue = "\\n\\nHuman: Hi\\n\\nAssistant: Hello\\n\\nHuman: Bye"
    items = list(get_adapter("hh-rlhf").convert(rows_of(f'{{"chosen": "{dialogue}", "rejected": "{dialogue}"}}'), {}))
    assert [item.response for item in items] == [None, None]
    assert [turn.content for turn in items[0].prompt] == ["Hi", "Hello", "Bye"]


def test_every_assistant_message_of_an_oasst_tree_is_an_item_with_its_thread():
    items = {item.key: item for item in items_of("oasst1/trees.jsonl")}
    assert items["t0-a0"].prompt == "What is blorptanium number 0?"
    assert [turn.content for turn in items["t0-a2"].prompt] == [
        "What is blorptanium number 0?",
        "A made-up metal.",
        "Is it heavy?",
    ]
    assert items["t0-a2"].response == "Very."


def test_deleted_oasst_messages_and_what_hangs_below_them_are_left_out():
    keys = {item.key for item in items_of("oasst1/trees.jsonl")}
    assert keys == {f"t{n}-{a}" for n in range(5) for a in ("a0", "a1", "a2")}


def test_nested_messages_give_the_same_items_as_trees():
    trees, messages = items_of("oasst1/trees.jsonl"), items_of("oasst1/messages.jsonl")
    assert [item[:3] for item in trees] == [item[:3] for item in messages]


def test_flat_oasst_rows_give_the_same_items_in_any_order_and_name_what_is_wrong():
    nested = {item.key: item[1:4] for item in items_of("oasst1/trees.jsonl")}
    items, rejected = everything(plan_of("oasst1/flat.jsonl"))
    assert {item.key: item[1:4] for item in items} == {key: nested[key] for key in nested if key[:2] in ("t0", "t1")}
    assert [row.reason for row in rejected] == [
        "the message_id t0-a1 occurs twice",
        "the parent message nobody is not in the source",
    ]


def test_the_option_answers_best_keeps_rank_0_alone():
    assert {item.key for item in items_of("oasst1/trees.jsonl", options={"answers": "best"})} == {
        f"t{n}-a0" for n in range(5)
    }


def test_oasst_keeps_rank_language_and_who_wrote_a_synthetic_message():
    items = {item.key: item for item in items_of("oasst1/trees.jsonl")}
    assert items["t0-a1"].model == "toy-model"
    assert (items["t0-a1"].meta["rank"], items["t0-a2"].meta["rank"]) == (1, None)
    assert items["t0-a0"].meta["tree_state"] == "ready_for_export"


def test_oasst_says_that_its_rows_do_not_stand_alone():
    assert plan_of("oasst1/flat.jsonl").adapter.stands_alone is False
    assert plan_of(HH).adapter.stands_alone is True


def test_harmfulqa_gives_an_item_per_dialogue_that_is_there():
    items = items_of("harmfulqa/train.jsonl")
    assert Counter(item.meta.get("side") for item in items) == {"blue": 12, "red": 8, None: 1}
    assert items[0].key == "1/blue/0"
    assert items[0].response == "Safely, 0."
    assert [turn.role for turn in items[0].prompt] == ["user", "assistant", "user"]


def test_no_label_follows_from_the_side_of_a_harmfulqa_dialogue():
    assert all(item.verdicts == () for item in items_of("harmfulqa/train.jsonl"))


def test_a_harmfulqa_question_without_dialogues_is_a_prompt():
    (item,) = [item for item in items_of("harmfulqa/train.jsonl") if "side" not in item.meta]
    assert (item.prompt, item.response) == ("How is frindle number 3 abused?", None)


def test_harmfulqa_can_be_read_one_side_only():
    assert {item.meta.get("side") for item in items_of("harmfulqa/train.jsonl", options={"side": "blue"})} == {
        "blue",
        None,
    }


def test_categorical_harmfulqa_gives_prompts_with_their_category():
    item = items_of("harmfulqa/categorical_en.jsonl")[0]
    assert (item.category, item.meta, item.response) == ("Illegal Activity", {"Subcategory": "Frindlery"}, None)


def test_ultrachat_takes_the_last_assistant_turn_as_the_response():
    items = items_of("ultrachat/train_sft.jsonl")
    assert (items[1].prompt, items[1].response) == ("Hi", "Hello")
    assert items[2].response is None
    assert items[3].prompt[0] == Message("system", "Be brief.")


def test_ultrachats_prompt_id_is_no_key_because_prompts_repeat():
    items = items_of("ultrachat/train_sft.jsonl")
    assert {item.key for item in items} == {None}
    assert items[0].meta == {"prompt_id": "aa11"}


def test_the_ultrachat_list_form_alternates_user_and_assistant():
    item = items_of("ultrachat/list.jsonl")[1]
    assert item.prompt == (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "More"))
    assert item.response == "La"
