"""In which lane does a job run that asks end points?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from refusal_tui.errors import InputError
from refusal_tui.jobs.registry import FREE, GPU
from refusal_tui.llm.ladder import Capabilities
from refusal_tui.llm.presets import get_preset
from refusal_tui.store.endpoints import Endpoint, get_endpoint


def lane_of(connection: sqlite3.Connection, names: Iterable[str]) -> str:
    """The GPU's where an end point is weights in the job's own process. Raises InputError for an unknown name."""
    here = any(get_preset(get_endpoint(connection, name).preset).in_process for name in names)
    return GPU.name if here else FREE.name  # who asks servers waits for others most of the time


def check_batch(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """Raises InputError, naming the end points that speak no Batch API."""
    deaf = [endpoint for name in names if not _speaks_batch(endpoint := get_endpoint(connection, name))]
    if deaf:
        named = ", ".join(f"{endpoint.name} ({endpoint.preset})" for endpoint in deaf)
        raise InputError(
            f"--batch needs a provider with a Batch API, and {named} has none.",
            f"Leave --batch out, or find out what it can do: refusal-tui endpoint probe {deaf[0].name}",
        )


def _speaks_batch(endpoint: Endpoint) -> bool:
    """What probing has found, and before that what is known of the kind of server."""
    known = Capabilities.from_json(endpoint.capabilities).batch
    return get_preset(endpoint.preset).batch if known is None else known
