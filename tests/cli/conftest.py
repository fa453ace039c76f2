"""Commands on workspaces of our own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from refusal_tui.store.workspace import Workspace
from tests.support.commands import Answer, call_here
from tests.support.processes import Runner

ROOT = Path(__file__).resolve().parents[2]
Call = Callable[..., Answer]


@pytest.fixture
def call(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> Call:
    return lambda *words: call_here(workspace, *words, capsys=capsys)


@pytest.fixture
def processes(workspace: Workspace) -> Iterator[Runner]:
    """For commands that start a worker: it is gone after the test."""
    runner = Runner(workspace)
    yield runner
    runner.kill_all()


@pytest.fixture
def shell(tmp_path: Path) -> Callable[..., Answer]:
    """The program as a shell starts it: no workspace is named, and the current folder is `tmp_path`."""

    def run(*words: object, given: bytes = b"", cwd: Path = tmp_path, **environment: str) -> Answer:
        hidden = {n: v for n, v in os.environ.items() if not n.startswith(("REFUSAL_", "XDG_", "LOG_LEVEL", "COLUMNS"))}
        done = subprocess.run(
            [sys.executable, "-m", "refusal_tui", *map(str, words)], input=given, capture_output=True, timeout=60,
            cwd=cwd, env=hidden | {"XDG_DATA_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)} | environment,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run
