"""Where do the processes of a job write, and who may read it?"""

from __future__ import annotations

import os
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


def _is_shared(workspace: Workspace) -> bool:
    return bool(workspace.database.stat().st_mode & 0o020)
