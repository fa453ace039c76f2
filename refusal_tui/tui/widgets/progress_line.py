"""How does a job look in one line? The same columns on Home and in Jobs; more room goes to the title, then to the bar."""

from __future__ import annotations

from dataclasses import dataclass

from textual.content import Content

from refusal_tui.store.jobs import JobState
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import bar, count, duration, percent, rate
from refusal_tui.tui.state.jobs import GLYPHS, JobLine

STATE_STYLES = {
    JobState.QUEUED: paint.MUTED,
    JobState.RUNNING: paint.ACCENT,
    JobState.PAUSED: paint.WARN,
    JobState.INTERRUPTED: paint.WARN,
    JobState.DONE: paint.GOOD,
    JobState.FAILED: paint.BAD,
    JobState.CANCELLED: paint.MUTED,
}
_NUMBER, _STATE, _PERCENT, _RATE, _TIME, _FAILED = 4, 13, 5, 9, 12, 7
_TITLE = (12, 44)  # least and most
_BAR = (6, 30)


@dataclass(frozen=True, slots=True)
class Columns:
    """Widths of the two columns that grow, for a line of `width` cells."""

    title: int
    bar: int

    @classmethod
    def fitting(cls, width: int) -> Columns:
        gaps = 7
        spare = width - gaps - (_NUMBER + _STATE + _PERCENT + _RATE + _TIME + _FAILED) - _TITLE[0] - _BAR[0]
        to_title = max(0, min(_TITLE[1] - _TITLE[0], spare * 2 // 3))
        to_bar = max(0, min(_BAR[1] - _BAR[0], spare - to_title))
        return cls(_TITLE[0] + to_title, _BAR[0] + to_bar)


def state_word(line: JobLine) -> Content:
    """Glyph and word of a job's state."""
    return paint.words((f"{GLYPHS[line.state]} {line.word}", STATE_STYLES[line.state]))


def progress_bar(line: JobLine, width: int) -> Content:
    """The bar in the colour of the state: a moving job is told from a stopped one by its word, too."""
    return paint.words((bar(line.fraction, width), STATE_STYLES[line.state]))


def job_line(line: JobLine, width: int) -> Content:
    """One job in at most `width` cells."""
    columns = Columns.fitting(width)
    running = line.state is JobState.RUNNING
    time = f"{duration(line.seconds)} left" if running and line.seconds is not None else duration(line.seconds)
    failed = f"{count(line.failed)} ✗" if line.failed else ""
    return paint.words(
        (f"{line.id:>{_NUMBER}} ", paint.MUTED),
        _filled(paint.line(line.title, columns.title), columns.title),
        " ",
        _filled(state_word(line), _STATE),
        " ",
        progress_bar(line, columns.bar),
        (f" {percent(line.fraction):>{_PERCENT}}", paint.STRONG if running else ""),
        (f" {rate(line.rate) if running else '':>{_RATE}}", ""),
        (f" {_short(time):>{_TIME}}", "" if running else paint.MUTED),
        (f" {failed:>{_FAILED}}", paint.BAD),
    )


def heading_line(width: int) -> Content:
    """The names of the columns."""
    columns = Columns.fitting(width)
    text = (
        f"{'no':>{_NUMBER}} {'job':<{columns.title}} {'state':<{_STATE}} {'progress':<{columns.bar + 1 + _PERCENT}} "
        f"{'rate':>{_RATE}} {'time':>{_TIME}} {'failed':>{_FAILED}}"
    )
    return paint.words((text, paint.MUTED))


def _short(time: str) -> str:
    """Twelve cells: the smaller unit goes when "left" needs its place."""
    if len(time) <= _TIME:
        return time
    parts = time.split()
    return " ".join(parts[:2] + ["left"]) if parts[-1] == "left" else time[:_TIME]


def _filled(content: Content, width: int) -> Content:
    """Exactly `width` cells (short content is filled up, long content is cut by its painter)."""
    return content.pad_right(max(0, width - content.cell_length))
