"""How does the final export run? Plan, then rows, into a draft beside the target that is renamed when it is whole.

The plan (which rows, which parts) needs ids, labels and hashes; the rows are read, cleaned and written page by page. An
interrupted run begins anew, and gives the same bytes.
"""

from __future__ import annotations

import json
from array import array
from pathlib import Path

from refusal_tui.errors import InputError
from refusal_tui.export.final_card import Tally, final_card, final_info
from refusal_tui.export.final_files import final_files
from refusal_tui.export.final_labels import settled_heads
from refusal_tui.export.final_plan import Plan, make_plan
from refusal_tui.export.final_rows import Cleaner, FinalRows
from refusal_tui.export.final_spec import FinalExportSpec
from refusal_tui.export.whole_folder import SEAL, write_whole
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.jobs.terms import gated_datasets
from refusal_tui.store.datasets import list_datasets

ARTIFACT = "final-dataset"


class FinalExportJob:
    """A ComputeJob."""

    def __init__(self, spec: FinalExportSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        return write_whole(
            context,
            self._spec.out,
            lambda draft: self._write(context, draft),
            kind=ARTIFACT,
            made_from={"selection": context.job.selection, "settings": self._spec.model_dump(exclude={"out"})},
        )

    def _write(self, context: ComputeContext, draft: Path) -> str:
        spec, connection = self._spec, context.connection
        gated = gated_datasets(connection)
        withheld = set[int]() if spec.share_gated else gated
        settled = settled_heads(connection)
        plan = make_plan(
            connection, array("q", context.item_ids()), spec, settled, withheld,
            lambda step, done, total: context.report(done, total, step),
        )  # fmt: skip
        rows = FinalRows(connection, plan, settled, withheld, Cleaner(spec.pii))
        tally = Tally()
        with final_files(draft, plan.parts) as files:
            for number, row in enumerate(rows, start=1):
                files.write(row.record, row.part)
                tally.add(row)
                context.report(number, len(plan), "writing")
        empty = [part for part in plan.parts if not tally.parts[part]]  # which `load_dataset` would not open
        if empty:
            raise InputError(
                f"{rows.refused:,} of {len(plan):,} rows hold personal data, and without them none is left for the "
                f"{empty[0]} part.",
                "Replace it by placeholders instead: --pii scrub",
            )
        sources = [one for one in list_datasets(connection) if one.name in tally.datasets]
        info = final_info(
            tally, plan, sources, gated, spec, selection=context.job.selection, refused=rows.refused,
            constitution=rows.constitution, rows_sha256=files.sha256,
        )  # fmt: skip
        write_atomically(draft / SEAL, json.dumps(info, indent=2, ensure_ascii=False).encode())
        write_atomically(draft / "README.md", final_card(info).encode())
        _warn(context, plan, tally)
        return _note(spec, plan, tally)


def _warn(context: ComputeContext, plan: Plan, tally: Tally) -> None:
    if plan.thin:
        names = ", ".join(plan.thin)
        context.event("warning", "thin-classes", f"Too thin for every part, so only trained on: {names}.")
    if tally.changed:
        context.event(
            "warning", "labels-changed",
            f"{tally.changed:,} rows got other labels while they were being exported: export them again.",
        )  # fmt: skip


def _note(spec: FinalExportSpec, plan: Plan, tally: Tally) -> str:
    parts = ", ".join(f"{tally.parts[part]:,} {part}" for part in plan.parts)
    withheld = f"; text of {tally.withheld:,} held back" if tally.withheld else ""
    left_out = sum(plan.left_out.values())
    return f"{tally.rows:,} rows in {Path(spec.out).resolve()}: {parts}{withheld}" + (
        f"; {left_out:,} left out" if left_out else ""
    )
