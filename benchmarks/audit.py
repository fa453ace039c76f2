"""A whole audit of a million rows, and near-duplicate clustering beside a loop over all pairs and beside datasketch.

The audit runs in a process of its own, as a job's worker would: its peak memory is that of nothing else. 50,000 rows
are measured in the same run, so that the table says whether the work grows with the rows or faster.

The peers of clustering get the same texts: synthetic responses, a tenth of which repeat another one with one word
changed. The loop compares the word sets of all pairs; datasketch has the same shingles, permutations and bands, and its
candidates are verified by the exact index as ours are.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import combinations
from pathlib import Path
from typing import Any

from benchmarks.report import Figure, peak_megabytes
from benchmarks.workspaces import synthetic

ROWS, FEWER = 1_000_000, 50_000
MOST_SECONDS, MOST_MEGABYTES = 600, 2000
PAIRWISE, SKETCHED = 2_000, 20_000
THRESHOLD = 0.8


def run(quick: bool = False) -> list[Figure]:
    fewer, rows = (1_000, 5_000) if quick else (FEWER, ROWS)
    return [*_audits(fewer, rows), *_clusterings(200 if quick else PAIRWISE, 1_000 if quick else SKETCHED)]


# --- the audit -------------------------------------------------------------------------------------------------------


def _audits(fewer: int, rows: int) -> list[Figure]:
    small, large = audited(synthetic(fewer).root), audited(synthetic(rows).root)
    each = [1e3 * found["cpu"] / count for found, count in ((small, fewer), (large, rows))]
    steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in large["steps"].items() if seconds >= 1)
    return [
        Figure(f"{rows:,} rows: full audit ({steps})", large["seconds"], "s",
               f"load of the machine {large['load']:.1f} on {os.cpu_count()} cores",
               large["seconds"] / MOST_SECONDS, f"< {MOST_SECONDS} s", large["seconds"] < MOST_SECONDS),
        Figure("the same, seconds of one core: what a machine without other work takes", large["cpu"], "s", "",
               large["cpu"] / MOST_SECONDS, f"< {MOST_SECONDS} s", large["cpu"] < MOST_SECONDS),
        Figure(f"{rows:,} rows: peak memory", large["megabytes"], "MB", f"{fewer:,} rows: {small['megabytes']:.0f} MB",
               large["megabytes"] / small["megabytes"], f"< {MOST_MEGABYTES} MB",
               large["megabytes"] < MOST_MEGABYTES),
        Figure(f"{rows:,} rows: CPU per 1,000 rows", each[1], "s", f"{fewer:,} rows: {each[0]:.3f} s",
               each[1] / each[0], "<= 1 (linear)", each[1] <= each[0]),
    ]  # fmt: skip


def audited(root: Path) -> dict[str, Any]:
    """Audit all rows of a workspace in a fresh process; its seconds, also of CPU and per step, and peak megabytes; the
    mean number of processes, itself among them, that wanted a core at its end (5 minutes)."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit", str(root)], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def _audit_here(root: Path) -> None:
    from refusal_tui.audit.job import AuditJob
    from refusal_tui.audit.spec import AuditSpec
    from refusal_tui.jobs.compute import ComputeContext
    from refusal_tui.jobs.stop import StopFlag
    from refusal_tui.store.browse import select_ids
    from refusal_tui.store.jobs import claim_job, create_job
    from refusal_tui.store.workspace import Workspace

    workspace, spec = Workspace(root), AuditSpec()
    with closing(workspace.open()) as connection:
        number = create_job(
            connection, kind="audit", title="audit", lane="cpu", spec=spec.model_dump_json(),
            spec_version=spec.VERSION, selection="", item_ids=select_ids(connection, ""),
        )  # fmt: skip
        job = claim_job(connection, number, host="", boot_id="", pid=os.getpid(), start_ticks=1)
        assert job is not None
        context = ComputeContext(workspace, connection, job, StopFlag())
        steps: dict[str, float] = {}
        report, last = context.report, (time.perf_counter(), "")

        def timed(done: int, total: int | None = None, step: str = "", *, now: bool = False) -> None:
            """A portion that was read is reported when it is done, every other step when it begins."""
            nonlocal last
            of = step if step.startswith("reading") else last[1]
            steps[of] = steps.get(of, 0.0) + time.perf_counter() - last[0]
            last = time.perf_counter(), step
            report(done, total, step, now=now)

        context.report = timed  # type: ignore[method-assign]
        begun = time.perf_counter()
        AuditJob(spec, workspace).run(context)
        timed(0, step="done", now=True)
        seconds = time.perf_counter() - begun
    found = {"seconds": seconds, "cpu": time.process_time(), "megabytes": peak_megabytes(), "steps": steps,
             "load": os.getloadavg()[1]}  # fmt: skip
    sys.stdout.write(json.dumps(found) + "\n")


# --- near duplicates -------------------------------------------------------------------------------------------------


def _clusterings(pairwise: int, sketched: int) -> list[Figure]:
    from refusal_tui.similarity.near import near_duplicates

    figures = []
    for count, peers in ((pairwise, (("loop over all pairs", _loop), ("datasketch", _datasketch))),
                         (sketched, (("datasketch", _datasketch),))):  # fmt: skip
        texts = _texts(count)
        near_duplicates(texts[:50], THRESHOLD)  # what is loaded once is no measure
        seconds, mine = _timed(lambda t: _pairs(near_duplicates(t, THRESHOLD).root.tolist()), texts)
        for name, peer in peers:
            theirs_seconds, theirs = _timed(peer, texts)
            both = len(mine & theirs) / max(1, len(mine | theirs))
            figures.append(
                Figure(f"{count:,} texts clustered; {both:.1%} of the linked texts are the same", seconds, "s of CPU",
                       f"{name} {theirs_seconds:.1f} s", theirs_seconds / seconds, "", None)
            )  # fmt: skip
    return figures


def _texts(count: int) -> list[str]:
    from benchmarks.make_items import _sentences

    dice = random.Random(0)
    sentences = _sentences(dice)
    texts = [" ".join(dice.choices(sentences, k=dice.randrange(4, 16))) for _ in range(count)]
    for place in range(0, count, 10):
        words = texts[(place + 1) % count].split()
        words[dice.randrange(len(words))] = "quonder"
        texts[place] = " ".join(words)
    return texts


def _timed(make: Callable[[Sequence[str]], set[int]], texts: Sequence[str]) -> tuple[float, set[int]]:
    """Seconds of CPU: all contestants work on one core, and other work on it is not theirs."""
    begun = time.process_time()
    found = make(texts)
    return time.process_time() - begun, found


def _pairs(roots: Sequence[int]) -> set[int]:
    """The texts that are linked to another one."""
    sizes: dict[int, int] = {}
    for root in roots:
        sizes[root] = sizes.get(root, 0) + 1
    return {place for place, root in enumerate(roots) if sizes[root] > 1}


def _shingles(text: str) -> frozenset[str]:
    words = text.casefold().replace(".", "").split()
    return frozenset(" ".join(words[n : n + 3]) for n in range(max(1, len(words) - 2)))


def _loop(texts: Sequence[str]) -> set[int]:
    sets = [_shingles(text) for text in texts]
    linked: set[int] = set()
    for one, other in combinations(range(len(sets)), 2):
        shared = len(sets[one] & sets[other])
        if shared and shared / (len(sets[one]) + len(sets[other]) - shared) >= THRESHOLD:
            linked |= {one, other}
    return linked


def _datasketch(texts: Sequence[str]) -> set[int]:
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(num_perm=120, params=(20, 6))
    sets = [_shingles(text) for text in texts]
    linked: set[int] = set()
    for place, shingles in enumerate(sets):
        sketch = MinHash(num_perm=120)
        sketch.update_batch([shingle.encode() for shingle in shingles])
        for other in lsh.query(sketch):
            shared = len(sets[other] & shingles)
            if shared / (len(sets[other]) + len(shingles) - shared) >= THRESHOLD:
                linked |= {place, other}
        lsh.insert(place, sketch)
    return linked


if __name__ == "__main__":
    _audit_here(Path(sys.argv[1]))
