"""What may a user set for finding a refusal direction?"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from refusal_tui.direction.apply import TENSORS
from refusal_tui.direction.prompts import draw, read_prompts
from refusal_tui.direction.transfer import require_direction
from refusal_tui.jobs.sources import is_file, whole_path
from refusal_tui.jobs.spec import JobSpec, SpecError
from refusal_tui.store.browse import select_ids
from refusal_tui.store.datasets import require_free_name


class DirectionSpec(JobSpec):
    """Settings of `refusal-tui run direction`."""

    VERSION: ClassVar[int] = 1

    model: str = Field(description="folder of a chat model, or its name on the Hugging Face hub")
    harmful: str = Field(description="prompts to be refused: a selection, or a .txt, .json or .jsonl file")
    harmless: str = Field(description="prompts to be answered: a selection, or a .txt, .json or .jsonl file")
    n_train: int = Field(128, ge=2, le=4096, description="prompts of each kind to make it of")
    n_val: int = Field(32, ge=2, le=1024, description="prompts of each kind to score with")
    seed: int = Field(42, ge=0, description="of the draw of prompts, and of the control vectors")
    mode: Literal["exact", "reference"] = Field(
        "exact", description="exact: out of all that writes to the stream; reference: the published hook points"
    )
    system: str = Field("none", description="system prompt: none, default (the template's own) or a text")
    skip_filter: bool = Field(False, description="keep prompts that it treats unlike their set")
    refusal_tokens: str = Field("", description="words that refusals begin with, comma-separated (I,As); empty: found")
    fill: Literal["all", "useful", "none"] = Field(
        "all", description="after the choice: measure all, useful (what could win), or none of the rest"
    )
    answers: str = Field("", description="a new dataset of its answers with and without the direction; empty: none")
    answer_tokens: int = Field(128, ge=1, le=4096, description="how long an answer may be, in tokens")
    transfer: str = Field("", description="a run (its number or folder) whose direction is tried on this model, too")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field("auto", description="number format of the weights")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps")

    @field_validator("model", "harmful", "harmless", "transfer")
    @classmethod
    def _whole_paths(cls, value: str) -> str:
        """The worker runs in another folder than whoever names the files; a number is that of a job."""
        return value if value.isdigit() else whole_path(value)

    @field_validator("device")
    @classmethod
    def _a_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
            raise ValueError("is auto, cpu, mps, cuda or cuda:NUMBER")
        return value

    def check(self) -> None:
        wrong = {}
        for name in ("harmful", "harmless"):
            value = getattr(self, name)
            if is_file(value) and not Path(value).is_file():
                wrong[name] = f"names a file that is not there: {value}"
        if self.model.startswith(("/", ".", "~")) and not Path(self.model).is_dir():
            wrong["model"] = f"names a folder that is not there: {self.model}"
        if self.transfer and not self.transfer.isdigit() and not (Path(self.transfer) / TENSORS).is_file():
            wrong["transfer"] = f"is neither the number of a run nor a folder with a direction: {self.transfer}"
        if self.harmful == self.harmless:
            wrong["harmless"] = "is the same set as --harmful"
        if wrong:
            raise SpecError(wrong)

    def check_in(self, connection: sqlite3.Connection) -> None:
        """Both sets are read and must be large enough, before a model is loaded for them. Raises InputError."""
        sets = [read_prompts(connection, source) for source in (self.harmful, self.harmless)]
        draw(*sets, n_train=self.n_train, n_val=self.n_val, seed=self.seed)
        require_direction(connection, self.transfer)
        if self.answers:
            require_free_name(connection, self.answers)

    def make_rows(self, connection: sqlite3.Connection) -> list[int] | None:
        """The items of the selections as they are now: rows that come later are not of this run."""
        sources = [source for source in (self.harmful, self.harmless) if not is_file(source)]
        return sorted({item for source in sources for item in select_ids(connection, source)}) if sources else None

    @property
    def words(self) -> list[str]:
        return [word.strip() for word in self.refusal_tokens.split(",") if word.strip()]

    def title(self) -> str:
        return f"refusal direction of {Path(self.model).name}"
