"""Which weights are meant by a name, and do they fit into memory? Looks at files alone: no torch, so a face may ask."""

from __future__ import annotations

import hashlib
import os
import re
from importlib.util import find_spec
from pathlib import Path

from refusal_tui.errors import InputError

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_WEIGHTS = ("*.safetensors", "*.bin")
GIB = 1024**3


def resolve(name: str) -> str:
    """The whole path of a folder with a model, or a name on the Hugging Face hub as it is (`owner/model`).

    Raises InputError for anything else.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(
                f"The folder {folder} holds no model: there is no config.json in it.",
                "Give the folder that save_pretrained has written, or a name on the Hugging Face hub (owner/model).",
            )
        return str(folder.resolve())
    if folder.exists() or name.startswith(("/", "./", "../", "~")) or not _HUB_NAME.fullmatch(name):
        raise InputError(
            f"There is no folder {name!r}, and it is no name on the Hugging Face hub.",
            "Give the folder of a model, or its name as owner/model.",
        )
    return name


def fingerprint(name: str) -> str:
    """Tells the files of a folder from those that lay there before, by names, sizes and times; "" for a hub name.

    Part of a request's identity: weights that were trained anew under the same path have given none of the old answers.
    """
    folder = Path(name)
    if not folder.is_dir():
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if path.is_file():
            about = path.stat()
            digest.update(f"{path.name}\0{about.st_size}\0{about.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def weight_files(name: str) -> list[Path]:
    """The files of a folder that hold its weights, by name; none of a hub name."""
    folder = Path(name)
    return next((files for kind in _WEIGHTS if (files := sorted(folder.glob(kind)))), [])


def size_of(name: str) -> int:
    """Bytes of a folder's weights; 0 where that is not known."""
    return sum(path.stat().st_size for path in weight_files(name))


def free_memory() -> int | None:
    """Bytes of main memory that can be had without swapping; None where the system does not tell."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def missing_package() -> str | None:
    """The first package that is needed for weights in this process and not installed."""
    return next((name for name in ("torch", "transformers", "accelerate") if find_spec(name) is None), None)
