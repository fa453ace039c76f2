"""What do a face and the process that holds a model say to each other? JSON, a line each.

A face starts `bench_command(folder)`, sends `Ask`s, and reads what comes with `heard`. No torch.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.direction.select import Cell
from refusal_tui.errors import ExitCode, InputError, JobError, RefusalTuiError, UnavailableError

if TYPE_CHECKING:
    from refusal_tui.direction.readings import Reading

MOST_TOKENS = 128
_ERRORS = {int(cls.exit_code): cls for cls in (InputError, UnavailableError)}


@dataclass(frozen=True, slots=True)
class Ask:
    """With `arms`: answers to `prompt`, steered by `coefficient`. Without: the projections of every token of `prompt`
    and `response`. `id` grows from question to question; a newer one stops an older one."""

    id: int
    prompt: str
    arms: tuple[Arm, ...] = ARMS
    coefficient: float = 1.0
    at_prompt_only: bool = False
    most_tokens: int = MOST_TOKENS
    response: str = ""

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Ask:
        values = json.loads(line)
        return cls(**{**values, "arms": tuple(Arm(arm) for arm in values["arms"])})


@dataclass(frozen=True, slots=True)
class Heard:
    """One line of the process, as far as it says something. `id` None: about the process as a whole."""

    id: int | None = None
    ready: Mapping[str, Any] | None = None
    texts: Mapping[Arm, str] = field(default_factory=dict)
    tokens: tuple[str, ...] = ()
    answer_from: int = 0
    projections: tuple[tuple[float, ...], ...] = ()
    ended: bool = False
    seconds: float | None = None
    error: RefusalTuiError | None = None

    def reading(self) -> Reading:
        """The text that was read."""
        import numpy as np

        from refusal_tui.direction.readings import Reading

        return Reading(
            "", "", "", self.tokens, self.answer_from, math.nan, None, np.array(self.projections, np.float32)
        )


def not_ended() -> InputError:
    return InputError("This run has not ended yet: its card is not there.", "Ask again when the job is done.")


def candidate(card: Mapping[str, Any], cell: Cell | None, positions: int, layers: int) -> Cell:
    """The candidate that answers: `cell`, or the selected one of a run with so many positions and layers.

    Raises InputError, or UnavailableError for a model whose folder is gone: before anything is loaded for it.
    """
    model = str(card.get("settings", {}).get("model", ""))
    if model.startswith("/") and not Path(model).is_dir():
        raise UnavailableError(
            f"The model of this run is not there any more: {model}.", "Put it back, or start the run again."
        )
    pick = None if card["position"] is None else Cell(card["position"], card["layer"])
    wanted = cell or pick
    if wanted is None:
        raise InputError("This run found no direction.", "Name a candidate to try: --position -1 --layer 9.")
    if not (-positions <= wanted.position < 0 and 0 <= wanted.layer < layers):
        raise InputError(
            f"This run has no candidate at position {wanted.position}, layer {wanted.layer}.",
            f"Its positions are {-positions} to -1, its layers 0 to {layers - 1}.",
        )
    return wanted


def told(error: RefusalTuiError) -> dict[str, object]:
    """An error as the process says it."""
    return {"error": str(error), "next_step": error.next_step, "exit_code": int(error.exit_code)}


def heard(line: str) -> Heard:
    """Raises ValueError for a line that is none of the process's."""
    said = json.loads(line)
    if said.get("ready"):
        return Heard(ready=said)
    error = None
    if "error" in said:
        error = _ERRORS.get(said["exit_code"], JobError)(said["error"], said["next_step"])
    return Heard(
        id=said.get("id"),
        texts={Arm(arm): text for arm, text in said.get("texts", {}).items()},
        tokens=tuple(said.get("tokens", ())),
        answer_from=said.get("answer_from", 0),
        projections=tuple(tuple(row) for row in said.get("projections", ())),
        ended=bool(said.get("done") or said.get("stopped") or error),
        seconds=said.get("seconds"),
        error=error,
    )


def bench_command(folder: Path, cell: Cell | None = None) -> list[str]:
    """What a face starts. `cell` None: the selected candidate."""
    command = [sys.executable, "-m", "refusal_tui.direction.bench", str(folder)]
    return command if cell is None else [*command, str(cell.position), str(cell.layer)]


def ended_early(code: int, log: Path) -> RefusalTuiError:
    """The process is gone, and it was not asked to go."""
    if code in (-9, 137):
        return UnavailableError(
            "The process that held the model was killed, probably because the machine's memory was full.",
            "Free memory, or use a smaller model.",
        )
    if code == ExitCode.UNAVAILABLE:
        return UnavailableError("The model could not be loaded.", f"See {log}.")
    return JobError(f"The process that held the model has ended (exit code {code}).", f"See {log}.")
