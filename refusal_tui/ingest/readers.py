"""How is a file or folder opened as a stream of rows, whatever its format?

Formats: jsonl, json, csv, tsv, parquet, arrow, each text format also packed as .gz or .zst, and a folder of them.
Bad input never stops an import: it comes out as Rejected rows. Only a source that cannot be opened at all raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from refusal_tui.errors import InputError
from refusal_tui.ingest.blocks import read_head
from refusal_tui.ingest.items import SPLITS, Origin, Progress, Record, Rejected, Source
from refusal_tui.ingest.jsontext import read_json, read_jsonl
from refusal_tui.ingest.plain import DECODER
from refusal_tui.ingest.tables import Reader, delimiter_of, read_arrow, read_csv, read_parquet

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "arrow")
_ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
    ".arrow": "arrow",
}  # fmt: skip
# Files that stand beside the rows: of our own exports, of `save_to_disk`, of a cloned Hub repository.
_NO_DATA = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json"}
_HEAD_BYTES = 64 * 1024
_SPLIT_WORD = re.compile(rf"(?<![a-z])({'|'.join(SPLITS)})(?![a-z])")


def open_source(path: Path | str, fmt: str | None = None, skip: int = 0, split: str | None = None) -> Source:
    """Open a file or a folder; its rows come out as Record or Rejected.

    `fmt` is one of FORMATS (None: found out by `sniff_format`; ignored for a folder). `skip` passes over that many
    rows, so that an import can go on where it stopped (see `Source.position`). `split` keeps to the files of a folder
    that are called so, if there are any. Raises InputError for a path that is
    missing, unreadable, empty of data files, or in no known format.
    """
    path = Path(path)
    progress = Progress()
    try:
        if path.is_dir():
            files = data_files(path)
            if split is not None:
                files = [file for file in files if _split_of(path, file) == split] or files
            total = sum(file.stat().st_size for file in files)
            rows = _folder_rows(path, files, progress, skip)
            return Source(rows, "folder", total, progress=progress, position=skip)
        fmt = fmt or sniff_format(path)
        origin = Origin(path=path.as_posix(), split=split_in(path.name), format=fmt)
        rows = reader_for(path, fmt)(path, origin, progress, skip)
        return Source(rows, fmt, path.stat().st_size, progress=progress, position=skip)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.", "Check the path.") from error


def data_files(folder: Path) -> list[Path]:
    """The data files below `folder`, in the order in which they are read; hidden files and side files are left out.

    Raises InputError where there is none.
    """
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and file.name not in _NO_DATA
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
        and _format_by_name(file)
    ]
    if not files:
        raise InputError(
            f"The folder {folder} holds no data file.", f"Known endings: {', '.join(_ENDINGS)}, also with .gz or .zst."
        )
    return files


def _folder_rows(folder: Path, files: list[Path], progress: Progress, skip: int) -> Iterator[Record | Rejected]:
    """All files' rows, one file after the other. A file that cannot be opened is one rejected row."""
    seen = 0  # rows of the files before, skipped ones included
    before = 0  # bytes of the files before
    for file in files:
        name = file.relative_to(folder).as_posix()
        inner = Progress()
        try:
            fmt = sniff_format(file)
            origin = Origin(name, file.as_posix(), _split_of(folder, file), format=fmt)
            for row in reader_for(file, fmt)(file, origin, inner, 0):
                progress.bytes_read = before + inner.bytes_read
                seen += 1
                if seen <= skip:
                    continue
                yield row if isinstance(row, Record) else row._replace(reason=f"{name}: {row.reason}")
        except (InputError, OSError) as error:
            seen += 1
            if seen > skip:
                yield Rejected(0, f"{name}: {error}", "")
        before += file.stat().st_size


def reader_for(path: Path, fmt: str) -> Reader:
    """The function that reads `fmt`. Raises InputError for an unknown format."""
    if fmt in ("csv", "tsv"):
        head = read_head(path, _HEAD_BYTES).decode("utf-8", "replace")
        return partial(read_csv, delimiter=delimiter_of(head, fmt))
    readers: dict[str, Reader] = {
        "jsonl": read_jsonl, "json": read_json, "parquet": read_parquet, "arrow": read_arrow
    }  # fmt: skip
    if fmt not in readers:
        raise InputError(f"{fmt!r} is no known format.", f"Known: {', '.join(FORMATS)}.")
    return readers[fmt]


def split_in(name: str) -> str | None:
    """The split that a file's name speaks of.

    >>> split_in("train-00000-of-00002.parquet"), split_in("wildguard_test.jsonl"), split_in("contest.json")
    ('train', 'test', None)
    """
    match = _SPLIT_WORD.search(name.lower())
    return match.group(1) if match else None


def _split_of(folder: Path, file: Path) -> str | None:
    """The split that the file's name speaks of, or else the folders between."""
    return split_in(file.name) or split_in(file.relative_to(folder).as_posix())


def _format_by_name(path: Path) -> str | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in (".gz", ".zst"):
        suffixes.pop()
    return _ENDINGS.get(suffixes[-1]) if suffixes else None


def sniff_format(path: Path) -> str:
    """The format of a file, by its ending and its first bytes (many `.json` files hold JSON Lines).

    Raises InputError where neither tells.
    """
    by_name = _format_by_name(path)
    if by_name in ("csv", "tsv", "arrow"):
        return by_name
    head = read_head(path, _HEAD_BYTES)
    if head[:4] == b"PAR1" or by_name == "parquet":
        return "parquet"
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path.name} is UTF-16 text.", f"Convert it: iconv -f UTF-16 -t UTF-8 {path.name}")
    text = head.decode("utf-8-sig", "replace").lstrip()
    if by_name in ("json", "jsonl") or text[:1] in ("{", "["):
        return _json_or_jsonl(text, by_name)
    if not text:
        raise InputError(f"{path.name} is empty.", "Choose another file.")
    first_line = text.split("\n", 1)[0]
    if b"\0" not in head and any(delimiter in first_line for delimiter in ",;\t"):
        return "tsv" if "\t" in first_line and "," not in first_line else "csv"
    raise InputError(
        f"The format of {path.name} is not known.",
        f"Known: {', '.join(FORMATS)} (the text formats also as .gz and .zst). Rename the file to say which it is.",
    )


def _json_or_jsonl(text: str, by_name: str | None) -> str:
    """JSON Lines is what has one whole value on its first line; but one line alone in a .json file is a document."""
    first_line, _, rest = text.partition("\n")
    try:
        DECODER.decode(first_line.strip())
    except (ValueError, RecursionError):
        # A broken first line: believe the name, unless the file goes on like a pretty-printed document.
        pretty = first_line.strip() in ("{", "[") or (by_name is None and text[:1] == "[")
        return "json" if pretty or by_name == "json" else "jsonl"
    if not rest.strip() and (by_name == "json" or (by_name is None and text[:1] == "[")):
        return "json"
    return "jsonl"
