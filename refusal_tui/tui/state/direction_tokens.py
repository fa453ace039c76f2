"""What does the strip of tokens show? Texts of a run and typed ones, a layer, a token, and where each token stands."""

from __future__ import annotations

from dataclasses import dataclass, field

from refusal_tui.direction.readings import Reading, Readings
from refusal_tui.errors import RefusalTuiError
from refusal_tui.text.safe import cell_width, shorten

LONGEST = 24  # cells of a token
_FIGURE = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token stands: its line of tokens, its first cell, and how wide it is. `shown` is safe text."""

    line: int
    at: int
    wide: int
    shown: str


@dataclass(slots=True)
class TokensState:
    """`typed` texts stand before those of the run. `layer` None: that of the direction. `figures`: numbers below the
    tokens, and not bars."""

    readings: Readings | None = None
    typed: list[Reading] = field(default_factory=list)
    index: int = 0
    layer: int | None = None
    token: int = 0
    figures: bool = False
    read: bool = False  # whether the run's folder has been looked at
    error: RefusalTuiError | None = None

    @property
    def texts(self) -> list[Reading]:
        return [*self.typed, *(self.readings.shown if self.readings is not None else ())]

    @property
    def at(self) -> Reading | None:
        texts = self.texts
        return texts[self.index] if self.index < len(texts) else None

    @property
    def shown_layer(self) -> int:
        """Of a run without a direction: 0."""
        last = 0 if self.readings is None else self.readings.n_layers - 1
        wanted = self.layer if self.layer is not None else self.readings.pick.layer if self.readings is not None else 0
        return max(0, min(last, wanted))

    @property
    def figure(self) -> float | None:
        """Of the token under the cursor."""
        reading = self.at
        if reading is None or reading.projections is None or not reading.tokens:
            return None
        return float(reading.projections[self.shown_layer, self.token])

    def scrub(self, step: int) -> None:
        """To another layer."""
        self.layer = self.shown_layer + step
        self.layer = self.shown_layer

    def step(self, step: int) -> None:
        """To another token."""
        reading = self.at
        if reading is not None:
            self.token = max(0, min(len(reading.tokens) - 1, self.token + step))

    def turn(self, step: int) -> None:
        """To another text; the cursor goes to where its answer begins."""
        count = len(self.texts)
        if count:
            self.index = max(0, min(count - 1, self.index + step))
            self.begin()

    def begin(self) -> None:
        reading = self.at
        if reading is not None:
            self.token = max(0, min(reading.answer_from, len(reading.tokens)) - 1)

    def add(self, reading: Reading) -> None:
        """A typed text; it is shown."""
        self.typed.insert(0, reading)
        self.index = 0
        self.begin()


def places(reading: Reading, width: int, *, figures: bool) -> list[Place]:
    """A place for every token, in lines of at most `width` cells; an answer begins a line of its own."""
    found: list[Place] = []
    line = at = 0
    for number, token in enumerate(reading.tokens):
        shown = shorten(token.strip() or repr(token)[1:-1] or "''", LONGEST)
        wide = max(cell_width(shown), _FIGURE if figures else 1)
        if at and (at + wide > width or number == reading.answer_from):
            line, at = line + 1, 0
        found.append(Place(line, at, wide, shown))
        at += wide + 1
    return found
