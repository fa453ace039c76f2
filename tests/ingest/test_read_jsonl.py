"""JSON Lines: what becomes a row, what becomes a rejected row, and what is passed over."""

from __future__ import annotations

import json

import pytest

from refusal_tui.ingest import blocks, jsontext
from refusal_tui.ingest.items import Record, Rejected
from refusal_tui.ingest.readers import open_source


def test_each_line_is_a_row_with_its_line_number(rows_of):
    rows = rows_of('{"a": 1}\n{"a": 2}\n')
    assert [(row.line, row.data) for row in rows] == [(1, {"a": 1}), (2, {"a": 2})]


def test_blank_lines_are_no_rows_but_count_as_lines(rows_of):
    assert [row.line for row in rows_of('{"a": 1}\n\n   \n{"a": 2}')] == [1, 4]


def test_a_byte_order_mark_and_windows_line_ends_are_tolerated(rows_of):
    rows = rows_of(b'\xef\xbb\xbf{"a": 1}\r\n{"a": 2}\r\n')
    assert [row.data for row in rows] == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"a": ', "broken JSON: expecting value"),
        (b'{"a": 1} {"b": 2}', "broken JSON: extra data"),
        (b"[1, 2]", "the row is a list, not an object"),
        (b"null", "the row is null, not an object"),
        (b'{"a": "\xff"}', "invalid UTF-8 at byte 8 of the line"),
        (b'{"a": "\x00"}', "NUL byte at byte 8"),
        (b'{"a": "x\\u0000"}', "NUL character (U+0000) at position 1"),
        (b'{"a": ["\\ud83d"]}', "half of a surrogate pair (U+D83D)"),
        (b'{"a": ' + b"[" * 300 + b"]" * 300 + b"}", "nested more than 200 levels"),
        (b'{"a": ' + b"[" * 100_000, "broken JSON"),
        (b'{"a": ' + b"1" * 5000 + b"}", "broken JSON: Exceeds the limit"),
    ],
)
def test_a_bad_line_is_rejected_with_its_reason_and_the_others_are_kept(rows_of, line, reason):
    before, bad, after = rows_of(b'{"ok": 1}\n' + line + b'\n{"ok": 2}\n')
    assert (before.data, after.data) == ({"ok": 1}, {"ok": 2})
    assert isinstance(bad, Rejected)
    assert bad.line == 2
    assert reason in bad.reason


def test_a_whole_surrogate_pair_and_an_escaped_backslash_before_u0000_are_text(rows_of):
    rows = rows_of(json.dumps({"a": "\U0001f600"}) + "\n" + json.dumps({"a": "\\u0000"}))
    assert [row.data["a"] for row in rows] == ["\U0001f600", "\\u0000"]


def test_numbers_that_json_does_not_know_become_null(rows_of):
    (row,) = rows_of('{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}')
    assert row.data == {"a": None, "b": None, "c": None, "d": 1.5}


def test_the_excerpt_of_a_rejected_row_is_short_and_can_be_stored(rows_of):
    (bad,) = rows_of(b'{"a": "\xff' + b"x" * 5000)
    assert len(bad.excerpt) == 500
    bad.excerpt.encode("utf-8")


def test_a_row_over_the_limit_is_rejected_unread(rows_of, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_ROW_BYTES", 1000)
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 300)
    rows = rows_of(b'{"a": 1}\n{"a": "' + b"x" * 5000 + b'"}\n{"a": 2}\n{"a": "' + b"y" * 900 + b'"}')
    assert [type(row) for row in rows] == [Record, Rejected, Record, Record]
    assert "the limit is" in rows[1].reason
    assert rows[1].excerpt.startswith('{"a": "xxx')


def test_memory_stays_flat_while_a_50_mb_cell_goes_by(tmp_path):
    import tracemalloc

    path = tmp_path / "big.jsonl"
    with path.open("wb") as file:
        file.write(b'{"a": "')
        for _ in range(50):
            file.write(b"x" * 1_000_000)
        file.write(b'"}\n{"b": 1}\n')
    tracemalloc.start()
    try:
        rows = list(open_source(path))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [type(row) for row in rows] == [Rejected, Record]
    assert "48 MiB" in rows[0].reason
    assert peak < 1.5 * jsontext.MAX_ROW_BYTES


def test_skip_passes_over_rows_and_keeps_their_line_numbers(rows_of):
    content = '{"a": 1}\n\nbroken\n{"a": 2}\n{"a": 3}\n'
    whole = rows_of(content)
    assert rows_of(content, skip=2) == whole[2:]


def test_position_counts_the_rows_handed_out(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text('{"a": 1}\n\nbroken\n{"a": 2}\n')
    source = open_source(path, skip=1)
    assert source.position == 1
    next(iter(source))
    assert source.position == 2
    source.close()
