"""Where does standard input wait until it is imported? A worker has none, so it is kept in a file of the workspace."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from refusal_tui.errors import InputError, StorageError

SPOOL = "stdin"  # below the workspace's artifacts/
_BLOCK_BYTES = 1 << 20


def spool(stream: BinaryIO, folder: Path) -> Path:
    """Copy `stream` into a new file below `folder` and return it; its format is found out from its content.

    Raises InputError when there is nothing in it, StorageError when there is no room.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix="stdin-", dir=folder)
    except OSError as error:
        raise _no_room(folder, error) from error
    path = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            while block := stream.read(_BLOCK_BYTES):
                file.write(block)
            size = file.tell()
        path.chmod(0o660 if folder.stat().st_mode & 0o020 else 0o600)  # a member of the group may run the job
        if size == 0:
            raise InputError("Standard input is empty.", "Pipe rows into the command, or name a file.")
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _no_room(folder, error) from error
    except BaseException:  # Ctrl+C too: nobody would ever import this half
        path.unlink(missing_ok=True)
        raise
    return path


def is_spooled(source: str, artifacts: Path) -> bool:
    return Path(source).parent == artifacts / SPOOL


def _no_room(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        f"Standard input cannot be kept in {folder}: {error.strerror or error}.",
        "Free some space, or import from a file.",
    )
