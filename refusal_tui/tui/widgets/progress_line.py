"""How does a job look in one line? The same columns on Home and in Jobs; what room is left goes to title and bar."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.store.jobs import JobState
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import bar, count, duration, percent, rate
from refusal_tui.tui.state.jobs import GLYPHS, JobLine
from refusal_tui.tui.widgets.window_table import GUTTER, Column, lay_out

STATE_STYLES = {
    JobState.QUEUED: paint.MUTED,
    JobState.RUNNING: paint.ACCENT,
    JobState.PAUSED: paint.WARN,
    JobState.INTERRUPTED: paint.WARN,
    JobState.DONE: paint.GOOD,
    JobState.FAILED: paint.BAD,
    JobState.CANCELLED: paint.MUTED,
}
_TIME = 11


def state_word(line: JobLine) -> Content:
    """Glyph and word of a job's state."""
    return paint.words((f"{GLYPHS[line.state]} {line.word}", STATE_STYLES[line.state]))


def progress_bar(line: JobLine, width: int) -> Content:
    """The bar in the colour of the state; a moving job is told from a stopped one by its word, too."""
    return paint.words((bar(line.fraction, width), STATE_STYLES[line.state]))


def job_columns() -> list[Column[JobLine]]:
    """The columns of a table of jobs."""
    return [
        Column("no", 4, lambda line, width: paint.words((f"{line.id:>{width}}", paint.MUTED)), right=True),
        Column("job", 0, _title, share=5),
        Column("state", 13, lambda line, width: state_word(line)),
        Column("done", 0, progress_bar, share=2),
        Column("", 5, _percent),
        Column("rate", 8, _rate, right=True),
        Column("time", _TIME, _time, right=True),
        Column("failed", 7, _failed, right=True),
    ]


def job_line(line: JobLine, width: int, says: str = "") -> Content:
    """One job in `width` cells, the table's columns without its cursor; `says` takes the place of the numbers."""
    columns = lay_out(job_columns(), width + GUTTER)
    if says:
        columns = columns[:3]
    parts: list[Content | str] = []
    for column, cells in columns:
        content = column.cell(line, cells)
        parts += [content.pad_right(max(0, cells - content.cell_length)), " "]
    if not says:
        return paint.words(*parts[:-1])
    start = paint.words(*parts)
    return paint.words(start, paint.line(says, width - start.cell_length))


def _title(line: JobLine, width: int) -> Content:
    """What it does and, where there is room, on which rows."""
    title = paint.line(line.title, width)
    rest = width - title.cell_length - 2
    if not line.selection or rest < 8:
        return title
    return paint.words(title, "  ", paint.line(line.selection, rest, paint.MUTED))


def _percent(line: JobLine, width: int) -> Content:
    return paint.words((percent(line.fraction).rjust(width), paint.STRONG if line.state is JobState.RUNNING else ""))


def _rate(line: JobLine, width: int) -> Content:
    return paint.words((rate(line.rate) if line.state is JobState.RUNNING else "").rjust(width))


def _time(line: JobLine, width: int) -> Content:
    """Time left of a running job, time at work of another."""
    if line.state is not JobState.RUNNING:
        return paint.words((duration(line.seconds)[:width].rjust(width), paint.MUTED))
    left = f"{duration(line.seconds)} left" if line.seconds is not None else ""
    if len(left) > width:  # "1 min 15 s left": the smaller unit goes
        left = " ".join([*left.split()[:2], "left"])
    return paint.words(left[:width].rjust(width))


def _failed(line: JobLine, width: int) -> Content:
    return paint.words(((f"{count(line.failed)} ✗" if line.failed else "").rjust(width), paint.BAD))
