"""What may a user set for training a classifier?"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from refusal_tui.classify.data import parse_classes, parse_heads
from refusal_tui.classify.folder import classifiers
from refusal_tui.classify.scorer import Kind
from refusal_tui.errors import InputError
from refusal_tui.jobs.spec import ENDPOINTS, JobSpec, SpecError, only_for
from refusal_tui.store.endpoints import get_endpoint

if TYPE_CHECKING:
    from refusal_tui.jobs.estimate import Asks

LINEAR = "linear"  # in the place of an encoder's name
QUICK_FOLDS = 2
_TUNED = only_for(method="fine-tune")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class TrainClassifierSpec(JobSpec):
    """Settings of `refusal-tui run train-classifier`."""

    VERSION: ClassVar[int] = 2

    name: str = Field(description="what to call the classifier")
    encoder: str = Field(
        description="the pretrained encoder: a folder, or its name on the Hugging Face hub (roberta-base); "
        "or 'linear': no encoder, but the offline judge's features"
    )
    method: Literal["fine-tune", "embeddings"] = Field(
        "fine-tune",
        description="fine-tune: the encoder learns; embeddings: it reads every row once, and only a linear head learns",
    )
    head: str = Field(
        "refusal3",
        description="the label to learn: refusal3, jailbreak_success, prompt_harmful, …; or two: "
        "refusal3,jailbreak_success",
    )
    judge: str = Field(
        "", description="whose labels count where no person has given one: a judge's name, 'all', or nobody's"
    )
    classes: str = Field(
        "",
        description="labels of the first head put together or left out: none,refusal=hard+soft; empty: all are classes",
    )
    text: Literal["pair", "response", "prompt"] = Field("pair", description="what of a row the classifier reads")
    max_tokens: int = Field(256, ge=16, le=8192, description="of a row; the middle of a longer one is left out")
    folds: int = Field(
        0, ge=0, le=20, description="cross-validation: every row but the test rows is held out once, from one model"
    )
    repeats: int = Field(1, ge=1, le=20, description="deal the folds so often; without folds: train with so many seeds")
    epochs: int = Field(4, ge=1, le=100, description="how often every row is seen, at most", json_schema_extra=_TUNED)
    learning_rate: float = Field(3e-5, gt=0, le=1, description="at its peak", json_schema_extra=_TUNED)
    batch_tokens: int = Field(
        4096, ge=0, le=1_000_000, json_schema_extra=_TUNED,
        description="tokens of a batch, with padding, which goes in parts where memory is too small; 0: as many as fit",
    )  # fmt: skip
    accumulate: int = Field(1, ge=1, le=256, description="batches per step of the optimiser", json_schema_extra=_TUNED)
    freeze: int = Field(
        0, ge=-1, le=200, json_schema_extra=_TUNED,
        description="blocks that stay as they are, from the bottom; -1: only the head learns",
    )  # fmt: skip
    class_weights: Literal["balanced", "effective", "none"] = Field(
        "balanced", description="how much more a rare class counts: inverse frequency, effective number of rows, or not"
    )
    warmup: float = Field(
        0.1, ge=0, le=1, description="share of the steps over which the learning rate rises", json_schema_extra=_TUNED
    )
    schedule: Literal["linear", "cosine", "constant"] = Field(
        "linear", description="how the learning rate goes down", json_schema_extra=_TUNED
    )
    weight_decay: float = Field(0.01, ge=0, le=1, description="of the weight matrices", json_schema_extra=_TUNED)
    patience: int = Field(
        2, ge=1, le=100, description="epochs without a better macro-F1 before training stops", json_schema_extra=_TUNED
    )
    save_every: int = Field(
        200, ge=1, le=100_000, description="steps between checkpoints, beside one per epoch", json_schema_extra=_TUNED
    )
    gradient_checkpointing: bool = Field(
        False, description="compute activations twice, for less memory", json_schema_extra=_TUNED
    )
    precision: Literal["no", "bf16"] = Field("no", description="no: float32; bf16: mixed, on a GPU that has it")
    device: Literal["auto", "cpu"] = Field("auto", description="auto: a GPU where there is one")
    explain: int = Field(50, ge=0, le=50, description="how many of the surest mistakes are explained")
    paraphraser: str = Field(
        "", description=f"a language model that rewrites test rows, to see what that does to the answers {ENDPOINTS}"
    )
    paraphrases: int = Field(100, ge=1, le=1_000, description="how many test rows it rewrites")
    seed: int = Field(0, ge=0, description="of the split, the head, the order and the dropout")
    quick: bool = Field(
        False,
        description="try the whole path in a minute: a sample of 120 rows, one epoch, 64 tokens, two blocks that learn",
    )

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        return data  # version 1 had one head, no folds and no other method, with the same meaning of what it had

    @property
    def kind(self) -> Kind:
        """What the classifier is made of."""
        if self.encoder == LINEAR:
            return "linear"
        return "embeddings" if self.method == "embeddings" else "encoder"

    @property
    def fold_count(self) -> int:
        return min(self.folds, QUICK_FOLDS) if self.quick else self.folds

    @field_validator("encoder")
    @classmethod
    def _whole_path(cls, value: str) -> str:
        """The worker runs in another folder than whoever names it."""
        path = Path(value).expanduser()
        return str(path.absolute()) if path.is_dir() and value != LINEAR else value

    def check(self) -> None:
        wrong = {}
        if _NAME.fullmatch(self.name) is None:
            wrong["name"] = "takes letters, digits, '.', '_' and '-', at most 64"
        if self.encoder.startswith(("/", ".", "~")) and not Path(self.encoder).is_dir():
            wrong["encoder"] = f"names a folder that is not there: {self.encoder}"
        for field, parse in (("classes", parse_classes), ("head", parse_heads)):
            try:
                parse(getattr(self, field))
            except InputError as error:
                wrong[field] = f"{error} {error.next_step}"
        if self.folds == 1:
            wrong["folds"] = "are two or more; 0 for none"
        if self.encoder == LINEAR and self.method == "embeddings":
            wrong["method"] = "embeddings needs an encoder"
        if wrong:
            raise SpecError(wrong)

    def check_in(self, connection: sqlite3.Connection) -> None:
        if self.name in classifiers(connection):
            raise InputError(f"There is a classifier called {self.name!r} already.", "Choose another --name.")
        if self.paraphraser:
            get_endpoint(connection, self.paraphraser)

    def asks(self, connection: sqlite3.Connection) -> Sequence[Asks]:
        if not self.paraphraser:
            return ()
        from refusal_tui.jobs.estimate import Asks

        chars, tokens = 400, 1_024
        return [
            Asks(self.paraphraser, chars, tokens, times=0, at_most=0, once=self.paraphrases, prompts=0, responses=1,
                 assumes="a rewriting is as long as the response, and the first one is of use")
        ]  # fmt: skip

    def title(self) -> str:
        return f"train {self.name}" + (" (quick)" if self.quick else "")
