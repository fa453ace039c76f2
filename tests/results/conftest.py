"""A small workspace of answers by two models."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add, judge, says

VALUES = {"quill-7b": ["hard", "none", "none", "soft"], "marrow-13b": ["none", "none", "none", "hard"]}


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return create_workspace(tmp_path_factory.mktemp("empty") / "w").root


@pytest.fixture
def workspace(empty: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(empty, tmp_path / "w")
    return Workspace(tmp_path / "w")


@pytest.fixture
def connection(workspace: Workspace) -> Iterator[sqlite3.Connection]:
    with closing(workspace.open()) as connection:
        yield connection


@pytest.fixture
def answered(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Two models, four prompts, two categories; each model refuses some."""
    for model, values in VALUES.items():
        prompts = [NewRow(f"Tell me about blorptanium {n}.", "…", model, category=("materials", "rituals")[n % 2])
                   for n in range(4)]  # fmt: skip
        judge(connection, *map(says, add(connection, *prompts), values))
    return connection
