"""workbench: our own exports come back exactly, and label files with the common fields are read."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ingest_rows import FIXTURES, answers, everything, items_of, plan_of

from refusal_tui.ingest.items import Rejected
from refusal_tui.ingest.plan import make_plan
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import Answer, Profile, Span

EXPORT = FIXTURES / "workbench" / "export.jsonl"


def records() -> list[dict]:
    return [json.loads(line) for line in EXPORT.read_text(encoding="utf-8").splitlines()]


def test_an_exported_row_comes_back_as_the_item_it_was():
    items = items_of("workbench/export.jsonl")
    assert items[0][:7] == ("k1", "Prompt 1", "Response 1", "toy-model", "train", "blorp", {})
    assert (items[1].response, items[2].response) == ("", None)
    assert items[3].prompt == (Message("system", "Be brief."), Message("user", "Prompt 4"))
    assert items[3].meta == records()[3]["meta"]


def test_an_exported_verdict_comes_back_whole():
    (verdict,) = items_of("workbench/export.jsonl")[4].verdicts
    assert verdict.annotator == "judge:lexical"
    assert verdict.answers == {
        "refusal3": Answer("hard", 0.9), "open": Answer(None), "prompt_harmful": Answer(True)
    }  # fmt: skip
    assert (verdict.question_set, verdict.version, verdict.profile) == ("refusal3", "3", Profile.ROBERTA)
    assert verdict.spans == (Span("response", 0, 4, "r1"),)
    assert (verdict.raw, verdict.rationale, verdict.seen_judge) == ("raw vote", "because", True)


def test_derived_labels_are_not_read_as_evidence():
    assert items_of("workbench/export.jsonl")[0].verdicts == ()


def packed(record: dict) -> dict:
    nested = ("messages", "labels", "verdicts", "meta")
    return {name: json.dumps(cell) if name in nested and cell else cell or None for name, cell in record.items()} | {
        name: record[name] for name in ("prompt", "response", "category")
    }


def test_a_parquet_export_gives_the_same_items_as_the_jsonl_export(tmp_path):
    schema = pa.schema([(name, pa.string()) for name in records()[0] if name != "id"])
    rows = [{name: cell for name, cell in packed(record).items() if name != "id"} for record in records()]
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "data.parquet")
    items, rejected = everything(make_plan(str(tmp_path / "data.parquet")))
    assert rejected == []
    assert items == items_of("workbench/export.jsonl")


@pytest.mark.parametrize("name", ["data.csv", "data.tsv"])
def test_a_spreadsheet_export_keeps_null_empty_and_formulas_apart(tmp_path, name):
    def cell(value: object) -> object:
        protected = isinstance(value, str) and (not value or value[0] in "=+-@\t\r'")
        return f"'{value}" if protected else value

    with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(records()[0]), delimiter="\t" if name.endswith("tsv") else ",")
        writer.writeheader()
        writer.writerows({column: cell(value) for column, value in packed(record).items()} for record in records())
    items, rejected = everything(make_plan(str(tmp_path / name)))
    assert rejected == []
    assert items == items_of("workbench/export.jsonl")


def test_an_export_of_several_datasets_is_told_and_can_be_read_with_its_datasets_in_the_keys(tmp_path):
    path = tmp_path / "both.jsonl"
    path.write_text("".join(json.dumps({**record, "dataset": name}) + "\n" for name in "ab" for record in records()))
    plan = make_plan(str(path))
    assert any("several datasets" in warning for warning in plan.warnings)
    whole = make_plan(str(path), options={"keys": "dataset"})
    items, _ = everything(whole)
    assert whole.warnings == ()
    assert len({item.key for item in items}) == 12
    assert items[0].key == "a/k1"


def test_an_export_keeps_the_strictest_terms_of_what_went_into_it(tmp_path: Path):
    (tmp_path / "data.jsonl").write_bytes(EXPORT.read_bytes())
    info = {"sources": [{"licence": "MIT", "redistribution": "full", "eval_only": False},
                        {"licence": "closed", "redistribution": "none", "eval_only": True}]}  # fmt: skip
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    for source in (tmp_path, tmp_path / "data.jsonl"):
        plan = make_plan(str(source))
        assert (plan.licence, plan.redistribution, plan.eval_only) == ("MIT; closed", "none", True)


def test_common_fields_give_labels_of_the_source_and_null_gives_none():
    items = items_of("workbench/labels.jsonl")
    assert answers(items[0], "human:toy") == {"refusal3": "hard", "prompt_harmful": True}
    assert answers(items[1], "human:toy") == {"refusal3": "none", "prompt_harmful": False}
    assert items[3].verdicts == ()


def test_a_word_that_maps_to_no_class_stays_as_an_open_answer():
    item = items_of("workbench/labels.jsonl")[2]
    assert answers(item, "human:toy") == {"refusal3": None}
    assert item.verdicts[0].raw == "contradicted"


def test_xstest_columns_of_a_label_file_are_their_annotators_verdicts():
    item = items_of("workbench/labels.jsonl")[5]
    assert answers(item, "human:xstest-1") == {"refusal3": "none"}
    assert answers(item, "human:xstest-2") == {"refusal3": None}
    assert answers(item, "judge:gpt-4") == {"refusal3": "hard"}


def test_messages_of_a_label_file_are_the_prompt():
    item = items_of("workbench/labels.jsonl")[5]
    assert item.prompt[-1] == Message("user", "Prompt 5")


def test_other_columns_and_the_licence_stay():
    item = items_of("workbench/labels.jsonl")[1]
    assert item.meta == {"source": "toy", "licence": "MIT", "truncated": False}
    assert plan_of("workbench/labels.jsonl").licence == "MIT"


def test_a_class_that_does_not_exist_is_rejected(tmp_path):
    path = tmp_path / "x.jsonl"
    good = {"id": "a", "source": "s", "prompt": "p", "prompt_harmful": None, "refusal3": "hard"}
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "refusal3": "medium"}) + "\n")
    plan = make_plan(str(path))
    assert isinstance(plan.rejected[0], Rejected)
    assert "holds 'medium'" in plan.rejected[0].reason
