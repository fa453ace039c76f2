"""The evidence below the map, in parts: control arms, dose-response, rivals, first tokens, prompts, other bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from textual.content import Content

from refusal_tui.direction.report import Report
from refusal_tui.direction.report_text import place, plain, signed
from refusal_tui.direction.select import Cell
from refusal_tui.tui import paint
from refusal_tui.tui.state.direction import DirectionState
from refusal_tui.tui.widgets.heat_map import BARS
from refusal_tui.tui.widgets.line_list import Line

_ARM = 26
_FIGURE = 11
_STEP = 7  # cells of a coefficient: a number and a bar
_SHOWN_RIVALS = 12
_BOUND = 18.42  # refusal scores lie between - and + this


def evidence_lines(state: DirectionState, width: int) -> list[Line]:
    """All parts that have something to say, the chosen one first, the others in their order after it."""
    parts = [made for part in _PARTS if (made := part(state, width))]
    if not parts:
        return []
    first = state.section % len(parts)
    lines: list[Line] = []
    for part in parts[first:] + parts[:first]:
        lines += [Line()] if lines else []
        lines += part
    return lines


def part_count(state: DirectionState) -> int:
    return sum(bool(part(state, 80)) for part in _PARTS)


def dropped_part(state: DirectionState) -> int | None:
    """The number of the part with the dropped prompts; None where none were dropped."""
    there = [part for part in _PARTS if part(state, 80)]
    return there.index(_dropped) if _dropped in there else None


def _rows(name: str, contents: Sequence[Content]) -> list[Line]:
    """Each can be stood on, so that the list scrolls with the cursor."""
    return [Line(content, f"{name}:{number}") for number, content in enumerate(contents)]


# --- is it real? -----------------------------------------------------------------------------------------------------


def _controls(state: DirectionState, width: int) -> list[Line]:
    report = state.report
    evidence, pick = report.evidence, report.choice.pick
    if evidence is None or pick is None or report.baseline is None:
        return []
    harmful, harmless = report.baseline
    scores = report.grid[pick]
    titles = "".join(f"{name:>{_FIGURE}}" for name in ("ablation", "addition", "KL", "cosine"))
    rows = [
        _arm("model as it is", harmful, harmless, 0.0, None, paint.MUTED),
        _arm("the direction", scores.ablation, scores.steering, scores.kl, 1.0, paint.STRONG),
        *_arms(evidence.random, evidence.shuffled),
    ]
    low, high = evidence.interval
    said = ("ablation, 95 % of resampled prompts ", paint.MUTED), f"{signed(low)} to {signed(high)}"
    rows.append(paint.words(*said))
    rows.append(paint.words(("left in the stream after ablation ", paint.MUTED), _leak(evidence.leak_final)))
    head = paint.words((f"{'Control arms':<{_ARM}}", paint.HEADING), (titles, paint.MUTED))
    return [Line(head), *_rows("arm", rows)]


def _arms(random: Sequence[Mapping[str, float]], shuffled: Sequence[Mapping[str, float]]) -> list[Content]:
    """The strongest of each kind, which is what a direction has to beat, then their means."""
    best, means = [], []
    for name, arms in (("random vectors", random), ("shuffled labels", shuffled)):
        if not arms:
            continue
        one = min(arms, key=lambda arm: arm["ablation"])
        best.append(_arm(f"{name}, best of {len(arms)}", one["ablation"], one["steering"], one["kl"], one["cosine"]))
        mean = {key: sum(arm[key] for arm in arms) / len(arms) for key in one}
        mean["cosine"] = sum(abs(arm["cosine"]) for arm in arms) / len(arms)
        means.append(_arm(f"{name}, mean", mean["ablation"], mean["steering"], mean["kl"], mean["cosine"], paint.MUTED))
    return best + means


def _arm(
    name: str, ablation: float | None, addition: float | None, kl: float | None, cosine: float | None, style: str = ""
) -> Content:
    figures = (signed(ablation), signed(addition), plain(kl), plain(cosine, 2))
    return paint.words((f"{name:<{_ARM}}", style), ("".join(f"{figure:>{_FIGURE}}" for figure in figures), style))


def _leak(value: float) -> str:
    return "nothing but rounding" if value < 1e-5 else f"{value:.1e}"


def _dose(state: DirectionState, width: int) -> list[Line]:
    """Refusal score by coefficient of the added direction: a number and a bar each."""
    evidence, pick = state.report.evidence, state.report.choice.pick
    if evidence is None or pick is None:
        return []
    heading = paint.heading("Dose-response", f"refusal score with c × the direction added at layer {pick.layer}")
    coefficients = "".join(f"{one['coefficient']:>+{_STEP - 1}.1f} " for one in evidence.dose)
    titles = paint.words((f"{'c':<10}", paint.MUTED), (coefficients, paint.MUTED))
    rows = []
    for name, style in (("harmful", paint.WARN), ("harmless", paint.ACCENT)):
        parts: list[Content | tuple[str, str] | str] = [(f"{name:<10}", paint.MUTED)]
        for one in evidence.dose:
            parts += [f"{one[name]:>+{_STEP - 1}.1f}", (_bar(one[name]), style)]
        rows.append(paint.words(*parts))
    return [Line(heading), Line(titles), *_rows("dose", rows)]


def _bar(score: float) -> str:
    share = (score + _BOUND) / (2 * _BOUND)
    return BARS[max(0, min(len(BARS) - 1, round(share * (len(BARS) - 1))))]


def _rivals(state: DirectionState, width: int) -> list[Line]:
    report = state.report
    best = report.best()
    if not best:
        return []
    noise = set(report.rivals)
    titles = "".join(f"{name:>{_FIGURE}}" for name in ("ablation", "addition", "KL"))
    head = paint.words((f"{'Candidates that pass':<24}", paint.HEADING), (titles, paint.MUTED))
    lines = [Line(paint.words(head, ("   enter goes there", paint.MUTED)))]
    for cell in best[:_SHOWN_RIVALS]:
        scores = report.grid[cell]
        remark = "selected" if cell == report.choice.pick else "within noise" if cell in noise else ""
        figures = (signed(scores.ablation), signed(scores.steering), plain(scores.kl))
        row = paint.words(
            f"{place(cell):<24}" + "".join(f"{figure:>{_FIGURE}}" for figure in figures),
            (f"   {remark}", paint.GOOD if remark == "selected" else paint.WARN),
        )
        lines.append(Line(row, f"cell:{cell.position}:{cell.layer}"))
    if len(best) > _SHOWN_RIVALS:
        lines.append(Line(paint.words((f"and {len(best) - _SHOWN_RIVALS} more", paint.MUTED))))
    return lines


def _bounds(state: DirectionState, width: int) -> list[Line]:
    found = state.report.at_thresholds()
    if not found:
        return []
    rows = [paint.words(
        ("KL at most ", paint.MUTED), f"{'any' if math.isinf(bound) else f'{bound:g}':<6}", _chosen(state.report, cell),
        ("   the rule's own" if bound == 0.1 else "", paint.MUTED),
    ) for bound, cell in found]  # fmt: skip
    return [Line(paint.heading("With another bound on KL", "what the rule would choose")), *_rows("bound", rows)]


def _chosen(report: Report, cell: Cell | None) -> Content:
    if cell is None:
        return paint.words((f"{'nothing':<24}", paint.MUTED))
    return paint.words(f"{place(cell):<24}", ("ablation ", paint.MUTED), signed(report.grid[cell].ablation))


# --- what was it measured with? --------------------------------------------------------------------------------------


def _tokens(state: DirectionState, width: int) -> list[Line]:
    """To confirm: what the scores count as a refusal."""
    report = state.report
    if not report.tokens:
        return []
    heading = paint.heading("First tokens of answers", "✓ counts as a refusal; others: --refusal-tokens")
    names = f"{'':<2}{'token':<20}{'harmful':>10}{'harmless':>10}{'contrast':>10}"
    rows = []
    for token in sorted(report.tokens, key=lambda one: one.id not in report.refusal_ids):
        chosen = token.id in report.refusal_ids
        shown = paint.line(token.text if token.text.strip() else repr(token.text), 18)
        figures = "".join(f"{value:>10.1%}" for value in (token.harmful, token.harmless, token.contrast))
        rows.append(paint.words(
            ("✓ " if chosen else "  ", paint.GOOD), shown.pad_right(20 - shown.cell_length),
            (figures, paint.STRONG if chosen else ""),
        ))  # fmt: skip
    return [Line(heading), Line(paint.words((names, paint.MUTED))), *_rows("token", rows)]


def _template(state: DirectionState, width: int) -> list[Line]:
    report = state.report
    if not report.end:
        return []
    remark = f"what follows every prompt, by position; system prompt: {report.system}"
    heading = paint.words(("Template end", paint.HEADING), "  ", paint.line(remark, width - 14, paint.MUTED))
    rows = []
    for position, token in zip(range(-len(report.end), 0), report.end, strict=True):
        shown = paint.line(token if token.strip() else repr(token), width - 4)
        rows.append(paint.words((f"{position:>3} ", paint.MUTED), shown))
    return [Line(heading), *_rows("template", rows)]


def _prompts(state: DirectionState, width: int) -> list[Line]:
    """The filter funnel."""
    report = state.report
    if not report.kept:
        return []
    rows = []
    for part, (kept, drawn) in report.kept.items():
        name = part.replace("_train", ", to train").replace("_val", ", to validate")
        style = "" if kept == drawn else paint.WARN
        rows.append(paint.words(f"{name:<24}", (f"{kept:>5} of {drawn}", style)))
    return [Line(paint.heading("Prompts that count", "the model treats them as their set says")), *_rows("kept", rows)]


def _dropped(state: DirectionState, width: int) -> list[Line]:
    """Who fell out of the filter."""
    rows = []
    for one in state.report.dropped:
        said = paint.words((f"{signed(one.score):>7} ", paint.WARN), f"{one.part.partition('_')[0]:<9} ")
        rows.append(paint.words(said, paint.line(one.text, width - said.cell_length)))
    heading = paint.heading("Dropped prompts", "refusal score, set, prompt")
    return [Line(heading), *_rows("dropped", rows)] if rows else []


_PARTS: tuple[Callable[[DirectionState, int], list[Line]], ...] = (
    _controls, _dose, _tokens, _rivals, _prompts, _dropped, _bounds, _template,
)  # fmt: skip
