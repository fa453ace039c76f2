"""How is each file format written? Streams of records in, one finished file or folder out; memory stays flat."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from refusal_tui.export.records import COLUMNS, flat
from refusal_tui.labels.derive import BOOLEAN_HEADS
from refusal_tui.text.spreadsheet import neutral

Records = Iterator[dict[str, Any]]
_BATCH_ROWS = 1000
_BATCH_CHARACTERS = 16 * 1024 * 1024  # of huge rows less: memory stays flat, and Arrow's offsets end at 2 GB


def write_jsonl(records: Records, folder: Path) -> Path:
    path = folder / "data.jsonl"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return path


def write_json(records: Records, folder: Path) -> Path:
    path = folder / "data.json"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        separator = "[\n"
        for record in records:
            file.write(separator + json.dumps(record, ensure_ascii=False))
            separator = ",\n"
        file.write("[]\n" if separator == "[\n" else "\n]\n")
    return path


def write_csv(records: Records, folder: Path) -> Path:
    path = folder / "data.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        # The default line end: with "\n" alone, csv leaves a cell with a carriage return unquoted, and it is lost.
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for record in records:
            writer.writerow({name: neutral(cell) for name, cell in flat(record).items()})
    return path


def write_parquet(records: Records, folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.bool_() if name in BOOLEAN_HEADS else pa.string()) for name in COLUMNS])
    path = folder / "data.parquet"
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in _batches(map(flat, records)):
            writer.write_table(pa.Table.from_pylist(batch, schema))
    return path


def _batches(cells: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for row in cells:
        batch.append(row)
        size += sum(len(cell) for cell in row.values() if isinstance(cell, str))
        if len(batch) == _BATCH_ROWS or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def write_hf(records: Records, folder: Path) -> Path:
    """A folder for `datasets.load_from_disk`."""
    import pyarrow.parquet as pq
    from datasets import Dataset

    scratch = folder / ".scratch"
    scratch.mkdir()
    parquet = write_parquet(records, scratch)
    if pq.read_metadata(parquet).num_rows:
        data = Dataset.from_parquet(str(parquet), cache_dir=str(scratch / "cache"), keep_in_memory=False)
        shards = None
    else:  # which from_parquet refuses, and save_to_disk would make no file of
        data, shards = Dataset(pq.read_table(parquet)), 1
    path = folder / "data"
    data.save_to_disk(str(path), num_shards=shards)
    del data
    shutil.rmtree(scratch)
    return path


WRITERS: Mapping[str, Callable[[Records, Path], Path]] = {
    "jsonl": write_jsonl,
    "json": write_json,
    "csv": write_csv,
    "parquet": write_parquet,
    "hf": write_hf,
}
