"""How does an export run? Into a hidden folder beside the target, renamed when it is whole."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError, StorageError
from refusal_tui.export.card import Summary, dataset_card, dataset_info, sources_of
from refusal_tui.export.formats import WRITERS
from refusal_tui.export.records import records
from refusal_tui.export.spec import ExportSpec
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.store.artifacts import sha256_of


class ExportJob:
    """A ComputeJob. An interrupted one begins anew: nothing half-written ever stands at the target."""

    def __init__(self, spec: ExportSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        out = Path(self._spec.out).resolve()  # a link to an empty folder stands for that folder
        draft = out.with_name(f".{out.name[:100]}.job-{context.job.id}.partial")
        try:
            note = self._renamed_before(context, out) or self._write(context, out, draft)
            for file in sorted(path for path in out.rglob("*") if path.is_file()):
                context.artifact(file, "export", {"selection": context.job.selection, "format": self._spec.format})
        except OSError as error:
            raise StorageError(
                f"{out} cannot be written: {error.strerror or error}.",
                f"Free some space, then: refusal-tui jobs resume {context.job.id} (or choose another --out)",
            ) from error
        shutil.rmtree(context.folder, ignore_errors=True)  # the checkpoint has served
        context.report(context.job.total or 0, context.job.total, "done", now=True)
        return note

    def _write(self, context: ComputeContext, out: Path, draft: Path) -> str:
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir(parents=True)
            summary = Summary()
            ids = context.item_ids()
            stream = summary.watch(_reported(context, records(context.connection, ids)))
            data = WRITERS[self._spec.format](stream, draft)
            sources = sources_of(context.connection, summary)
            info = dataset_info(summary, sources, selection=context.job.selection, format_=self._spec.format)
            write_atomically(draft / "dataset_info.json", json.dumps(info, indent=2, ensure_ascii=False).encode())
            write_atomically(draft / "README.md", dataset_card(info, data.name).encode())
            note = f"{summary.rows:,} rows in {out / data.name}"
            context.save_checkpoint({"note": note, "info": sha256_of(draft / "dataset_info.json")})
            _rename(draft, out)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return note

    def _renamed_before(self, context: ComputeContext, out: Path) -> str | None:
        """The note of a run that died between the rename and its last word: what stands at the target is whole."""
        checkpoint = context.load_checkpoint()
        info = out / "dataset_info.json"
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


def _reported(context: ComputeContext, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    total = context.job.total
    for number, row in enumerate(rows, start=1):
        yield row
        context.report(number, total, "writing")
