"""A copy of the small workspace for every test that asks for it."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from refusal_tui.store.workspace import Workspace, create_workspace
from refusal_tui.tui.app import RefusalApp
from tests.tui.small_workspace import EPOCH, build, frozen_time

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
NARROW_EVERY_RUN = ["80x24", pytest.param("120x40", marks=pytest.mark.nightly)]  # wide in every run: Home, Browse, Job


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative --out that a test types must not land in the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("small") / "demo").root


@pytest.fixture
def workspace(built: Path, tmp_path: Path) -> Workspace:
    """44 rows, see small_workspace.py; the test may change it."""
    shutil.copytree(built, tmp_path / "demo")
    return Workspace(tmp_path / "demo")


@pytest.fixture
def empty_workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "fresh")


@pytest.fixture(scope="session")
def built_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Training jobs 1 (mine) and 2 (other) have ended, job 3 (young) goes on."""
    from tests.classify.written_run import add_rows, add_run

    with frozen_time():
        workspace = create_workspace(tmp_path_factory.mktemp("runs") / "demo")
        ids = add_rows(workspace)
        add_run(workspace, ids)
        add_run(workspace, ids, name="other", seed=11)
        add_run(workspace, ids, name="young", share=0.6)
    return workspace.root


Open = Callable[..., AbstractAsyncContextManager[Pilot]]


@pytest.fixture
def open_app() -> Open:
    """`async with open_app(workspace, "browse", filter="gold:hard") as pilot:` runs the app, waits for the screen."""

    @asynccontextmanager
    async def opened(
        workspace: Workspace,
        screen: str = "datasets",
        *,
        size: tuple[int, int] = (80, 24),
        notices: bool = False,  # draw them
        **parameters: object,
    ) -> AsyncIterator[Pilot]:
        app = RefusalApp(workspace, clock=lambda: EPOCH, start="datasets")
        async with app.run_test(size=size, notifications=notices) as pilot:
            await settle(pilot)
            if screen != "datasets":
                app.push(screen, **parameters)
                await settle(pilot)
            yield pilot

    return opened


async def settle(pilot: Pilot) -> None:
    """Wait for what runs beside (queries in threads) and for what follows from it."""
    for _ in range(3):
        await pilot.pause()
        await pilot.app.workers.wait_for_complete()
    await pilot.pause()
