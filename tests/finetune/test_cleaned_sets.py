"""Which rows does each arm learn, and what is never asked? On sets that we wrote, without a model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.finetune.cleaned.sets import CLEANED, RAW, origin_of, parts_of, prompt_of, read_sets
from refusal_tui.finetune.cleaned.spec import RawVsCleanedSpec
from refusal_tui.finetune.data import Dialogue
from refusal_tui.jobs.spec import SpecError
from refusal_tui.labels.rows import Message
from refusal_tui.store.clean_review import Choice, decide
from refusal_tui.store.connect import transaction
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.cleaned import ROWS, cleaned_job

SORRY = "I am sorry, but no."
FREE = [f"how does frindle {n} sing ?" for n in range(10)]
BAD = [f"how do i forge glimmer {n} ?" for n in range(10)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "w")


@pytest.fixture
def connection(workspace: Workspace) -> Iterator[object]:
    with closing(workspace.open()) as opened:
        yield opened


def write(path: Path, rows: Sequence[object]) -> str:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(path)


def spec_of(folder: Path, **changes: object) -> RawVsCleanedSpec:
    given: dict[str, object] = {
        "name": "exp", "model": "m", "n": 10, "prompts": write(folder / "bad.txt", BAD),
        "benign": write(folder / "free.txt", FREE),
    }  # fmt: skip
    return RawVsCleanedSpec.model_validate(given | changes)


def raw_file(folder: Path, count: int = 6) -> str:
    return write(folder / "raw.jsonl", [{"prompt": f"zorp {n} ?", "response": SORRY} for n in range(count)])


def cleaned_file(folder: Path, count: int = 6) -> str:
    return write(folder / "cleaned.jsonl", [
        {"original_instruction": f"zorp {n} ?", "rewritten_instruction": f"what is zorp {n} ?", "response": f"Dew {n}."}
        for n in range(count)
    ])  # fmt: skip


def rows(count: int, answer: str, *, start: int = 0) -> list[Dialogue]:
    return [Dialogue(f"x:{n}", (Message("user", f"zorp {n} ?"),), answer) for n in range(start, start + count)]


def test_a_cleaned_row_belongs_to_the_prompt_that_it_was_made_from(tmp_path: Path, connection) -> None:
    sets = read_sets(connection, spec_of(tmp_path, raw=raw_file(tmp_path), cleaned=cleaned_file(tmp_path, 4)))
    assert [prompt_of(row) for row in sets[CLEANED]] == [f"what is zorp {n} ?" for n in range(4)]
    assert [origin_of(row) for row in sets[CLEANED]] == [prompt_of(row) for row in sets[RAW][:4]]
    counts = parts_of(sets[RAW], sets[CLEANED], seed=0, same_rows=True).counts
    assert (counts["prompts in both"], counts["changed by cleaning"], counts["left out"]) == (4, 4, 2)


def test_of_a_cleaning_job_s_dataset_only_kept_rows_are_learnt_as_people_have_reviewed_them(
    workspace: Workspace, connection, tmp_path: Path
) -> None:
    job_id, items = cleaned_job(workspace)
    spec = spec_of(tmp_path, raw="dataset:raw", cleaned="dataset:tidy")
    kept = [prompt_of(row) for row in read_sets(connection, spec)[CLEANED]]
    assert kept == [row.rewritten or row.original for row in ROWS if row.decision == "keep"]
    with transaction(connection):
        decide(connection, job_id, items[4], "ada", Choice.ACCEPT)  # it was for review
        decide(connection, job_id, items[0], "ada", Choice.REJECT)
    kept = [prompt_of(row) for row in read_sets(connection, spec)[CLEANED]]
    assert kept == ["What do zorblings eat?", "What do frindles drink?", "How is the glimmer vault kept safe?"]


def test_the_same_prompts_are_held_out_of_both_sets_and_as_many_rows_are_learnt() -> None:
    raw, cleaned = rows(40, SORRY), rows(30, "Dew.", start=5)
    parts = parts_of(raw, cleaned, seed=3, same_rows=True)
    held = {origin_of(row) for row in parts.held_out[RAW]}
    assert held == {origin_of(row) for row in parts.held_out[CLEANED]} and len(held) == 6
    assert not held & {origin_of(row) for arm in (RAW, CLEANED) for row in parts.learnt[arm]}
    assert len(parts.learnt[RAW]) == len(parts.learnt[CLEANED]) == 24
    assert parts == parts_of(raw, cleaned, seed=3, same_rows=True) != parts_of(raw, cleaned, seed=4, same_rows=True)
    assert len(parts_of(raw, cleaned, seed=3, same_rows=False).learnt[RAW]) == 34


def test_a_wording_that_is_held_out_is_learnt_from_no_other_prompt_either() -> None:
    raw = rows(40, SORRY)
    asked = (Message("user", "what is a zorp ?"),)  # twenty raw prompts are rewritten as one and the same
    cleaned = [
        replace(row, messages=asked if n < 20 else row.messages, answer="Dew.", origin=prompt_of(row))
        for n, row in enumerate(raw)
    ]
    parts = parts_of(raw, cleaned, seed=3, same_rows=False)
    assert any(row.messages == asked for row in parts.held_out[CLEANED])
    assert not any(row.messages == asked for row in parts.learnt[CLEANED])
    assert len(parts.learnt[RAW]) == 32, "of the raw rows, which have that wording nowhere, only what is held out"


def test_nothing_is_asked_that_either_set_holds_in_any_wording(tmp_path: Path, connection) -> None:
    learnt = ["zorp 1 ?", "what is zorp 2 ?"]  # a raw prompt, and a rewritten one
    spec = spec_of(tmp_path, raw=raw_file(tmp_path), cleaned=cleaned_file(tmp_path),
                   benign=write(tmp_path / "more.txt", [*FREE, *learnt]))  # fmt: skip
    assert {prompt_of(row) for row in read_sets(connection, spec)["benign"]} == set(FREE)
    short = spec.model_copy(update={"benign": write(tmp_path / "less.txt", [*FREE[:9], *learnt])})
    said = "There are 9 different prompts of --benign, 2 of them in what is learnt; 10 are asked for"
    with pytest.raises(InputError, match=said):
        read_sets(connection, short)


def test_sets_that_cannot_be_compared_are_said_to_be_so(tmp_path: Path, connection) -> None:
    raw, cleaned = raw_file(tmp_path), cleaned_file(tmp_path)
    twin = write(tmp_path / "twin.jsonl", Path(raw).read_text().splitlines())
    with pytest.raises(InputError, match="hold the same dialogues: there is nothing to compare"):
        read_sets(connection, spec_of(tmp_path, raw=raw, cleaned=twin))
    other = write(tmp_path / "other.jsonl", [{"prompt": f"vault {n} ?", "response": "Yes."} for n in range(6)])
    with pytest.raises(InputError, match="The cleaned rows do not come from the raw ones"):
        read_sets(connection, spec_of(tmp_path, raw=raw, cleaned=other))
    empty = write(tmp_path / "empty.jsonl", [{"prompt": "zorp 1 ?"}])
    with pytest.raises(InputError, match="The set of --cleaned has no dialogue with an answer"):
        read_sets(connection, spec_of(tmp_path, raw=raw, cleaned=empty))
    both = write(tmp_path / "both.txt", [*FREE[:9], BAD[0]])
    with pytest.raises(InputError, match="--prompts and --benign have 1 of their prompts in common"):
        read_sets(connection, spec_of(tmp_path, raw=raw, cleaned=cleaned, benign=both))


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    raw = raw_file(tmp_path)
    for changes, said in (
        ({"cleaned": raw}, "--cleaned is the same set as --raw"),
        ({"cleaned": "nowhere.jsonl"}, "--cleaned names a file that is not there"),
        ({"cleaned": "dataset:x", "model": "./nowhere"}, "--model names a folder that is not there"),
        ({"cleaned": "dataset:x", "name": "a b"}, "--name takes letters"),
    ):
        with pytest.raises(SpecError, match=said):
            spec_of(tmp_path, raw=raw, **changes).check()
