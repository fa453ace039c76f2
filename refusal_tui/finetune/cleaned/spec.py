"""What may a user set for comparing a raw selection with what cleaning made of it?"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from refusal_tui.finetune.cleaned.sets import read_sets
from refusal_tui.finetune.settings import (
    NAME,
    Alpha,
    BatchSize,
    Device,
    Dropout,
    Dtype,
    MaxTokens,
    Offline,
    Parts,
    Rank,
    SaveEvery,
    ScheduleName,
    Seed,
    Warmup,
    WeightDecay,
    items_of,
    wrong_model,
    wrong_set,
)
from refusal_tui.jobs.sources import whole_path
from refusal_tui.jobs.spec import JobSpec, SpecError
from refusal_tui.store.datasets import require_free_name

_SETS = ("raw", "cleaned", "prompts", "benign")


class RawVsCleanedSpec(JobSpec):
    """Settings of `refusal-tui run raw-vs-cleaned`."""

    VERSION: ClassVar[int] = 1

    name: str = Field(description="what to call the experiment; its answers become a dataset of that name")
    model: str = Field(description="folder of a chat model, or its name on the Hugging Face hub")
    raw: str = Field(description="dialogues as they were: a selection, or a .jsonl or .json file")
    cleaned: str = Field(description="what cleaning made of them: the dataset of the cleaning job, or its file")
    prompts: str = Field(description="prompts to be refused, none of them learnt: a selection or a file")
    benign: str = Field(description="prompts to be answered, none of them learnt: a selection or a file")
    n: int = Field(100, ge=10, le=100_000, description="prompts of each kind that are asked")
    same_rows: bool = Field(
        True, description="learn as many different rows of both: the larger set is drawn down to the smaller"
    )
    learning_rate: float = Field(3e-4, gt=0, le=1, description="at its peak")
    steps: int = Field(100, ge=1, le=1_000_000, description="of the optimiser, the same for both")
    seeds: int = Field(3, ge=1, le=20, description="of both; with fewer than three nothing is concluded")
    targets: str = Field("all", description="linear layers that get factors: all, or q_proj,v_proj,…")
    rank: Rank = 16
    alpha: Alpha = 32.0
    dropout: Dropout = 0.05
    batch_size: BatchSize = 32
    parts: Parts = 1
    weight_decay: WeightDecay = 0.01
    warmup: Warmup = 0.05
    schedule: ScheduleName = "linear"
    max_tokens: MaxTokens = 512
    answer_tokens: int = Field(128, ge=1, le=4096, description="how long an answer may be, in tokens")
    judge: Offline = "linear"
    save_every: SaveEvery = 50
    seed: Seed = 0
    device: Device = "auto"
    dtype: Dtype = "float32"

    @field_validator("model", *_SETS)
    @classmethod
    def _whole_paths(cls, value: str) -> str:
        return whole_path(value)

    def check(self) -> None:
        wrong = {name: wrong_set(getattr(self, name)) for name in _SETS} | {"model": wrong_model(self.model)}
        if NAME.fullmatch(self.name) is None:
            wrong["name"] = "takes letters, digits, '.', '_' and '-', at most 64"
        for one, other in (("cleaned", "raw"), ("benign", "prompts")):
            if getattr(self, one) == getattr(self, other):
                wrong[one] = f"is the same set as --{other}"
        if found := {name: what for name, what in wrong.items() if what}:
            raise SpecError(found)

    def check_in(self, connection: sqlite3.Connection) -> None:
        require_free_name(connection, self.name)
        read_sets(connection, self)

    def make_rows(self, connection: sqlite3.Connection) -> list[int] | None:
        return items_of(connection, [getattr(self, name) for name in _SETS])

    def title(self) -> str:
        return f"raw against cleaned {self.name} ({Path(self.model).name})"
