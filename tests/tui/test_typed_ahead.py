"""Over a slow link keys arrive in bursts, before the screens that they are meant for are open."""

from __future__ import annotations

import random

import pytest

from tests.support.pty_harness import PtyProgram, workbench
from tests.tui.conftest import settle

DOWN, UP, PALETTE, QUIT = "\x1b[B", "\x1b[A", "\x10", "\x11"
KEYS = ["?", "q", "J", PALETTE, DOWN, "n", UP, "b", "d", "i", "g", "h", "j", "\r", "f", "x", "T", "l", "e", "v"]


@pytest.mark.pty
@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.nightly) for n in (1, 2))])
def test_keys_that_come_faster_than_screens_open_never_crash_it(workspace, seed: int) -> None:
    dice = random.Random(seed)
    with PtyProgram(workbench(workspace.root), environ={"PATH": "/nonexistent"}) as program:
        program.wait_for("New job")
        for _ in range(40):
            program.send("".join(dice.choices(KEYS, k=dice.randint(1, 6))))
            program.pump(dice.random() / 10)
            if program.process.poll() is not None:
                break  # a q has reached Home
        else:
            program.send(QUIT)
        assert program.wait() == 0
    assert not list(workspace.logs.glob("crash-*.log"))


async def test_an_action_asked_of_a_screen_that_is_no_longer_on_top_is_dropped(workspace, open_app) -> None:
    async with open_app(workspace, "jobs") as pilot:
        below = pilot.app.screen
        await pilot.press("question_mark")
        above = pilot.app.screen
        await pilot.app.run_action("back", below)
        await settle(pilot)
        assert pilot.app.screen is above


async def test_closing_a_screen_twice_closes_one(workspace, open_app) -> None:
    async with open_app(workspace, "jobs") as pilot:
        pilot.app.push("new_job")
        await settle(pilot)
        screen, depth = pilot.app.screen, len(pilot.app.screen_stack)
        screen.dismiss(None)
        screen.dismiss(None)
        await settle(pilot)
        assert len(pilot.app.screen_stack) == depth - 1
