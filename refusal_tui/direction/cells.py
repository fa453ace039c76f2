"""What of the grid is measured already? One line per score in a file that only grows: it survives kill -9, and a screen
can follow it while the grid fills.

    {"position": -2, "layer": 10, "score": "ablation", "value": -14.42, "values": [-15.1, …]}
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from refusal_tui.direction.search import Measured
from refusal_tui.direction.select import Cell, Score, Scores


class CellFile:
    """The lines of one run. A line that a crash has cut off is removed when the file is opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        self.measured = [_read(line) for line in whole.splitlines()]

    def known(self) -> dict[Cell, Scores]:
        """The scores by cell."""
        grid: dict[Cell, Scores] = {}
        for one in self.measured:
            grid[one.cell] = grid.get(one.cell, Scores()).having(one.score, one.value)
        return grid

    def values(self, score: Score) -> dict[Cell, tuple[float, ...]]:
        """The values of each validation prompt, by cell."""
        return {one.cell: one.values for one in self.measured if one.score is score}

    def append(self, group: Iterable[Measured]) -> None:
        """Add a group in one write, and see it on the disk."""
        group = list(group)
        text = "".join(
            json.dumps(
                {"position": m.cell.position, "layer": m.cell.layer, "score": m.score.value, "value": m.value,
                 "values": m.values}
            ) + "\n"
            for m in group
        )  # fmt: skip
        with self._path.open("ab", buffering=0) as file:
            file.write(text.encode())
            os.fsync(file.fileno())
        self.measured += group


def _read(line: bytes) -> Measured:
    row = json.loads(line)
    return Measured(Cell(row["position"], row["layer"]), Score(row["score"]), row["value"], tuple(row["values"]))
