"""How do model, threads and rows of a run come together, the same way whenever the run goes on?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.errors import UnavailableError
from refusal_tui.finetune.data import Dialogue
from refusal_tui.finetune.encode import end_of_turn
from refusal_tui.finetune.files import DATA, RUN
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.llm.loading import load_model
from refusal_tui.llm.weights import fingerprint

Sets = Mapping[str, Sequence[Dialogue]]


@dataclass(frozen=True, slots=True)
class Subject:
    """`end`: the token behind an answer. `fingerprint`: of the weights."""

    model: Any
    tokenizer: Any
    end: int
    pad: int
    fingerprint: str


def load_subject(name: str, *, device: str, dtype: str) -> Subject:
    """Raises UnavailableError where peft, torch or the model are not there."""
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise UnavailableError(
            f"Adapters need peft and torch ({error.name} is not installed).",
            "Install them with: pip install 'refusal-tui[ml]'",
        ) from error
    local = load_model(name, device="cpu" if device == "cpu" else _one_device(), dtype=dtype)
    local.model.requires_grad_(False)
    tokenizer = local.tokenizer
    end = end_of_turn(local.model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end
    return Subject(local.model, tokenizer, end, int(pad), fingerprint(name))


def shown_name(model: str) -> str:
    """A model as others may read it: the name of a folder without its place, a hub name as it is."""
    path = Path(model).expanduser()
    return path.name if path.is_dir() else model


def _one_device() -> str:
    """The factors of one shape lie in one tensor, so on one device."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def frozen_sets(context: ComputeContext, read: Callable[[], Sets]) -> dict[str, list[Dialogue]]:
    """The rows as they were when the run first started, and as many threads as it had then, for the same sums."""
    import torch

    path = context.folder / DATA
    if not path.exists():
        sets = read()
        data = {
            "threads": torch.get_num_threads(),
            "sets": {name: [dialogue.as_json() for dialogue in part] for name, part in sets.items()},
        }
        write_atomically(path, json.dumps(data).encode())
    stored = json.loads(path.read_bytes())
    torch.set_num_threads(stored["threads"])
    return {name: [Dialogue.of_json(row) for row in part] for name, part in stored["sets"].items()}


def describe(context: ComputeContext, about: Mapping[str, Any]) -> None:
    """What the run is, for whoever looks at it while it goes on (`report.py`)."""
    write_atomically(context.folder / RUN, (json.dumps(about, indent=1) + "\n").encode())


def digest_of(*parts: object) -> str:
    """sha256 of what a checkpoint depends on."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def digest_of_sets(sets: Sets) -> str:
    return digest_of({name: [dialogue.as_json() for dialogue in part] for name, part in sets.items()})


def read_sets_of(folder: Path) -> dict[str, list[Dialogue]]:
    """The rows of another run."""
    stored = json.loads((folder / DATA).read_bytes())
    return {name: [Dialogue.of_json(row) for row in part] for name, part in stored["sets"].items()}
