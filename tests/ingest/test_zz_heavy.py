"""Whatever the bytes: the readers never raise, and nothing disappears."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from refusal_tui.errors import InputError
from refusal_tui.ingest.items import Record, Rejected
from refusal_tui.ingest.plan import make_plan
from refusal_tui.ingest.readers import open_source
from refusal_tui.ingest.registry import all_adapters

# Bytes that look like JSON and CSV often enough to reach the deep branches.
PIECES = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b",", b":", b"\n", b"\r\n", b"\\", b"\\u0000", b"\\ud800", b"\xff", b"\x00",
     b'{"a": 1}', b'{"a": "x"}', b'[{"a": 1}]', b"null", b"-1.5e9", b" ", b"\xef\xbb\xbf", b"\xc3\xa4", b"a,b"]
)  # fmt: skip
CONTENT = st.lists(st.one_of(PIECES, st.binary(max_size=8)), max_size=40).map(b"".join)
FORMATS = ("jsonl", "json", "csv", "tsv")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
ROWS = st.lists(st.dictionaries(st.sampled_from(["id", "prompt", "response", "ü"]), VALUES, min_size=1), max_size=10)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes one file after the other into one folder."""
    folder = tmp_path_factory.mktemp("bytes")

    def write(content: bytes, name: str = "data") -> Path:
        path = folder / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("fmt", FORMATS)
@given(content=CONTENT)
@settings(max_examples=4000, deadline=None)
def test_no_bytes_make_a_reader_raise(written, fmt, content):
    try:
        source = open_source(written(content), fmt)
    except InputError:
        return  # two bytes that say "gzip" and nothing behind them: such a file cannot be opened at all
    for row in source:
        assert isinstance(row, (Record, Rejected))
        assert row.line >= 1
        if isinstance(row, Rejected):
            (row.reason + row.excerpt).encode("utf-8")
        else:
            json.dumps(row.data, ensure_ascii=False, allow_nan=False).encode("utf-8")


@given(content=CONTENT)
@settings(max_examples=4000, deadline=None)
def test_every_line_that_is_not_blank_is_a_record_or_a_rejected_row(written, content):
    content = b"\n" + content  # the line break keeps it from looking packed
    lines = content.split(b"\n")
    expected = [number for number, line in enumerate(lines, 1) if _is_more_than_space(line)]
    assert [row.line for row in open_source(written(content), "jsonl")] == expected


def _is_more_than_space(line: bytes) -> bool:
    try:
        return bool(line.decode().strip())
    except UnicodeDecodeError:
        return True


@given(rows=ROWS)
@settings(max_examples=4000, deadline=None)
def test_json_rows_come_back_as_they_were_written_in_every_form(written, rows):
    forms = {
        "a.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "b.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\r\n" for row in rows),
        "c.json": json.dumps(rows, indent=2, ensure_ascii=False),
        "d.json": json.dumps(rows),
    }
    for name, content in forms.items():
        fmt = name.rpartition(".")[2]
        assert [row.data for row in open_source(written(content.encode(), name), fmt)] == rows


@given(
    cells=st.lists(
        st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=20),
        max_size=10,
    )
)
@settings(max_examples=4000, deadline=None)
def test_csv_cells_come_back_as_they_were_written(written, cells):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *([cell, "x"] for cell in cells)])
    rows = list(open_source(written(out.getvalue().encode(), "x.csv")))
    assert [row.data["a"] for row in rows] == cells


@given(content=CONTENT, skip=st.integers(0, 20))
@settings(max_examples=4000, deadline=None)
def test_skip_gives_what_is_left_of_the_whole(written, content, skip):
    path = written(b" " + content)  # the space keeps it from looking packed
    for fmt in FORMATS:
        assert list(open_source(path, fmt, skip)) == list(open_source(path, fmt))[skip:]


@given(content=CONTENT, cut=st.integers(0, 200), flip=st.integers(0, 200))
@settings(max_examples=4000, deadline=None)
def test_no_damage_to_a_packed_file_makes_a_reader_raise(written, content, cut, flip):
    for pack in (gzip.compress, zstandard.compress):
        packed = bytearray(pack(content))
        packed[max(4, flip % len(packed))] ^= 0x55
        path = written(bytes(packed[: max(4, len(packed) - cut)]), "x.jsonl")
        for row in open_source(path, "jsonl"):
            assert isinstance(row, (Record, Rejected))


@given(
    row=st.dictionaries(
        st.sampled_from(sorted({c for a in all_adapters() for s in a.shapes for c in s.columns})), VALUES
    )
)
@settings(max_examples=4000, deadline=None)
def test_no_row_makes_an_adapter_raise_and_every_item_can_be_stored(row):
    for adapter in all_adapters():
        options = {"prompt": "prompt"} if adapter.name == "generic" else {}
        for out in adapter.convert([Record(1, row)], options):
            if not isinstance(out, Rejected):
                json.dumps(out.meta, allow_nan=False)
                assert isinstance(out.prompt, (str, tuple))
                assert out.response is None or isinstance(out.response, str)
                assert all(
                    word is None or isinstance(word, str) for word in (out.key, out.model, out.split, out.category)
                )


@given(content=CONTENT)
@settings(max_examples=4000, deadline=None)
def test_a_plan_is_made_or_refused_in_words(written, content):
    try:
        plan = make_plan(str(written(content, "x.json")))
    except InputError as error:
        assert str(error)
        assert error.next_step
    else:
        assert plan.preview
