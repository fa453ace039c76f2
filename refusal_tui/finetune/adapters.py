"""Which refusal adapters are there, and where does one lie?"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.finetune.direction_files import read_card
from refusal_tui.finetune.files import DIRECTIONS
from refusal_tui.store.artifacts import Artifact, list_artifacts
from refusal_tui.store.workspace import Workspace

KIND = "refusal-adapter"
HARDLY_REPEATS = 0.1  # mean cosine between seeds: a direction below it hardly repeats
LEARNT_FROM_REFUSALS = "learnt from refusals"  # what the note of one says; an arm's says something else
# Adapters of the arms pull against refusal: local research artifacts, by this kind and by their file names.
ARM_KIND = "arm-adapter"


@dataclass(frozen=True, slots=True)
class Described:
    """`made`: the day. `agreement`: mean cosine between the directions of its seeds, None of one seed. `rows`:
    dialogues by set. Model, agreement, seeds and rows are None where its files are gone."""

    name: str
    job: int | None
    made: str
    model: str | None = None
    agreement: float | None = None
    seeds: int | None = None
    rows: Mapping[str, int] | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


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


def day_of(artifact: Artifact) -> str:
    """When it was made, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(artifact.created))


def described(workspace: Workspace, connection: sqlite3.Connection) -> list[Described]:
    """All of them, the latest first."""
    found = []
    for artifact in reversed(list_artifacts(connection)):
        if artifact.kind != KIND or not artifact.path.endswith(f"/{DIRECTIONS}"):
            continue
        name, made = str(json.loads(artifact.made_from)["name"]), day_of(artifact)
        try:
            card = read_card((workspace.root / artifact.path).parent)
        except InputError:
            found.append(Described(name, artifact.job_id, made))
            continue
        agreement = card["agreement"]
        found.append(
            Described(
                name, artifact.job_id, made, card["model"], agreement["mean"], len(agreement["pairs"]), card["rows"]
            )
        )
    return found
