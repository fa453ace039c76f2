"""Hypothesis in this room: no deadlines (a busy machine is not a failure) and few, whole runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from refusal_tui.store.workspace import Workspace
from tests.support.workspaces import make_workspace

settings.register_profile("jobs", deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
settings.load_profile("jobs")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with a hundred rows."""
    return make_workspace(tmp_path / "ws", rows=100)
