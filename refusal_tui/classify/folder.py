"""Which classifiers are there, and what does the folder of one hold? A Hugging Face folder with where it comes from."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.classify.files import CARD, LABELS, METRICS, PROVENANCE, of_head
from refusal_tui.errors import InputError
from refusal_tui.jobs.compute import write_atomically
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.workspace import Workspace

if TYPE_CHECKING:
    from refusal_tui.classify.classifier import ClassifierSettings
    from refusal_tui.classify.scorer import Scorer

KIND = "classifier"


def classifiers(connection: sqlite3.Connection) -> dict[str, str]:
    """Name -> the path of its weights as the artifact has it, the newest where a name was used twice."""
    found = {}
    for artifact in list_artifacts(connection):
        if artifact.kind == KIND and artifact.path.endswith("/model.safetensors"):
            found[str(json.loads(artifact.made_from)["name"])] = artifact.path
    return found


def classifier_folder(workspace: Workspace, connection: sqlite3.Connection, name: str) -> Path:
    """The folder of a classifier. Raises InputError, naming what there is, for one that does not exist."""
    return (workspace.root / check_classifier(connection, name)).parent


def check_classifier(connection: sqlite3.Connection, name: str) -> str:
    """The path of a classifier's weights. Raises InputError, naming what there is, for one that does not exist."""
    known = classifiers(connection)
    if name not in known:
        there = ", ".join(sorted(known)) or "none yet (refusal-tui run train-classifier)"
        raise InputError(f"There is no classifier {name!r}.", f"Trained ones: {there}.")
    return known[name]


def classifier_job(connection: sqlite3.Connection, name: str) -> int:
    """The job that has trained a classifier. Raises InputError as `check_classifier`."""
    path = check_classifier(connection, name)
    return next(a.job_id for a in list_artifacts(connection) if a.path == path and a.job_id is not None)


def write_folder(
    folder: Path,
    scorer: Scorer,
    settings: ClassifierSettings,
    metrics: Mapping[str, Mapping[str, Any]],
    provenance: Mapping[str, Any],
    card: str,
    copied: Sequence[Path],
) -> list[Path]:
    """Write the classifier into `folder`, which is there as a whole or not at all; returns its files.

    `copied`: files of the run that go with it (predictions and what follows from them), as they are.
    """
    from refusal_tui.classify.classifier import SETTINGS

    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    for left in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(left)
    draft.mkdir()
    scorer.write(draft)
    (draft / SETTINGS).write_text(settings.as_json())
    for number, head in enumerate(settings.heads):
        numbers = {label: place for place, label in enumerate(head.classes)}
        (draft / of_head(LABELS, number, head.head)).write_text(json_text(numbers))
        (draft / of_head(METRICS, number, head.head)).write_text(json_text(metrics[head.head]))
    (draft / PROVENANCE).write_text(json_text(provenance))
    (draft / CARD).write_text(card)
    for path in copied:
        shutil.copyfile(path, draft / path.name)
    for path in draft.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if folder.exists():
        shutil.rmtree(folder)
    draft.rename(folder)
    write_atomically(folder.parent / "classifier.done", f"{settings.version}\n".encode())  # syncs the parent as well
    return sorted(path for path in folder.iterdir() if path.is_file())


def counts(rows: Sequence[Mapping[str, Any]], field: str) -> dict[str, int]:
    """How many rows have each value of a field, the commonest first."""
    return dict(Counter(str(row[field]) for row in rows).most_common())


def json_text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
