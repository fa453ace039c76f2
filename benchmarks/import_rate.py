"""How fast is an import, beside the loop that one would write by hand?

The floor is a bare loop on the same HH-RLHF-shaped file in the same run: json.loads, the last turn split off,
sha256, executemany, FTS5, WAL with synchronous=FULL. It checks nothing, keeps no provenance and cannot resume.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks.report import Figure, median_of
from refusal_tui.ingest.job import ImportJob
from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.stop import StopFlag
from refusal_tui.store.jobs import claim_job, create_job
from refusal_tui.store.workspace import create_workspace

PAIRS = 20_000
LARGE = 100_000
REPEATS = 5
TEXT = (
    "the garden a recipe for soup with lentils and how would you explain photosynthesis to someone who has never seen "
    "leaf before please describe it slowly in plain language while keeping every step short because my friend prefers "
    "examples over theory and we both enjoy walking near rivers when mornings are quiet"
)
WORDS = TEXT.split()


def write_pairs(path: Path, pairs: int) -> None:
    """An HH-RLHF-shaped file of our own words: two sides of about 900 characters that share their first turns."""
    state = 12345
    with path.open("w", encoding="utf-8") as file:
        for number in range(pairs):
            texts = []
            for length in (25, 45, 20, 70, 60):
                words = []
                for _ in range(length):
                    state = (1103515245 * state + 12345) % 2**31
                    words.append(WORDS[(state >> 8) % len(WORDS)])
                texts.append(" ".join(words))
            shared = f"\n\nHuman: {number} {texts[0]}\n\nAssistant: {texts[1]}\n\nHuman: {texts[2]}\n\nAssistant: "
            file.write(json.dumps({"chosen": shared + texts[3], "rejected": shared + texts[4]}) + "\n")


def bare_loop(source: Path, folder: Path) -> float:
    """Items per second of the loop by hand."""
    connection = sqlite3.connect(folder / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, key TEXT UNIQUE, prompt, response, hash BLOB)")
    connection.execute("CREATE VIRTUAL TABLE fts USING fts5(prompt, response, content='item', content_rowid='id')")
    rows: list[tuple[object, ...]] = []
    count = 0
    start = time.perf_counter()

    def flush() -> None:
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO item VALUES (?,?,?,?,?)", rows)
        connection.executemany(
            "INSERT INTO fts(rowid, prompt, response) VALUES (?,?,?)", [(r[0], r[2], r[3]) for r in rows]
        )
        connection.execute("COMMIT")
        rows.clear()

    with source.open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            for side in ("chosen", "rejected"):
                prompt, _, response = record[side].rpartition("\n\nAssistant:")
                count += 1
                digest = hashlib.sha256(record[side].encode()).digest()
                rows.append((count, f"{count}-{side}", prompt, response, digest))
            if len(rows) >= 1000:
                flush()
    flush()
    seconds = time.perf_counter() - start
    connection.close()
    return count / seconds


def our_import(source: Path, folder: Path) -> float:
    """Items per second of an import job, from the plan to the last commit."""
    workspace = create_workspace(folder / "ours")
    spec = ImportSpec(source=str(source), name="bench")
    connection = workspace.open()
    number = create_job(
        connection, kind="import", title="", lane="free", spec=spec.model_dump_json(), spec_version=spec.VERSION
    )
    job = claim_job(connection, number, host="", boot_id="", pid=1, start_ticks=1)
    assert job is not None
    start = time.perf_counter()
    ImportJob(spec, workspace).run(ComputeContext(workspace, connection, job, StopFlag()))
    seconds = time.perf_counter() - start
    count: int = connection.execute("SELECT count(*) FROM item").fetchone()[0]
    connection.close()
    return count / seconds


def sqlite_utils_insert(source: Path, folder: Path) -> float:
    """Seconds of `sqlite-utils insert` on the same file (rows as they are: no split, no search index)."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "sqlite_utils", "insert", str(folder / "su.db"), "rows", str(source), "--nl"]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def datasets_load(source: Path, folder: Path) -> float:
    """Seconds of `datasets.load_dataset("json")` on the same file (to Arrow; no database, no index)."""
    code = (
        "import datasets, sys\ndatasets.disable_progress_bars()\n"
        "datasets.load_dataset('json', data_files=sys.argv[1], cache_dir=sys.argv[2])"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code, str(source), str(folder / "hf")], check=True, capture_output=True)
    return time.perf_counter() - start


def peak_megabytes(pairs: int, folder: Path) -> float:
    """Peak resident memory of a process that imports so many pairs."""
    source = folder / f"memory-{pairs}.jsonl"
    write_pairs(source, pairs)
    code = (
        "import sys; from pathlib import Path; from benchmarks.import_rate import our_import\n"
        "from benchmarks.report import peak_megabytes\n"
        "our_import(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print(peak_megabytes())"
    )
    scratch = folder / f"memory-{pairs}"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(scratch)], check=True, capture_output=True, text=True
    )
    source.unlink()
    shutil.rmtree(scratch)
    return float(done.stdout)


def run(*, quick: bool = False) -> list[Figure]:
    pairs, repeats, large = (1_000, 1, 2_000) if quick else (PAIRS, REPEATS, LARGE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "pairs.jsonl"
        write_pairs(source, pairs)

        def fresh(measure: Callable[[Path, Path], float]) -> float:
            scratch = Path(tempfile.mkdtemp(dir=folder))
            try:
                return measure(source, scratch)
            finally:
                shutil.rmtree(scratch)

        bare, ours = [], []
        for _ in range(repeats):  # in turns, so that a noisy minute hits both
            bare.append(fresh(bare_loop))
            ours.append(fresh(our_import))
        floor, rate = median(bare), median(ours)
        peer = pairs / median_of(lambda: fresh(sqlite_utils_insert), min(repeats, 3))
        hub = pairs / median_of(lambda: fresh(datasets_load), min(repeats, 3))
        few, many = peak_megabytes(large // 20, folder), peak_megabytes(large, folder)
    rows = "the same, rows of the file/s"
    return [
        Figure("import, HH-shaped, items/s", rate, "items/s", f"bare loop {floor:,.0f}", rate / floor, ">= 0.80",
               rate / floor >= 0.8),
        Figure(rows, rate / 2, "rows/s", f"sqlite-utils insert {peer:,.0f} (no index)", rate / 2 / peer),
        Figure(rows, rate / 2, "rows/s", f"datasets json {hub:,.0f} (no database)", rate / 2 / hub),
        Figure(f"peak memory, {large:,} pairs", many, "MB", f"{large // 20:,} pairs {few:.0f} MB", many / few, "flat",
               many - few < 20),
    ]  # fmt: skip
