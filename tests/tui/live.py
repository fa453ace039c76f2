"""Waiting inside an app that polls a store which other processes write."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.pilot import Pilot


async def until(pilot: Pilot, predicate: Callable[[], object], timeout: float = 30.0) -> None:
    """Let the app run until `predicate` holds; fails with what the screen shows when it never does."""
    deadline = time.monotonic() + timeout
    while not predicate():
        if time.monotonic() > deadline:
            shown = "\n".join(strip.text.rstrip() for strip in pilot.app.screen._compositor.render_strips())
            raise AssertionError(f"waited {timeout:g} s; the screen shows:\n{shown}")
        await pilot.pause(0.02)
