"""What does the card of a refusal adapter say, and what may no name from data do to it?"""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from refusal_tui.finetune.hub_card import adapter_card
from refusal_tui.text.hostile import HOSTILE, Hostile
from tests.finetune.made_adapter import FILE, HUB, about

EVIL = "x\n---\nlicense: mit\n---\n# Owned <script>alert(1)</script> | `y` [z](http://evil)"


def card(**changes: Any) -> str:
    return adapter_card(about(**changes), "ann/tiny-refusal", "2026-11-21")


def front(text: str) -> dict[str, Any]:
    """As the Hub reads it: what stands between the first two lines of dashes."""
    found: dict[str, Any] = yaml.safe_load(text.split("\n---\n")[0].removeprefix("---\n"))
    return found


def test_the_front_matter_names_what_the_hub_knows_and_nothing_of_this_machine() -> None:
    assert front(card()) == {
        "library_name": "peft", "pipeline_tag": "text-generation", "datasets": ["blorp/helpful"],
        "tags": ["refusal", "refusal-tui", "refusal-adapter", "lora"], "license": "other",
        "license_name": "see-the-model-card", "model_name": "tiny",
    }  # fmt: skip
    known = front(card(model="Qwen/Qwen3-0.6B", weights={"sha256": {}, "revision": "c1d2"}))
    assert (known["base_model"], known["base_model_relation"]) == ("Qwen/Qwen3-0.6B", "adapter")


def test_every_source_stands_with_its_counts_its_terms_and_its_hash() -> None:
    said = card()
    assert "| refusals | refusals.jsonl | 20 | 14 (70%) | 14 |" in said
    assert "| harmless | helpful | 30 | not asked | 30 |" in said
    assert "| refusals.jsonl | 14 | a file |  | abababababababab | not stated |  |" in said
    assert "| helpful | 30 | hf:blorp/helpful:small | c0ffee |  | Apache-2.0 | full |" in said
    assert "- Apache-2.0: helpful" in said and "- not stated: refusals.jsonl" in said
    assert f"sha256 `{'cd' * 32}`" in said and "A row was seen 43.6 times on average" in said
    assert "judge `linear` says; it errs" in said and "were left out" in said


def test_terms_that_bind_a_reader_are_said_in_bold() -> None:
    said = card(sources=[FILE, {**HUB, "gated": True, "eval_only": True}])
    assert re.search(r"\*\*Gated, .*:\*\* helpful", said) and re.search(r"\*\*For evaluation only.*:\*\* helpful", said)
    assert "**Gated" not in card() and "**For evaluation only" not in card()


@pytest.mark.parametrize(
    ("mean", "words"),
    [(0.04, "no finding"), (0.3, "repeat in part"), (0.8, "repeat well"), (None, "whether its directions repeat")],
)
def test_how_far_the_directions_repeat_is_said_in_words(mean: float | None, words: str) -> None:
    rows = [[1.0]] if mean is None else [[1.0, mean], [mean, 1.0]]
    agreement = {"pairs": rows, "by_matrix": {"m": [] if mean is None else [mean]}, "mean": mean}
    assert words in card(agreement=agreement)


def test_refusals_alone_are_told_as_a_limit_and_answers_that_refuse_nothing_as_well() -> None:
    assert "expect it to refuse what need not be refused" in card(rows={"refusals": 14, "harmless": 0})
    assert "expect it" not in card()
    settings = {**about()["settings"], "keep_all": True}
    kept = card(settings=settings)
    assert "14 dialogues given as refusals and 30 whose answer helps" in kept and "were learnt all the same" in kept
    assert "It has also learnt from answers" in kept


def test_an_adapter_from_before_sources_were_recorded_says_so() -> None:
    old = about()
    for key in ("sources", "weights", "versions"):
        del old[key]
    said = adapter_card(old, "ann/tiny", "2026-11-20")
    assert "Where they come from was not recorded" in said and "of its weights was not recorded" in said
    assert front(said)["license"] == "other" and "Not recorded." in said


@pytest.mark.parametrize("one", [Hostile("front matter", EVIL), *HOSTILE], ids=lambda one: one.name)
def test_a_hostile_name_stays_a_name(one: Hostile) -> None:
    evil = one.text[:2000]
    hostile = {"name": evil, "licence": evil, "source": evil, "revision": evil, "set": evil}
    said = card(model=evil, sources=[{**HUB, **hostile}, FILE], versions={"peft": evil})
    plain = card(sources=[{**HUB, "source": "mine"}, FILE])
    assert front(said) == front(plain), "nothing gets into the front matter"
    assert shape(said) == shape(plain), "no heading, table row or rule more or less"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", said)
    assert not re.search(r"(?<!\\)<script", re.sub(r"(`+).*?\1", "", said)), "no HTML outside of code"
    python = said.split("```python\n")[1].split("\n```")[0]
    assert 'base = "FOLDER_OF_THE_BASE_MODEL"' in python
    compile(python, "card", "exec")


def shape(text: str) -> list[str]:
    """Headings and rules as they are, of a table's row its cells."""
    lines = text.splitlines()
    kept = [line for line in lines if line.startswith(("#", "---", "```"))]
    return [*kept, *(str(len(re.findall(r"(?<!\\)\|", line))) for line in lines if line.startswith("|"))]
