"""How are the rows of CSV, TSV, Parquet and Arrow files read?"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.ingest.blocks import BrokenStream, Oversize, read_lines
from refusal_tui.ingest.items import MAX_ROW_BYTES, BadRow, Origin, Progress, Record, Rejected, excerpt
from refusal_tui.ingest.jsontext import too_long
from refusal_tui.ingest.plain import check_storable, plain

_BATCH_ROWS = 512


class _BadLine(Exception):
    """A line that must not reach the CSV parser; `head` is its beginning."""

    def __init__(self, reason: str, head: bytes) -> None:
        super().__init__(reason)
        self.head = head


class _CsvLines:
    """Lines for csv.reader. An iterator object, not a generator: it goes on after it has raised for one row."""

    def __init__(self, blocks: Iterator[list[bytes | Oversize]]) -> None:
        self._blocks = blocks
        self._block: list[bytes | Oversize] = []
        self._next = 0
        self.number = 0  # of the line handed out last, from 1
        self.bad: _BadLine | None = None  # what is wrong with the lines of the current row
        self.head = b""
        self._row_bytes = 0

    def start_row(self) -> None:
        self.bad, self.head, self._row_bytes = None, b"", 0

    def __iter__(self) -> _CsvLines:
        return self

    def __next__(self) -> str:
        while self._next >= len(self._block):
            self._block, self._next = next(self._blocks), 0
        raw = self._block[self._next]
        self._next += 1
        self.number += 1
        if isinstance(raw, Oversize):
            raise _BadLine(too_long(raw.size), raw.head)
        if self.number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        self.head = self.head or raw
        self._row_bytes += len(raw) + 1
        if self._row_bytes > MAX_ROW_BYTES:
            raise _BadLine(f"{too_long(self._row_bytes)} (perhaps a quote is missing)", self.head)
        if b"\0" in raw:
            self.bad = _BadLine(f"line {self.number} holds a NUL byte at byte {raw.index(0) + 1}", raw)
        try:
            return raw.decode() + "\n"
        except UnicodeDecodeError as error:
            self.bad = _BadLine(f"invalid UTF-8 at byte {error.start + 1} of line {self.number}", raw)
            return raw.decode("utf-8", "replace") + "\n"


def delimiter_of(head: str, fmt: str) -> str:
    """Tab for TSV; for CSV the comma, unless the header has none but semicolons or tabs (spreadsheets do that)."""
    if fmt == "tsv":
        return "\t"
    header = head.split("\n", 1)[0]
    return "," if "," in header else max(";\t,", key=header.count) if any(c in header for c in ";\t") else ","


def read_csv(
    path: Path, origin: Origin, progress: Progress, skip: int = 0, delimiter: str = ","
) -> Iterator[Record | Rejected]:
    """One row per record under the header's names; cells are text, the empty cell "". `line` is where a row begins.

    Broken quoting, too many or too few cells and invalid text cost their row alone.
    """
    csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW_BYTES))  # the default of 128 KiB is one of the traps
    with closing(read_lines(path, progress)) as blocks:
        lines = _CsvLines(blocks)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        names: list[str] | None = None
        while True:
            lines.start_row()
            start = lines.number + 1
            row: list[str] = []
            reason = head = None
            try:
                row = next(reader)
            except StopIteration:
                return
            except BrokenStream as error:
                yield Rejected(start, f"{error}; the rows before it were read", "")
                return
            except _BadLine as error:
                reason, head = str(error), error.head
            except csv.Error as error:
                reason = f"broken CSV: {error}"
            if not row and reason is None:
                continue
            if names is None:
                names = [name.strip() for name in row]
                problem = (
                    reason or lines.bad or ("two columns have the same name" if len(set(names)) < len(names) else None)
                )
                if problem:
                    if not skip:
                        yield Rejected(start, f"the header cannot be read: {problem}", excerpt(head or lines.head))
                    return
                continue
            if skip:
                skip -= 1
                continue
            if reason is None and lines.bad:
                reason, head = str(lines.bad), lines.bad.head
            elif reason is None and len(row) != len(names):
                reason = f"the row has {len(row)} cells, the header has {len(names)} columns"
            if reason is not None:
                yield Rejected(start, reason, excerpt(head or lines.head))
            else:
                yield Record(start, dict(zip(names, row)), origin)


def read_parquet(path: Path, origin: Origin, progress: Progress, skip: int = 0) -> Iterator[Record | Rejected]:
    """One row per record, one row group in memory at a time; `line` is the row's ordinal.

    Raises InputError for a file that is no Parquet, UnavailableError without pyarrow.
    """
    parquet = _pyarrow("pyarrow.parquet")
    try:
        file = parquet.ParquetFile(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path.name} cannot be read as Parquet: {error}.", "Fetch the file again.") from error
    with closing(file):
        number = 0
        groups = file.metadata.num_row_groups
        for group in range(groups):
            progress.bytes_read = path.stat().st_size * group // groups
            size = file.metadata.row_group(group).num_rows
            if skip >= size:
                skip -= size
                number += size
                continue
            seen = 0
            try:
                for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group], use_threads=False):
                    for row in _batch_rows(batch, number + seen, origin):
                        if skip:
                            skip -= 1
                        else:
                            yield row
                    seen += batch.num_rows
            except (OSError, ValueError) as error:
                reason = f"row group {group + 1} is damaged; {size - seen} rows of it cannot be read ({error})"
                yield Rejected(number + seen + 1, reason, "")
            number += size
        progress.bytes_read = path.stat().st_size


def read_arrow(path: Path, origin: Origin, progress: Progress, skip: int = 0) -> Iterator[Record | Rejected]:
    """The rows of an Arrow stream file, as `datasets.save_to_disk` writes them; `line` is the row's ordinal."""
    ipc = _pyarrow("pyarrow.ipc")
    with path.open("rb") as file:
        number = 0
        try:
            with ipc.open_stream(file) as reader:
                for batch in reader:
                    if skip >= batch.num_rows:
                        skip -= batch.num_rows
                    else:
                        for row in _batch_rows(batch, number, origin):
                            if skip:
                                skip -= 1
                            else:
                                yield row
                    number += batch.num_rows
                    progress.bytes_read = file.tell()
        except (OSError, ValueError) as error:
            yield Rejected(number + 1, f"the Arrow stream is cut off or damaged here ({error})", "")


def _batch_rows(batch: Any, before: int, origin: Origin) -> Iterator[Record | Rejected]:
    """The rows of one Arrow batch; a cell that cannot be read costs its row alone."""
    count = batch.num_rows
    rows: list[dict[str, Any]] | None = None
    if batch.nbytes <= MAX_ROW_BYTES:
        try:
            rows = batch.to_pylist()
        except (UnicodeDecodeError, ValueError, OverflowError):
            rows = None  # one by one below, to find the bad one
    for index in range(count):
        line = before + index + 1
        try:
            if rows is not None:
                row = rows[index]
            else:
                single = batch.slice(index, 1)
                if single.nbytes > MAX_ROW_BYTES:
                    raise BadRow(too_long(single.nbytes))
                row = single.to_pylist()[0]
            row = plain(row)
            check_storable(row)
        except BadRow as error:
            yield Rejected(line, str(error), "" if rows is None else excerpt(rows[index]))
        except UnicodeDecodeError as error:
            yield Rejected(line, f"invalid UTF-8 at byte {error.start + 1} of a cell", excerpt(error.object))
        except (ValueError, OverflowError) as error:
            yield Rejected(line, f"a cell cannot be read: {error}", "")
        else:
            yield Record(line, row, origin)


def _pyarrow(module: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UnavailableError(
            "Reading Parquet and Arrow files needs the package pyarrow.", "pip install pyarrow"
        ) from error


def parquet_rows(path: Path) -> int:
    """How many rows the file says it has."""
    with closing(_pyarrow("pyarrow.parquet").ParquetFile(path)) as file:
        return int(file.metadata.num_rows)


Reader = Callable[[Path, Origin, Progress, int], Iterator[Record | Rejected]]
