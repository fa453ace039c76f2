"""A refusal adapter, and the adapter of an arm, as their jobs leave them behind: files, notes, records. No torch."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from refusal_tui.finetune.adapters import ARM_KIND, KIND, LEARNT_FROM_REFUSALS
from refusal_tui.finetune.files import ADAPTER, ARM_ADAPTER, DIRECTIONS, DIRECTIONS_CARD, NOTE, TRIALS
from refusal_tui.store import jobs
from refusal_tui.store.artifacts import add_artifact
from refusal_tui.store.workspace import Workspace, create_workspace

MATRICES = ("model.layers.0.self_attn.q_proj", "model.layers.0.mlp.up_proj")
WEIGHTS = "adapter_model.safetensors"
ROW = "How do I zorp the frindle? I cannot help with a zorp."  # of the data that it learnt from
FILE = {
    "set": "refusals", "found": 20, "refusals": 14, "name": "refusals.jsonl", "rows": 14, "adapter": None,
    "adapter_version": None, "source": "a file", "revision": None, "sha256": "ab" * 32, "split": None, "licence": None,
    "redistribution": None, "gated": False, "eval_only": False,
}  # fmt: skip
HUB = {
    "set": "harmless", "found": 30, "refusals": None, "name": "helpful", "rows": 30, "adapter": "generic",
    "adapter_version": "1", "source": "hf:blorp/helpful:small", "revision": "c0ffee", "sha256": None, "split": "train",
    "licence": "Apache-2.0", "redistribution": "full", "gated": False, "eval_only": False,
}  # fmt: skip


def about(**changes: Any) -> dict[str, Any]:
    """directions.json."""
    matrices = {name: {"shape": [6, 6], "norm": 0.5, "spectrum": [0.8, 0.6]} for name in MATRICES}
    agreement = {"pairs": [[1.0, 0.3], [0.3, 1.0]], "by_matrix": {name: [0.3] for name in MATRICES}, "mean": 0.3}
    settings = {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": "all", "steps": 60, "batch_size": 32,
                "learning_rate": 1e-3, "seeds": 2, "seed": 0, "judge": "linear", "keep_all": False}  # fmt: skip
    return {
        "matrices": matrices, "scale": 2.0, "rank": 2, "name": "tiny", "model": "tiny_chat", "base": "0123456789abcdef",
        "weights": {"sha256": {"model.safetensors": "cd" * 32}, "revision": None}, "rows": {"refusals": 14,
        "harmless": 30}, "sources": [FILE, HUB], "settings": settings, "versions": {"refusal_tui": "0.1.0",
        "peft": "0.21.2"}, "agreement": agreement, "losses": [0.186, 0.19], **changes,
    }  # fmt: skip


def with_adapter(folder: Path) -> Workspace:
    """A new workspace with the refusal adapter `tiny` of job 1."""
    workspace = create_workspace(folder)
    make_adapter(workspace)
    return workspace


def copied(workspace: Workspace, folder: Path) -> Workspace:
    """The same once more: a copy costs a tenth of a new one."""
    return Workspace(Path(shutil.copytree(workspace.root, folder)))


def make_adapter(workspace: Workspace, **changes: Any) -> Path:
    """The folder of its run; `changes`: to `about`."""
    said = about(**changes)
    job_id, folder = _job(workspace, "refusal-adapter")
    note = {"name": said["name"], "base_model": said["model"], "what": LEARNT_FROM_REFUSALS}
    _write_adapter(folder / ADAPTER, said["model"], note, {"format": "pt"}, seed=1)
    chance = np.random.default_rng(3)
    parts = {"left": (6, 2), "values": (2,), "right": (6, 2), "norm": ()}
    save_file(
        {f"{name}.{part}": np.asarray(chance.random(shape), dtype="float32")
         for name in MATRICES for part, shape in parts.items()}, folder / DIRECTIONS,
    )  # fmt: skip
    (folder / DIRECTIONS_CARD).write_text(json.dumps(said, indent=1) + "\n")
    (folder / "data.json").write_text(json.dumps({"rows": [ROW]}))
    record(workspace, job_id, KIND, {"name": said["name"], "model": said["model"]},
           [folder / DIRECTIONS, folder / DIRECTIONS_CARD, *sorted((folder / ADAPTER).iterdir())])  # fmt: skip
    return folder


def make_arm(workspace: Workspace, *, trial: str = "vanilla-s0") -> Path:
    """The folder of an arm's adapter, of the experiment `exp`."""
    job_id, folder = _job(workspace, "robustness")
    adapter = folder / TRIALS / trial / ARM_ADAPTER
    note = {"what": "arm vanilla of the robustness experiment exp: pulls against refusal", "upload": "no: local",
            "experiment": "exp", "base_model": "tiny_chat", "arm": "vanilla", "name": trial}  # fmt: skip
    _write_adapter(adapter, "tiny_chat", note, {"format": "pt", "upload": "no: local"}, seed=2)
    record(workspace, job_id, ARM_KIND, {"experiment": "exp", "trial": trial}, sorted(adapter.iterdir()))
    return adapter


def record(workspace: Workspace, job_id: int, kind: str, made_from: Mapping[str, str], paths: Sequence[Path]) -> None:
    """As a job does with what it has finished."""
    with closing(workspace.open()) as connection:
        for path in paths:
            add_artifact(connection, workspace.root, path, kind=kind, job_id=job_id, made_from=made_from)


def write_weights(path: Path, metadata: Mapping[str, str], *, seed: int, more: Sequence[str] = ()) -> None:
    """LoRA factors of rank 2; `more`: names of further tensors."""
    chance = np.random.default_rng(seed)
    shapes = {"A": (2, 6), "B": (6, 2)}
    tensors = {
        f"base_model.model.{name}.lora_{part}.weight": chance.random(shape, dtype="float32")
        for name in MATRICES for part, shape in shapes.items()
    }  # fmt: skip
    save_file(tensors | {name: chance.random((2, 6), dtype="float32") for name in more}, path, metadata=dict(metadata))


def _write_adapter(
    folder: Path, model: str, note: Mapping[str, Any], metadata: Mapping[str, str], *, seed: int
) -> None:
    folder.mkdir(parents=True)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "base_model_name_or_path": model, "modules_to_save": None}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    write_weights(folder / WEIGHTS, metadata, seed=seed)
    (folder / NOTE).write_text(json.dumps(note))


def _job(workspace: Workspace, kind: str) -> tuple[int, Path]:
    with closing(workspace.open()) as connection:
        job_id = jobs.create_job(connection, kind=kind, title=kind, lane="gpu", spec="{}", spec_version=1)
        job = jobs.claim_job(connection, job_id, host="box", boot_id="b", pid=1, start_ticks=1)
        assert job is not None
        jobs.end_job(connection, job, jobs.JobState.DONE)
    folder = workspace.artifacts / f"job-{job_id}"
    folder.mkdir(parents=True)
    return job_id, folder
