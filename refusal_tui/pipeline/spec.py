"""What may a user set for a run of a pipeline?"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from refusal_tui.ingest.spec import absolute
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.pipeline.config import PipelineConfig, load_config, read_config
from refusal_tui.pipeline.plan import in_workspace


class PipelineSpec(JobSpec):
    """Settings of `refusal-tui pipeline run`."""

    VERSION: ClassVar[int] = 1

    config: str = Field("", description="a TOML or JSON file; without one: label, audit and export what is imported")
    offline: bool = Field(False, description="the offline judge in place of any model, and nothing is generated")

    @field_validator("config")
    @classmethod
    def _absolute(cls, value: str) -> str:
        # Here and now: the worker runs in another folder than the person who typed it.
        return absolute(value) if value else ""

    def check(self) -> None:
        self.read()

    def check_in(self, connection: sqlite3.Connection) -> None:
        in_workspace(self.read(), connection)

    def read(self) -> PipelineConfig:
        """The config. Raises ConfigError with every mistake, InputError for a file that cannot be read."""
        found = load_config(Path(self.config)) if self.config else default_config()
        return found.offline() if self.offline else found

    def title(self) -> str:
        return f"{Path(self.config).name}: a pipeline" if self.config else "a pipeline over what is imported"


def default_config() -> PipelineConfig:
    """What runs without a config."""
    return read_config("", folder=Path.cwd(), file="default")
