"""What the list of datasets says, without an app."""

from __future__ import annotations

from dataclasses import replace

from refusal_tui.ingest.catalog import CatalogueEntry
from refusal_tui.store.browse import LabelCounts
from refusal_tui.store.datasets import Dataset, Provenance
from refusal_tui.tui.state.datasets import about, lines

DATASET = Dataset(
    3, "my set", Provenance("generic", "2", "a.jsonl", licence="MIT", redistribution="full"), "ready", 10, 8, 2, 0.0
)
ENTRY = CatalogueEntry(
    "vault",
    "Vault prompts",
    "hf:example/vault",
    "CC-BY-4.0",
    True,
    "labels-only",
    True,
    "900 prompts",
    ("test",),
    "us",
    "",
)


def test_imported_datasets_come_first_and_formats_without_a_home_are_left_out() -> None:
    shown = lines([DATASET], [ENTRY, replace(ENTRY, name="generic", source=None)], {3: LabelCounts(5, 1)})
    assert [(line.name, line.state) for line in shown] == [("my set", "ready"), ("vault", "known")]
    assert shown[0].labelled == LabelCounts(5, 1)


def test_the_filter_of_a_dataset_quotes_its_name() -> None:
    assert lines([DATASET], [], {})[0].term == 'dataset:"my set"'


def test_provenance_names_terms_and_bad_rows() -> None:
    said = dict(about(lines([DATASET], [], {})[0]))
    assert said["licence"] == "MIT; may be passed on"
    assert said["records"] == "10 read, 2 quarantined: Q shows them"
    assert said["adapter"] == "generic v2"


def test_evaluation_sets_say_that_nobody_may_train_on_them() -> None:
    said = dict(about(lines([], [ENTRY], {})[0]))
    assert said["use"] == "evaluation only: never train on it"
    assert said["access"] == "gated: accept its terms on the hub and log in first"
