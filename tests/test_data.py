"""Is the shipped sample data what data/README.md says it is?"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
MEASURING_DATA = ROOT.parent / "shared" / "data"

MODELS = {"aster-7b", "birch-13b", "cedar-chat", "dune-mini"}
GOLD = {"none": 263, "hard": 146, "soft": 56, None: 15}
FIELDS = ["id", "source", "prompt", "response", "model", "refusal3", "prompt_harmful", "category", "licence"]
# Shorter texts ("Yes.") are equal by chance and say nothing about copying.
TELLING_LENGTH = 40


def rows_of(name: str) -> list[dict[str, Any]]:
    # Not splitlines(): it also cuts at U+2028, which is legal inside a JSON string.
    text = (DATA / name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


@pytest.fixture(scope="module")
def demo() -> list[dict[str, Any]]:
    return rows_of("refusal_demo.jsonl")


@pytest.fixture(scope="module")
def pairs() -> list[dict[str, Any]]:
    return rows_of("dialogue_pairs.jsonl")


@pytest.fixture(scope="module")
def hostile() -> list[dict[str, Any]]:
    return rows_of("hostile.jsonl")


def test_the_demo_has_the_announced_rows_of_each_class(demo: list[dict[str, Any]]) -> None:
    assert Counter(row["refusal3"] for row in demo) == GOLD


def test_the_readme_table_agrees_with_the_demo_file(demo: list[dict[str, Any]]) -> None:
    readme = (DATA / "README.md").read_text(encoding="utf-8")
    for gold, total in GOLD.items():
        by_model = Counter(row["model"] for row in demo if row["refusal3"] == gold)
        cells = [gold or "null", total, *(by_model[model] for model in sorted(MODELS))]
        assert "| " + " | ".join(map(str, cells)) + " |" in readme


def test_every_demo_row_has_the_same_fields_and_the_licence(demo: list[dict[str, Any]]) -> None:
    assert all(list(row) == FIELDS for row in demo)
    assert all(row["licence"] == "MIT" and row["source"] == "refusal-demo" for row in demo)
    assert all(isinstance(row["prompt_harmful"], bool) for row in demo)


def test_ids_are_unique_over_the_labelled_and_the_hostile_file(
    demo: list[dict[str, Any]], hostile: list[dict[str, Any]]
) -> None:
    ids = [row["id"] for row in demo + hostile]
    assert len(set(ids)) == len(ids)


def test_every_prompt_is_answered_once_by_each_of_the_four_models(demo: list[dict[str, Any]]) -> None:
    models_of: dict[str, list[str]] = {}
    for row in demo:
        models_of.setdefault(row["prompt"], []).append(row["model"])
    assert len(models_of) == 120
    assert all(len(models) == 4 and set(models) == MODELS for models in models_of.values())


def test_a_prompt_has_one_category_and_one_harmfulness(demo: list[dict[str, Any]]) -> None:
    facts = {(row["prompt"], row["category"], row["prompt_harmful"]) for row in demo}
    assert len(facts) == 120


def test_the_promised_hard_cases_are_in_the_demo(demo: list[dict[str, Any]]) -> None:
    responses = [row["response"] for row in demo]
    assert sum(300 <= len(text.split()) <= 600 for text in responses) == 30
    assert sum(text.startswith(" ") for text in responses) == 18
    assert [row["refusal3"] for row in demo if row["response"] == ""] == [None]
    assert any("```" in text for text in responses)
    assert any("’" in row["response"] and row["refusal3"] == "hard" for row in demo)
    assert any(not row["prompt_harmful"] and row["refusal3"] == "hard" for row in demo)
    assert any("I can't help you" in row["response"] and row["refusal3"] == "none" for row in demo)


def test_no_response_is_repeated(demo: list[dict[str, Any]]) -> None:
    repeated = [text for text, n in Counter(row["response"] for row in demo).items() if n > 1]
    assert repeated == []


def test_dialogue_pairs_share_every_turn_but_the_last(pairs: list[dict[str, Any]]) -> None:
    assert len(pairs) == 120
    for pair in pairs:
        assert list(pair) == ["chosen", "rejected"]
        chosen, rejected = (pair[side].rpartition("\n\nAssistant: ") for side in ("chosen", "rejected"))
        assert chosen[0] == rejected[0]
        assert chosen[2] != rejected[2]


def test_dialogue_pairs_alternate_between_human_and_assistant(pairs: list[dict[str, Any]]) -> None:
    lengths = set()
    for pair in pairs:
        for side in pair.values():
            speakers = re.findall(r"\n\n(Human|Assistant): ", side)
            assert side.startswith("\n\nHuman: ")
            assert speakers == ["Human", "Assistant"] * (len(speakers) // 2)
            lengths.add(len(speakers) // 2)
    assert lengths == {1, 2, 3}


def test_the_hostile_file_holds_what_it_threatens(hostile: list[dict[str, Any]]) -> None:
    text = "".join(row["prompt"] + row["response"] for row in hostile)
    assert len(hostile) == 24
    for danger in ("\x1b[2J", "\x1b]52;", "[INST]", "<<SYS>>", "\u202e", "\x00", "\u200d", "[bold red]", "壶"):
        assert danger in text
    assert "=1+1" in {row["response"] for row in hostile}
    assert sum(unicodedata.combining(char) > 0 for char in text) > 100
    assert max(len(line) for row in hostile for line in row["response"].split("\n")) == 20_000


def test_the_hostile_file_is_safe_to_cat() -> None:
    raw = (DATA / "hostile.jsonl").read_bytes()
    assert all(byte == 0x0A or 0x20 <= byte < 0x7F for byte in raw)


def test_only_the_hostile_file_holds_control_characters(
    demo: list[dict[str, Any]], pairs: list[dict[str, Any]]
) -> None:
    for row in demo + pairs:
        for value in row.values():
            if isinstance(value, str):
                assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", value)


def test_the_folder_stays_under_two_megabytes() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 2_000_000


def digest(*texts: str) -> str:
    """Equal for texts that differ in case, spacing, punctuation or Unicode form alone."""
    plain = (" ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower())) for text in texts)
    return hashlib.sha256("\0".join(plain).encode("utf-8", "surrogatepass")).hexdigest()


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_in(inner)


def turns_in(text: str) -> list[str]:
    return [turn for turn in re.split(r"\n\n(?:Human|Assistant): ", text) if turn]


def measuring_documents() -> Iterator[Any]:
    for path in sorted(MEASURING_DATA.rglob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())
    for path in sorted(MEASURING_DATA.rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        yield from document if isinstance(document, list) else [document]


def test_no_row_shares_text_with_the_measuring_data(
    demo: list[dict[str, Any]], pairs: list[dict[str, Any]], hostile: list[dict[str, Any]]
) -> None:
    if not MEASURING_DATA.is_dir():
        pytest.skip("the measuring data is not on this machine")
    texts: set[str] = set()
    couples: set[str] = set()
    for document in measuring_documents():
        for text in strings_in(document):
            texts.update(digest(part) for part in (text, *turns_in(text)) if len(part) >= TELLING_LENGTH)
        if isinstance(document, dict) and document.get("prompt") and document.get("response"):
            couples.add(digest(document["prompt"], document["response"]))
    assert len(couples) > 1000, "the measuring data was not read"

    for row in demo + hostile:
        assert digest(row["prompt"], row["response"]) not in couples, row["id"]
    for row in demo + hostile + pairs:
        # "source" and "licence" are no texts of ours; keys and short answers fall under the length.
        for text in strings_in({key: row[key] for key in row if key in {"prompt", "response", "chosen", "rejected"}}):
            for part in (text, *turns_in(text)):
                assert len(part) < TELLING_LENGTH or digest(part) not in texts
