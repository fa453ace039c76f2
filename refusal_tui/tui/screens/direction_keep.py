"""Where do pictures go that a screen of a run is asked to write? Into the run's own folder of the workspace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from refusal_tui.direction.pictures import Picture, write_pictures
from refusal_tui.errors import StorageError

if TYPE_CHECKING:
    from refusal_tui.tui.app import RefusalApp


def picture_folder(work: RefusalApp, job_id: int) -> Path:
    return work.workspace.artifacts / f"direction-{job_id}"


def keep(work: RefusalApp, job_id: int, made: Iterable[Picture]) -> None:
    """Write a few, and say where."""
    try:
        tell_written(work, write_pictures(picture_folder(work, job_id), made))
    except StorageError as error:
        work.notify_error(error)


def tell_written(work: RefusalApp, written: Sequence[Path]) -> None:
    if not written:
        work.say("There is nothing to write yet")
        return
    names = ", ".join(path.name for path in written[:3]) + (" …" if len(written) > 3 else "")
    work.say(f"Wrote {len(written)} files into artifacts/{written[0].parent.name}: {names}")
