"""Lines that several screens tell in the same way: an error in the place of a list, a line of a report."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.errors import RefusalTuiError
from refusal_tui.text.block_lines import TextLine, Tone
from refusal_tui.tui import paint
from refusal_tui.tui.widgets.line_list import Line

_TONES = {
    Tone.PLAIN: "",
    Tone.HEADING: paint.HEADING,
    Tone.MUTED: paint.MUTED,
    Tone.BAR: paint.ACCENT,
    Tone.GOOD: paint.GOOD,
    Tone.BAD: paint.BAD,
}


def error_lines(error: RefusalTuiError, width: int) -> list[Line]:
    """What is wrong and what to do next, in lines of at most `width` cells."""
    return [Line(), Line(paint.line(str(error), width, paint.BAD)), Line(paint.line(error.next_step, width))]


def painted(line: TextLine) -> Content:
    """A line of a report (`text/block_lines.py`)."""
    return paint.words(*((text, _TONES[tone]) for text, tone in line.parts))
