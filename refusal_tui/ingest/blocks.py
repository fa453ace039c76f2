"""How are the bytes of a big, perhaps compressed file cut into lines while memory stays flat?"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, NamedTuple

from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.ingest.items import EXCERPT_CHARS, MAX_ROW_BYTES, Progress

CHUNK_BYTES = 256 * 1024
# A zstd block of 4 bytes may unpack to 128 KiB, so small bites keep a hostile file from filling the memory.
_ZSTD_BITE_BYTES = 2 * 1024
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class BrokenStream(Exception):
    """The compressed stream ends too early or is damaged: what came before it is good."""


class Oversize(NamedTuple):
    """A line longer than MAX_ROW_BYTES; only its beginning was kept."""

    size: int
    head: bytes


class _Counted:
    """A file whose reads are counted as progress."""

    def __init__(self, file: BinaryIO, progress: Progress) -> None:
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._progress.bytes_read += len(data)
        return data


def compression_of(path: Path) -> str | None:
    """`gz`, `zst` or None, by the file's first bytes (an ending may lie)."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic[:2] == _GZIP_MAGIC:
        return "gz"
    return "zst" if magic == _ZSTD_MAGIC else None


def read_chunks(path: Path, progress: Progress) -> Generator[bytes, None, None]:
    """The unpacked bytes of `path`, piece by piece. Raises BrokenStream where a compressed file is damaged."""
    packed = compression_of(path)
    with path.open("rb") as file:
        counted = _Counted(file, progress)
        if packed is None:
            while chunk := counted.read(CHUNK_BYTES):
                yield chunk
        elif packed == "gz":
            yield from _gunzip(counted)
        else:
            yield from _unzstd(counted)


def _gunzip(file: _Counted) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:  # type: ignore[call-overload]
        while True:
            try:
                # read1, not read: a buffered read drops what it had unpacked before the damage.
                chunk = unpacked.read1(CHUNK_BYTES)
            except (EOFError, OSError, zlib.error) as error:
                raise BrokenStream(f"the gzip stream is cut off or damaged here ({error})") from error
            if not chunk:
                return
            yield chunk


def _unzstd(file: _Counted) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError as error:
        raise UnavailableError(
            "Reading .zst files needs the package zstandard.", "Install it, or unpack the file first."
        ) from error
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    started, pending = False, b""
    while True:
        bite = pending or file.read(_ZSTD_BITE_BYTES)
        pending = b""
        if not bite:
            break
        if frame.eof:  # a file may hold several frames, one behind the other
            frame = decompressor.decompressobj()
        started = True
        try:
            chunk = frame.decompress(bite)
        except zstandard.ZstdError as error:
            raise BrokenStream(f"the zstd stream is damaged here ({error})") from error
        pending = frame.unused_data
        if chunk:
            yield chunk
    # The library ends silently on a file that is cut off inside a frame.
    if started and not frame.eof:
        raise BrokenStream("the zstd stream is cut off here")


def read_lines(path: Path, progress: Progress) -> Generator[list[bytes | Oversize], None, None]:
    """The lines of `path` without their line feed, many at a time, so that the caller's loop stays tight.

    A line longer than MAX_ROW_BYTES becomes an Oversize and is never held in memory. Raises BrokenStream after the
    last good line of a damaged compressed file.
    """
    tail: list[bytes] = []  # the unfinished line, in pieces: joining once keeps a long line linear
    held = 0
    overflow = 0  # bytes of the current line that were thrown away
    with closing(read_chunks(path, progress)) as chunks:
        for chunk in chunks:
            pieces: list[bytes | Oversize] = chunk.split(b"\n")  # type: ignore[assignment]
            last = pieces.pop()
            assert isinstance(last, bytes)
            if pieces:
                first = pieces[0]
                assert isinstance(first, bytes)
                if overflow or held + len(first) > MAX_ROW_BYTES:
                    pieces[0] = Oversize(held + overflow + len(first), _beginning([*tail, first]))
                elif tail:
                    pieces[0] = b"".join((*tail, first))
                tail, held, overflow = [], 0, 0
                yield pieces
            if overflow:
                overflow += len(last)
            elif held + len(last) > MAX_ROW_BYTES:
                head = _beginning([*tail, last])
                overflow = held + len(last) - len(head)
                tail, held = [head], len(head)
            elif last:
                tail.append(last)
                held += len(last)
    if overflow:
        yield [Oversize(held + overflow, tail[0])]
    elif tail:
        yield [b"".join(tail)]


def _beginning(pieces: list[bytes]) -> bytes:
    """The first bytes of a line in pieces, without joining the line."""
    return b"".join(piece[: 4 * EXCERPT_CHARS] for piece in pieces[:2])[: 4 * EXCERPT_CHARS]


def read_head(path: Path, size: int) -> bytes:
    """The first `size` unpacked bytes, for guessing the format. A damaged beginning gives what there is."""
    parts: list[bytes] = []
    have = 0
    try:
        with closing(read_chunks(path, Progress())) as chunks:
            for chunk in chunks:
                parts.append(chunk)
                have += len(chunk)
                if have >= size:
                    break
    except BrokenStream as error:
        if not parts:
            raise InputError(f"{path.name} cannot be unpacked: {error}.", "Fetch or pack the file again.") from error
    return b"".join(parts)[:size]
