"""Which refusal adapters are there, and where does one lie?"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

from refusal_tui.errors import InputError
from refusal_tui.finetune.files import DIRECTIONS
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.workspace import Workspace

KIND = "refusal-adapter"
# Adapters of the arms pull against refusal: local research artifacts, by this kind and by their file names.
ARM_KIND = "arm-adapter"


def adapters(connection: sqlite3.Connection) -> dict[str, str]:
    """Name -> the path of its directions as the artifact has it. Adapters of arms are not among them."""
    found = {}
    for artifact in list_artifacts(connection):
        if artifact.kind == KIND and artifact.path.endswith(f"/{DIRECTIONS}"):
            found[str(json.loads(artifact.made_from)["name"])] = artifact.path
    return found


def check_adapter(connection: sqlite3.Connection, name: str) -> str:
    """The path of its directions. Raises InputError, naming what there is, for one that does not exist."""
    known = adapters(connection)
    if name not in known:
        there = ", ".join(sorted(known)) or "none yet (refusal-tui run refusal-adapter)"
        raise InputError(f"There is no refusal adapter {name!r}.", f"Trained ones: {there}.")
    return known[name]


def adapter_folder(workspace: Workspace, connection: sqlite3.Connection, name: str) -> Path:
    """The folder of its run: `adapter/` as peft reads it, the directions and the rows that it learnt from."""
    return (workspace.root / check_adapter(connection, name)).parent
