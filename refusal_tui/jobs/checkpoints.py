"""What of a training run survives kill -9? Folders that are either whole or not there.

A checkpoint is written as `step-000123.PID.tmp/`: the tensors that are trained, the optimiser's, and last `state.json`
with the sha256 of both and of itself. Files and folder are synced, then the folder gets its name. A resumed run takes
the newest one whose hashes are right. Frozen tensors are not in it: they come from the base model.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = 2  # beside the best one
_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`model` and `optimizer`: tensors by name. `state`: plain JSON."""

    step: int
    model: Mapping[str, Any]
    optimizer: Mapping[str, Any]
    state: Mapping[str, Any]


def save(folder: Path, checkpoint: Checkpoint, keep: Collection[int] = ()) -> Path:
    """Write a checkpoint; of the older ones the last and those of the steps `keep` stay."""
    from safetensors.torch import save as to_bytes

    folder.mkdir(parents=True, exist_ok=True)
    final = folder / _name(checkpoint.step)
    if final.exists() and _read_state(final) is not None:
        return final  # the same step of the same run: the same content
    draft = folder / f"{final.name}.{os.getpid()}.tmp"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    files = {_MODEL: to_bytes(dict(checkpoint.model)), _OPTIMIZER: to_bytes(dict(checkpoint.optimizer))}
    record = {
        "step": checkpoint.step,
        "state": checkpoint.state,
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    record["seal"] = _seal(record)
    for name, content in {**files, _STATE: json.dumps(record).encode()}.items():
        _write_synced(draft / name, content)
    _sync_folder(draft)
    if final.exists():  # damaged, or it would have been taken above
        shutil.rmtree(final)
    draft.rename(final)
    _sync_folder(folder)
    _drop_old(folder, {checkpoint.step, *keep})
    return final


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that is whole, and the names of newer ones that are damaged."""
    damaged: list[str] = []
    for draft in folder.glob("step-*.tmp"):
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed
    for path in sorted(folder.glob("step-*"), reverse=True):
        found = load(path)
        if found is not None:
            return found, damaged
        damaged.append(path.name)
    return None, damaged


def load(path: Path) -> Checkpoint | None:
    """A checkpoint, or None where a file of it is missing or changed."""
    from safetensors.torch import load as from_bytes

    record = _read_state(path)
    if record is None:
        return None
    tensors = {}
    for name, digest in record["sha256"].items():
        try:
            content = (path / name).read_bytes()
        except OSError:
            return None
        if hashlib.sha256(content).hexdigest() != digest:
            return None
        tensors[name] = from_bytes(content)
    return Checkpoint(record["step"], tensors[_MODEL], tensors[_OPTIMIZER], record["state"])


def load_step(folder: Path, step: int) -> Checkpoint | None:
    return load(folder / _name(step))


def _read_state(path: Path) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads((path / _STATE).read_bytes())
        seal = record.pop("seal")
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    return record if seal == _seal(record) else None


def _seal(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _drop_old(folder: Path, keep: Collection[int]) -> None:
    names = {_name(step) for step in keep}
    for path in sorted(folder.glob("step-*[0-9]"), reverse=True)[KEPT:]:
        if path.name not in names:
            shutil.rmtree(path, ignore_errors=True)


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
