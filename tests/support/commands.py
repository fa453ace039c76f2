"""The command line as a user calls it: in this process for what only reads and writes the store, or as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

import pytest

from refusal_tui.cli.common import Session
from refusal_tui.cli.main import _guarded
from refusal_tui.store.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """What a command has said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call_here(workspace: Workspace, *words: object, capsys: pytest.CaptureFixture[str]) -> Answer:
    """The command in this process."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", command(workspace, *words)[2:])
        patch.setenv("LOG_LEVEL", "WARNING")
        code = _guarded(Session(lambda workspace, screen: 0))
    said = capsys.readouterr()
    return Answer(int(code), said.out, said.err)


def call(workspace: Workspace, *words: object, **environment: str) -> Answer:
    """The command as a process of its own, without a terminal."""
    done = subprocess.run(
        command(workspace, *words), capture_output=True, text=True, timeout=60, env=os.environ | environment
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def command(workspace: Workspace, *words: object) -> list[str]:
    return [sys.executable, "-m", "refusal_tui", "--workspace", str(workspace.root), *map(str, words)]
