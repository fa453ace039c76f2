"""Which datasets are there, where do they come from, and which of their rows could not be read?"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import (
    Dataset,
    Provenance,
    add_quarantine,
    begin_dataset,
    find_dataset,
    get_dataset,
    list_datasets,
    quarantined,
    record_progress,
)

FILE = Provenance(
    "xstest", "2", "/data/xstest.csv", sha256="abc", split="test", licence="cc-by-4.0", redistribution="full",
    eval_only=True, options={"columns": "all"},
)  # fmt: skip


def begin(connection: sqlite3.Connection, name: str = "xstest", provenance: Provenance = FILE) -> Dataset:
    with transaction(connection):
        return begin_dataset(connection, name, provenance)


def test_where_a_dataset_comes_from_is_kept(connection: sqlite3.Connection) -> None:
    begin(connection)
    assert get_dataset(connection, "xstest").provenance == FILE


def test_a_dataset_is_importing_until_its_last_rows_are_in(connection: sqlite3.Connection) -> None:
    dataset = begin(connection)
    states = []
    for read, last in ((10, False), (20, True)):
        with transaction(connection):
            record_progress(connection, dataset.id, records_read=read, added=9, rejected=1, done=last)
        states.append(get_dataset(connection, "xstest"))
    assert [(d.state, d.records_read, d.n_items, d.n_rejected) for d in states] == [
        ("importing", 10, 9, 1),
        ("ready", 20, 18, 2),
    ]


def test_the_same_source_goes_on_in_the_same_dataset(connection: sqlite3.Connection) -> None:
    first = begin(connection)
    with transaction(connection):
        record_progress(connection, first.id, records_read=10, added=10, rejected=0)
    again = begin(connection)
    assert (again.id, again.records_read) == (first.id, 10)


def test_a_file_of_the_same_content_is_the_same_source_wherever_it_lies(connection: sqlite3.Connection) -> None:
    assert begin(connection).id == begin(connection, provenance=replace(FILE, source="/elsewhere.csv")).id


@pytest.mark.parametrize(
    "change",
    [{"sha256": "other"}, {"adapter": "generic"}, {"split": "train"}, {"revision": "v2"}, {"options": {"x": "y"}}],
    ids=lambda change: next(iter(change)),
)
def test_another_source_needs_another_name(connection: sqlite3.Connection, change: dict[str, object]) -> None:
    begin(connection)
    with pytest.raises(ConflictError, match="another source") as error:
        begin(connection, provenance=replace(FILE, **change))  # type: ignore[arg-type]
    assert "--name" in error.value.next_step


def test_options_that_json_cannot_tell_apart_are_the_same(connection: sqlite3.Connection) -> None:
    first = begin(connection, provenance=replace(FILE, options={"fields": ("a", "b")}))
    assert begin(connection, provenance=replace(FILE, options={"fields": ["a", "b"]})).id == first.id


def test_a_file_name_that_is_no_utf8_is_kept_as_its_escape_and_known_again(connection: sqlite3.Connection) -> None:
    provenance = Provenance("generic", "1", "caf\udce9.jsonl")
    first = begin(connection, "caf\udce9", provenance)
    assert first.name == "caf\\udce9"
    assert begin(connection, "caf\udce9", provenance).id == first.id
    found = find_dataset(connection, "caf\udce9")
    assert found is not None and found.provenance.source == "caf\\udce9.jsonl"


def test_an_unknown_name_lists_what_there_is(connection: sqlite3.Connection) -> None:
    begin(connection, "zeta"), begin(connection, "alpha")
    with pytest.raises(InputError, match="no dataset 'beta'") as error:
        get_dataset(connection, "beta")
    assert error.value.next_step == "Imported datasets: alpha, zeta."
    assert [d.name for d in list_datasets(connection)] == ["alpha", "zeta"]
    assert find_dataset(connection, "beta") is None


def test_rows_that_could_not_be_read_are_kept_with_line_and_reason(connection: sqlite3.Connection) -> None:
    dataset = begin(connection)
    rows = [(7, "not JSON", "{bad \ud800"), (3, "no prompt", "{}")]
    with transaction(connection):
        add_quarantine(connection, dataset.id, rows)
    kept = [(row.line, row.reason, row.excerpt) for row in quarantined(connection, dataset.id)]
    assert kept == [(3, "no prompt", "{}"), (7, "not JSON", "{bad \\ud800")]


def test_quarantine_is_read_in_pages(connection: sqlite3.Connection) -> None:
    dataset = begin(connection)
    with transaction(connection):
        add_quarantine(connection, dataset.id, [(line, "bad", "") for line in range(300)])
    assert len(quarantined(connection, dataset.id)) == 200
