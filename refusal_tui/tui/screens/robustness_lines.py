"""What the Robustness screen says, painted: the conclusion, arms with their rates, the curve, the invariants live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from textual.content import Content

from refusal_tui.finetune.files import BASE
from refusal_tui.finetune.sections import (
    arms_table,
    curve_of,
    inner_curve,
    invariants_table,
    loss_curve,
    matrices_table,
    paired_table,
)
from refusal_tui.store.jobs import JobState
from refusal_tui.text.block_lines import TextLine, curve_lines, section_lines
from refusal_tui.text.blocks import Block, Section, Words, is_empty
from refusal_tui.text.plot import glyph_of
from refusal_tui.tui import paint
from refusal_tui.tui.screens.training_lines import beside
from refusal_tui.tui.state.figures import duration
from refusal_tui.tui.state.robustness import (
    CURVE,
    PAIRED,
    RESULT,
    TRAINING,
    RobustnessState,
    arm_of,
    key_of,
)
from refusal_tui.tui.told import error_lines, painted
from refusal_tui.tui.widgets.line_list import Line
from refusal_tui.tui.widgets.progress_line import state_word

_WIDEST = 110  # cells of a picture


def head(state: RobustnessState, width: int) -> Content:
    """Which experiment, on what, and how far it is."""
    if state.line is None:
        return paint.NOTHING
    word, run = state_word(state.line), state.run
    name = paint.line(run.name or state.line.title, 24, paint.STRONG)
    told = ""
    if run.name and state.seen.compared is not None:
        told = f"{run.model}, raw against cleaned data"
    elif run.name:
        directions = run.about.get("directions", {})
        agreement = directions.get("agreement")
        told = f"{run.model}, directions of {directions.get('adapter', '')}"
        told += f" (cosine of seeds {agreement:.2f})" if agreement is not None else ""
    rest = paint.line(told, max(0, width - name.cell_length - word.cell_length - 5))
    gap = width - name.cell_length - rest.cell_length - word.cell_length - 3
    return paint.words(name, "   ", rest, " " * max(1, gap), word)


def tabs(state: RobustnessState) -> Content:
    parts: list[Content | tuple[str, str] | str] = []
    for name in state.tabs if state.line is not None else ():
        word = name.capitalize()
        parts += [(f"[{word}]", paint.STRONG) if name == state.tab else (word, paint.MUTED), " "]
    variants = state.run.variants
    if len(variants) > 1:
        place = variants.index(state.variant) + 1
        parts += ["   ", paint.line(state.variant.removeprefix("-"), 24, paint.STRONG)]
        parts += [(f"  {place} of {len(variants)}, t shows the next", paint.MUTED)]
    return paint.words(*parts)


def robustness_lines(state: RobustnessState, at: str | None, width: int, height: int) -> list[Line]:
    """Everything below the tabs, in lines of at most `width` cells; `height` lines are seen; `at`: under the cursor."""
    if state.error is not None:
        return error_lines(state.error, width)
    if state.line is None:
        return [
            Line(),
            Line(paint.words("No experiment yet. A chat model is fine-tuned on data that pulls against")),
            Line(paint.words("refusing, plainly and with the update constrained: how much refusal is left?")),
            Line(),
            Line(paint.words("First a refusal adapter, whose directions are kept, then the experiment.")),
            Line(paint.keys(("g n", "start a job: Train a refusal adapter, then Test robustness"))),
            Line(),
            Line(paint.words("Or: one model fine-tuned on a raw and on its cleaned selection, compared.")),
            Line(paint.keys(("g n", "start a job: Compare raw and cleaned"))),
        ]
    if state.tab == TRAINING:
        return [*_training(state, at, width, height)]
    if not state.seen.figures:
        found = "Base has answered; no arm has yet." if state.run.base is not None else "Nothing has been measured yet."
        return nothing_yet(found, state, width)
    if state.tab == RESULT:
        return [*result_lines(_said_here(state), arms_table(state.run, state.seen.figures, state.variant), width)]
    if state.tab == CURVE:
        return [*_curve(state, at, width, height)]
    assert state.tab == PAIRED
    return table_lines(paired_table(state.run, state.seen.figures, state.variant), width)


def below(state: RobustnessState, key: str | None, width: int) -> Content:
    """What the arm under the cursor does."""
    name = arm_of(key)
    if name == BASE:
        return paint.words((f"{BASE}: ", paint.STRONG), ("the model as it is", paint.MUTED))
    arm = next((arm for arm in state.run.arms if name in (arm, arm + state.variant)), None)
    if arm is None:
        return paint.NOTHING
    return paint.words((f"{arm}: ", paint.STRONG), paint.line(state.run.arms[arm], width - len(arm) - 2, paint.MUTED))


# --- result ----------------------------------------------------------------------------------------------------------


def _said_here(state: RobustnessState) -> Sequence[str]:
    """Of a grid: what is said about the part that is shown, and about the whole run."""
    others = tuple(f"{variant.removeprefix('-')}: " for variant in state.run.variants if variant != state.variant)
    return [sentence for sentence in state.seen.said if not (others and sentence.startswith(others))]


def result_lines(said: Sequence[str], arms: Block, width: int) -> Iterator[Line]:
    """The headline, the arms, then a sentence or two about each and what limits them."""
    headline, *others = said
    for line in block_lines(Words(headline), width):
        yield Line(paint.words((line.text, paint.STRONG)))
    yield Line()
    yield from table_lines(arms, width)
    yield Line()
    for number, sentence in enumerate(others):
        for place, line in enumerate(block_lines(Words(sentence), width - 2)):
            yield Line(paint.words(("· " if not place else "  ", paint.MUTED), line.text), f"say:{number}.{place}")


def _curve(state: RobustnessState, at: str | None, width: int, height: int) -> Iterator[Line]:
    """The picture with vanilla and the arm under the cursor drawn through, and the arms below it."""
    _, *table = table_lines(arms_table(state.run, state.seen.figures, state.variant), width - 2)
    curve = curve_of(state.run, state.seen.figures, state.variant, state.joined(at))
    high = max(7, min(20, height - len(table) - 2))
    yield Line(paint.heading("refused ↑ by the loss of the task →", "higher refuses, further left has learnt"))
    yield from (Line(painted(line)) for line in islice(curve_lines(curve, min(width, _WIDEST), high), high))
    glyphs = {one.name: glyph_of(curve.series, number) for number, one in enumerate(curve.series)}
    for line in table:  # it is the legend, too
        yield Line(paint.words(f"{glyphs.get(arm_of(line.key), ' ')} ", line.content), line.key)


# --- training --------------------------------------------------------------------------------------------------------


def _training(state: RobustnessState, at: str | None, width: int, height: int) -> Iterator[Line]:
    """Where it stands; every arm with its seeds, loss and invariants; one trial's curves and directions."""
    run = state.run
    yield from now_lines(state, width)
    if not run.trials:
        return
    table = table_lines(invariants_table(run), width)
    yield from table
    trial = state.trial_of(at)
    if trial is not None:
        yield Line()
        yield from beside([loss_curve(trial), inner_curve(trial)], width, max(6, min(12, height - len(table) - 4)))
        seen = [one for one in run.lines if one["trial"] == trial.name and "by_matrix" in one]
        matrices = matrices_table(run, seen[-1] if seen else None)
        if not is_empty(matrices):
            yield Line()
            yield from (Line(painted(one), f"matrix:{n}") for n, one in enumerate(block_lines(matrices, width)))


def nothing_yet(found: str, state: RobustnessState, width: int) -> list[Line]:
    """In the place of a result: that there is none, and of a job that failed why."""
    return [
        *failure_lines(state, width),
        Line(),
        Line(paint.words((found, paint.MUTED))),
        Line(paint.keys(("4", "how far training is"), ("b", "the job"))),
    ]


def failure_lines(state: RobustnessState, width: int) -> Iterator[Line]:
    line = state.line
    if line is not None and line.state is JobState.FAILED and line.note:
        yield from (Line(part) for part in paint.two_lines(line.note, width, paint.BAD))


def now_lines(state: RobustnessState, width: int) -> Iterator[Line]:
    """What stands above a table of trials: why the job failed, and where it is."""
    yield from failure_lines(state, width)
    if state.run.trials:
        yield Line(_now(state, width))
    else:
        yield Line(paint.line(state.step or "The worker has not begun yet.", width, paint.MUTED))


def _now(state: RobustnessState, width: int) -> Content:
    run, line, trial = state.run, state.line, state.now
    ended = sum(one.state in ("done", "diverged") for one in run.trials)
    parts: list[Content | tuple[str, str] | str] = []
    if line is not None and line.state.active:
        parts.append(paint.line(state.step or "waiting", max(10, width - 48), paint.STRONG))
        last = trial.last if trial is not None else None
        parts.append(f"  loss {last['loss']:.3f}" if last is not None else "")
    parts.append((f"{'  ' if parts else ''}{ended} of {len(run.trials)} trained", paint.MUTED))
    if line is not None and line.state.active and line.seconds is not None:
        parts.append((f"  {duration(line.seconds)} left", paint.ACCENT))
    return paint.words(*parts)


# --- tables ----------------------------------------------------------------------------------------------------------


def block_lines(block: Block, width: int) -> list[TextLine]:
    return section_lines(Section("", "", [block]), width)


def table_lines(block: Block, width: int) -> list[Line]:
    """Lines about an arm can be stood on; titles are passed over."""
    lines: Sequence[TextLine] = block_lines(block, width)
    return [
        Line(painted(line), key_of(line.name, number, line.opens) if line.name else None)
        for number, line in enumerate(lines)
    ]
