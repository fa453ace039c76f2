"""The built-in catalogue."""

from __future__ import annotations

import json

from refusal_tui.ingest.catalog import catalogue, is_gated
from refusal_tui.ingest.hub import parse_reference
from refusal_tui.ingest.registry import ADAPTERS, all_adapters, get_adapter
from refusal_tui.ingest.terms import terms_of


def test_the_catalogue_has_every_adapter_with_its_terms():
    entries = {entry.name: entry for entry in catalogue()}
    assert entries.keys() == ADAPTERS.keys()
    assert all(entry.licence and entry.size and entry.title for entry in entries.values())


def test_gated_and_closed_sets_are_marked():
    entries = {entry.name: entry for entry in catalogue()}
    assert {name for name, entry in entries.items() if entry.gated} == {"wildguardmix", "sorry-bench"}
    assert entries["sorry-bench"].redistribution == "none"
    assert entries["do-not-answer"].redistribution == "labels-only"
    assert {name for name, entry in entries.items() if entry.eval_only} == {
        "sorry-bench", "jailbreakbench", "or-bench", "xstest",
    }  # fmt: skip


def test_every_source_of_the_catalogue_is_an_address_that_import_takes():
    for entry in catalogue():
        if entry.source:
            assert str(parse_reference(entry.source)) == entry.source


def test_adapters_carry_the_name_they_are_registered_under():
    assert [adapter.name for adapter in all_adapters()] == list(ADAPTERS)


def test_which_sources_are_gated_is_on_their_cards_and_stays_so_in_a_copy_of_ours(tmp_path) -> None:
    assert is_gated("wildguardmix", "hf:allenai/wildguardmix") and is_gated("xstest", "hf:allenai/xstest-response")
    assert not is_gated("xstest", "xstest.csv") and not is_gated("generate", "job 7")
    sources = [{"name": "guard", "adapter": "wildguardmix", "source": "guard.parquet", "redistribution": "labels-only"}]
    (tmp_path / "dataset_info.json").write_text(json.dumps({"sources": sources}))
    assert terms_of(str(tmp_path / "data.jsonl"), get_adapter("workbench"), []).redistribution == "none"
