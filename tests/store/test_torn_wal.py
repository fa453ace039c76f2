"""What is left of a workspace whose write-ahead log was torn by a power cut?"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.store.jobs import get_job
from refusal_tui.store.outcomes import commit_group
from refusal_tui.store.workspace import Workspace
from tests.store.building import NewRow, add, claimed, done

COMMITS = 12


@pytest.fixture(scope="module")
def written(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of a workspace in the middle of a job: all its commits are still in the log."""
    folder = tmp_path_factory.mktemp("written")
    shutil.copytree(empty, folder / "w")
    workspace = Workspace(folder / "w")
    with closing(workspace.open()) as connection:
        ids = add(connection, *(NewRow(f"row {n}", "words " * 200) for n in range(COMMITS)))
        job = claimed(connection, ids)
        for position, item in enumerate(ids):
            commit_group(connection, job, [done(position, item)], cursor=position + 1)
        shutil.copytree(workspace.root, folder / "copy")
    return Workspace(folder / "copy")


@pytest.mark.parametrize("twentieth", range(20))
def test_a_torn_log_leaves_the_commits_before_the_tear(written: Workspace, tmp_path: Path, twentieth: int) -> None:
    shutil.copytree(written.root, tmp_path / "w")
    workspace = Workspace(tmp_path / "w")
    log = workspace.database.with_name("refusal.db-wal")
    with log.open("r+b") as file:
        file.truncate(log.stat().st_size * twentieth // 20)
    with closing(workspace.open()) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        positions = outcome_positions(connection)
        assert positions == list(range(len(positions)))
        if positions:
            job = get_job(connection, 1)
            assert (job.n_ok, job.cursor) == (len(positions), len(positions))
            assert connection.execute("SELECT count(*) FROM label").fetchone()[0] == len(positions)


def test_a_whole_log_leaves_every_commit(written: Workspace, tmp_path: Path) -> None:
    shutil.copytree(written.root, tmp_path / "w")
    with closing(Workspace(tmp_path / "w").open()) as connection:
        assert outcome_positions(connection) == list(range(COMMITS))


def test_the_tears_fall_between_different_commits(written: Workspace, tmp_path: Path) -> None:
    """The test above would prove nothing if every tear lost everything, or nothing."""
    left = set()
    size = written.database.with_name("refusal.db-wal").stat().st_size
    for twentieth in range(20):
        root = tmp_path / str(twentieth)
        shutil.copytree(written.root, root)
        with (root / "refusal.db-wal").open("r+b") as file:
            file.truncate(size * twentieth // 20)
        with closing(Workspace(root).open()) as connection:
            left.add(len(outcome_positions(connection)))
    assert len(left) > 5


def outcome_positions(connection: sqlite3.Connection) -> list[int]:
    rows = connection.execute(
        "SELECT i.position FROM outcome AS o JOIN job_item AS i ON i.job_id = o.job_id AND i.item_id = o.item_id "
        "ORDER BY 1"
    )
    return [row[0] for row in rows]
