"""CSV, TSV, Parquet and Arrow."""

from __future__ import annotations

import csv
import datetime
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from refusal_tui.errors import InputError
from refusal_tui.ingest import blocks, tables
from refusal_tui.ingest.items import Record, Rejected
from refusal_tui.ingest.readers import open_source


def read(rows_of, content, name="data.csv"):
    return rows_of(content, name)


def test_cells_are_text_under_the_headers_names_and_empty_ones_stay_empty(rows_of):
    (row,) = read(rows_of, "a,b,c\n1,,x\n")
    assert row.data == {"a": "1", "b": "", "c": "x"}


def test_line_breaks_inside_cells_are_kept_and_the_row_has_the_line_it_begins_on(rows_of):
    rows = read(rows_of, 'a,b\n"one\ntwo\r\nthree",x\n4,y\n')
    assert [(row.line, row.data["a"]) for row in rows] == [(2, "one\ntwo\r\nthree"), (5, "4")]


def test_a_byte_order_mark_is_no_part_of_the_first_name(rows_of):
    (row,) = read(rows_of, b"\xef\xbb\xbfid,b\n1,2\n")
    assert list(row.data) == ["id", "b"]


def test_cells_beyond_the_csv_modules_default_limit_are_read(rows_of):
    (row,) = read(rows_of, f"a\n{'x' * 200_000}\n")
    assert len(row.data["a"]) == 200_000


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_semicolons_and_tabs_are_recognised_by_the_header(rows_of, delimiter):
    (row,) = read(rows_of, f"a{delimiter}b\n1,5{delimiter}2\n")
    assert row.data == {"a": "1,5", "b": "2"}


def test_tsv_is_split_at_tabs(rows_of):
    (row,) = read(rows_of, "a\tb\n1,2\t3\n", "data.tsv")
    assert row.data == {"a": "1,2", "b": "3"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,2,3", "the row has 3 cells, the header has 2 columns"),
        (b"1", "the row has 1 cells, the header has 2 columns"),
        (b"1,\xff", "invalid UTF-8 at byte 3 of line 3"),
        (b"1,\x00", "NUL byte"),
        (b'1,"x"y', "broken CSV"),
    ],
)
def test_a_bad_row_is_rejected_and_the_others_are_kept(rows_of, line, reason):
    before, bad, after = read(rows_of, b"a,b\nok,1\n" + line + b"\nok,2\n")
    assert (before.data["b"], after.data["b"]) == ("1", "2")
    assert bad.line == 3
    assert reason in bad.reason


def test_a_quote_that_is_never_closed_does_not_swallow_a_big_file(rows_of, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 200)
    rows = read(rows_of, 'a,b\nok,1\n"never closed,2\n' + "ok,3\n" * 100)
    assert rows[0].data == {"a": "ok", "b": "1"}
    assert "perhaps a quote is missing" in rows[1].reason
    assert rows[-1].data == {"a": "ok", "b": "3"}


def test_a_line_over_the_limit_is_rejected(rows_of, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_ROW_BYTES", 100)
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 50)
    rows = read(rows_of, f"a,b\n1,{'x' * 500}\n2,y\n")
    assert [type(row) for row in rows] == [Rejected, Record]


def test_a_header_with_one_name_twice_says_so(rows_of):
    (bad,) = read(rows_of, "a,a\n1,2\n")
    assert "same name" in bad.reason


def test_skip_counts_rows_not_lines(rows_of):
    content = 'a\n"1\n1"\n2\n3\n'
    assert [row.data["a"] for row in rows_of(content, "data.csv", skip=1)] == ["2", "3"]


def parquet(path: Path, rows: list[dict], **options: object) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path, **options)
    return path


def test_parquet_rows_are_plain_values(tmp_path):
    day = datetime.datetime(2024, 5, 1, 12)
    path = parquet(
        tmp_path / "x.parquet",
        [{"t": "a", "f": float("nan"), "when": day, "b": b"\xff\xfe", "list": [{"k": 1.5}], "n": None}],
    )
    (row,) = open_source(path)
    assert row.data == {
        "t": "a",
        "f": None,
        "when": "2024-05-01T12:00:00",
        "b": "//4=",
        "list": [{"k": 1.5}],
        "n": None,
    }


def test_parquet_is_read_across_row_groups_and_skip_leaves_groups_out(tmp_path):
    path = parquet(tmp_path / "x.parquet", [{"n": i} for i in range(1000)], row_group_size=100)
    assert [row.data["n"] for row in open_source(path, skip=250)] == list(range(250, 1000))
    assert [row.line for row in open_source(path, skip=998)] == [999, 1000]


def test_a_parquet_cell_over_the_limit_costs_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROW_BYTES", 10_000)
    path = parquet(tmp_path / "x.parquet", [{"t": "x" * (100_000 if i == 1 else 10)} for i in range(3)])
    assert [type(row) for row in open_source(path)] == [Record, Rejected, Record]


def test_text_in_parquet_that_is_no_utf8_costs_its_row(tmp_path):
    raw = pa.array([b"good", b"\xff", b"fine"])
    text = pa.StringArray.from_buffers(3, raw.buffers()[1], raw.buffers()[2])
    pq.write_table(pa.table({"t": text}), tmp_path / "x.parquet")
    rows = list(open_source(tmp_path / "x.parquet"))
    assert [type(row) for row in rows] == [Record, Rejected, Record]
    assert "invalid UTF-8" in rows[1].reason


def test_a_nul_character_in_parquet_costs_its_row(tmp_path):
    path = parquet(tmp_path / "x.parquet", [{"t": "a\0b"}, {"t": "c"}])
    bad, good = open_source(path)
    assert "NUL character" in bad.reason
    assert good.data == {"t": "c"}


def test_a_file_that_is_no_parquet_is_an_input_error(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        list(open_source(tmp_path / "x.parquet"))


def test_what_save_to_disk_writes_is_read(tmp_path):
    from datasets import Dataset

    Dataset.from_list([{"a": f"row {i}"} for i in range(5)]).save_to_disk(str(tmp_path / "saved"))
    rows = list(open_source(tmp_path / "saved"))
    assert [row.data["a"] for row in rows] == [f"row {i}" for i in range(5)]


def test_csv_that_python_wrote_is_read_back_exactly(rows_of):
    cells = ['say "hi"', "a,b", "line\nbreak", "cr\r\nlf", " space ", "’", "", "tab\t"]
    out = io.StringIO()
    csv.writer(out).writerows([["x", "y"], *([cell, "z"] for cell in cells)])
    assert [row.data["x"] for row in read(rows_of, out.getvalue())] == cells
