"""What has a job asked of language models so far, what came of it, and how many requests are under way now?

Counts go on from where the last look stopped (the ledger is append-only). What the limiter does is published by the
worker as gauges (`publish`), at most twice a second; a face reads it and never talks to a worker.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from refusal_tui.store.metrics import gauges, put_gauges

_PREFIX = "asking/"


@dataclass(frozen=True, slots=True)
class ServerUse:
    """The requests that one server of an end point got. `usd` is what is known; `unpriced` answers cost nobody knows
    what. `errors`: tries per error class, also those that were tried again; `seconds`: of all answered tries."""

    endpoint: str
    base_url: str
    model: str
    answered: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    unpriced: int = 0
    seconds: float = 0.0

    @property
    def sent(self) -> int:
        return self.answered + sum(self.errors.values())


@dataclass(frozen=True, slots=True)
class Usage:
    """All requests of a job, up to attempt `upto`."""

    servers: tuple[ServerUse, ...] = ()
    upto: int = 0

    @property
    def sent(self) -> int:
        return sum(server.sent for server in self.servers)

    @property
    def answered(self) -> int:
        return sum(server.answered for server in self.servers)

    @property
    def errors(self) -> Mapping[str, int]:
        """Tries that failed, by class, most frequent first."""
        found: Counter[str] = Counter()
        for server in self.servers:
            found.update(server.errors)
        return dict(found.most_common())

    @property
    def prompt_tokens(self) -> int:
        return sum(server.prompt_tokens for server in self.servers)

    @property
    def completion_tokens(self) -> int:
        return sum(server.completion_tokens for server in self.servers)

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def usd(self) -> float:
        """What the answers with a known price have cost."""
        return sum(server.usd for server in self.servers)

    @property
    def unpriced(self) -> int:
        """Answers whose cost is unknown: no price, or the server did not say how many tokens it used."""
        return sum(server.unpriced for server in self.servers)

    @property
    def without_price(self) -> tuple[str, ...]:
        """The end points of which no answer has a known price."""
        priced = {server.endpoint for server in self.servers if server.usd}
        return tuple(dict.fromkeys(s.endpoint for s in self.servers if s.unpriced and s.endpoint not in priced))

    @property
    def seconds_an_answer(self) -> float | None:
        return sum(server.seconds for server in self.servers) / self.answered if self.answered else None


NOTHING_ASKED = Usage()


def usage_of(connection: sqlite3.Connection, job_id: int, known: Usage = NOTHING_ASKED) -> Usage:
    """`known` and the attempts that came after it; the first look reads all attempts of the job."""
    last = int(connection.execute("SELECT coalesce(max(id), 0) FROM attempt").fetchone()[0])
    if last == known.upto:
        return known
    # The "+" keeps SQLite from reading the job's whole index where a few new rows at the end will do.
    of_job = "job_id = ?" if not known.upto else "+job_id = ?"
    rows = connection.execute(
        f"""SELECT endpoint, base_url, max(model) AS model, error_class, count(*) AS tries,
                   coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
                   coalesce(sum(completion_tokens), 0) AS completion_tokens, coalesce(sum(cost_usd), 0.0) AS usd,
                   coalesce(sum(cost_usd IS NULL AND status_code BETWEEN 200 AND 299), 0) AS unpriced,
                   sum(CASE WHEN error_class IS NULL THEN ended - started ELSE 0 END) AS seconds
            FROM attempt WHERE id > ? AND id <= ? AND {of_job} GROUP BY 1, 2, 4""",
        (known.upto, last, job_id),
    )
    found = {(server.endpoint, server.base_url): server for server in known.servers}
    for row in rows:
        key = (row["endpoint"], row["base_url"])
        found[key] = _added(found.get(key, ServerUse(*key, row["model"])), row)
    return Usage(tuple(found[key] for key in sorted(found)), last)


def _added(known: ServerUse, row: sqlite3.Row) -> ServerUse:
    errors = Counter(known.errors)
    if row["error_class"] is not None:
        errors[row["error_class"]] += row["tries"]
    return ServerUse(
        known.endpoint,
        known.base_url,
        row["model"],
        known.answered + (row["tries"] if row["error_class"] is None else 0),
        dict(errors),
        known.prompt_tokens + row["prompt_tokens"],
        known.completion_tokens + row["completion_tokens"],
        known.usd + row["usd"],
        known.unpriced + row["unpriced"],
        known.seconds + row["seconds"],
    )


# --- what the worker publishes ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Places:
    """One server as the limiter sees it now: `in_flight` of `limit` places are taken. `held_until` (unix seconds, 0.0:
    not held): the server said when to come back. `alive` False: nobody listens, it is looked at again and again.
    `server`: its number in the end point's `base_urls`."""

    endpoint: str
    server: int
    in_flight: int
    limit: int
    alive: bool = True
    held_until: float = 0.0
    base_url: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """What the current run shows of itself, and how often an answer was known already (all runs)."""

    places: tuple[Places, ...] = ()
    cached: int = 0

    @property
    def in_flight(self) -> int:
        return sum(places.in_flight for places in self.places)

    @property
    def limit(self) -> int:
        """Servers that nobody listens at have no places."""
        return sum(places.limit for places in self.places if places.alive)


NOTHING_LIVE = Live()


def gauges_of(places: Sequence[Places], cached: int) -> dict[str, float]:
    """What `publish` writes, to be compared with what was written last."""
    values: dict[str, float] = {f"{_PREFIX}cached": float(cached)}
    for one in places:
        name = f"{_PREFIX}{one.endpoint}/{one.server}/"
        values |= {
            f"{name}in_flight": float(one.in_flight),
            f"{name}limit": float(one.limit),
            f"{name}alive": float(one.alive),
            f"{name}held_until": one.held_until,
        }
    return values


def publish(connection: sqlite3.Connection, job_id: int, run: int, values: Mapping[str, float]) -> None:
    """Say how it stands, inside the caller's transaction."""
    put_gauges(connection, job_id, run, values)


def live_of(connection: sqlite3.Connection, job_id: int, run: int) -> Live:
    """What run `run` of a job has published last."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    cached = 0
    for (name, of_run), value in gauges(connection, job_id, _PREFIX).items():
        if name == "cached":
            cached += int(value)
        elif of_run == run:
            endpoint, server, what = name.rsplit("/", 2)
            found.setdefault((endpoint, int(server)), {})[what] = value
    places = (
        Places(
            endpoint, server, int(seen.get("in_flight", 0)), int(seen.get("limit", 0)), bool(seen.get("alive", 1)),
            seen.get("held_until", 0.0), _base_url(connection, endpoint, server),
        )
        for (endpoint, server), seen in sorted(found.items())
    )  # fmt: skip
    return Live(tuple(places), cached)


def _base_url(connection: sqlite3.Connection, endpoint: str, server: int) -> str:
    """ "" where the end point has been removed or changed meanwhile."""
    row = connection.execute("SELECT base_urls FROM endpoint WHERE name = ?", (endpoint,)).fetchone()
    urls = json.loads(row[0]) if row else []
    return str(urls[server]) if server < len(urls) else ""
