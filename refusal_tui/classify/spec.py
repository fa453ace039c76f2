"""What may a user set for training a classifier?"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from refusal_tui.classify.data import parse_classes
from refusal_tui.classify.folder import classifiers
from refusal_tui.errors import InputError
from refusal_tui.jobs.spec import JobSpec, SpecError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TrainClassifierSpec(JobSpec):
    """Settings of `refusal-tui run train-classifier`."""

    VERSION: ClassVar[int] = 1

    name: str = Field(description="what to call the classifier")
    encoder: str = Field(
        description="the pretrained encoder: a folder, or its name on the Hugging Face hub (roberta-base)"
    )
    head: str = Field("refusal3", description="the label to learn: refusal3, jailbreak_success, prompt_harmful, …")
    judge: str = Field(
        "", description="whose labels count where no person has given one: a judge's name, 'all', or nobody's"
    )
    classes: str = Field(
        "", description="labels put together or left out: none,refusal=hard+soft; empty: every label is a class"
    )
    text: Literal["pair", "response", "prompt"] = Field("pair", description="what of a row the classifier reads")
    max_tokens: int = Field(256, ge=16, le=8192, description="of a row; the middle of a longer one is left out")
    epochs: int = Field(4, ge=1, le=100, description="how often every row is seen, at most")
    learning_rate: float = Field(3e-5, gt=0, le=1, description="at its peak")
    batch_tokens: int = Field(4096, ge=64, le=1_000_000, description="tokens, with padding, that go through at a time")
    accumulate: int = Field(1, ge=1, le=256, description="batches per step of the optimiser")
    freeze: int = Field(
        0, ge=-1, le=200, description="blocks that stay as they are, from the bottom; -1: only the head learns"
    )
    class_weights: Literal["balanced", "effective", "none"] = Field(
        "balanced", description="how much more a rare class counts: inverse frequency, effective number of rows, or not"
    )
    warmup: float = Field(0.1, ge=0, le=1, description="share of the steps over which the learning rate rises")
    schedule: Literal["linear", "cosine", "constant"] = Field("linear", description="how the learning rate goes down")
    weight_decay: float = Field(0.01, ge=0, le=1, description="of the weight matrices")
    patience: int = Field(2, ge=1, le=100, description="epochs without a better macro-F1 before training stops")
    save_every: int = Field(200, ge=1, le=100_000, description="steps between checkpoints, beside one per epoch")
    gradient_checkpointing: bool = Field(False, description="compute activations twice, for less memory")
    precision: Literal["no", "bf16"] = Field("no", description="no: float32; bf16: mixed, on a GPU that has it")
    device: Literal["auto", "cpu"] = Field("auto", description="auto: a GPU where there is one")
    seed: int = Field(0, ge=0, description="of the split, the head, the order and the dropout")
    quick: bool = Field(False, description="try the whole path: a sample of 400 rows, two epochs, at most 128 tokens")

    @field_validator("encoder")
    @classmethod
    def _whole_path(cls, value: str) -> str:
        """The worker runs in another folder than whoever names it."""
        path = Path(value).expanduser()
        return str(path.absolute()) if path.is_dir() else value

    def check(self) -> None:
        wrong = {}
        if _NAME.fullmatch(self.name) is None:
            wrong["name"] = "takes letters, digits, '.', '_' and '-', at most 64"
        if self.encoder.startswith(("/", ".", "~")) and not Path(self.encoder).is_dir():
            wrong["encoder"] = f"names a folder that is not there: {self.encoder}"
        try:
            parse_classes(self.classes)
        except InputError as error:
            wrong["classes"] = f"{error} {error.next_step}"
        if wrong:
            raise SpecError(wrong)

    def check_in(self, connection: sqlite3.Connection) -> None:
        if self.name in classifiers(connection):
            raise InputError(f"There is a classifier called {self.name!r} already.", "Choose another --name.")

    def title(self) -> str:
        return f"train {self.name}" + (" (quick)" if self.quick else "")
