"""What does the steering bench show? A process that loads a model, the answers as they grow, and the coefficient."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.direction.bench_wire import Ask, Heard, ended_early
from refusal_tui.direction.readings import Reading
from refusal_tui.errors import RefusalTuiError

STEP, MOST = 0.5, 8.0


class Phase(StrEnum):
    """What the process is doing."""

    LOADING = "loading the model"
    READY = "ready"
    ANSWERING = "answering"
    GONE = "the model is not loaded"


@dataclass(slots=True)
class BenchState:
    """`asked`: the newest question to the arms, `number` that of the newest of any kind; what is heard of older ones
    does not count. `stale`: arms whose text belongs to an older question. `reading`: tokens that were asked for."""

    coefficient: float = 1.0
    at_prompt_only: bool = False
    phase: Phase = Phase.LOADING
    asked: Ask | None = None
    texts: dict[Arm, str] = field(default_factory=dict)
    stale: set[Arm] = field(default_factory=set)
    seconds: float | None = None
    model: str = ""
    place: str = ""
    changed: bool = False
    error: RefusalTuiError | None = None
    number: int = 0
    reading: Reading | None = None

    def ask(self, prompt: str) -> Ask:
        """A new prompt: all arms."""
        self.texts.clear()
        return self._asking(prompt, ARMS)

    def steer(self, steps: int) -> Ask | None:
        """Another coefficient; the steered arm answers again, where there is a question."""
        self.coefficient = max(-MOST, min(MOST, self.coefficient + steps * STEP))
        return self.again()

    def again(self) -> Ask | None:
        """The steered arm, with what is set now; with the others while those have not finished."""
        if self.asked is None or self.phase is Phase.GONE:
            return None
        arms = self.asked.arms if self.phase is not Phase.READY else (Arm.STEERED,)
        return self._asking(self.asked.prompt, arms)

    def _asking(self, prompt: str, arms: tuple[Arm, ...]) -> Ask:
        self.stale, self.seconds = set(arms), None
        self._count()
        self.asked = Ask(self.number, prompt, arms, self.coefficient, self.at_prompt_only)
        return self.asked

    def read(self, prompt: str, response: str) -> Ask:
        """Projections of every token of a text."""
        self.reading = None
        self._count()
        return Ask(self.number, prompt, (), response=response)

    def _count(self) -> None:
        self.number, self.error = self.number + 1, None
        if self.phase is Phase.READY:
            self.phase = Phase.ANSWERING

    def hear(self, said: Heard) -> None:
        """One line of the process."""
        if said.ready is not None:
            self.phase = Phase.ANSWERING if self.number else Phase.READY
            self.model, self.changed = str(said.ready["model"]), bool(said.ready["changed"])
            self.place = f"position {said.ready['position']}, layer {said.ready['layer']} of {said.ready['layers']}"
        elif said.id is None:
            self.phase, self.error = Phase.GONE, said.error
        elif said.id == self.number:
            self.texts |= said.texts
            self.stale -= set(said.texts)
            if said.tokens:
                self.reading = said.reading()
            if said.ended:
                self.phase, self.seconds, self.error = Phase.READY, said.seconds, said.error

    def gone(self, code: int, log: Path) -> None:
        """The process has ended."""
        if self.error is None:
            self.error = ended_early(code, log)
        self.phase = Phase.GONE
