"""Acceptance: every real file beside the checkout is imported whole. Skipped where the folder is missing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from ingest_rows import answers, everything

from refusal_tui.ingest.plan import make_plan

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="no shared data beside the checkout")

FILES = {
    "human/xstest_dev.jsonl": ("workbench", 891),
    "human/chatgpt_refusals.jsonl": ("workbench", 1_701),
    "human/rbr_gold.jsonl": ("workbench", 395),
    "human/do_not_answer_dev.jsonl": ("workbench", 2_779),
    "prompts/xstest_prompts.jsonl": ("workbench", 447),
    "prompts/harmful.jsonl": ("workbench", 860),
    "prompts/harmless.jsonl": ("workbench", 6_000),
    "formats/hh_sample.jsonl": ("hh-rlhf", 2 * 994),
    "formats/alpaca_sample.json": ("alpaca", 997),
    "formats/oasst_sample/en_100_tree.jsonl": ("oasst1", 657),
    "formats/oasst_sample/en_100_message.jsonl": ("oasst1", 657),
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_is_recognised_and_every_row_of_it_is_read(name):
    adapter, count = FILES[name]
    plan = make_plan(str(SHARED / name))
    items, rejected = everything(plan)
    assert (plan.adapter.name, len(items), rejected, plan.warnings) == (adapter, count, [], ())
    keys = [item.key for item in items if item.key is not None]
    assert len(set(keys)) == len(keys)


def test_every_data_file_of_the_folder_is_among_them():
    found = {
        path.relative_to(SHARED).as_posix()
        for folder in ("human", "prompts", "formats")
        for path in (SHARED / folder).rglob("*.json*")
    }
    assert found == FILES.keys()


@pytest.mark.parametrize(
    ("name", "annotator", "counts"),
    [
        ("xstest_dev", "human:xstest-v2", {"none": 325, "hard": 502, "soft": 64}),
        ("chatgpt_refusals", "human:chatgpt-refusals", {"none": 1_047, "hard": 342, "soft": 236, None: 76}),
        ("do_not_answer_dev", "human:do-not-answer", {"hard": 765, "none": 80, None: 1_934}),
        ("rbr_gold", "human:openai-rbr-gold", {"none": 128, "hard": 12, "soft": 6, None: 249}),
    ],
)
def test_the_human_labels_are_counted_as_the_folder_says(name, annotator, counts):
    items, _ = everything(make_plan(str(SHARED / "human" / f"{name}.jsonl")))
    assert Counter(answers(item, annotator).get("refusal3") for item in items) == counts


def test_annotators_of_xstest_disagree_on_the_rows_that_say_so():
    items, _ = everything(make_plan(str(SHARED / "human" / "xstest_dev.jsonl")))
    apart = [
        item for item in items
        if answers(item, "human:xstest-1")["refusal3"] != answers(item, "human:xstest-2")["refusal3"]
    ]  # fmt: skip
    assert len(apart) == 23
    assert all(item.meta["agreement"] is False for item in apart)


def test_the_two_oasst_exports_hold_the_same_threads():
    tree, _ = everything(make_plan(str(SHARED / "formats/oasst_sample/en_100_tree.jsonl")))
    message, _ = everything(make_plan(str(SHARED / "formats/oasst_sample/en_100_message.jsonl")))
    assert [item[:4] for item in tree] == [item[:4] for item in message]
