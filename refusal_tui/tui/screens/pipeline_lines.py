"""The lines of the Pipeline screen, painted."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from refusal_tui.pipeline.mistakes import ConfigError
from refusal_tui.pipeline.plan import Does, PlannedStep, cost_words
from refusal_tui.pipeline.status import StepState
from refusal_tui.store.jobs import JobState
from refusal_tui.text.safe import cell_width
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import bar, count, duration, percent, rate
from refusal_tui.tui.state.jobs import GLYPHS
from refusal_tui.tui.state.pipeline import PipelineState, StepLine
from refusal_tui.tui.widgets.line_list import Line
from refusal_tui.tui.widgets.progress_line import STATE_STYLES, state_word

_STATE = 15
_BAR = 10
_MOST_LINES = 8  # of a note or a mistake: a list of all keys that there are has five
# A state that no job has; the others look as they do on every screen.
_OWN = {
    StepState.WAITING: ("·", paint.MUTED),
    StepState.KEPT: ("=", paint.GOOD),
    StepState.SKIPPED: ("–", paint.MUTED),
}
_DOES = {Does.RUN: ("▶", paint.ACCENT), Does.GO_ON: ("▶", paint.ACCENT), Does.KEEP: ("=", paint.GOOD),
         Does.SKIP: ("–", paint.MUTED)}  # fmt: skip


def head_line(state: PipelineState, width: int) -> Content:
    """Which config, how far, and what stands in the way."""
    if state.plan is not None or state.problem is not None or state.run is None:
        what = "Plan" if state.plan is not None else "Config" if state.problem is not None else "Pipeline"
        return paint.words((f"{what}  ", paint.HEADING), paint.line(state.config_name, width - len(what) - 2))
    over, steps = state.counts
    run = state.run
    word = f"{GLYPHS[run.state]} {run.state.value}"
    start = paint.words(
        (f"{word}  ", STATE_STYLES[run.state]), (f"{over} of {steps} steps  ", paint.STRONG), (f"job {run.id}  ", "")
    )
    return paint.words(start, paint.line(state.config_name, width - start.cell_length, paint.MUTED))


def body_lines(state: PipelineState, width: int) -> list[Line]:
    """The graph, a plan, what is wrong with a config, or what to press where nothing has run."""
    if state.problem is not None:
        return _problem(state, width)
    if state.planning:
        return [Line(), Line(paint.words(("Looking at files and rows …", paint.MUTED)))]
    if state.plan is not None:
        return _plan(state, width)
    if state.run is None:
        return _first_steps()
    columns = _columns([(one.status.record.name, one.status.counts) for one in state.steps], width)
    lines = [_step(one, columns, width) for one in state.steps]
    if not lines:
        lines = [Line(paint.words(("The steps are being counted …", paint.MUTED)))]
    note = state.run.note if state.stopped or state.run.state is JobState.DONE else ""
    if note:
        style = paint.GOOD if state.run.state is JobState.DONE else paint.WARN
        lines += [Line(), *(Line(part) for part in _wrapped(note, width, style))]
    if state.stopped:
        lines.append(Line(paint.keys(("enter", "the step's job: why"), ("r", "go on with what stands still"))))
    return lines


def _columns(cells: Sequence[tuple[str, str]], width: int) -> tuple[int, int]:
    """How wide the names and the counts are; half of the line stays for what a step says."""
    counts = max((len(counts) for _, counts in cells), default=0)
    names = max((cell_width(name) for name, _ in cells), default=0)
    return min(names, max(14, width // 2 - _STATE)) + 1, counts


def _step(one: StepLine, columns: tuple[int, int], width: int) -> Line:
    """`label hh   ▶ running   320/994 ███░░ 32 %  120/s  12 s left`, or what it has made."""
    status, (name_width, count_width) = one.status, columns
    name = paint.line(status.record.name, name_width - 1)
    parts = [
        name.pad_right(name_width - name.cell_length),
        _state(one),
        paint.words((f"{status.counts:>{count_width}}  ", "")),
    ]
    start = paint.words(*parts)
    room = width - start.cell_length
    moving = _moving(one, room) if status.state is StepState.RUNNING else None
    says = moving if moving is not None else paint.line(status.says, room, paint.MUTED)
    return Line(paint.words(start, says), f"step:{status.record.name}")


def _state(one: StepLine) -> Content:
    state = one.status.state
    if state in _OWN:
        glyph, style = _OWN[state]
        shown = paint.words((f"{glyph} {state.value}", style))
    elif one.line is not None and not one.status.record.over:
        shown = state_word(one.line)
    else:
        shown = paint.words((f"{GLYPHS[JobState.DONE]} {state.value}", paint.GOOD))
    return shown.pad_right(max(0, _STATE - shown.cell_length))


def _moving(one: StepLine, room: int) -> Content | None:
    """The bar, the rate and the time left of a job that counts rows; None for others, which say what they do."""
    line = one.line
    if line is None or line.fraction is None or not one.status.counts:
        return None
    left = f"{duration(line.seconds)} left" if line.seconds is not None else ""
    text = "  ".join(part for part in (percent(line.fraction), rate(line.rate), left) if part)
    cells = max(0, min(_BAR, room - len(text) - 1))
    return paint.words((bar(line.fraction, cells), paint.ACCENT), (f" {text}"[: max(0, room - cells)], ""))


def _plan(state: PipelineState, width: int) -> list[Line]:
    plan = state.plan
    assert plan is not None
    columns = _columns([(one.step.name, _rows(one)) for one in plan.steps], width)
    lines = [_planned(one, columns, width) for one in plan.steps]
    lines += [Line(), *(Line(part) for part in _wrapped(plan.summary, width, paint.STRONG))]
    for note in plan.notes:
        lines += [Line(part) for part in _wrapped(f"note: {note}", width, paint.MUTED)]
    keys = [("r", "run it")] if plan.to_do else []
    return [*lines, Line(), Line(paint.keys(*keys, ("l", "back to the graph"), ("o", "another config")))]


def _rows(one: PlannedStep) -> str:
    return "" if one.rows is None else count(one.rows)


def _planned(one: PlannedStep, columns: tuple[int, int], width: int) -> Line:
    (glyph, style), (name_width, count_width) = _DOES[one.does], columns
    name = paint.line(one.step.name, name_width - 1)
    does = paint.words((f"{glyph} {one.does.value}", style))
    start = paint.words(
        name.pad_right(name_width - name.cell_length), does.pad_right(max(0, _STATE - does.cell_length)),
        (f"{_rows(one):>{count_width}}  ", ""),
    )  # fmt: skip
    why = "; ".join(part for part in (one.why, cost_words(one)) if part)
    return Line(paint.words(start, paint.line(why, width - start.cell_length, paint.MUTED)))


def _problem(state: PipelineState, width: int) -> list[Line]:
    problem = state.problem
    assert problem is not None
    keys = Line(paint.keys(("l", "look again"), ("o", "another config"), ("esc", "back to the graph")))
    if not isinstance(problem, ConfigError):
        said = [str(problem), problem.next_step]
        parts = [Line(part) for text in said if text for part in _wrapped(text, width, paint.WARN)]
        return [Line(), *parts, Line(), keys]
    number = len(problem.mistakes)
    told = f"{number} mistake{'' if number == 1 else 's'}; nothing was started."
    lines = [Line(), Line(paint.words((told, paint.WARN))), Line()]
    for mistake in problem.mistakes:
        where = paint.words(paint.line(f"{mistake.file}:{mistake.line}", width // 2, paint.KEY), "  ")
        key = paint.line(mistake.key, max(0, width - where.cell_length), paint.STRONG)
        lines.append(Line(paint.words(where, key)))
        lines += [Line(paint.words("    ", part)) for part in _wrapped(mistake.what, width - 4)]
    return [*lines, Line(), keys]


def _first_steps() -> list[Line]:
    return [
        Line(),
        Line(paint.words("No pipeline has run here yet.")),
        Line(paint.words(("One command from sources to the final dataset: import, generate, label,", paint.MUTED))),
        Line(paint.words(("audit, a sample for people, export. Each step is a job of its own.", paint.MUTED))),
        Line(),
        Line(paint.keys(("r", "label, audit and export what is imported, with the offline judge"))),
        Line(paint.keys(("l", "say first what that would do"))),
        Line(paint.keys(("o", "open a config (TOML or JSON) instead"))),
    ]


def _wrapped(value: str, width: int, style: str = "") -> list[Content]:
    return [part for text in value.splitlines() for part in paint.few_lines(text, width, _MOST_LINES, style)]
