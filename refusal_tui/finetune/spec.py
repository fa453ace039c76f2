"""What may a user set for a robustness experiment?"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from refusal_tui.errors import InputError
from refusal_tui.finetune.adapters import check_adapter
from refusal_tui.finetune.arms import DEFAULT_ARMS, Arm, Sides, parse_arms
from refusal_tui.finetune.data import Dialogue, drawn, read_dialogues, require_answers
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


class RobustnessSpec(JobSpec):
    """Settings of `refusal-tui run robustness`."""

    VERSION: ClassVar[int] = 1

    name: str = Field(description="what to call the experiment; its answers become a dataset of that name")
    model: str = Field(description="the chat model that the refusal adapter was trained on")
    adapter: str = Field(description="the refusal adapter whose directions are kept: its name")
    task: str = Field(description="dialogues that pull against refusing: a selection, or a .jsonl or .json file")
    prompts: str = Field(description="prompts to be refused, none of them in the task: a selection or a file")
    harmless: str = Field("", description="dialogues learnt beside the task; their answers help and are no refusals")
    benign: str = Field("", description="prompts to be answered, to see what else is lost; empty: not looked at")
    n: int = Field(100, ge=10, le=100_000, description="prompts of each kind that are asked")
    arms: str = Field(
        ",".join(DEFAULT_ARMS),
        description=f"of {', '.join(Arm)}; vanilla is always one",
    )
    subspace_rank: int = Field(
        8, ge=1, le=4096, description="dimensions per side that subspace arms block; directions of the singular arms"
    )
    sides: Sides = Field("both", description="what the subspace arms block: outputs (left), inputs (right) or both")
    before: str = Field(
        "", description="the model before it learned to refuse: directions are then of the difference to it"
    )
    guard_rows: int = Field(32, ge=1, le=4096, description="refusals per step that the surgery arm looks at")
    guard_weight: float = Field(
        1.0, ge=0, le=100, description="how much of those refusals' own gradient is added; 0: surgery alone"
    )
    learning_rate: str = Field("3e-4", description="at its peak; several, with commas: a grid")
    steps: str = Field("100", description="of the optimiser; several, with commas: a grid")
    ratio: str = Field(
        "", description="the task's share of what is learnt, 0 to 1; several, with commas: a grid; empty: all rows"
    )
    seeds: int = Field(3, ge=1, le=20, description="of every arm; with fewer than three nothing is concluded")
    checkpoints: int = Field(4, ge=1, le=50, description="how often every arm is asked on its way")
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

    @field_validator("model", "task", "prompts", "harmless", "benign", "before")
    @classmethod
    def _whole_paths(cls, value: str) -> str:
        return whole_path(value)

    @property
    def learning_rates(self) -> list[float]:
        return list(dict.fromkeys(float(part) for part in self.learning_rate.split(",") if part.strip()))

    @property
    def step_counts(self) -> list[int]:
        return list(dict.fromkeys(int(part) for part in self.steps.split(",") if part.strip()))

    @property
    def ratios(self) -> list[float | None]:
        return list(dict.fromkeys(float(part) for part in self.ratio.split(",") if part.strip())) or [None]

    def check(self) -> None:
        sets = ("task", "prompts", "harmless", "benign")
        wrong = {name: wrong_set(getattr(self, name)) for name in sets}
        wrong |= {name: wrong_model(getattr(self, name)) for name in ("model", "before")}
        if NAME.fullmatch(self.name) is None:
            wrong["name"] = "takes letters, digits, '.', '_' and '-', at most 64"
        for one, other in (("prompts", "task"), ("benign", "prompts"), ("harmless", "task")):
            if getattr(self, one) and getattr(self, one) == getattr(self, other):
                wrong[one] = f"is the same set as --{other}"
        wrong |= _wrong_grid("learning_rate", self.learning_rate, float) | _wrong_grid("steps", self.steps, int)
        wrong |= _wrong_ratio(self.ratio, self.harmless)
        try:
            parse_arms(self.arms)
        except InputError as error:
            wrong["arms"] = f"{error} {error.next_step}"
        if found := {name: what for name, what in wrong.items() if what}:
            raise SpecError(found)

    def check_in(self, connection: sqlite3.Connection) -> None:
        check_adapter(connection, self.adapter)
        require_free_name(connection, self.name)
        read_sets(connection, self)

    def make_rows(self, connection: sqlite3.Connection) -> list[int] | None:
        return items_of(connection, (self.task, self.prompts, self.harmless, self.benign))

    def title(self) -> str:
        return f"robustness {self.name} ({Path(self.model).name})"


def _wrong_grid(name: str, text: str, kind: type) -> dict[str, str | None]:
    try:
        values = [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        return {name: f"are numbers with commas between them, not {text!r}"}
    if not values or not all(0 < value <= (1 if kind is float else 1_000_000) for value in values):
        return {name: "needs a number above 0" + (" and at most 1" if kind is float else "")}
    return {}


def _wrong_ratio(text: str, harmless: str) -> dict[str, str | None]:
    try:
        values = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        return {"ratio": f"are numbers with commas between them, not {text!r}"}
    if not all(0 <= value <= 1 for value in values):
        return {"ratio": "needs numbers from 0 to 1"}
    return {"ratio": "needs --harmless: what is not of the task is of that set"} if values and not harmless else {}


def read_sets(
    connection: sqlite3.Connection, spec: RobustnessSpec, among: Collection[int] | None = None
) -> dict[str, list[Dialogue]]:
    """`task`, `harmless`, `prompts` and `benign`, the last two drawn. What the task or the harmless dialogues hold is
    no test prompt. Raises InputError for a set that is empty or too small."""
    sets = {
        name: read_dialogues(connection, source, answers=True, among=among) if source else []
        for name, source in (("task", spec.task), ("harmless", spec.harmless))
    }
    require_answers("task", sets["task"])
    if spec.harmless:
        require_answers("harmless", sets["harmless"])
    learnt = {dialogue.messages for part in sets.values() for dialogue in part}
    for name, source in (("prompts", spec.prompts), ("benign", spec.benign)):
        asked = read_dialogues(connection, source, answers=False, among=among) if source else []
        unseen = [dialogue for dialogue in asked if dialogue.messages not in learnt]
        seen = f", {len(asked) - len(unseen):,} of them in what is learnt" if len(unseen) < len(asked) else ""
        sets[name] = drawn(unseen, spec.n, spec.seed, f"prompts of --{name}{seen}") if source else []
    return sets
