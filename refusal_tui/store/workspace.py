"""Where is the workspace, and who may read it?

Found by `--workspace`, then $REFUSAL_WORKSPACE, then the nearest `refusal.toml` upward, then
$XDG_DATA_HOME/refusal-tui (offered, not silently made).
"""

from __future__ import annotations

import grp
import os
import sqlite3
import tomllib
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.errors import WorkspaceError
from refusal_tui.store.connect import connect, on_network_file_system, set_journal_mode
from refusal_tui.store.schema import is_older, require_current

DATABASE = "refusal.db"
CONFIG = "refusal.toml"
CONFIG_TEXT = """# refusal_tui workspace. End points, judges and taxonomy overrides go here; secrets never do:
# keys come from the environment or a .env file.
"""


@dataclass(frozen=True, slots=True)
class Workspace:
    """One folder: `refusal.db`, `artifacts/`, `logs/`, `refusal.toml`."""

    root: Path

    def __post_init__(self) -> None:
        # Its jobs run in processes that start in another folder.
        object.__setattr__(self, "root", self.root.absolute())

    @property
    def database(self) -> Path:
        return self.root / DATABASE

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    def job_folder(self, job_id: int) -> Path:
        """Where the files of a job lie; not there before it has written one."""
        return self.artifacts / f"job-{job_id}"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def config(self) -> Path:
        return self.root / CONFIG

    @classmethod
    def of(cls, connection: sqlite3.Connection) -> Workspace:
        """The workspace whose database that is."""
        return cls(Path(connection.execute("PRAGMA database_list").fetchone()["file"]).parent)

    def open(self, *, read_only: bool = False) -> sqlite3.Connection:
        """A connection to the database, migrated to this program's schema. The caller closes it.

        Raises WorkspaceError when there is no workspace here or it is newer than this program, StorageError when
        it cannot be opened.
        """
        if not _is_workspace(self.root):
            raise _missing(self.root)
        connection = connect(self.database, read_only=read_only)
        try:
            if read_only and is_older(connection):
                self.open().close()  # a reader cannot migrate
            if not read_only and on_network_file_system(self.root):
                set_journal_mode(connection, self.root)  # it may have been made on a local disk and moved here
            require_current(connection, self.database)
        except BaseException:
            connection.close()
            raise
        return connection

    def warnings(self) -> list[str]:
        """What a user should know about where the workspace lies."""
        if on_network_file_system(self.root):
            return [
                "The workspace is on a network file system: it uses a rollback journal, which is slower, and file "
                "locks may be unreliable. Prefer a local disk."
            ]
        return []


def default_root() -> Path:
    """Where a workspace is offered when none is found: $XDG_DATA_HOME/refusal-tui."""
    base = os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "refusal-tui"


def find_workspace(given: str | None = None, start: Path | None = None) -> Workspace:
    """The workspace to use. Raises WorkspaceError when there is none, and offers where to make one."""
    named = given or os.environ.get("REFUSAL_WORKSPACE")
    if named:
        root = Path(named).expanduser().absolute()
        if not _is_workspace(root):
            raise _missing(root)
        return Workspace(root)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if os.path.exists(folder / CONFIG) and _is_workspace(folder):  # noqa: PTH110 (False where access is denied)
            return Workspace(folder)
    root = default_root()
    if _is_workspace(root):
        return Workspace(root)
    raise WorkspaceError(
        "No workspace found (looked at --workspace, $REFUSAL_WORKSPACE, refusal.toml in this folder and above, "
        f"and {root}).",
        f"Make one here with: refusal-tui init .   or at the default place with: refusal-tui init {root}",
    )


def _is_workspace(root: Path) -> bool:
    """Raises WorkspaceError where this user may not even look."""
    try:
        return (root / DATABASE).exists()
    except PermissionError as error:
        raise WorkspaceError(
            f"The folder {root} may not be read by this user.",
            "Ask its owner to share it with: refusal-tui init --group NAME",
        ) from error


def _missing(root: Path) -> WorkspaceError:
    return WorkspaceError(f"There is no workspace in {root}.", f"Make one with: refusal-tui init {root}")


def create_workspace(root: Path, *, group: str | None = None) -> Workspace:
    """Make a workspace, readable by its owner alone (0600), or group-writable for annotators of `group`.

    Making one where one is already changes only its permissions. A folder that is there already and not shared keeps
    its own mode: it may be a project. Raises WorkspaceError for an unknown group or a folder that cannot be made.
    """
    root = root.expanduser().absolute()
    gid = _group_id(group) if group else None
    workspace = Workspace(root)
    try:
        ours = not root.exists()
        for folder in (root, workspace.artifacts, workspace.logs):
            folder.mkdir(parents=True, exist_ok=True)
        for file in (workspace.database, workspace.config):
            if not file.exists():
                os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
                if file == workspace.config:
                    file.write_text(CONFIG_TEXT, encoding="utf-8")
        _protect(workspace, gid, ours)
    except OSError as error:
        raise WorkspaceError(
            f"The workspace {root} cannot be made: {error.strerror or error}.",
            "Choose a folder that you may write to.",
        ) from error
    connection = connect(workspace.database)
    try:
        set_journal_mode(connection, root)
        require_current(connection, workspace.database)
    finally:
        connection.close()
    _protect(workspace, gid, ours)
    return workspace


def read_config(workspace: Workspace) -> dict[str, object]:
    """`refusal.toml` as a dict, {} when it is missing. Raises WorkspaceError when it is not TOML."""
    try:
        return tomllib.loads(workspace.config.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkspaceError(
            f"{workspace.config} is not valid TOML: {error}.", "Mend the line that it names."
        ) from error


def _group_id(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise WorkspaceError(f"There is no group {group!r} on this machine.", "List yours with: id -Gn") from None


def _protect(workspace: Workspace, gid: int | None, ours: bool) -> None:
    """Owner only, or owner and group. The setgid bit lets SQLite's -wal and -shm files inherit the group; SQLite
    gives them the mode of the database file."""
    folder_mode, file_mode = (0o2770, 0o660) if gid is not None else (0o700, 0o600)
    shared = gid is None and workspace.database.stat().st_mode & 0o020
    if shared:  # an existing group workspace stays one unless another group is named
        return
    for folder in (workspace.root, workspace.artifacts, workspace.logs):
        if gid is not None:
            os.chown(folder, -1, gid)
        if gid is not None or ours or folder != workspace.root:
            folder.chmod(folder_mode)
    for file in workspace.root.iterdir():
        if file.is_file() and (file.name.startswith(DATABASE) or file.name == CONFIG):
            if gid is not None:
                os.chown(file, -1, gid)
            file.chmod(file_mode)
