"""How does an export run? Into a hidden folder beside the target, renamed when it is whole."""

from __future__ import annotations

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


class ExportJob:
    """A ComputeJob. An interrupted one begins anew: nothing half-written ever stands at the target."""

    def __init__(self, spec: ExportSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        out = Path(self._spec.out)
        draft = out.with_name(f".{out.name}.job-{context.job.id}.partial")
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
            write_atomically(draft / "README.md", dataset_card(info).encode())
            if out.is_dir() and not any(out.iterdir()):
                out.rmdir()
            if out.exists():
                raise InputError(f"{out} has been filled meanwhile.", "Choose another folder with --out.")
            draft.rename(out)
        except OSError as error:
            raise StorageError(
                f"{out} cannot be written: {error}.", "Free some space or choose another --out."
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        for file in sorted(path for path in out.rglob("*") if path.is_file()):
            context.artifact(file, "export", {"selection": context.job.selection, "format": self._spec.format})
        context.report(summary.rows, summary.rows, "done", now=True)
        return f"{summary.rows:,} rows in {out / data.name}"


def _reported(context: ComputeContext, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    total = context.job.total
    for number, row in enumerate(rows, start=1):
        yield row
        context.report(number, total, "writing")
