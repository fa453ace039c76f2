"""Where does an API key come from? The environment, then a `.env` file; it is never stored and never printed.

The reader of `.env` is our own: python-dotenv would be one more dependency for fifteen lines, and what it adds
(variable expansion, multi-line values, writing) nobody needs for keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from refusal_tui.errors import UnavailableError


def read_env_file(path: Path) -> dict[str, str]:
    """`NAME=value` lines of a `.env` file, {} when there is none. `export `, quotes and `# comments` are understood.

    A line that is no assignment is left out: a broken `.env` must not stop a program that needs no key.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return {}
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        name, value = name.strip(), value.strip()
        if not sign or not name.isidentifier():
            continue
        if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
            values[name] = value[1 : value.find(value[0], 1)]
        else:
            values[name] = value.partition(" #")[0].strip()
    return values


def known_keys(folders: Iterable[Path] = (), environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """All variables of the `.env` files of `folders` (the first folder wins) below the environment's own."""
    merged: dict[str, str] = {}
    for folder in folders:
        merged = read_env_file(folder / ".env") | merged
    return merged | dict(os.environ if environment is None else environment)


def api_key(name: str | None, folders: Iterable[Path] = (), environment: Mapping[str, str] | None = None) -> str | None:
    """The key in variable `name`; None when the end point needs none. Raises UnavailableError when it is not set."""
    if name is None:
        return None
    value = known_keys(folders, environment).get(name, "").strip()
    if not value:
        raise UnavailableError(
            f"The API key {name} is not set.", f"Set it: export {name}=…   or write it into a .env file here."
        )
    return value
