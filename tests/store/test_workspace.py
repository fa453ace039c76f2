"""Where is the workspace, and who may read it?"""

from __future__ import annotations

import grp
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils.migrations  # noqa: F401 (loaded before a child loses the right to read the environment)

from refusal_tui.errors import WorkspaceError
from refusal_tui.store import connect
from refusal_tui.store.browse import count_items
from refusal_tui.store.connect import checkpoint, file_system_of
from refusal_tui.store.workspace import CONFIG, Workspace, create_workspace, find_workspace, read_config
from tests.store.building import NewRow, add, in_child

ANNA, BERT, OUTSIDER = 54_001, 54_002, 54_003


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with no workspace in reach."""
    monkeypatch.delenv("REFUSAL_WORKSPACE", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    return folder


# --- found ---------------------------------------------------------------------------------------------------------


def test_the_option_wins_over_the_environment(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named, other = create_workspace(nowhere / "named"), create_workspace(nowhere / "other")
    monkeypatch.setenv("REFUSAL_WORKSPACE", str(other.root))
    assert find_workspace(str(named.root)) == named


def test_the_environment_wins_over_a_refusal_toml(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = create_workspace(nowhere / "other")
    create_workspace(nowhere)
    monkeypatch.setenv("REFUSAL_WORKSPACE", str(other.root))
    assert find_workspace(start=nowhere) == other


def test_the_nearest_refusal_toml_upward_is_the_workspace(nowhere: Path, tmp_path: Path) -> None:
    create_workspace(tmp_path)
    nearer = create_workspace(tmp_path / "deep")
    assert find_workspace(start=nowhere) == nearer


def test_a_refusal_toml_without_a_database_is_passed_over(nowhere: Path, tmp_path: Path) -> None:
    outer = create_workspace(tmp_path)
    (tmp_path / "deep" / CONFIG).touch()
    assert find_workspace(start=nowhere) == outer


def test_the_data_home_is_the_last_place_looked_at(nowhere: Path, tmp_path: Path) -> None:
    home = create_workspace(tmp_path / "xdg" / "refusal-tui")
    assert find_workspace(start=nowhere) == home


def test_where_there_is_none_the_error_offers_where_to_make_one(nowhere: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="No workspace found") as error:
        find_workspace(start=nowhere)
    assert f"refusal-tui init {tmp_path / 'xdg' / 'refusal-tui'}" in error.value.next_step


def test_a_named_folder_without_a_workspace_is_an_error(nowhere: Path, tmp_path: Path) -> None:
    create_workspace(tmp_path / "xdg" / "refusal-tui")
    with pytest.raises(WorkspaceError, match="no workspace in"):
        find_workspace(str(nowhere))


# --- made and protected --------------------------------------------------------------------------------------------


def test_a_new_workspace_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "w")
    assert {p.name: mode(p) for p in (made.database, made.config)} == {"refusal.db": 0o600, "refusal.toml": 0o600}
    assert {mode(folder) for folder in (made.root, made.artifacts, made.logs)} == {0o700}


def test_the_side_files_of_the_database_are_as_private_as_itself(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "w")
    with closing(made.open()) as connection:
        add(connection, NewRow())
        assert {mode(made.database.with_name(f"refusal.db-{end}")) for end in ("wal", "shm")} == {0o600}


def test_a_folder_that_was_there_before_keeps_its_own_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    made = create_workspace(tmp_path)
    assert (mode(tmp_path), mode(made.artifacts), mode(made.database)) == (0o755, 0o700, 0o600)


def test_making_a_workspace_twice_keeps_what_is_in_it(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "w")
    made.config.write_text("x = 1\n")
    with closing(made.open()) as connection:
        add(connection, NewRow())
    create_workspace(made.root)
    with closing(made.open()) as connection:
        assert count_items(connection) == 1
    assert read_config(made) == {"x": 1}


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkspaceError, match="cannot be made"):
        create_workspace(tmp_path / "file" / "w")


def test_an_unknown_group_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no group 'blorp-nobody'"):
        create_workspace(tmp_path / "w", group="blorp-nobody")
    assert not (tmp_path / "w").exists()


def test_a_config_that_is_no_toml_names_the_line(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "w")
    made.config.write_text("a = \n")
    with pytest.raises(WorkspaceError, match="line 1"):
        read_config(made)


def test_a_missing_config_is_an_empty_one(tmp_path: Path) -> None:
    made = create_workspace(tmp_path / "w")
    made.config.unlink()
    assert read_config(made) == {}


# --- a network file system -----------------------------------------------------------------------------------------


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file system of the tests counts as a network one."""
    kind = file_system_of(tmp_path)
    if not kind:
        pytest.skip("this system does not tell its file systems")
    monkeypatch.setattr(connect, "NETWORK_FILE_SYSTEMS", frozenset([kind]))
    return tmp_path


def test_on_a_network_file_system_there_is_a_rollback_journal_and_a_warning(network: Path) -> None:
    made = create_workspace(network / "w")
    with closing(made.open()) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    assert "network file system" in made.warnings()[0]


def test_a_workspace_that_was_moved_to_a_network_file_system_loses_its_wal(workspace: Workspace, network: Path) -> None:
    with closing(workspace.open()) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"


def test_on_a_local_disk_there_is_nothing_to_warn_of(workspace: Workspace) -> None:
    assert workspace.warnings() == []


# --- two Unix users ------------------------------------------------------------------------------------------------

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become two other users")


@pytest.fixture
def group() -> grp.struct_group:
    return next(g for g in grp.getgrall() if g.gr_gid != 0)


@pytest.fixture
def annas(group: grp.struct_group) -> Iterator[Path]:
    """A folder of Anna's that others can reach."""
    folder = Path(tempfile.mkdtemp(prefix="refusal-users-"))
    folder.chmod(0o755)
    os.chown(folder, ANNA, group.gr_gid)
    yield folder
    shutil.rmtree(folder)


def add_row_as_umask_022(root: Path) -> int:
    """Add a row, checkpoint, and leave everything open; returns how many rows there are then."""
    os.umask(0o022)
    workspace = Workspace(root)
    connection = workspace.open()
    add(connection, NewRow())
    checkpoint(connection, workspace.database, force=True)
    add(connection, NewRow())
    return count_items(connection)


@as_root
def test_two_users_of_a_group_write_to_the_same_workspace(annas: Path, group: grp.struct_group) -> None:
    root = annas / "w"
    gid = group.gr_gid
    in_child(lambda: create_workspace(root, group=group.gr_name), uid=ANNA, group=gid)()
    counts = [in_child(lambda: add_row_as_umask_022(root), uid=user, group=gid)() for user in (ANNA, BERT, ANNA, BERT)]
    assert counts == [2, 4, 6, 8]


@as_root
def test_in_a_group_workspace_every_file_belongs_to_the_group(annas: Path, group: grp.struct_group) -> None:
    root = annas / "w"
    gid = group.gr_gid
    in_child(lambda: create_workspace(root, group=group.gr_name), uid=ANNA, group=gid)()
    in_child(lambda: add_row_as_umask_022(root), uid=BERT, group=gid)()
    files = {p.name: (p.stat().st_gid, mode(p)) for p in root.iterdir() if p.is_file()}
    assert {"refusal.db", "refusal.db-wal", "refusal.db-shm", "refusal.db.ckpt"} <= files.keys()
    assert set(files.values()) == {(gid, 0o660)}


@as_root
def test_a_member_may_call_init_again_without_closing_the_workspace_to_others(
    annas: Path, group: grp.struct_group
) -> None:
    root = annas / "w"
    gid = group.gr_gid
    in_child(lambda: create_workspace(root, group=group.gr_name), uid=ANNA, group=gid)()
    in_child(lambda: create_workspace(root), uid=BERT, group=gid)()
    assert mode(root / "refusal.db") == 0o660


@as_root
def test_a_user_outside_the_group_is_told_whom_to_ask(annas: Path, group: grp.struct_group) -> None:
    root = annas / "w"
    in_child(lambda: create_workspace(root, group=group.gr_name), uid=ANNA, group=group.gr_gid)()

    def look() -> str:
        with pytest.raises(WorkspaceError, match="may not be read") as error:
            Workspace(root).open()
        return error.value.next_step

    assert "init --group" in in_child(look, uid=OUTSIDER)()


@as_root
def test_a_private_workspace_opened_to_a_group_later_lets_its_members_in(annas: Path, group: grp.struct_group) -> None:
    root = annas / "w"
    gid = group.gr_gid

    def make_private_then_open() -> None:
        workspace = create_workspace(root)
        connection = workspace.open()
        add(connection, NewRow())
        checkpoint(connection, workspace.database, force=True)
        create_workspace(root, group=group.gr_name)

    in_child(make_private_then_open, uid=ANNA, group=gid)()
    assert in_child(lambda: add_row_as_umask_022(root), uid=BERT, group=gid)() == 3


def test_a_relative_workspace_is_the_same_one_wherever_its_jobs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Workspace(Path("ws")) == Workspace(tmp_path / "ws")
