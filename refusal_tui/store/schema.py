"""How does an older workspace become a current one? (Which tables there are: `migrations/`.)

`PRAGMA user_version` is the number of migrations applied, so that opening a current workspace needs no sqlite-utils.
sqlite-utils runs the migrations themselves, each in a transaction together with the record of it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from refusal_tui.errors import StorageError, WorkspaceError
from refusal_tui.store.connect import file_lock, storage_error
from refusal_tui.store.migrations import MIGRATIONS

_MIGRATION_PATIENCE_SECONDS = 60.0

SCHEMA_VERSION = len(MIGRATIONS)


def version_of(connection: sqlite3.Connection) -> int:
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        raise storage_error(error) from error


def is_older(connection: sqlite3.Connection) -> bool:
    """Whether the workspace has to be migrated for this program."""
    return version_of(connection) < SCHEMA_VERSION


def require_current(connection: sqlite3.Connection, path: Path) -> None:
    """Migrate an older workspace (after a backup copy), refuse a newer one.

    Raises WorkspaceError for a database that a newer refusal_tui has written or that another process takes too long to
    migrate, StorageError when it cannot be written.
    """
    try:
        version = version_of(connection)
        if version < SCHEMA_VERSION:
            version = _upgrade(connection, path)
    except sqlite3.Error as error:
        raise storage_error(error, path) from error
    if version > SCHEMA_VERSION:
        raise WorkspaceError(
            f"The workspace {path.parent} was written by a newer refusal-tui "
            f"(schema {version}; this program knows up to {SCHEMA_VERSION}).",
            "Upgrade this installation, or choose another workspace with --workspace.",
        )


def _upgrade(connection: sqlite3.Connection, path: Path) -> int:
    """Bring the schema up to date, one process at a time; returns the version that is there afterwards."""
    with file_lock(path.with_name(path.name + ".migrate"), patience=_MIGRATION_PATIENCE_SECONDS) as held:
        if not held:
            raise WorkspaceError(
                f"Another process is migrating the workspace {path.parent} now.",
                "Try again when it has finished.",
            )
        version = version_of(connection)  # another process may have migrated while this one waited
        if version >= SCHEMA_VERSION:
            return version
        if version > 0:
            _backup(connection, path, version)
        _migrate(connection, version)
    return SCHEMA_VERSION


def _backup(connection: sqlite3.Connection, path: Path, version: int) -> None:
    """A copy beside the database, as readable as the database itself and no more; complete or not there."""
    copy = path.with_name(f"{path.stem}.schema{version}.{time.strftime('%Y%m%d-%H%M%S')}.bak")
    partial = copy.with_name(f".{copy.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with closing(sqlite3.connect(partial)) as target:
            connection.backup(target)
        shutil.copymode(path, partial)
        partial.replace(copy)
    except OSError as error:
        raise StorageError(
            f"The workspace must be migrated, but no copy of it can be made first ({error.strerror}).",
            "Free some space in its folder; nothing was changed.",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("refusal_tui")
    for number, (name, statements) in enumerate(MIGRATIONS, start=1):

        def apply(db: Database, statements: tuple[str, ...] = statements, number: int = number) -> None:
            for statement in statements:
                db.execute(statement)
            db.execute(f"PRAGMA user_version={number}")

        if number > version:
            migrations(name=name)(apply)
    row_factory = connection.row_factory
    connection.row_factory = None  # sqlite-utils reads rows as tuples
    try:
        migrations.apply(Database(connection))
    finally:
        connection.row_factory = row_factory
