"""The pages of a run's pictures that show its evidence: dose-response, and who agrees with the projection."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.direction.agreement import NOTE, Agreement
from refusal_tui.direction.report_text import plain
from refusal_tui.direction.select import Cell
from refusal_tui.tui import paint
from refusal_tui.tui.state.direction_pictures import SCORES, Read

_GUTTER = 12  # cells before a row of a picture
_COLUMN = 9  # of a dose
_Parts = list[Content | tuple[str, str] | str]


def dose(read: Read, at: Cell, width: int, height: int) -> list[Content]:
    """● harmful and ○ harmless prompts, ◉ where both are; above the line at 0 a model refuses, below it answers."""
    evidence, pick = read.report.evidence, read.report.choice.pick
    if evidence is None or pick is None:
        return [paint.words(("There is no selected direction (yet), so no dose of it.", paint.MUTED))]
    wide = max(5, min(_COLUMN, (width - _GUTTER) // len(evidence.dose)))
    tall = max(5, height - 5)
    tall -= 1 - tall % 2  # so that 0 has a line of its own
    title = paint.heading("Dose-response", f"refusal score with c × the direction added at layer {pick.layer}")
    rows = {name: [_row(one[name], tall) for one in evidence.dose] for name in ("harmful", "harmless")}
    lines = [title]
    for row in range(tall):
        label = {0: f"refuses {SCORES:+.0f}", tall // 2: "0", tall - 1: f"answers {-SCORES:+.0f}"}.get(row, "")
        parts: _Parts = [(f"{label:>{_GUTTER - 1}} ", paint.MUTED)]
        fill = "─" if row == tall // 2 else " "
        for up, down in zip(rows["harmful"], rows["harmless"], strict=True):
            mark, style = (
                ("◉", paint.STRONG) if row == up == down
                else ("●", paint.WARN) if row == up else ("○", paint.ACCENT) if row == down else (fill, paint.MUTED)
            )  # fmt: skip
            parts += [(fill * (wide // 2), paint.MUTED), (mark, style), (fill * (wide - wide // 2 - 1), paint.MUTED)]
        lines.append(paint.words(*parts))
    for name, values, style in (
        ("c", [f"{one['coefficient']:+g}" for one in evidence.dose], paint.MUTED),
        ("● harmful", [f"{one['harmful']:+.1f}" for one in evidence.dose], paint.WARN),
        ("○ harmless", [f"{one['harmless']:+.1f}" for one in evidence.dose], paint.ACCENT),
    ):
        cells = "".join(f"{value:^{wide}}" for value in values)
        lines.append(paint.words((f"{name:<{_GUTTER}}", style), (cells, paint.MUTED if name == "c" else "")))
    return lines


def _row(score: float, tall: int) -> int:
    share = (SCORES - max(-SCORES, min(SCORES, score))) / (2 * SCORES)
    return round(share * (tall - 1))


# --- labels ----------------------------------------------------------------------------------------------------------


def labels(read: Read, at: Cell, width: int, height: int) -> list[Content]:
    """Who agrees with the projection."""
    if not read.dataset:
        said = "This run has no answers to label: they are asked for with --answers NAME."
        return [paint.heading("Projection and labels"), paint.words((said, paint.MUTED))]
    if not read.agreement:
        said = "Nobody has labelled the answers yet."
        keys = paint.keys(("a", "the answers; there L lets a judge label them"))
        return [paint.heading("Projection and labels"), paint.words((said, "")), keys]
    name = max(12, min(28, width - 56))
    titles = f"{'who':<{name}}{'of':<8}{'rows':>5}{'refused':>8}  {'AUROC (95 %)':<18}{'kappa':>6}{'left out':>9}"
    lines = [paint.heading("Does the projection say what they say?"), paint.words((titles, paint.MUTED))]
    lines += [_agreement(one, name) for one in read.agreement]
    return [*lines, paint.NOTHING, *(paint.words((text, paint.MUTED)) for text in _note_lines(width))]


def _agreement(one: Agreement, name: int) -> Content:
    value, low, high = one.auroc
    area = "one label only" if value != value else f"{value:.2f} ({low:.2f}–{high:.2f})"
    known = value == value
    shown = paint.line(one.annotator, name - 1)
    return paint.words(
        shown.pad_right(name - shown.cell_length), f"{one.of:<8}{one.rows:>5}{one.refused:>8}  ",
        (f"{area:<18}", paint.STRONG if known else paint.MUTED),
        f"{plain(one.kappa, 2) if known else '—':>6}{plain(one.kappa_left_out, 2) if known else '—':>9}",
    )  # fmt: skip


def _note_lines(width: int) -> list[str]:
    """The note on the figures, in lines of the page."""
    lines: list[str] = []
    for word in NOTE.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
