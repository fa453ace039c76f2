"""Which end points does the workspace know, and what did probing find out about them?"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.store.connect import transaction


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A language model behind one name. Several `base_urls` are replicas of the same model.

    `key_env` names the environment variable that holds the key; the key itself is never stored. `options`:
    `rpm`, `tpm`, `concurrency`, `price_in`, `price_out` (USD per million tokens), `timeout` (seconds), `extra`
    (fields for every request). `capabilities` is what `llm/probe.py` found, None before that.
    """

    name: str
    preset: str
    base_urls: tuple[str, ...]
    model: str
    key_env: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    capabilities: Mapping[str, Any] | None = None
    probed: float | None = None


def save_endpoint(connection: sqlite3.Connection, endpoint: Endpoint) -> None:
    """Add or change an end point. Another model or another server forgets what was probed."""
    with transaction(connection):
        connection.execute(
            """INSERT INTO endpoint (name, preset, base_urls, model, key_env, options, capabilities, probed, created)
               VALUES (?,?,?,?,?,?,?,?,?)
               ON CONFLICT (name) DO UPDATE SET preset = excluded.preset,
                   capabilities = CASE WHEN base_urls = excluded.base_urls AND model = excluded.model
                       THEN coalesce(excluded.capabilities, capabilities) ELSE excluded.capabilities END,
                   probed = CASE WHEN base_urls = excluded.base_urls AND model = excluded.model
                       THEN coalesce(excluded.probed, probed) ELSE excluded.probed END,
                   base_urls = excluded.base_urls, model = excluded.model, key_env = excluded.key_env,
                   options = excluded.options""",
            (
                endpoint.name, endpoint.preset, json.dumps(endpoint.base_urls), endpoint.model, endpoint.key_env,
                json.dumps(dict(endpoint.options), sort_keys=True),
                None if endpoint.capabilities is None else json.dumps(dict(endpoint.capabilities)),
                endpoint.probed, time.time(),
            ),
        )  # fmt: skip


def save_capabilities(connection: sqlite3.Connection, name: str, capabilities: Mapping[str, Any]) -> None:
    """Store what probing found. Raises InputError when there is no such end point."""
    with transaction(connection):
        changed = connection.execute(
            "UPDATE endpoint SET capabilities = ?, probed = ? WHERE name = ?",
            (json.dumps(dict(capabilities)), time.time(), name),
        ).rowcount
    if not changed:
        raise _unknown(connection, name)


def get_endpoint(connection: sqlite3.Connection, name: str) -> Endpoint:
    """Raises InputError, naming the known ones, when there is no such end point."""
    row = connection.execute("SELECT * FROM endpoint WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise _unknown(connection, name)
    return _endpoint(row)


def list_endpoints(connection: sqlite3.Connection) -> list[Endpoint]:
    return [_endpoint(row) for row in connection.execute("SELECT * FROM endpoint ORDER BY name")]


def remove_endpoint(connection: sqlite3.Connection, name: str) -> None:
    """Forget an end point; its attempts stay in the ledger. Raises InputError when there is no such end point."""
    with transaction(connection):
        removed = connection.execute("DELETE FROM endpoint WHERE name = ?", (name,)).rowcount
    if not removed:
        raise _unknown(connection, name)


def _endpoint(row: sqlite3.Row) -> Endpoint:
    return Endpoint(
        name=row["name"],
        preset=row["preset"],
        base_urls=tuple(json.loads(row["base_urls"])),
        model=row["model"],
        key_env=row["key_env"],
        options=json.loads(row["options"]),
        capabilities=None if row["capabilities"] is None else json.loads(row["capabilities"]),
        probed=row["probed"],
    )


def _unknown(connection: sqlite3.Connection, name: str) -> InputError:
    known = ", ".join(endpoint.name for endpoint in list_endpoints(connection)) or "none yet"
    return InputError(
        f"There is no end point named {name!r} (known: {known}).", "Add one with: refusal-tui endpoint add"
    )
