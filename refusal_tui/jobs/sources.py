"""Does a setting name a file or a selection? The worker runs in another folder than whoever names it."""

from __future__ import annotations

from pathlib import Path

FILE_ENDINGS = (".txt", ".jsonl", ".json")


def is_file(source: str) -> bool:
    """Whether a set of rows is named by a file rather than by a selection."""
    try:
        return source.endswith(FILE_ENDINGS) or Path(source).is_file()
    except (OSError, ValueError):  # far too long, or no name at all: a selection
        return False


def whole_path(value: str) -> str:
    """The absolute path of what is there; a selection, or a model's name on the hub, as it is."""
    if not value:
        return value
    try:
        path = Path(value).expanduser()
        return str(path.absolute()) if path.exists() else value
    except (OSError, RuntimeError, ValueError):
        return value
