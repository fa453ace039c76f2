"""How is the final dataset written? Every row once into each of four forms, a portion at a time; memory stays flat.

`final_dataset.json` (one list), `final_dataset.jsonl`, `parquet/PART.parquet`, and `datasets/`: the folder that
`datasets.load_from_disk` and `datasets.load_dataset` open. The latter is written here as `save_to_disk` of datasets 5
writes it, because that one stamps every folder with a fingerprint of its own and two exports could not be equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from refusal_tui.export.resolve import HEADS
from refusal_tui.labels.atoms import ATOMS
from refusal_tui.labels.derive import BOOLEAN_HEADS
from refusal_tui.labels.taxonomy import HEAD_A, HEAD_B, HEAD_C_A, HEAD_C_B

if TYPE_CHECKING:
    import pyarrow as pa

JSON_FILE, JSONL_FILE, PARQUET, DATASETS = "final_dataset.json", "final_dataset.jsonl", "parquet", "datasets"
SHARD = "data-00000-of-00001.arrow"
_BATCH_ROWS = 2000
_BATCH_CHARACTERS = 16 * 1024 * 1024  # of huge rows less: memory stays flat, and Arrow's offsets end at 2 GB


def schema() -> pa.Schema:
    """The columns of Parquet and Arrow, with the description that the `datasets` library reads."""
    import pyarrow as pa

    texts = pa.list_(pa.string())
    chosen = pa.struct([("rank", pa.string()), ("by", texts), ("probability", pa.float64())])
    vote = pa.struct([(name, pa.string()) for name in ("head", "annotator", "value")] + [("probability", pa.float64())])
    metadata = [
        ("confidence", pa.float64()), ("rationale", pa.string()), ("judge_model", pa.string()), ("id", pa.string()),
        ("split", pa.string()), ("cluster", pa.int64()), ("item_id", pa.int64()), ("dataset", pa.string()),
        ("key", pa.string()), ("model", pa.string()), ("source_split", pa.string()), ("source_category", pa.string()),
        ("licence", pa.string()), ("eval_only", pa.bool_()), ("text_withheld", pa.bool_()),
        ("pii_replaced", pa.int64()), ("refusal3", pa.string()), ("refusal3_profile", pa.string()),
        ("policy", pa.string()), ("chosen", pa.struct([(head, chosen) for head in HEADS])), ("left_open", texts),
        ("votes", pa.list_(vote)), ("atoms", pa.struct([(name, pa.string()) for name in ATOMS])),
        ("constitution", pa.string()),
    ]  # fmt: skip
    fields = pa.schema(
        [
            ("prompt", pa.string()), ("response", pa.string()), (HEAD_A, pa.string()), (HEAD_B, pa.string()),
            (HEAD_C_A, texts), (HEAD_C_B, texts),
            ("head_d", pa.struct([(head, pa.bool_()) for head in BOOLEAN_HEADS])),
            ("metadata", pa.struct(metadata)),
        ]
    )  # fmt: skip
    return fields.with_metadata({"huggingface": json.dumps({"info": {"features": _features(fields)}})})


def _features(fields: Iterable[pa.Field]) -> dict[str, Any]:
    return {field.name: _feature(field.type) for field in fields}


def _feature(type_: pa.DataType) -> dict[str, Any]:
    """A type as the `datasets` library names it."""
    import pyarrow as pa

    if pa.types.is_struct(type_):
        return _features(type_)
    if pa.types.is_list(type_):
        return {"feature": _feature(type_.value_type), "_type": "List"}
    names = {pa.string(): "string", pa.bool_(): "bool", pa.float64(): "float64", pa.int64(): "int64"}
    return {"dtype": names[type_], "_type": "Value"}


class FinalFiles:
    """Takes records, each with the place of its part."""

    def __init__(self, json_file: IO[str], jsonl_file: IO[str], tables: Sequence[_Table]) -> None:
        self._json, self._jsonl, self._tables = json_file, jsonl_file, tables
        self._separator = "[\n"
        self._digest = sha256()

    @property
    def sha256(self) -> str:
        """Of the rows so far, as they stand in the JSONL file."""
        return self._digest.hexdigest()

    def write(self, record: Mapping[str, Any], part: int) -> None:
        line = json.dumps(record, ensure_ascii=False)
        self._json.write(self._separator + line)
        self._separator = ",\n"
        self._jsonl.write(line + "\n")
        self._digest.update(line.encode() + b"\n")
        self._tables[part].add(record, len(line))

    def finish(self) -> None:
        self._json.write("[]\n" if self._separator == "[\n" else "\n]\n")
        for table in self._tables:
            table.flush()


@dataclass(slots=True)
class _Table:
    """One part: rows are gathered and go to both tabular forms as one batch."""

    schema: pa.Schema
    writers: Sequence[Any]
    _rows: list[Mapping[str, Any]]
    _characters: int = 0

    def add(self, record: Mapping[str, Any], characters: int) -> None:
        self._rows.append(record)
        self._characters += characters
        if len(self._rows) == _BATCH_ROWS or self._characters >= _BATCH_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            table = pa.Table.from_pylist(self._rows, self.schema)
            for writer in self.writers:
                writer.write_table(table)
        self._rows, self._characters = [], 0


@contextmanager
def final_files(folder: Path, parts: Sequence[str]) -> Iterator[FinalFiles]:
    """Files in an empty folder, closed and whole afterwards."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = schema()
    (folder / PARQUET).mkdir()
    with ExitStack() as stack:
        texts = [
            stack.enter_context((folder / name).open("w", encoding="utf-8", newline="\n"))
            for name in (JSON_FILE, JSONL_FILE)
        ]
        tables = []
        for part in parts:
            home = folder / DATASETS / part
            home.mkdir(parents=True)
            parquet = pq.ParquetWriter(folder / PARQUET / f"{part}.parquet", columns, compression="zstd")
            arrow = pa.ipc.new_stream(str(home / SHARD), columns)
            tables.append(_Table(columns, (stack.enter_context(parquet), stack.enter_context(arrow)), []))
        files = FinalFiles(texts[0], texts[1], tables)
        yield files
        files.finish()
    _describe(folder / DATASETS, columns, parts, files.sha256)


def _describe(folder: Path, columns: pa.Schema, parts: Sequence[str], rows_sha256: str) -> None:
    """What `load_from_disk` reads beside the Arrow files. The fingerprint is a key in the library's cache."""
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": list(parts)}))
    info = {"citation": "", "description": "", "features": _features(columns), "homepage": "", "license": ""}
    for part in parts:
        state: dict[str, Any] = {
            "_data_files": [{"filename": SHARD}],
            "_fingerprint": sha256(f"{rows_sha256}:{part}".encode()).hexdigest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": part,
        }
        (folder / part / "state.json").write_text(json.dumps(state, indent=2))
        (folder / part / "dataset_info.json").write_text(json.dumps(info, indent=2))
