"""How does a folder appear at its place whole or not at all? A hidden draft beside it, renamed when it is finished."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from refusal_tui.errors import InputError, StorageError
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.store.artifacts import sha256_of

SEAL = "dataset_info.json"  # the file that tells this job's folder from another's

Write = Callable[[Path], str]  # fills the draft, which is empty, and returns the closing note


def write_whole(
    context: ComputeContext, target: str, write: Write, *, kind: str, made_from: Mapping[str, object]
) -> str:
    """Write the job's folder and record its files as artifacts of `kind`; returns the note that `write` gave.

    A job that was interrupted begins anew; one that died after the rename has only its last words left to say. Raises
    StorageError when the disk cannot take it, InputError where something else stands at the target by now.
    """
    out = Path(target).resolve()  # a link to an empty folder stands for that folder
    draft = out.with_name(f".{out.name[:100]}.job-{context.job.id}.partial")
    try:
        note = _renamed_before(context, out) or _write(context, out, draft, write)
        for file in sorted(path for path in out.rglob("*") if path.is_file()):
            context.artifact(file, kind, made_from)
    except OSError as error:
        raise StorageError(
            f"{out} cannot be written: {error.strerror or error}.",
            f"Free some space, then: refusal-tui jobs resume {context.job.id} (or choose another --out)",
        ) from error
    shutil.rmtree(context.folder, ignore_errors=True)  # the checkpoint has served
    context.report(context.job.total or 0, context.job.total, "done", now=True)
    return note


def _write(context: ComputeContext, out: Path, draft: Path, write: Write) -> str:
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True)
        note = write(draft)
        for path in (*draft.rglob("*"), draft):
            _to_disk(path)
        context.save_checkpoint({"note": note, "info": sha256_of(draft / SEAL)})
        _rename(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return note


def _to_disk(path: Path) -> None:
    """After a power cut a renamed folder must not hold empty files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _renamed_before(context: ComputeContext, out: Path) -> str | None:
    """The note of a run that died between the rename and its last word: what stands at the target is whole."""
    checkpoint = context.load_checkpoint()
    info = out / SEAL
    if checkpoint is None or not info.is_file() or sha256_of(info) != checkpoint["info"]:
        return None
    return str(checkpoint["note"])


def _rename(draft: Path, out: Path) -> None:
    """In one step, also onto an empty folder. Raises InputError where something else stands there by now."""
    try:
        draft.rename(out)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise InputError(f"{out} has been filled meanwhile.", "Choose another folder with --out.") from error
        raise
