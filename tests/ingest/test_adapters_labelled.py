"""xstest, wildguardmix, do-not-answer, jailbreakbench, or-bench, sorry-bench: labels as the taxonomy maps them."""

from __future__ import annotations

import pytest
from ingest_rows import answers, everything, items_of, plan_of

from refusal_tui.ingest.adapters.do_not_answer import action_answers
from refusal_tui.ingest.adapters.sorry_bench import CATEGORIES, category_name

GPT4 = "xstest/model_completions/xstest_v2_completions_gpt4.csv"
LLAMA = "xstest/evaluation/xstest_v2_completions_llama2orig_gpteval.csv"


def test_both_xstest_annotators_and_the_final_label_are_verdicts_of_their_own():
    item = items_of(GPT4)[1]
    assert answers(item, "human:xstest-1") == {"refusal3": "hard"}
    assert answers(item, "human:xstest-2") == {"refusal3": "soft"}
    assert answers(item, "human:xstest") == {"refusal3": "hard", "prompt_harmful": False}


def test_an_xstest_verdict_keeps_the_sources_own_word():
    assert items_of(GPT4)[1].verdicts[1].raw == "3_partial_refusal"


def test_an_unsafe_xstest_prompt_is_one_whose_type_is_a_contrast():
    assert [answers(item, "human:xstest")["prompt_harmful"] for item in items_of(GPT4)] == [
        False, False, True, False, True,
    ]  # fmt: skip


def test_the_model_of_an_xstest_completion_comes_from_the_file_name():
    assert {item.model for item in items_of(GPT4)} == {"gpt4"}
    assert items_of(LLAMA)[0].key == "llama2orig/v2-1"


def test_both_spellings_of_agreement_are_booleans():
    assert [item.meta["agreement"] for item in items_of(GPT4)] == [True, False, True, True, True]
    assert [item.meta["agreement"] for item in items_of(LLAMA)] == [True, True, True, True, False]


def test_completions_keep_their_leading_space_and_their_line_breaks():
    assert items_of(LLAMA)[0].response == " Time is dear; I cannot."
    assert items_of(GPT4)[0].response == "Read a book.\n\n1. Or two."


def test_a_judge_that_refused_to_judge_and_an_unknown_label_leave_the_answer_open():
    items = items_of(LLAMA)
    assert answers(items[0], "judge:gpt-4") == {"refusal3": "hard"}
    assert answers(items[2], "judge:gpt-4") == {"refusal3": None}
    assert answers(items[4], "human:xstest") == {"refusal3": None, "prompt_harmful": True}
    assert items[4].verdicts[-1].raw == "4_unclear"


def test_xstest_prompts_carry_safe_or_unsafe_and_no_refusal_label():
    items = items_of("xstest/xstest_prompts.csv")
    assert answers(items[2], "human:xstest") == {"prompt_harmful": True}
    assert answers(items[0], "human:xstest") == {"prompt_harmful": False}
    assert items[0].response is None


def test_xstest_response_labels_go_to_the_head_that_their_word_names():
    items = items_of("xstest/xstest_response.jsonl")
    said = [answers(item, "human:xstest-response") for item in items]
    assert said == [
        {"response_refusal": False},
        {"response_refusal": True},
        {"response_harmful": True},
        {},
        {"response_harmful": False},
    ]


def test_wildguard_labels_become_the_three_booleans_and_never_a_three_class_label():
    first = items_of("wildguardmix/wildguard_train.jsonl")[0]
    assert answers(first, "judge:gpt-4") == {
        "prompt_harmful": True,
        "response_refusal": True,
        "response_harmful": False,
    }


def test_null_wildguard_labels_are_no_answers():
    second = items_of("wildguardmix/wildguard_train.jsonl")[1]
    assert second.response is None
    assert answers(second, "judge:gpt-4") == {"prompt_harmful": True}


def test_wildguard_test_labels_are_peoples_and_its_rows_are_for_evaluation_only():
    plan = plan_of("wildguardmix/wildguard_test.jsonl")
    items, _ = everything(plan)
    assert {verdict.annotator for item in items for verdict in item.verdicts} == {"human:wildguardtest"}
    assert plan.eval_only
    assert not plan_of("wildguardmix/wildguard_train.jsonl").eval_only


@pytest.mark.parametrize(
    ("action", "three", "refusal"),
    [(0, "hard", True), (1, None, None), (2, None, None), (3, None, None), (4, None, None), (5, "none", False)],
)
def test_only_the_clear_do_not_answer_actions_give_a_label(action, three, refusal):
    said = action_answers(action, 0)
    assert said["refusal3"].value == three
    assert (said["response_refusal"].value if "response_refusal" in said else None) is refusal


def test_a_do_not_answer_question_becomes_an_item_per_model():
    items = items_of("do-not-answer/data_en.csv")
    assert [item.key for item in items[:6]] == [
        "GPT4/1", "ChatGPT/1", "Claude/1", "ChatGLM2/1", "llama2-7b-chat/1", "vicuna-7b/1",
    ]  # fmt: skip
    assert items[5].response == 'vicuna-7b says:\nanswer, with "quotes"'
    assert answers(items[5], "human:do-not-answer") == {
        "prompt_harmful": True,
        "refusal3": "none",
        "response_refusal": False,
        "response_harmful": True,
    }


def test_two_do_not_answer_questions_may_have_the_same_text():
    items = items_of("do-not-answer/data_en.csv")
    assert items[0].prompt == items[24].prompt
    assert len({item.key for item in items}) == len(items) == 30


def test_a_chatbot_question_says_nothing_about_harm_and_an_empty_cell_nothing_about_the_action():
    chatbot = [item for item in items_of("do-not-answer/data_en.csv") if item.key.endswith("/2")]
    assert all("prompt_harmful" not in answers(item, "human:do-not-answer") for item in chatbot)
    assert answers(chatbot[-1], "human:do-not-answer") == {}


def test_the_reviewer_and_the_model_of_a_review_come_from_the_path():
    human = items_of("do-not-answer/Review/Human/ChatGPT.csv")[0]
    assert (human.model, human.verdicts[0].annotator) == ("ChatGPT", "human:do-not-answer")
    assert items_of("do-not-answer/Review/Longformer/ChatGPT.csv")[0].verdicts[0].annotator == "judge:longformer"


def test_gpt4_reviews_map_seven_classes_to_six_and_leave_the_unparsed_one_open():
    items = items_of("do-not-answer/Review/GPT4/ChatGPT.csv")
    assert [answers(item, "judge:gpt-4")["refusal3"] for item in items] == ["hard", None, None, "none", None, None]
    assert items[4].verdicts[0].raw == "action=-1"


def test_a_repeated_review_id_does_not_become_the_key():
    items = items_of("do-not-answer/Review/GPT4/ChatGPT.csv")
    assert [item.meta["id"] for item in items].count("434") == 2
    assert len({item.key for item in items}) == 6


def test_jailbreakbench_behaviours_are_harmful_or_benign_by_their_split():
    assert answers(items_of("jailbreakbench/harmful-behaviors.csv")[0], "human:jailbreakbench") == {
        "prompt_harmful": True
    }
    benign = items_of("jailbreakbench/benign-behaviors.csv")[0]
    assert answers(benign, "human:jailbreakbench") == {"prompt_harmful": False}
    assert benign.key == "benign/0"


def test_artifacts_say_jailbreak_success_and_nothing_about_refusal():
    items, rejected = everything(plan_of("jailbreakbench/artifact.json"))
    assert answers(items[0], "judge:jailbreakbench") == {"jailbroken": True}
    assert answers(items[0], "judge:llama-guard-1") == {"jailbroken": False}
    assert (items[0].model, items[0].meta["method"]) == ("vicuna-13b-v1.5", "PAIR")
    assert [row.reason for row in rejected] == ["the attack found no prompt (column prompt is null)"]


def test_an_artifact_without_a_response_has_no_verdict():
    items, _ = everything(plan_of("jailbreakbench/artifact.json"))
    assert (items[2].response, items[2].verdicts) == (None, ())


def test_the_judge_comparison_gives_a_verdict_per_person_and_judge():
    item = items_of("jailbreakbench/judge_comparison.jsonl")[1]
    assert answers(item, "human:jailbreakbench-1") == {"jailbroken": True}
    assert answers(item, "human:jailbreakbench-3") == {"jailbroken": False}
    assert answers(item, "judge:llama-3") == {"jailbroken": True}


def test_the_or_bench_config_decides_whether_prompts_are_harmful():
    assert answers(items_of("or-bench/or-bench-80k.csv")[0], "judge:or-bench") == {"prompt_harmful": False}
    assert answers(items_of("or-bench/or-bench-toxic.csv")[0], "judge:or-bench") == {"prompt_harmful": True}


def test_an_or_bench_file_of_unknown_config_says_nothing_and_the_plan_says_so(tmp_path):
    from refusal_tui.ingest.plan import make_plan

    path = tmp_path / "prompts.csv"
    path.write_text("prompt,category\nHow do I stir a kettle?,violence\n")
    plan = make_plan(str(path))
    assert plan.adapter.name == "or-bench"
    assert plan.preview[0].verdicts == ()
    assert any("config" in warning for warning in plan.warnings)


def test_sorry_bench_numbers_shift_between_the_versions():
    old, new = items_of("sorry-bench-202406/question.jsonl"), items_of("sorry-bench-202503/question.jsonl")
    assert [item.category for item in new[2:5]] == [
        "System Intrusion", "Malware Code Generation", "Dangerous Machinery Operation Advice",
    ]  # fmt: skip
    assert [item.category for item in old[2:]] == [
        "Impersonation", "System Intrusion", "Governance Decision Advice", "Dangerous Machinery Operation Advice",
    ]  # fmt: skip


def test_sorry_bench_category_names_agree_wherever_both_versions_have_them():
    assert len(CATEGORIES) == 44
    assert [category_name(str(n), "202503") for n in range(1, 45)] == list(CATEGORIES)
    assert [category_name(str(n), "202406") for n in range(1, 46) if n != 12] == list(CATEGORIES)


def test_a_sorry_bench_file_of_unknown_version_keeps_numbers_until_the_option_says_it(tmp_path):
    from refusal_tui.ingest.plan import make_plan

    path = tmp_path / "question.jsonl"
    path.write_text('{"question_id": 111, "category": "12", "turns": ["Open the box."], "prompt_style": "base"}\n')
    plan = make_plan(str(path))
    assert plan.preview[0].category == "category 12"
    assert any("version" in warning for warning in plan.warnings)
    assert make_plan(str(path), options={"version": "202406"}).preview[0].category == "Impersonation"


def test_only_base_prompts_of_sorry_bench_are_labelled_harmful():
    base, morse = items_of("sorry-bench-202503/question.jsonl"), items_of("sorry-bench-202503/question_morse.jsonl")
    assert all(answers(item, "human:sorry-bench") == {"prompt_harmful": True} for item in base)
    assert all(item.verdicts == () for item in morse)
    assert (base[0].key, morse[0].key) == ("base/1", "morse/1")


def test_a_sorry_bench_request_of_two_turns_is_two_user_turns():
    assert [turn.role for turn in items_of("sorry-bench-202503/question.jsonl")[4].prompt] == ["user", "user"]
