"""What the Training screen says, painted: how it learns, its figures, its mistakes, the other runs."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from refusal_tui.classify.report import TrialRun
from refusal_tui.classify.sections_figures import loss_curves, metric_curves, trial_table
from refusal_tui.text.block_lines import TextLine, Tone, curve_lines, section_lines
from refusal_tui.text.blocks import Curves, Section
from refusal_tui.tui import paint
from refusal_tui.tui.screens.training_figures import mistakes_lines, result_lines, runs_lines
from refusal_tui.tui.state.figures import duration, rate
from refusal_tui.tui.state.training import (
    CELL,
    LINE,
    MISTAKES,
    RESULT,
    RUNS,
    TABS,
    TRAINING,
    TrainingState,
)  # fmt: skip
from refusal_tui.tui.told import error_lines, painted
from refusal_tui.tui.widgets.line_list import Line
from refusal_tui.tui.widgets.progress_line import state_word

_NAMES = {"robustness": "Robust"}
_GAP = 2


def head(state: TrainingState, width: int) -> Content:
    """Which classifier, of what, and how far it is."""
    if state.line is None:
        return paint.NOTHING
    word = state_word(state.line)
    run = state.run
    what = run.kind if run.kind in ("", "linear") else f"{run.kind} {run.encoder}"
    heads = ", ".join(f"[{one}]" if one == state.head and len(run.heads) > 1 else one for one in run.heads)
    name = paint.line(run.name or state.line.title, 24, paint.STRONG)
    rest = paint.line(
        f"{what} on {run.device}   {heads}" if what else "", width - name.cell_length - word.cell_length - 6
    )
    gap = width - name.cell_length - rest.cell_length - word.cell_length - 3
    return paint.words(name, "   ", rest, " " * max(1, gap), word)


def tabs(state: TrainingState) -> Content:
    parts: list[tuple[str, str] | str] = []
    for name in TABS if state.line is not None else ():
        word = _NAMES.get(name, name.capitalize())
        parts += [(f"[{word}]", paint.STRONG) if name == state.tab else (word, paint.MUTED), " "]
    return paint.words(*parts[:-1])


def training_lines(state: TrainingState, at: str | None, width: int, height: int) -> list[Line]:
    """Everything below the tabs, in lines of at most `width` cells; `height` lines are seen; `at`: under the cursor."""
    if state.error is not None:
        return error_lines(state.error, width)
    if state.line is None:
        return [
            Line(),
            Line(paint.words("No classifier yet. Rows with labels teach one: an encoder, or in seconds a")),
            Line(paint.words("linear model. It is measured, explained, and then a judge like others.")),
            Line(),
            Line(paint.keys(("g n", "start a job: Train a classifier"))),
        ]
    if state.tab == TRAINING:
        return [*_progress(state, width, height)]
    if state.tab == RUNS:
        return [*runs_lines(state, width)]
    if state.metrics is None:
        return [Line(), Line(paint.words(("No figures yet: they come when the models are trained.", paint.MUTED)))]
    if state.tab == MISTAKES:
        return [*mistakes_lines(state, width)]
    return [*(result_lines(state, at, width) if state.tab == RESULT else ()), *_figures(state, width)]


def _figures(state: TrainingState, width: int) -> Iterator[Line]:
    """Every line with something in it can be stood on, so that the list scrolls with the cursor; in the result the
    matrix is the one above."""
    for number, line in enumerate(state.laid_out(width)):
        yield Line(painted(line), f"{LINE}:{number}" if line.text else None)


# --- training --------------------------------------------------------------------------------------------------------


def _progress(state: TrainingState, width: int, height: int) -> Iterator[Line]:
    run = state.run
    trial = run.now or run.final
    if trial is None:
        yield Line(paint.line(state.step or "The worker has not begun yet.", width, paint.MUTED), "step")
        yield from _log(state, width)
        return
    yield Line(now_line(state, trial, width), "now")
    high = max(6, min(14, height - 11))
    pictures = [metric_curves(trial)] if not trial.steps else [loss_curves(trial), metric_curves(trial)]
    yield from beside(pictures, width, high)
    for number, line in enumerate(section_lines(Section("", "", [trial_table(run)]), width)):
        yield Line(painted(line), f"trial:{number}")
    yield from _log(state, width)


def now_line(state: TrainingState, trial: TrialRun, width: int) -> Content:
    """Step, loss, learning rate, throughput, memory, time left."""
    parts: list[tuple[str, str] | str] = []
    if trial.steps:
        last = trial.steps[-1]
        parts += [(f"step {last.step:,} of {last.steps:,}", paint.STRONG), f"  loss {last.loss:.3f}"]
        if last.learning_rate is not None:
            parts.append(f"  lr {last.learning_rate:.1e}")
        speed = next((s.rows_per_second for s in reversed(trial.steps) if s.rows_per_second), None)
        memory = next((s.memory for s in reversed(trial.steps) if s.memory), None)
        parts.append(f"  {rate(speed)[:-2]} rows/s" if speed and speed >= 1 else "")
        parts.append(f"  {memory / 2**30:.1f} GiB" if memory else "")
    else:
        parts.append((state.step or "waiting", paint.MUTED))
    line = state.line
    if line is not None and line.state.active and line.seconds is not None:
        parts.append((f"  {duration(line.seconds)} left", paint.ACCENT))
    return paint.words(*parts)


def beside(pictures: list[Curves], width: int, height: int) -> Iterator[Line]:
    """Pictures side by side, each with its title, its glyphs below."""
    each = (width - _GAP * (len(pictures) - 1)) // len(pictures)
    columns = [
        [TextLine(((picture.title, Tone.HEADING),)), *curve_lines(picture, each, height)] for picture in pictures
    ]
    for row in range(max(map(len, columns))):
        parts: list[Content | str] = []
        for place, column in enumerate(columns):
            cell = painted(column[row]) if row < len(column) else paint.NOTHING
            parts += [" " * _GAP if place else "", cell.pad_right(max(0, each - cell.cell_length))]
        yield Line(paint.words(*parts), f"plot:{row}")


def _log(state: TrainingState, width: int) -> Iterator[Line]:
    if state.run.log:
        yield Line(paint.heading("Log", "newest first"))
    for number, one in enumerate(reversed(state.run.log)):
        style = paint.WARN if one.level == "warning" else ""
        yield Line(paint.words((f"{one.level:<8}", style), paint.line(one.text, width - 8)), f"log:{number}")


# --- below the list --------------------------------------------------------------------------------------------------


def below(state: TrainingState, key: str | None, width: int) -> Content:
    """What enter does on this line, with the command that does the same."""
    options, place = state.opens(key), state.mistake(key)
    if options:
        cells = "←→ " if (key or "").startswith(CELL) else ""
        said = paint.line(f"refusal-tui classifiers rows {state.job_id} {options}", width - len(cells) - 6, paint.MUTED)
        return paint.words((cells, ""), ("enter ", paint.KEY), said)
    if place is not None and state.metrics is not None:
        one = state.metrics["mistakes"][place]
        told = "enter: why" if state.explained(one["item_id"]) else "enter: the row; why it was not looked at"
        count = f"{place + 1} of {len(state.metrics['mistakes'])}"
        return paint.words(
            (f"{told}   ", ""), paint.line(f"{count}, row {one['item_id']} of {one['dataset']}", 40, paint.MUTED)
        )
    other = state.other(key)
    if other is not None:
        return paint.words(
            ("enter ", paint.KEY), (f"refusal-tui classifiers compare {state.job_id} {other}", paint.MUTED)
        )
    return paint.NOTHING
