"""Synthetic workspaces, made once per run and shared by the benchmarks; they vanish when the run ends."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from benchmarks.make_items import make_items
from refusal_tui.store.workspace import Workspace, create_workspace


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="refusal-bench-")


def scratch_folder(name: str) -> Path:
    """A folder below the run's own; it is not made yet."""
    return Path(_scratch().name) / name


@cache
def synthetic(rows: int) -> Workspace:
    """A workspace of so many rows, 60 % of them labelled; benchmarks may add jobs to it, never rows."""
    workspace = create_workspace(scratch_folder(f"rows-{rows}"))
    make_items(workspace, rows)
    return workspace


@cache
def unlabelled(rows: int) -> Workspace:
    """The same rows before anybody has looked at them."""
    workspace = create_workspace(scratch_folder(f"unlabelled-{rows}"))
    make_items(workspace, rows, labelled=0.0, human=0.0)
    return workspace
