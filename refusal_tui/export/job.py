"""How does an export run? Into a hidden folder beside the target, renamed when it is whole (`whole_folder.py`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from refusal_tui.export.card import Summary, dataset_card, dataset_info, sources_of
from refusal_tui.export.formats import WRITERS
from refusal_tui.export.records import records
from refusal_tui.export.spec import ExportSpec
from refusal_tui.export.whole_folder import SEAL, write_whole
from refusal_tui.jobs.compute import ComputeContext, write_atomically


class ExportJob:
    """A ComputeJob. An interrupted one begins anew: nothing half-written ever stands at the target."""

    def __init__(self, spec: ExportSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        return write_whole(
            context,
            self._spec.out,
            lambda draft: self._write(context, draft),
            kind="export",
            made_from={"selection": context.job.selection, "format": self._spec.format},
        )

    def _write(self, context: ComputeContext, draft: Path) -> str:
        summary = Summary()
        stream = summary.watch(_reported(context, records(context.connection, context.item_ids())))
        data = WRITERS[self._spec.format](stream, draft)
        sources = sources_of(context.connection, summary)
        info = dataset_info(summary, sources, selection=context.job.selection, format_=self._spec.format)
        write_atomically(draft / SEAL, json.dumps(info, indent=2, ensure_ascii=False).encode())
        write_atomically(draft / "README.md", dataset_card(info, data.name).encode())
        return f"{summary.rows:,} rows in {Path(self._spec.out).resolve() / data.name}"


def _reported(context: ComputeContext, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    total = context.job.total
    for number, row in enumerate(rows, start=1):
        yield row
        context.report(number, total, "writing")
