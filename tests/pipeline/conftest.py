"""Pipelines over small workspaces, every job in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.pipelines import copy_examples, run_jobs_here


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    run_jobs_here(monkeypatch)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    return copy_examples(tmp_path)
