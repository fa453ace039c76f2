"""JSON documents: lists, lists inside objects, single objects, read from a sliding window."""

from __future__ import annotations

import json

import pytest

from refusal_tui.ingest import blocks, jsontext
from refusal_tui.ingest.items import Record, Rejected


def read(rows_of, content):
    return rows_of(content, "data.json")


def test_a_list_of_objects_gives_a_row_each(rows_of):
    rows = read(rows_of, json.dumps([{"a": 1}, {"a": 2}], indent=2))
    assert [(row.line, row.data) for row in rows] == [(1, {"a": 1}), (2, {"a": 2})]


def test_the_list_inside_an_object_gives_the_rows_and_what_stands_before_it_the_header(rows_of):
    rows = read(rows_of, '{"parameters": {"model": "m"}, "jailbreaks": [{"a": 1}, {"a": 2}]}')
    assert [row.data for row in rows] == [{"a": 1}, {"a": 2}]
    assert rows[0].origin.header == {"parameters": {"model": "m"}}


def test_lists_that_are_called_like_splits_give_the_split(rows_of):
    rows = read(rows_of, '{"train": [{"a": 1}], "test": [{"a": 2}]}')
    assert [(row.origin.split, row.data["a"]) for row in rows] == [("train", 1), ("test", 2)]


def test_one_object_is_one_row_also_when_it_holds_chat_turns(rows_of):
    document = {"prompt": "x", "messages": [{"role": "user", "content": "y"}], "tags": ["a", "b"], "none": []}
    (row,) = read(rows_of, json.dumps(document))
    assert row.data == document


def test_several_documents_in_one_file_are_read_one_after_the_other(rows_of):
    rows = rows_of('{\n "a": 1\n}\n{\n "a": 2\n}\n', "data.json")
    assert [row.data for row in rows] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ('{"a": oops}', "broken JSON: expecting value at character 7"),
        ('{"a": 1 "b": 2}', "broken JSON"),
        ("17", "the row is a number, not an object"),
        ("oops", "broken JSON"),
        ('{"a": "\\ud83d"}', "half of a surrogate pair"),
        ('{"a": "\\u0000"}', "NUL character"),
    ],
)
def test_a_broken_element_costs_its_row_alone(rows_of, element, reason):
    before, bad, after = read(rows_of, '[{"ok": 1},\n' + element + ',\n{"ok": 2}]')
    assert (before.data, after.data) == ({"ok": 1}, {"ok": 2})
    assert isinstance(bad, Rejected)
    assert reason in bad.reason
    assert bad.excerpt == element


def test_a_missing_quote_costs_its_row_and_not_the_file(rows_of):
    bad, after = read(rows_of, '[{"a": "unfinished, "b": 2},\n{"ok": 2}]')
    assert isinstance(bad, Rejected)
    assert after.data == {"ok": 2}


def test_invalid_utf8_rejects_the_row_with_the_byte(rows_of):
    bad, after = read(rows_of, b'[{"a": "x\xff"}, {"ok": 2}]')
    assert "invalid UTF-8 at byte 9 of the row" in bad.reason
    assert after.data == {"ok": 2}


def test_a_file_that_ends_in_the_middle_keeps_what_came_before_and_says_so(rows_of):
    first, *bad = read(rows_of, '[{"a": 1}, {"a": 2')
    assert first.data == {"a": 1}
    assert any("the file ends" in row.reason for row in bad)


def test_rows_that_straddle_the_pieces_of_the_file_are_whole(rows_of, monkeypatch):
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 7)
    document = [{"text": f'ümlaut {i} \\ " {"x" * i}', "n": i, "inner": [{"k": [i]}]} for i in range(50)]
    for content in (json.dumps(document, ensure_ascii=False), json.dumps(document, indent=1)):
        assert [row.data for row in read(rows_of, content)] == document


def test_a_row_over_the_limit_is_rejected_and_the_next_one_read(rows_of, monkeypatch):
    monkeypatch.setattr(jsontext, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 300)
    rows = read(rows_of, '[{"a": "' + 'x}{\\"' * 1000 + '"}, {"ok": 1}]')
    assert [type(row) for row in rows] == [Rejected, Record]
    assert "the limit is" in rows[0].reason
    assert rows[1].data == {"ok": 1}


def test_skip_passes_over_elements(rows_of):
    assert [row.line for row in rows_of('[{"a": 1}, oops, {"a": 2}, {"a": 3}]', "data.json", skip=2)] == [3, 4]
