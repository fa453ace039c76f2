"""What may a user set for generating responses?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from refusal_tui.errors import InputError
from refusal_tui.jobs.lanes import check_batch, lane_of
from refusal_tui.jobs.spec import ENDPOINTS, JobSpec, SpecError
from refusal_tui.store.datasets import require_free_name
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.outcomes import Unit

if TYPE_CHECKING:
    from refusal_tui.jobs.estimate import Asks

NO_SYSTEM = "none"


class GenerateSpec(JobSpec):
    """Settings of `refusal-tui run generate`."""

    VERSION: ClassVar[int] = 1
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset({"max_cost", "max_tokens", "max_minutes", "max_rate"})

    name: str = Field(description="what the dataset of responses is called")
    endpoints: str = Field(description=f"the language models that answer, comma-separated {ENDPOINTS}")
    systems: str = Field(
        NO_SYSTEM,
        description="system prompts, comma-separated: paths of text files, or 'none'; each model answers under each "
        "of them, in the place of a prompt's own system turn",
    )
    samples: int = Field(1, ge=1, le=1000, description="how many answers of each model to each prompt")
    temperature: float = Field(0.0, ge=0, le=2, description="0: the likeliest answer")
    top_p: float | None = Field(None, gt=0, le=1, description="nucleus sampling")
    answer_tokens: int = Field(512, ge=1, le=32_768, description="how long an answer may be")
    seed: int | None = Field(None, ge=0, description="the first sample's seed; the next ones count on from it")
    missing_only: bool = Field(False, description="answer only prompts of rows that have no response")
    batch: bool = Field(
        False,
        description="send the requests through the provider's Batch API: half the price, answers within 24 hours",
    )
    max_cost: float | None = Field(None, gt=0, description="pause before this many US dollars are passed")
    max_tokens: int | None = Field(None, gt=0, description="pause before this many tokens are passed")
    max_minutes: float | None = Field(None, gt=0, description="pause after this many minutes at work")
    max_rate: float | None = Field(None, gt=0, le=100_000, description="at most so many requests per second")

    @field_validator("systems")
    @classmethod
    def _whole_paths(cls, value: str) -> str:
        """The worker runs in another folder than whoever names the files."""
        names = _listed(value) or [NO_SYSTEM]
        return ",".join(n if n == NO_SYSTEM else str(Path(n).expanduser().resolve()) for n in names)

    def check(self) -> None:
        wrong: dict[str, str] = {}
        if not self.models:
            wrong["endpoints"] = "names no end point"
        if self.samples > 1 and self.temperature == 0:
            wrong["temperature"] = "must be above 0 for several samples: at 0 they are all the same"
        try:
            texts = self.system_texts()
            if len(set(texts.values())) < len(texts):
                wrong["systems"] = "names the same text twice"
        except InputError as error:
            wrong["systems"] = str(error)
        if wrong:
            raise SpecError(wrong)

    def check_in(self, connection: sqlite3.Connection) -> None:
        require_free_name(connection, self.name)
        for name in self.models:
            get_endpoint(connection, name)
        if self.batch:
            check_batch(connection, self.models)

    def lane(self, connection: sqlite3.Connection) -> str | None:
        return lane_of(connection, self.models)

    def units(self) -> list[Unit]:
        """The samples of every model under every system prompt; a stage is `END_POINT/SYSTEM`."""
        stages = [f"{name}/{system}" for name in self.models for system in self.system_texts()]
        return [Unit(stage, k) for stage in stages for k in range(self.samples)]

    @property
    def models(self) -> list[str]:
        """The end points, each once."""
        return list(dict.fromkeys(_listed(self.endpoints)))

    def system_texts(self) -> dict[str, str | None]:
        """Name (the file's) -> text of each system prompt; None: without one. Raises InputError for a bad file."""
        found: dict[str, str | None] = {}
        for path in _listed(self.systems):
            if path == NO_SYSTEM:
                found[NO_SYSTEM] = None
                continue
            try:
                text = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"The system prompt {path} cannot be read ({error}).") from error
            if not text or Path(path).stem in found:
                raise InputError(f"The system prompt {path} is empty, or another one has its name.")
            found[Path(path).stem] = text
        return found

    def asks(self, connection: sqlite3.Connection) -> Sequence[Asks]:
        from refusal_tui.generate.asks import generate_asks

        return generate_asks(self)

    def title(self) -> str:
        return f"{', '.join(self.models)} answer into {self.name}"


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
