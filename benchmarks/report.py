"""What every benchmark gives back, and how the tables of docs/benchmarks.md are written."""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured line: `value` beside `against` (a peer's figure of the same run, or a limit), in `unit`.

    `target` is what the issue asks for; `met` says whether it was met, None where there is no target.
    """

    what: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


def machine() -> str:
    """One line about where the figures come from."""
    packages = []
    for name in ("textual", "rich", "click", "sqlite-utils", "datasets", "pydantic"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores ({_cpu()}), "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {', '.join(packages)}; "
        f"{time.strftime('%Y-%m-%d')}"
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def peak_megabytes() -> float:
    """Peak resident memory of this process.

    Not `ru_maxrss` where it can be helped: on Linux that one outlives exec, so a child begins with its parent's peak.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def median_of(measure: Callable[[], float], repeats: int) -> float:
    return statistics.median(measure() for _ in range(repeats))


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(title: str, figures: Iterable[Figure], note: str = "") -> str:
    """A Markdown table with a heading."""
    lines = [f"## {title}", ""]
    if note:
        lines += [note, ""]
    lines += ["| what | measured | beside | ratio | target | met |", "|---|---|---|---|---|---|"]
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        met = {True: "yes", False: "**no**", None: ""}[figure.met]
        shown = f"{number(figure.value)} {figure.unit}".strip()
        lines.append(f"| {figure.what} | {shown} | {figure.against} | {ratio} | {figure.target} | {met} |")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """
    >>> number(12345.6), number(12.34), number(0.1234)
    ('12,346', '12.3', '0.123')
    """
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.3f}"
