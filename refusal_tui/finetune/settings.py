"""Which settings do both kinds of runs share? Each is written once; and what sets and models they may name."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from refusal_tui.jobs.sources import is_file
from refusal_tui.store.browse import select_ids

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

Rank = Annotated[int, Field(ge=1, le=1024, description="of LoRA's factors")]
Alpha = Annotated[
    float, Field(gt=0, le=4096, description="the update is alpha / rank times the product of the factors")
]
Dropout = Annotated[float, Field(ge=0, lt=1, description="of what goes into LoRA's factors")]
BatchSize = Annotated[int, Field(ge=1, le=4096, description="rows per step")]
Parts = Annotated[
    int, Field(ge=1, le=4096, description="a step's rows go through the model in so many parts, for less memory")
]
WeightDecay = Annotated[float, Field(ge=0, le=1, description="AdamW's, of the factors")]
Warmup = Annotated[float, Field(ge=0, le=1, description="share of the steps over which the learning rate rises")]
ScheduleName = Annotated[
    Literal["linear", "cosine", "constant"], Field(description="how the learning rate goes down")
]  # fmt: skip
MaxTokens = Annotated[int, Field(ge=16, le=131_072, description="of a row; a longer context loses its beginning")]
SaveEvery = Annotated[int, Field(ge=1, le=100_000, description="steps between checkpoints")]
Seed = Annotated[int, Field(ge=0, description="the first seed; the others follow it")]
Device = Annotated[Literal["auto", "cpu"], Field(description="auto: a GPU where there is one")]
Dtype = Annotated[
    Literal["float32", "bfloat16"], Field(description="of the base model's weights; factors are float32 always")
]  # fmt: skip
Offline = Annotated[
    Literal["linear", "lexical"], Field(description="the offline judge; others: refusal-tui run label, afterwards")
]  # fmt: skip


def wrong_model(model: str) -> str | None:
    if model.startswith(("/", ".", "~")) and not Path(model).is_dir():
        return f"names a folder that is not there: {model}"
    return None


def wrong_set(source: str) -> str | None:
    return f"names a file that is not there: {source}" if is_file(source) and not Path(source).is_file() else None


def items_of(connection: sqlite3.Connection, sources: Sequence[str]) -> list[int] | None:
    """The items of the selections among `sources` as they are now: rows that come later are not of this run."""
    selections = [source for source in sources if source and not is_file(source)]
    if not selections:
        return None
    return sorted({item for source in selections for item in select_ids(connection, source)})
