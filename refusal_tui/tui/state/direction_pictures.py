"""What do the pictures of a run show? A page, the candidate under the cursor, and bars as characters."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from refusal_tui.direction.agreement import Agreement, projection_agreement
from refusal_tui.direction.geometry import Geometry, read_geometry
from refusal_tui.direction.pictures import Run
from refusal_tui.direction.readings import Readings, read_readings
from refusal_tui.direction.report import Report, read_report
from refusal_tui.direction.select import Cell
from refusal_tui.direction.store_answers import answers_of
from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.jobs import get_job

BARS = "▁▂▃▄▅▆▇█"
SCORES = 20.0  # refusal scores are drawn from -20 to 20


class Page(StrEnum):
    """In the order of the digit keys."""

    COSINES = "cosines"
    HISTOGRAM = "histogram"
    AUROC = "AUROC"
    DOSE = "dose-response"
    LABELS = "labels"


PAGES = tuple(Page)


@dataclass(frozen=True, slots=True)
class Read:
    """What a run has written, and who has labelled its answers (`dataset`; "" where there are none)."""

    report: Report
    geometry: Geometry | None
    readings: Readings | None
    agreement: list[Agreement]
    dataset: str

    @property
    def run(self) -> Run:
        return Run(self.report, self.geometry, self.readings, self.agreement)


def read_run(folder: Path, job_id: int, connection: sqlite3.Connection) -> Read:
    """Raises InputError when a file is not what a run writes."""
    report, readings = read_report(folder), read_readings(folder)
    dataset = answers_of(connection, get_job(connection, job_id))
    found = projection_agreement(connection, dataset, job_id, readings) if dataset and readings is not None else []
    return Read(report, read_geometry(folder), readings, found, dataset)


@dataclass(slots=True)
class PicturesState:
    """`cell` None: the selected candidate, or what came closest."""

    page: Page = Page.COSINES
    cell: Cell | None = None
    read: Read | None = None
    error: RefusalTuiError | None = field(default=None)

    def at(self) -> Cell | None:
        if self.read is None or not self.read.report.grid:
            return None
        return self.cell if self.cell in self.read.report.grid else self.read.report.closest()

    def move(self, down: int, right: int) -> None:
        """To another position or layer, as far as there are any."""
        at = self.at()
        if at is None or self.read is None:
            return
        report = self.read.report
        position = min(-1, max(report.positions.start, at.position + down))
        self.cell = Cell(position, min(report.n_layers - 1, max(0, at.layer + right)))

    def turn(self, step: int) -> None:
        self.page = PAGES[(PAGES.index(self.page) + step) % len(PAGES)]


def window(count: int, fit: int, at: int) -> range:
    """Which of `count` things are shown where `fit` have room, with `at` among them.

    >>> window(80, 10, 4), window(80, 10, 40), window(5, 10, 3)
    (range(0, 10), range(35, 45), range(0, 5))
    """
    fit = max(1, min(count, fit))
    start = max(0, min(count - fit, at - fit // 2))
    return range(start, start + fit)


def upright(values: Sequence[float | None], low: float, high: float, height: int) -> list[str]:
    """Bars that stand, as lines of one character per value, the top line first; what is not known is a dot below.

    >>> upright([0.0, 0.5, 1.0, None], 0.0, 1.0, 2)
    ['  █ ', '▁██·']
    """

    def eighths_of(value: float | None) -> int | None:
        if value is None or value != value:
            return None
        return max(1, round(8 * height * min(1.0, max(0.0, (value - low) / (high - low)))))

    eighths = [eighths_of(value) for value in values]
    lines = []
    for row in range(height - 1, -1, -1):
        full = row * 8
        lines.append("".join(
            ("·" if row == 0 else " ") if value is None else " " if value <= full
            else BARS[min(8, value - full) - 1]
            for value in eighths
        ))  # fmt: skip
    return lines


def bar(share: float, cells: int) -> str:
    """A bar that lies, to an eighth of a cell.

    >>> bar(0.5, 4), bar(0.3, 4), bar(0.0, 4)
    ('██', '█▏', '')
    """
    eighths = round(8 * cells * min(1.0, max(0.0, share)))
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
