"""What the Robustness screen says of a raw-against-cleaned run, painted: the conclusion, both arms beside base, paired
differences, diversity, the training live."""

from __future__ import annotations

from collections.abc import Iterator

from refusal_tui.finetune.cleaned.sections import (
    arms_table,
    diversity_tables,
    loss_curves,
    losses_table,
    paired_table,
    training_table,
)
from refusal_tui.finetune.sections import loss_curve
from refusal_tui.tui import paint
from refusal_tui.tui.screens.robustness_lines import nothing_yet, now_lines, result_lines, table_lines
from refusal_tui.tui.screens.training_lines import beside
from refusal_tui.tui.state.robustness import DIVERSITY, PAIRED, RESULT, TRAINING, RobustnessState
from refusal_tui.tui.told import error_lines
from refusal_tui.tui.widgets.line_list import Line


def compared_lines(state: RobustnessState, at: str | None, width: int, height: int) -> list[Line]:
    """Everything below the tabs, in lines of at most `width` cells; `height` lines are seen; `at`: under the cursor."""
    found, figured = state.seen.compared, state.seen.compared_figures
    assert found is not None and figured is not None
    if state.error is not None:
        return error_lines(state.error, width)
    if state.tab == TRAINING:
        return [*_training(state, at, width, height)]
    if not figured.arms:
        return nothing_yet("Nothing has been measured yet.", state, width)
    if state.tab == RESULT:
        return [*result_lines(state.seen.said, arms_table(found, figured), width)]
    if state.tab == DIVERSITY:
        return [*_diversity(state, width)]
    assert state.tab == PAIRED
    return [
        *table_lines(paired_table(found, figured), width),
        Line(),
        *table_lines(losses_table(found, figured), width),
    ]


def _diversity(state: RobustnessState, width: int) -> Iterator[Line]:
    assert state.seen.compared is not None
    tables = list(diversity_tables(state.seen.compared))
    if not tables:
        yield Line()
        yield Line(paint.words(("Diversity is figured when both arms are trained.", paint.MUTED)))
    for number, table in enumerate(tables):
        if number:
            yield Line()
        yield from table_lines(table, width)


def _training(state: RobustnessState, at: str | None, width: int, height: int) -> Iterator[Line]:
    """Where it stands; both arms with their seeds; the trial under the cursor beside the first seeds."""
    yield from now_lines(state, width)
    if not state.run.trials:
        return
    table = table_lines(training_table(state.run), width)
    yield from table
    trial = state.trial_of(at)
    if trial is not None:
        yield Line()
        pictures = [loss_curve(trial), *loss_curves(state.run)]
        yield from beside(pictures, width, max(6, min(12, height - len(table) - 4)))
