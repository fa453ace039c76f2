"""Is the worker of a job still alive? Proved by pid, process start time and boot id together, and by its heartbeat.

A pid alone proves nothing: it is given away again. Within one boot the heartbeat is compared on the monotonic clock,
which no clock change moves.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.store.jobs import WorkerRecord

HEARTBEAT_SECONDS = 2.0
STALLED_AFTER_SECONDS = 90.0  # a stopped or hanging worker loses its job; the fencing token keeps it from writing


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    host: str
    boot_id: str
    pid: int
    start_ticks: int


def boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def start_ticks(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None when there is no such process (or it is a zombie).

    0 where that cannot be seen (no /proc, or one that hides other users' processes): then the pid has to do.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return 0 if _exists(pid) else None
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name may hold spaces and brackets
    return None if fields[0] in "ZX" else int(fields[19])


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def this_process() -> ProcessIdentity:
    pid = os.getpid()
    return ProcessIdentity(socket.gethostname(), boot_id(), pid, start_ticks(pid) or 0)


def is_alive(worker: WorkerRecord) -> bool:
    """Whether the worker can still be at work."""
    if worker.ended is not None:
        return False
    if worker.host != socket.gethostname():
        return time.time() - worker.heartbeat < STALLED_AFTER_SECONDS
    if worker.boot_id != boot_id():
        return False
    ticks = start_ticks(worker.pid)
    if ticks is None or (ticks and worker.start_ticks and ticks != worker.start_ticks):
        return False
    return time.monotonic() - worker.heartbeat_monotonic < STALLED_AFTER_SECONDS
