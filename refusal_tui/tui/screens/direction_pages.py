"""The pages of a run's pictures, painted: cosines, histogram, AUROC (the others: `direction_pages_evidence`)."""

from __future__ import annotations

from collections.abc import Callable

from textual.content import Content

from refusal_tui.direction.geometry import histogram
from refusal_tui.direction.report_text import place, plain, signed
from refusal_tui.direction.select import Cell
from refusal_tui.tui import paint
from refusal_tui.tui.screens.direction_pages_evidence import dose, labels
from refusal_tui.tui.state.direction_pictures import (
    BARS,
    PAGES,
    Page,
    PicturesState,
    Read,
    bar,
    upright,
    window,
)

_GUTTER = 8  # cells before a row of a picture
_OLD = "This run was made before its pictures were kept. Start it again to have them."
_Parts = list[Content | tuple[str, str] | str]


def tabs(state: PicturesState) -> Content:
    """Which page is shown, and the keys of the others."""
    parts: _Parts = []
    for number, page in enumerate(PAGES, 1):
        shown = page is state.page
        word = f"[{page.value}]" if shown else f" {page.value} "
        parts += [(f"{number} ", paint.KEY), (word, paint.STRONG if shown else paint.MUTED), " "]
    return paint.words(*parts)


def page_lines(state: PicturesState, width: int, height: int) -> list[Content]:
    """At most `height` lines."""
    read, at = state.read, state.at()
    if state.error is not None:
        return [paint.error(state.error)]
    if read is None:
        return [paint.words(("reading the run…", paint.MUTED))]
    if at is None:
        return [paint.words(("Nothing is measured yet. Pictures come with the first candidates: u looks again.", ""))]
    return _PAINTED[state.page](read, at, width, height)[:height]


# --- cosines ---------------------------------------------------------------------------------------------------------


def _cosines(read: Read, at: Cell, width: int, height: int) -> list[Content]:
    """Layers against layers at one position; figures where there is room, else bars."""
    if read.geometry is None:
        return [paint.words((_OLD, ""))]
    matrix = read.geometry.across_layers[read.geometry.place(at)[0]]
    count = read.geometry.n_layers
    wide = max(1, min(6, (width - _GUTTER) // count))
    columns = window(count, (width - _GUTTER) // wide, at.layer)
    rows = window(count, height - 5, at.layer)
    title = paint.heading(
        f"Cosines of layers at position {at.position}", "" if wide > 4 else "█ 0.9 to 1 … ▁ 0 to 0.1, - below 0"
    )
    lines = [title, _ruler(columns, wide, at.layer)]
    for row in rows:
        mark = "› " if row == at.layer else "  "
        parts: _Parts = [(f"{mark}{row:>4}  ", paint.ACCENT if row == at.layer else paint.MUTED)]
        parts += [_cosine(float(matrix[row, column]), wide, column == at.layer) for column in columns]
        lines.append(paint.words(*parts))
    near = [n for n in range(at.layer - 2, at.layer + 3) if 0 <= n < count and n != at.layer]
    told = "  ".join(f"{n} {matrix[at.layer, n]:+.2f}" for n in near)
    lines.append(paint.words((f"layer {at.layer} with layer  ", paint.MUTED), told))
    across = read.geometry.across_positions[at.layer][read.geometry.place(at)[0]]
    told = "  ".join(f"{n - len(across)} {value:+.2f}" for n, value in enumerate(across))
    return [*lines, paint.words((f"position {at.position} with position  ", paint.MUTED), told)]


def _cosine(value: float, wide: int, chosen: bool) -> tuple[str, str]:
    style = paint.GOOD if value > 0.9 else paint.ACCENT if value > 0.5 else "" if value > 0.1 else paint.MUTED
    if wide >= 5:
        shown = f"{value:+.2f}"
    else:
        shown = "-" if value < -0.005 else BARS[min(7, int(abs(value) * 8))]
        shown = shown * 2 if wide > 2 else shown
    return shown.ljust(wide), f"bold {style}".strip() if chosen else style


# --- projections -----------------------------------------------------------------------------------------------------


def _histogram(read: Read, at: Cell, width: int, height: int) -> list[Content]:
    """Harmless prompts to the left, harmful ones to the right: no colour is needed."""
    if read.geometry is None:
        return [paint.words((_OLD, ""))]
    harmful, harmless = read.geometry.projections(at)
    count = max(4, min(20, height - 4))
    bins = histogram(harmful, harmless, count)
    most, side = max((*bins.harmful, *bins.harmless, 1)), max(8, (width - 22) // 2)
    area = read.report.reliability(at, read.report.auroc)
    title = paint.heading(f"Projections at {place(at)}", f"AUROC {plain(area)}, in units of the stream")
    names = f"{'harmless ' + str(len(harmless)):>{side + 4}}{'':^12}{len(harmful)} harmful"
    lines = [title, paint.words((names, paint.MUTED))]
    step = (bins.high - bins.low) / count
    for place_ in range(count - 1, -1, -1):
        left, right = bins.harmless[place_], bins.harmful[place_]
        middle = bins.low + (place_ + 0.5) * step
        lines.append(paint.words(
            (f"{'█' * round(side * left / most):>{side}}", paint.ACCENT), (f"{left or '':>4}", ""),
            (f"{_short(middle):^12}", paint.MUTED), (f"{right or '':<4}", ""),
            (bar(right / most, side), paint.WARN),
        ))  # fmt: skip
    means = (float(part.mean()) if len(part) else None for part in (harmless, harmful))
    less, more = (signed(value) for value in means)
    return [
        *lines,
        paint.words(("mean of harmless prompts ", paint.MUTED), less, ("  of harmful ones ", paint.MUTED), more),
    ]


def _short(value: float) -> str:
    return f"{value:+.2f}" if abs(value) < 1000 else f"{value:+.0f}"


def _auroc(read: Read, at: Cell, width: int, height: int) -> list[Content]:
    """A bar per layer at the cursor's position."""
    report = read.report
    if report.auroc is None:
        return [paint.words(("The prompts have not been read yet.", paint.MUTED))]
    values = report.auroc[at.position - report.positions.start]
    wide = max(1, min(4, (width - _GUTTER) // len(values)))
    shown = window(len(values), (width - _GUTTER) // wide, at.layer)
    tall = max(3, height - 4)
    title = paint.heading(f"AUROC by layer at position {at.position}", "of harmful against harmless prompts")
    lines = [title]
    for row, text in enumerate(upright([values[n] for n in shown], 0.5, 1.0, tall)):
        label = "1.00" if row == 0 else "0.50" if row == tall - 1 else "0.75" if row == tall // 2 else ""
        parts: _Parts = [(f"{label:>6}  ", paint.MUTED)]
        for layer, glyph in zip(shown, text, strict=True):
            glyphs = (glyph * max(1, wide - 1)).ljust(wide)
            parts.append((glyphs, paint.STRONG if layer == at.layer else _area_style(values[layer])))
        lines.append(paint.words(*parts))
    lines.append(_ruler(shown, wide, at.layer))
    figures = "  ".join(f"{p} {report.auroc[p - report.positions.start][at.layer]:.3f}" for p in report.positions)
    return [*lines, paint.words((f"layer {at.layer}, by position  ", paint.MUTED), figures)]


def _ruler(shown: range, wide: int, chosen: int) -> Content:
    """Numbers of layers, as many as have room, and always the cursor's."""
    every = 1 if wide > 3 else 2 if wide == 3 else 5
    cells = [" "] * (len(shown) * wide)
    for layer in (*(n for n in shown if n % every == 0 and abs(n - chosen) * wide > 2), chosen):
        start = min((layer - shown.start) * wide, max(0, len(cells) - len(str(layer))))
        cells[start : start + len(str(layer))] = str(layer)
    at = min((chosen - shown.start) * wide, max(0, len(cells) - len(str(chosen))))
    end = at + len(str(chosen))
    text = "".join(cells)
    return paint.words(
        (f"{'layer':>6}  {text[:at]}", paint.MUTED), (text[at:end], f"{paint.STRONG} {paint.ACCENT}"),
        (text[end:], paint.MUTED),
    )  # fmt: skip


def _area_style(value: float) -> str:
    return paint.GOOD if value > 0.95 else paint.ACCENT if value > 0.8 else "" if value > 0.6 else paint.MUTED


_PAINTED: dict[Page, Callable[[Read, Cell, int, int], list[Content]]] = {
    Page.COSINES: _cosines,
    Page.HISTOGRAM: _histogram,
    Page.AUROC: _auroc,
    Page.DOSE: dose,
    Page.LABELS: labels,
}
