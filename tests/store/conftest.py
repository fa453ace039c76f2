"""An empty workspace and a connection to it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.store.workspace import Workspace, create_workspace


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


@pytest.fixture(scope="session")
def empty_memory(empty: Path) -> Iterator[sqlite3.Connection]:
    """An empty workspace in memory, for properties that are tried on many examples: roll back after each."""
    with closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)) as connection:
        with closing(Workspace(empty).open()) as source:
            source.backup(connection)
        connection.row_factory = sqlite3.Row
        yield connection
