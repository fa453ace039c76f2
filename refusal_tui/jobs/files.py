"""Where do the processes of a job write, and who may read it?"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from refusal_tui.store.workspace import Workspace


def log_file(workspace: Workspace, name: str) -> Path:
    """A file in the log folder, which is made again when somebody has cleaned it away."""
    if not workspace.logs.exists():
        workspace.logs.mkdir(exist_ok=True)
        workspace.logs.chmod(0o2770 if _is_shared(workspace) else 0o700)
    return workspace.logs / name


def keep_private(workspace: Workspace) -> None:
    """From now on this process makes files for the owner alone, or for the group of a shared workspace."""
    os.umask(0o007 if _is_shared(workspace) else 0o077)


def append_lines(path: Path, lines: Sequence[Mapping[str, object]], *, sync: bool) -> None:
    """Add lines of JSON to a file. A line that a killed process has left half-written is ended first."""
    with path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write("".join(f"{json.dumps(line)}\n" for line in lines).encode())
        if sync:
            file.flush()
            os.fsync(file.fileno())


def _is_shared(workspace: Workspace) -> bool:
    return bool(workspace.database.stat().st_mode & 0o020)
