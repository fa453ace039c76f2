"""The lines of Home, painted."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.store.overview import ModelRefusals
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import bar, percent
from refusal_tui.tui.state.home import NO_GPU, Entry, HomeState, Target, model_filter, todo
from refusal_tui.tui.widgets.line_list import Line
from refusal_tui.tui.widgets.progress_line import job_line

_NAME = 14  # of places and review entries
_BAR = 10
SHOWN_MODELS = 12
UNKNOWN_MODEL = "(model not named)"

_FIRST_STEPS = (
    (Target.IMPORT, "i", "Import a dataset", "a JSONL, CSV or Parquet file, or hf:owner/name"),
    (Target.NEW_JOB, "n", "Label it", "the offline judge needs no key, no GPU and no network"),
    (Target.BROWSE, "b", "Browse the labels", "filter, search, look closer, export what you need"),
)


def home_lines(state: HomeState, width: int) -> list[Line]:
    """Everything that Home shows, in lines of at most `width` cells."""
    if state.empty:
        return _first_steps(width)
    data = [entry for entry in state.places if entry.target in (Target.DATASETS, Target.BROWSE, Target.IMPORT)]
    jobs = [entry for entry in state.places if entry not in data]
    lines = [Line(paint.heading("Data")), *(_place(entry, width) for entry in data)]
    lines += [Line(), Line(paint.heading("Jobs")), *(_place(entry, width) for entry in jobs)]
    lines += [Line(job_line(job, width), f"{Target.JOB}:{job.id}") for job in state.active]
    lines += [
        Line(job_line(job, width, f"enter, then {todo(job)}"), f"{Target.JOB}:{job.id}") for job in state.attention
    ]
    review = [state.queues, *state.review]
    lines += [Line(), Line(paint.heading("Review")), *(_place(entry, width) for entry in review)]
    if state.models:
        lines += [Line(), Line(_models_heading(width))]
        lines += [Line(_model(model, width), _model_key(model)) for model in state.models[:SHOWN_MODELS]]
    lines += [Line(), Line(paint.line(state.gpu or NO_GPU, width, paint.MUTED))]
    return lines


def _first_steps(width: int) -> list[Line]:
    lines = [
        Line(),
        Line(paint.heading("Welcome")),
        Line(paint.words("This workspace is empty. Three steps lead to labelled rows:")),
        Line(),
    ]
    for target, key, name, says in _FIRST_STEPS:
        content = paint.words((f"{key}  ", paint.KEY), (f"{name:<20}", paint.STRONG), paint.line(says, width - 23))
        lines.append(Line(content, f"{target}:"))
    return [
        *lines,
        Line(),
        Line(paint.words(("Or see it work on sample data first: leave with q, then run", paint.MUTED))),
        Line(),
        Line(paint.words(("     refusal-tui demo", paint.STRONG))),
        Line(),
        Line(paint.keys(("↓ ↑", "choose"), ("enter", "open"), ("?", "all keys"), ("ctrl+p", "every action by name"))),
    ]


def _place(entry: Entry, width: int) -> Line:
    content = paint.words(
        (f"{entry.key}  ", paint.KEY),
        (f"{entry.name:<{_NAME}} ", paint.STRONG),
        paint.line(entry.says, width - _NAME - 4),
    )
    return Line(content, f"{entry.target}:{entry.value}")


def _name_width(width: int) -> int:
    return min(40, max(16, width - 54))


def _models_heading(width: int) -> Content:
    name = _name_width(width)
    titles = f"{'rows':>9}  {'refused':<{_BAR + 6}} {'● hard':>8} {'◐ soft':>8} {'○ none':>8}"
    return paint.words((f"{'Who refuses (judge)':<{name}}", paint.HEADING), (titles, paint.MUTED))


def _model(model: ModelRefusals, width: int) -> Content:
    name = _name_width(width)
    shown = paint.words((UNKNOWN_MODEL, paint.MUTED)) if model.model is None else paint.line(model.model, name)
    return paint.words(
        shown.pad_right(max(0, name - shown.cell_length)),
        paint.number(model.total, 9),
        "  ",
        (bar(model.share, _BAR), paint.WARN),
        f" {percent(model.share):>5} ",
        paint.number(model.hard, 8),
        " ",
        paint.number(model.soft, 8),
        " ",
        paint.number(model.none, 8),
    )


def _model_key(model: ModelRefusals) -> str:
    return f"{Target.BROWSE}:{model_filter(model.model)}"
