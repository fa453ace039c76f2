"""What is left of a crash: a log without secrets, and a sentence that says where it is."""

from __future__ import annotations

import os
import platform
import time
import traceback
from pathlib import Path

import textual

import refusal_tui
from refusal_tui.store.workspace import Workspace
from refusal_tui.text.mask import mask_secrets


def write_crash_log(workspace: Workspace, error: BaseException, when: float) -> Path | None:
    """Write logs/crash-*.log (0600) and return its path; None when even that fails (a full disk)."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(when))
    path = workspace.logs / f"crash-{stamp}-{os.getpid()}.log"
    trace = "".join(traceback.format_exception(error))
    head = (
        f"refusal-tui {refusal_tui.__version__}, textual {textual.__version__}, Python {platform.python_version()}, "
        f"{platform.system()}\n\n"
    )
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(mask_secrets(head + trace))
    except OSError:
        return None
    return path
