"""What may a user set for training a refusal adapter?"""

from __future__ import annotations

import sqlite3
from typing import ClassVar

from pydantic import Field, field_validator

from refusal_tui.errors import InputError
from refusal_tui.finetune.adapters import adapters
from refusal_tui.finetune.data import read_dialogues, require_answers
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


class RefusalAdapterSpec(JobSpec):
    """Settings of `refusal-tui run refusal-adapter`."""

    VERSION: ClassVar[int] = 1

    name: str = Field(description="what to call the adapter")
    model: str = Field(description="folder of a chat model, or its name on the Hugging Face hub")
    refusals: str = Field(description="dialogues whose answer refuses: a selection, or a .jsonl or .json file")
    harmless: str = Field("", description="dialogues whose answer helps, learnt beside them; they are no refusals")
    keep_all: bool = Field(False, description="learn also from answers that the offline judge does not call refusals")
    judge: Offline = "linear"
    targets: str = Field("all", description="linear layers that get factors: all, or q_proj,v_proj,…")
    rank: Rank = 16
    alpha: Alpha = 32.0
    dropout: Dropout = 0.05
    learning_rate: float = Field(3e-4, gt=0, le=1, description="at its peak")
    steps: int = Field(100, ge=1, le=1_000_000, description="of the optimiser")
    batch_size: BatchSize = 32
    parts: Parts = 1
    weight_decay: WeightDecay = 0.01
    warmup: Warmup = 0.05
    schedule: ScheduleName = "linear"
    max_tokens: MaxTokens = 512
    save_every: SaveEvery = 50
    seeds: int = Field(3, ge=1, le=20, description="adapters to train: a direction that does not repeat is no finding")
    seed: Seed = 0
    device: Device = "auto"
    dtype: Dtype = "float32"

    @field_validator("model", "refusals", "harmless")
    @classmethod
    def _whole_paths(cls, value: str) -> str:
        return whole_path(value)

    def check(self) -> None:
        wrong = {
            "model": wrong_model(self.model),
            "refusals": wrong_set(self.refusals),
            "harmless": wrong_set(self.harmless),
        }
        if NAME.fullmatch(self.name) is None:
            wrong["name"] = "takes letters, digits, '.', '_' and '-', at most 64"
        if self.harmless and self.harmless == self.refusals:
            wrong["harmless"] = "is the same set as --refusals"
        if found := {name: what for name, what in wrong.items() if what}:
            raise SpecError(found)

    def check_in(self, connection: sqlite3.Connection) -> None:
        if self.name in adapters(connection):
            raise InputError(f"There is a refusal adapter called {self.name!r} already.", "Choose another --name.")
        for name in ("refusals", "harmless"):
            if source := getattr(self, name):
                require_answers(name, read_dialogues(connection, source, answers=True))

    def make_rows(self, connection: sqlite3.Connection) -> list[int] | None:
        return items_of(connection, (self.refusals, self.harmless))

    def title(self) -> str:
        return f"refusal adapter {self.name}"
