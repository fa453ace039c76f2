"""How fast is the final dataset written, and what does it hold in memory?

Synthetic rows, all of them labelled, each size in a process of its own. Before it writes, the export decides which rows
belong together, and holds their shingles; writing itself should hold the same whatever the number of rows. Beside it
stands the plain `export` of the same rows to one JSONL file: no parts, no personal data taken out, one form of four.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from array import array
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.make_items import make_items
from benchmarks.report import Figure, peak_megabytes
from benchmarks.workspaces import scratch_folder
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.registry import job_kind, make_job
from refusal_tui.jobs.spec import build_spec
from refusal_tui.jobs.stop import StopFlag
from refusal_tui.store.browse import select_ids
from refusal_tui.store.jobs import claim_job, create_job
from refusal_tui.store.workspace import Workspace, create_workspace

SIZES = (100_000, 1_000_000)
QUICK = (1_000, 5_000)
WRITING = "writing"


class Watched(ComputeContext):
    """Notes what the process holds, and when, at each report."""

    steps: list[tuple[str, float, float]]

    def report(self, done: int, total: int | None = None, step: str = "", *, now: bool = False) -> None:
        super().report(done, total, step, now=now)
        if done % 1000 == 0:
            self.steps.append((step, time.perf_counter(), _megabytes()))


def _megabytes() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024**2


def export_here(kind_name: str, root: Path, out: Path) -> dict[str, Any]:
    """Run an export job to its end; seconds (`worked`: of the processor) and memory, of all and of the writing."""
    workspace = Workspace(root)
    connection = workspace.open()
    kind = job_kind(kind_name)
    spec = build_spec(kind.spec_type(), {"out": str(out)})
    ids: array[int] = select_ids(connection)
    number = create_job(
        connection, kind=kind_name, title="", lane="free", spec=spec.model_dump_json(), spec_version=spec.VERSION,
        item_ids=ids,
    )  # fmt: skip
    job = claim_job(connection, number, host="", boot_id="", pid=os.getpid(), start_ticks=1)
    assert job is not None
    context = Watched(workspace, connection, job, StopFlag())
    context.steps = []
    begun, worked = time.perf_counter(), time.process_time()
    note = make_job(kind, spec, workspace).run(context)
    seconds, worked = time.perf_counter() - begun, time.process_time() - worked
    held = [megabytes for step, _, megabytes in context.steps if step == WRITING]
    first = next(when for step, when, _ in context.steps if step == WRITING)
    return {
        "note": note, "rows": len(ids), "seconds": seconds, "worked": worked, "plan_seconds": first - begun,
        "peak": peak_megabytes(),
        "growth": max(held) - held[len(held) // 10],  # by then everything is loaded
        "bytes": sum(path.stat().st_size for path in out.rglob("*") if path.is_file()),
    }  # fmt: skip


@cache
def labelled(rows: int) -> Workspace:
    """A workspace in which a judge has labelled every row."""
    workspace = create_workspace(scratch_folder(f"labelled-{rows}"))
    make_items(workspace, rows, labelled=1.0)
    return workspace


def measured(kind: str, rows: int) -> dict[str, Any]:
    out = scratch_folder(f"{kind}-{rows}")
    code = "import sys, json; from pathlib import Path; from benchmarks.final_export import export_here\n"
    code += "print(json.dumps(export_here(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))))"
    words = [sys.executable, "-c", code, kind, str(labelled(rows).root), str(out)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def run(*, quick: bool = False) -> list[Figure]:
    sizes = QUICK if quick else SIZES
    found = {rows: measured("export-final", rows) for rows in sizes}
    plain = measured("export", sizes[0])
    rate = plain["rows"] / plain["worked"]
    beside = f"plain export, JSONL alone, {sizes[0]:,} rows: {rate:,.0f}"
    figures = []
    for rows, one in found.items():
        speed = rows / one["worked"]
        figures += [
            Figure(f"{rows:,} rows, per second of one core", speed, "rows/s", beside, speed / rate),
            Figure(f"{rows:,} rows, from start to end", one["seconds"], "s",
                   f"deciding the parts: {one['plan_seconds']:.0f} s", one["plan_seconds"] / one["seconds"]),
        ]  # fmt: skip
    few, many = (found[rows] for rows in sizes)
    return [
        *figures,
        Figure(f"peak memory, {sizes[1]:,} rows", many["peak"], "MB", f"{sizes[0]:,} rows {few['peak']:.0f} MB",
               many["peak"] / few["peak"], "< 2,048 MB", many["peak"] < 2048),
        Figure(f"growth while the last nine tenths of {sizes[1]:,} rows are written", many["growth"], "MB",
               f"{sizes[0]:,} rows {few['growth']:.0f} MB", target="flat: < 50 MB", met=many["growth"] < 50),
    ]  # fmt: skip
