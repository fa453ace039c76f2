"""Which classifiers are there, and what does the folder of one hold? A Hugging Face folder with where it comes from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.errors import InputError
from refusal_tui.jobs.compute import write_atomically
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.workspace import Workspace

if TYPE_CHECKING:
    from refusal_tui.classify.classifier import ClassifierSettings

KIND = "classifier"
FOLDER = "classifier"
METRICS, PREDICTIONS, PROVENANCE, LABELS = "metrics.json", "predictions.jsonl", "provenance.json", "label_map.json"


def classifiers(connection: sqlite3.Connection) -> dict[str, str]:
    """Name -> the path of its weights as the artifact has it, the newest where a name was used twice."""
    found = {}
    for artifact in list_artifacts(connection):
        if artifact.kind == KIND and artifact.path.endswith(".safetensors"):
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


def write_folder(
    folder: Path,
    model: Any,
    tokenizer: Any,
    settings: ClassifierSettings,
    metrics: Mapping[str, Any],
    provenance: Mapping[str, Any],
    predictions: Path,
) -> list[Path]:
    """Write the classifier into `folder`, which is there as a whole or not at all; returns its files."""
    from refusal_tui.classify.card import model_card
    from refusal_tui.classify.classifier import SETTINGS

    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    for left in folder.parent.glob(f".{folder.name}.*.tmp"):
        shutil.rmtree(left)
    draft.mkdir()
    model.save_pretrained(draft)
    tokenizer.save_pretrained(draft)
    numbers = {label: number for number, label in enumerate(settings.classes)}
    (draft / SETTINGS).write_text(settings.as_json())
    (draft / LABELS).write_text(_json(numbers))
    (draft / METRICS).write_text(_json(metrics))
    (draft / PROVENANCE).write_text(_json(provenance))
    (draft / "README.md").write_text(model_card(settings, metrics, provenance))
    shutil.copyfile(predictions, draft / PREDICTIONS)
    for path in draft.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    if folder.exists():
        shutil.rmtree(folder)
    draft.rename(folder)
    write_atomically(folder.parent / "classifier.done", f"{settings.version}\n".encode())  # syncs the parent as well
    return sorted(path for path in folder.iterdir() if path.is_file())


def weights_version(model: Any) -> str:
    """The first 12 digits of the sha256 over all weights."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def counts(rows: Sequence[Mapping[str, Any]], field: str) -> dict[str, int]:
    """How many rows have each value of a field, the commonest first."""
    return dict(Counter(str(row[field]) for row in rows).most_common())


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
