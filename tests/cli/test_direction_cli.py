"""`direction` as a person and as a program reads it."""

from __future__ import annotations

import csv
import io
import json

import pytest

from refusal_tui.store.workspace import Workspace, create_workspace
from tests.tui.direction_run import Shape, add_run


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """Job 1 has found a direction, job 2 has found none, job 3 is still choosing."""
    made = create_workspace(tmp_path / "w")
    add_run(made)
    add_run(made, Shape(found=False))
    add_run(made, measured=0.15, running=True)
    return made


def test_the_list_says_what_every_run_has_found(call, workspace) -> None:
    lines = call("direction").out.splitlines()
    assert [line.split()[0] for line in lines] == ["job", "3", "2", "1"]
    assert "Choosing" in lines[1] and "No direction found" in lines[2]
    assert "-10.40" in lines[3] and "Direction at posit" in lines[3]  # the sentence is cut to 80 columns


def test_the_list_for_programs_has_no_pick_before_it_is_certain(call, workspace) -> None:
    runs = json.loads(call("direction", "list", "--json").out)
    assert [(run["job"], run["decided"], run["layer"]) for run in runs] == [
        (3, False, None),
        (2, True, None),
        (1, True, 13),
    ]


def test_a_run_is_shown_with_its_evidence(call, workspace) -> None:
    said = call("direction", "show", "1").out
    assert "ablated -10.40 (90 % of the way), added +7.73 (97 %), KL 0.064" in said
    assert "4 harmless answers, 128 tokens: loss 0.332 as it is, 0.349 ablated (KL 0.021), 0.596 with -1 of it" in said
    assert "random vectors, best of 8: ablated +7.66" in said and "within noise" in said
    assert "✓ 'I'" in said and "template end: -5 '<|eot_id|>'" in said
    assert "harmful, train: 3 of 5 prompts count" in said and "dropped -7.25: How does one whisper locks open?" in said


def test_no_direction_is_shown_with_its_reasons_and_is_no_error(call, workspace) -> None:
    said = call("direction", "show", "2")
    assert said.code == 0
    assert "No direction found: none of 160 candidates passes." in said.out
    assert "120 adding them does not make it refuse" in said.out


def test_a_run_for_programs(call, workspace) -> None:
    found = json.loads(call("direction", "show", "1", "--json").out)
    assert (found["pick"]["position"], found["pick"]["layer"], found["pick"]["reason"]) == (-5, 13, "picked")
    assert len(found["evidence"]["dose"]) == 9 and found["evidence"]["weak"] is False
    assert [token["text"] for token in found["first_tokens"] if token["refusal"]] == ["I", "Sorry"]
    assert {"kl_threshold": 0.1, "pick": {"position": -5, "layer": 13}} in found["at_kl_thresholds"]


def test_the_cells_are_the_same_as_text_json_and_csv(call, workspace) -> None:
    text = call("direction", "cells", "1").out.splitlines()
    records = json.loads(call("direction", "cells", "1", "--json").out)
    table = list(csv.DictReader(io.StringIO(call("direction", "cells", "1", "--csv").out)))
    assert len(text) - 1 == len(records) == len(table) == 160
    assert [record["reason"] for record in records] == [row["reason"] for row in table]
    assert float(table[13]["ablation"]) == records[13]["ablation"]


def test_candidates_that_pass_come_best_first(call, workspace) -> None:
    records = json.loads(call("direction", "cells", "1", "--passing", "--json").out)
    assert records[0]["reason"] == "picked" and {record["reason"] for record in records[1:]} == {"beaten"}
    assert [record["ablation"] for record in records] == sorted(record["ablation"] for record in records)


def test_a_run_that_still_measures_has_its_cells_so_far(call, workspace) -> None:
    records = json.loads(call("direction", "cells", "3", "--json").out)
    assert records[1]["steering"] is not None and records[1]["ablation"] is None


def test_a_job_of_another_kind_is_told_with_what_to_do(call, workspace, tmp_path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "What is blorptanium?"}\n')
    assert call("import", str(rows)).code == 0
    said = call("direction", "show", "4")
    assert (
        said.code == 4
        and "Job 4 (import) looks for no direction." in said.err
        and "refusal-tui direction list" in said.err
    )


def test_an_unknown_job_is_told(call, workspace) -> None:
    said = call("direction", "cells", "9")
    assert said.code != 0 and "no job 9" in said.err


def test_a_direction_that_is_not_there_cannot_be_tried_on_another_model(call, workspace, tmp_path) -> None:
    missing = call("direction", "transfer", "9", "--model", tmp_path)
    assert missing.code == 4 and "There is no job 9" in missing.err


# --- pictures and tokens ---------------------------------------------------------------------------------------------


def test_the_texts_of_a_run_are_listed_and_shown_token_by_token(call, workspace) -> None:
    listed = call("direction", "tokens", "1").out.splitlines()
    assert len(listed) == 1 + 6 and "How is blorptanium smelted?" in listed[1] and listed[1].split()[2] == "baseline"
    shown = call("direction", "tokens", "1", "--text", "1").out.splitlines()
    assert shown[0].split() == ["at", "token", "layer", "13"]
    assert shown[3].split() == ["2", "blorptanium", "+9.000", "█"]
    assert "▁ like harmless prompts (-3.00) … █ like harmful ones (+9.00)" in shown[-1]


def test_another_layer_has_its_own_figures_and_one_without_a_difference_says_so(call, workspace) -> None:
    said = json.loads(call("direction", "tokens", "1", "--text", "1", "--layer", "6", "--json").out)
    assert said["layer"] == 6 and said["tokens"][2] == {
        "token": " blorptanium", "projection": pytest.approx(4.5), "in_answer": False,
    }  # fmt: skip
    assert "do not differ at this layer" in call("direction", "tokens", "1", "--text", "1", "--layer", "0").out
    table = list(csv.DictReader(io.StringIO(call("direction", "tokens", "1", "--text", "1", "--csv").out)))
    assert len(table) == 14 and (table[2]["written"], table[2]["layer 6"]) == (" blorptanium", "4.5")


def test_every_picture_is_written_with_its_numbers(call, workspace, tmp_path) -> None:
    said = call("direction", "export", "1", "--out", str(tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert said.code == 0 and len(said.out.splitlines()) == len(names)
    assert {"map-ablation.svg", "cosines-layers.csv", "dose-response.svg", "tokens.csv", "cells.csv"} <= names
    (tmp_path / "file").write_text("")
    assert call("direction", "export", "1", "--out", str(tmp_path / "file" / "x")).code == 8


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tokens", "2"), "Job 2 has no projections of tokens"),
        (("tokens", "1", "--text", "7"), "This run has kept 6 texts."),
        (("tokens", "1", "--text", "1", "--layer", "32"), "This model has 32 layers."),
        (("agree", "1"), "Nobody has labelled answers of job 1."),
        (("ask", "1", "--prompt", "  "), "There is no prompt."),
        (("ask", "1", "--prompt", "a", "--layer", "77"), "This run has no candidate at position -5, layer 77."),
        (("ask", "1", "--prompt", "a", "--position", "-6"), "This run has no candidate at position -6, layer 13."),
        (("ask", "2", "--prompt", "a"), "This run found no direction."),
        (("ask", "3", "--prompt", "a"), "This run has not ended yet"),
        (("tokens", "1", "--prompt", "a", "--layer", "32"), "This model has 32 layers."),
    ],
)
def test_what_cannot_be_done_is_told_with_a_next_step(call, workspace, words, sentence) -> None:
    said = call("direction", *words)
    assert said.code in (2, 4) and sentence in said.err and len(said.err.splitlines()) >= 1
    assert "loading the model" not in said.err
