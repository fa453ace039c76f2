"""What of a refusal adapter would go to the Hugging Face Hub, and what never does?

Looks at files and the store alone, no network: the dry run of `refusal-tui push` is all of this. Adapters of the arms
pull against refusal and are no refusal adapters: they are refused by their kind in the store, by the folder they lie
in, by their note, by the mark in their weights, and by their sha256 wherever they have been copied to.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError, UsageError
from refusal_tui.finetune.adapters import ARM_KIND, KIND, LEARNT_FROM_REFUSALS, adapter_folder, adapters, day_of
from refusal_tui.finetune.direction_files import WEIGHTS, read_card
from refusal_tui.finetune.files import ADAPTER, ARM_ADAPTER, DIRECTIONS, DIRECTIONS_CARD, NOTE
from refusal_tui.finetune.hub_card import adapter_card
from refusal_tui.store.artifacts import Artifact, list_artifacts, sha256_of
from refusal_tui.store.workspace import Workspace
from refusal_tui.text.mask import mask_secrets

CONFIG, README = "adapter_config.json", "README.md"
_OF_ADAPTER, _BESIDE = (CONFIG, WEIGHTS), (DIRECTIONS, DIRECTIONS_CARD)
_LORA = re.compile(r"(base_model\.model\.[\w.]+)\.lora_([AB])\.weight", re.ASCII)
_DIRECTION = re.compile(r"[\w.]+\.(left|values|right|norm)", re.ASCII)
_PART = re.compile(r"(?![-.])[A-Za-z0-9._-]+(?<![-.])")
_LONGEST = 96
_LOCAL = (
    "Adapters of arms pull against refusal: they are local research artifacts and are never uploaded. Nothing was sent."
)


@dataclass(frozen=True, slots=True)
class File:
    """One file of the upload. `path`: where it lies, None for the card, which is only made here."""

    name: str
    size: int
    sha256: str
    path: Path | None = None


@dataclass(frozen=True, slots=True)
class Upload:
    """Everything that would be sent to the model repository `repo`; `files` holds the card, too."""

    adapter: str
    model: str
    repo: str
    made: str
    card: str
    files: tuple[File, ...]


def check_repo(repo: str) -> None:
    """Raises UsageError for what the Hub takes for no name (huggingface_hub's own rules, and an owner is asked for)."""
    owner, slash, name = repo.partition("/")
    fits = slash and _PART.fullmatch(owner) and _PART.fullmatch(name) and len(name) <= _LONGEST
    if not fits or "--" in repo or ".." in repo or repo.endswith(".git"):
        raise UsageError(
            f"{repo!r} is no name of a repository on the Hub.",
            "Write OWNER/REPO: letters, digits, '-', '_' and '.', no '--' or '..', a name of at most 96.",
        )


def upload_of(workspace: Workspace, connection: sqlite3.Connection, name: str, repo: str) -> Upload:
    """The refusal adapter `name` as it would be sent. Raises UsageError for `repo`; InputError, before anything else is
    read, for an adapter of an arm under whatever name, and for files that are missing or not what the job has written.
    """
    check_repo(repo)
    if name not in adapters(connection) and _names_an_arm(workspace, connection, name):
        raise InputError(f"{name!r} is of an arm of the robustness experiment.", _LOCAL)
    folder = adapter_folder(workspace, connection, name)
    recorded = {artifact.path: artifact for artifact in list_artifacts(connection)}
    of_arms = {a.sha256: str(json.loads(a.made_from).get("trial")) for a in recorded.values() if a.kind == ARM_KIND}
    paths = [folder / part for part in (*(f"{ADAPTER}/{each}" for each in (*_OF_ADAPTER, NOTE)), *_BESIDE)]
    files = [_checked(workspace, path, recorded, of_arms, name) for path in paths]
    _check_note(folder / ADAPTER, name)
    rank = _check_config(folder / ADAPTER / CONFIG)
    _check_weights(folder / ADAPTER / WEIGHTS, rank, name)
    _check_directions(folder / DIRECTIONS)
    about = read_card(folder)
    made = day_of(recorded[_stored(workspace, folder / DIRECTIONS)])
    card = adapter_card(about, repo, made)
    _check_text(workspace, card, folder / ADAPTER / CONFIG, folder / DIRECTIONS_CARD)
    content = card.encode()
    readme = File(README, len(content), hashlib.sha256(content).hexdigest())
    sent = [file for file in files if file.name != NOTE]
    return Upload(name, str(about["model"]), repo, made, card, (readme, *sent))


def content_of(upload: Upload, file: File) -> bytes:
    """The bytes that are sent: those that were looked at. Raises InputError where the file has changed since."""
    content = upload.card.encode() if file.path is None else file.path.read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise InputError(f"{file.name} has changed while it was read.", "Nothing was sent. Start again.")
    return content


# --- what is an arm's ------------------------------------------------------------------------------------------------


def _names_an_arm(workspace: Workspace, connection: sqlite3.Connection, name: str) -> bool:
    """By the arm, its trial, the experiment, a place inside a run of it, or a copy that carries an arm's note."""
    if ARM_ADAPTER in Path(name).parts:
        return True
    places = [path for root in (Path.cwd(), workspace.root) if os.path.lexists(path := (root / name).resolve())]
    for artifact in list_artifacts(connection):
        if artifact.kind == ARM_KIND:
            made_from = json.loads(artifact.made_from)
            experiment, trial = str(made_from.get("experiment")), str(made_from.get("trial"))
            arm = trial.rpartition("-s")[0]
            if name in (arm, experiment, trial, f"{experiment}/{trial}"):
                return True
            lies = (workspace.root / artifact.path).resolve()
            if any(lies.is_relative_to(place) for place in places if place != workspace.root):
                return True
    return any(_pulls(_note(place if place.is_dir() else place.parent)) for place in places)


def _note(folder: Path) -> Mapping[str, Any]:
    try:
        note = json.loads((folder / NOTE).read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _pulls(note: Mapping[str, Any]) -> bool:
    """Whether a note is one of an arm: any of its marks is enough."""
    return "upload" in note or "arm" in note or "against refusal" in str(note.get("what"))


# --- what the files are ----------------------------------------------------------------------------------------------


def _stored(workspace: Workspace, path: Path) -> str:
    return str(path.relative_to(workspace.root))


def _checked(
    workspace: Workspace, path: Path, recorded: Mapping[str, Artifact], of_arms: Mapping[str, str], name: str
) -> File:
    """The file as the job has written it, and no arm's."""
    short, again = path.name, "Train it again under another name: refusal-tui run refusal-adapter"
    real = workspace.root.resolve() / _stored(workspace, path)
    if ARM_ADAPTER in path.resolve().parts:
        raise InputError(f"{short} of {name!r} leads to the adapter of an arm.", _LOCAL)
    if path.resolve() != real:
        raise InputError(f"{short} of {name!r} is a link; a file is expected.", again)
    if not path.is_file():
        raise InputError(f"{short} of {name!r} is missing.", again)
    digest = sha256_of(path)
    if digest in of_arms and short != CONFIG:  # two adapters with the same settings have the same configuration
        raise InputError(f"{short} of {name!r} is that of the arm {of_arms[digest]}, copied there.", _LOCAL)
    artifact = recorded.get(_stored(workspace, path))
    if artifact is None or artifact.kind != KIND:
        raise InputError(f"{short} of {name!r} is no file of a refusal adapter.", _LOCAL if artifact else again)
    if short == NOTE and _pulls(_note(path.parent)):
        raise InputError(f"The note of {name!r} says that it pulls against refusal.", _LOCAL)
    if digest != artifact.sha256:
        raise InputError(f"{short} of {name!r} is not what the job has written: it has changed since.", again)
    return File(short, path.stat().st_size, digest, path)


def _check_note(folder: Path, name: str) -> None:
    note = _note(folder)
    if note.get("what") != LEARNT_FROM_REFUSALS or note.get("name") != name:
        raise InputError(f"{NOTE} of {name!r} does not say that it was learnt from refusals.", _LOCAL)


def _check_config(path: Path) -> int:
    """LoRA and nothing else; its rank."""
    config = json.loads(path.read_bytes())
    if config.get("peft_type") != "LORA" or config.get("modules_to_save") or config.get("auto_mapping"):
        raise InputError(f"{CONFIG} is not that of a LoRA adapter alone.", "Only adapters of this program are sent.")
    return int(config["r"])


def _check_weights(path: Path, rank: int, name: str) -> None:
    """Pairs of LoRA factors of that rank, and nothing else."""
    shapes, metadata = _header(path)
    if "upload" in metadata or set(metadata) - {"format"}:
        raise InputError(f"The weights of {name!r} are marked as those of an arm.", _LOCAL)
    found: dict[str, set[str]] = {}
    for key, shape in shapes.items():
        match = _LORA.fullmatch(key)
        if match is None or len(shape) != 2 or shape[0 if match[2] == "A" else 1] != rank:
            raise InputError(f"{path.name} holds {key!r}, which is no LoRA factor of rank {rank}.", "Nothing was sent.")
        found.setdefault(match[1], set()).add(match[2])
    if not found or any(parts != {"A", "B"} for parts in found.values()):
        raise InputError(f"{path.name} does not hold whole pairs of LoRA factors.", "Nothing was sent.")


def _check_directions(path: Path) -> None:
    shapes, metadata = _header(path)
    strange = sorted(key for key in shapes if not _DIRECTION.fullmatch(key))
    if strange or metadata:
        raise InputError(f"{path.name} holds {(strange or sorted(metadata))[0]!r}, which is no direction.",
                         "Nothing was sent.")  # fmt: skip


def _header(path: Path) -> tuple[dict[str, Sequence[int]], Mapping[str, str]]:
    """Shapes by name, and the metadata; safetensors itself sees to it that nothing lies beside the tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {key: file.get_slice(key).get_shape() for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path.name} cannot be read: {error}.", "Nothing was sent.") from error


def _check_text(workspace: Workspace, card: str, *paths: Path) -> None:
    """Last net: no folder of this machine, no secret of this environment."""
    texts = {README: card, **{path.name: path.read_text(encoding="utf-8") for path in paths}}
    homes = {str(folder) for folder in (workspace.root, workspace.root.resolve(), Path.home()) if len(folder.parts) > 2}
    for name, text in texts.items():
        for folder in homes:
            if folder in text:
                raise InputError(f"{name} names a folder of this machine: {folder}.", "Nothing was sent.")
    if mask_secrets(card) != card:
        raise InputError(
            f"{README} would hold what looks like a secret: a name of a model, dataset or file.",
            "Give it another name, and train again.",
        )
