"""Opening a source: formats by ending and content, packed files, folders."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from refusal_tui.errors import InputError
from refusal_tui.ingest import blocks
from refusal_tui.ingest.items import Record, Rejected
from refusal_tui.ingest.readers import open_source, sniff_format, split_in

LINES = "".join(json.dumps({"n": i, "text": f"row {i} " + "x" * (i % 50)}) + "\n" for i in range(2000)).encode()


def numbers(rows):
    return [row.data["n"] for row in rows if isinstance(row, Record)]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.jsonl", b'{"a": 1}\n', "jsonl"),
        ("a.ndjson", b'{"a": 1}\n', "jsonl"),
        ("a.json", b'[{"a": 1}]', "json"),
        ("a.json", b'{"a": 1}', "json"),
        ("a.json", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a.json", b'{\n  "a": 1\n}\n', "json"),
        ("a.jsonl", b'[\n  {"a": 1}\n]\n', "json"),
        ("a", b'{"a": 1}\n{"a": 2}\n', "jsonl"),
        ("a", b'[{"a": 1},\n{"a": 2}]', "json"),
        ("a", b"x,y\n1,2\n", "csv"),
        ("a.txt", b"x\ty\n1\t2\n", "tsv"),
        ("a.csv", b"x\n1\n", "csv"),
        ("a", b"PAR1....", "parquet"),
    ],
)
def test_the_format_is_told_by_ending_and_first_bytes(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    assert sniff_format(path) == expected


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"\xff\xfea\x00", "is UTF-16"),
        (b"just words", "is not known"),
        (b"\x00\x01,\x02", "is not known"),
    ],
)
def test_what_is_no_known_format_is_an_input_error_with_a_next_step(tmp_path, content, sentence):
    path = tmp_path / "thing"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        open_source(path)
    assert caught.value.next_step


def test_a_missing_path_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        open_source(tmp_path / "none.jsonl")


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_packed_files_read_like_plain_ones(tmp_path, ending):
    packed = gzip.compress(LINES) if ending == ".gz" else zstandard.compress(LINES)
    path = tmp_path / f"data.jsonl{ending}"
    path.write_bytes(packed)
    source = open_source(path)
    assert numbers(source) == list(range(2000))
    assert source.progress.bytes_read == source.bytes_total == len(packed)


def test_several_gzip_or_zstd_frames_in_a_row_are_one_file(tmp_path):
    for pack in (gzip.compress, zstandard.compress):
        (tmp_path / "data.jsonl").write_bytes(pack(LINES[:20_000]) + pack(LINES[20_000:]))
        assert numbers(open_source(tmp_path / "data.jsonl")) == list(range(2000))


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_packed_file_that_is_cut_off_keeps_its_rows_and_says_so(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(blocks, "CHUNK_BYTES", 4096)
    noise = "".join(json.dumps({"n": i, "text": str(hash((i, "x")) ** 5)}) + "\n" for i in range(20_000)).encode()
    packed = gzip.compress(noise) if ending == "gz" else zstandard.compress(noise)
    path = tmp_path / f"data.jsonl.{ending}"
    path.write_bytes(packed[: len(packed) // 2])
    *good, last = open_source(path)
    assert isinstance(last, Rejected)
    assert "cut off" in last.reason
    assert numbers(good) == list(range(len(good)))
    assert len(good) > 1000


def test_a_damaged_packed_file_of_every_format_never_raises(tmp_path):
    for name, content in (("a.json", json.dumps([{"n": i} for i in range(20_000)])), ("a.csv", "n\n" + "1\n" * 50_000)):
        packed = bytearray(gzip.compress(content.encode()))
        packed[len(packed) // 2] ^= 0xFF
        (tmp_path / name).write_bytes(bytes(packed))
        rows = list(open_source(tmp_path / name))
        assert isinstance(rows[-1], Rejected)


def folder(tmp_path: Path) -> Path:
    for name, content in {
        "harmless-base/train.jsonl": '{"n": 1}\n{"n": 2}\n',
        "harmless-base/test.jsonl": '{"n": 3}\n',
        "other/data.csv": "n\n4\n",
        "README.md": "words",
        "dataset_info.json": '{"licence": "x"}',
        ".hidden/x.jsonl": '{"n": 5}\n',
        "notes.txt": "a,b",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def test_a_folder_is_read_file_by_file_in_order_without_its_side_files(tmp_path):
    rows = list(open_source(folder(tmp_path)))
    assert [(row.origin.name, row.origin.split, str(row.data["n"])) for row in rows] == [
        ("harmless-base/test.jsonl", "test", "3"),
        ("harmless-base/train.jsonl", "train", "1"),
        ("harmless-base/train.jsonl", "train", "2"),
        ("other/data.csv", None, "4"),
    ]


def test_skip_counts_over_all_files_of_a_folder(tmp_path):
    whole = list(open_source(folder(tmp_path)))
    for skip in range(5):
        assert list(open_source(tmp_path, skip=skip)) == whole[skip:]


def test_a_split_keeps_to_the_files_that_are_called_so(tmp_path):
    assert numbers(open_source(folder(tmp_path), split="test")) == [3]


def test_a_bad_file_in_a_folder_is_one_rejected_row_that_names_it(tmp_path):
    folder(tmp_path)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "harmless-base" / "train.jsonl").write_text("broken\n")
    rows = list(open_source(tmp_path))
    assert [row.reason.split(":")[0] for row in rows if isinstance(row, Rejected)] == [
        "bad.parquet",
        "harmless-base/train.jsonl",
    ]


def test_a_folder_without_data_files_is_an_input_error(tmp_path):
    (tmp_path / "README.md").write_text("x")
    with pytest.raises(InputError, match="holds no data file"):
        open_source(tmp_path)


def test_a_split_is_recognised_as_a_word_of_the_file_name():
    assert [split_in(name) for name in ("train_sft.parquet", "xstest.csv", "benign-behaviors.csv", "VAL.jsonl")] == [
        "train", None, "benign", "val",
    ]  # fmt: skip


def test_leaving_early_closes_the_file(tmp_path):
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(LINES))
    source = open_source(path)
    next(iter(source))
    source.close()  # pytest turns a ResourceWarning into an error
