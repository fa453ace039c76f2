"""Which pictures does a run have, each as SVG and with its numbers as CSV? For screens (`e`) and `direction export`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from refusal_tui.direction import charts
from refusal_tui.direction.agreement import Agreement
from refusal_tui.direction.geometry import Geometry, histogram
from refusal_tui.direction.measures import LETTERS, MEASURES, Measure, figure, level
from refusal_tui.direction.readings import LEVELS, Reading, Readings
from refusal_tui.direction.report import Report
from refusal_tui.direction.report_text import cells_csv, place
from refusal_tui.direction.select import Cell
from refusal_tui.errors import StorageError
from refusal_tui.text.spreadsheet import neutral

BINS = 24
_STRIPS = 6  # texts drawn by an export; their numbers are all in the table
_SCORE = (-20.0, 20.0)  # refusal scores lie within
_EXPLAINED = {
    Measure.ABLATION: "refusal score of harmful prompts with the candidate taken out; darker: closer to harmless ones",
    Measure.ADDITION: "refusal score of harmless prompts with the candidate added; darker: closer to harmful ones",
    Measure.KL: "how far taking it out moves answers to harmless prompts (out above 0.1); darker: more harm",
    Measure.RELIABILITY: "5 % quantile of the cosine between a resampled direction and the whole one; darker: surer",
    Measure.SEPARATION: "AUROC of validation prompts projected on the candidate; darker: better",
    Measure.VERDICT: "why a candidate was not chosen: "
    + ", ".join(f"{one} {words}" for one, words in LETTERS.values()),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """`name` is the files' name. A table may belong to several pictures, and stand alone."""

    name: str
    title: str
    svg: str | None = None
    csv: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What the folder of a run holds; None: it has not come so far, or is of an older version."""

    report: Report
    geometry: Geometry | None = None
    readings: Readings | None = None
    agreement: Sequence[Agreement] = field(default=())


def pictures(run: Run, cell: Cell | None = None) -> Iterator[Picture]:
    """All there are. `cell`: the candidate whose cosines and histograms are drawn; by default the selected one."""
    report = run.report
    cell = cell or report.closest()
    if cell is None:
        return
    yield _cells_table(report)
    yield from (map_picture(report, measure) for measure in MEASURES)
    if report.auroc is not None:
        yield auroc_picture(report)
    if run.geometry is not None:
        yield cosines_picture(report, run.geometry, cell)
        yield positions_picture(report, run.geometry, cell)
        yield histograms_picture(run.geometry, cell)
    if report.evidence is not None:
        yield dose_picture(report)
        yield controls_table(report)
    if run.readings is not None:
        yield tokens_table(run.readings)
        shown = run.readings.shown[:_STRIPS]
        yield from (strip_picture(run.readings, one, cell.layer, n) for n, one in enumerate(shown, 1))
    if run.agreement:
        yield agreement_table(run.agreement)


def write_pictures(folder: Path, made: Iterable[Picture]) -> list[Path]:
    """Into `folder`, which is made. Raises StorageError."""
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for picture in made:
            for ending, content in ((".svg", picture.svg), (".csv", picture.csv)):
                if content is not None:
                    path = folder / f"{picture.name}{ending}"
                    path.write_text(content, encoding="utf-8")
                    written.append(path)
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {error.strerror or error}.", "Make room, or choose another folder."
        ) from error
    return written


# --- the grid --------------------------------------------------------------------------------------------------------


def map_pictures(report: Report, measure: Measure) -> list[Picture]:
    """One map, and the figures of all."""
    return [map_picture(report, measure), _cells_table(report)]


def _cells_table(report: Report) -> Picture:
    return Picture("cells", "All candidates", csv=cells_csv(report))


def map_picture(report: Report, measure: Measure) -> Picture:
    layers = range(report.n_layers)
    squares = [[_square(report, measure, Cell(position, layer)) for layer in layers] for position in report.positions]
    title = f"Refusal direction: {measure.value} by position and layer"
    names = [position_name(report, position) for position in report.positions]
    note = f"{_EXPLAINED[measure]}\n◆ selected, + passes the filters"
    svg = charts.heat_svg(title, names, [str(layer) for layer in layers], squares, note)
    return Picture(f"map-{measure.value.lower()}", title, svg)


def _square(report: Report, measure: Measure, cell: Cell) -> charts.Square:
    letter, words = LETTERS[report.choice.reasons[cell]]
    mark = letter if letter in "◆+" else ""
    value, step = figure(report, measure, cell), level(report, measure, cell)
    if measure is Measure.VERDICT:
        return charts.Square(1.0 if mark else 0.12, letter, f"{place(cell)}: {words}")
    if value is None or value != value:
        return charts.Square(None, mark, f"{place(cell)}: not known")
    shown = f"{value:.1f}" if measure in (Measure.ABLATION, Measure.ADDITION) else f"{value:.2f}"
    return charts.Square((step or 0) / (LEVELS - 1), shown + mark, f"{place(cell)}: {value:.4g} ({words})")


def position_name(report: Report, position: int) -> str:
    at = position - report.positions.start
    token = report.end[at] if len(report.end) == len(report.positions) else ""
    return f"{position} {token if token.strip() else repr(token)[1:-1]}".strip()


def auroc_picture(report: Report) -> Picture:
    assert report.auroc is not None
    layers = list(range(report.n_layers))
    names = [position_name(report, position) for position in report.positions]
    series = dict(zip(names, report.auroc, strict=True))
    title = "AUROC of the projection by layer"
    note = "harmful against harmless validation prompts, projected on the candidate of each layer; a line per position"
    svg = charts.lines_svg(title, layers, series, (0.0, 1.0), x_name="layer", y_name="AUROC", note=note, levels=(0.5,))
    rows = [[layer, *(row[layer] for row in report.auroc)] for layer in layers]
    return Picture("auroc", title, svg, table(["layer", *(f"position {p}" for p in report.positions)], rows))


# --- geometry --------------------------------------------------------------------------------------------------------


def cosines_picture(report: Report, geometry: Geometry, cell: Cell) -> Picture:
    title = f"Cosines of the candidates of all layers at position {cell.position}"
    matrix = geometry.across_layers[geometry.place(cell)[0]].tolist()
    names = [str(layer) for layer in range(geometry.n_layers)]
    svg = charts.heat_svg(title, names, names, _cosines(matrix), _COSINES)
    return Picture("cosines-layers", title, svg, table(["layer", *names], [[n, *row] for n, row in enumerate(matrix)]))


def positions_picture(report: Report, geometry: Geometry, cell: Cell) -> Picture:
    title = f"Cosines of the candidates of all positions at layer {cell.layer}"
    matrix = geometry.across_positions[cell.layer].tolist()
    columns = [str(position) for position in range(-len(matrix), 0)]
    names = [position_name(report, int(position)) for position in columns]
    svg = charts.heat_svg(title, names, columns, _cosines(matrix), _COSINES, across="position")
    rows = [[position, *row] for position, row in zip(columns, matrix, strict=True)]
    return Picture("cosines-positions", title, svg, table(["position", *columns], rows))


_COSINES = "1: the same direction (dark blue), 0: nothing in common (white), below 0: brown; 0 also where there is none"


def _cosines(matrix: Sequence[Sequence[float]]) -> list[list[charts.Square]]:
    return [[charts.Square(value, f"{value:.2f}", f"{value:.4f}") for value in row] for row in matrix]


def histograms_picture(geometry: Geometry, cell: Cell) -> Picture:
    """Drawn for every layer at the candidate's position; the table has all positions."""
    panels = []
    for layer in range(geometry.n_layers):
        bins = histogram(*geometry.projections(Cell(cell.position, layer)), BINS)
        marked = "  ◆" if layer == cell.layer else ""
        panels.append(charts.Panel(f"layer {layer}{marked}", bins.low, bins.high, bins.harmful, bins.harmless))
    title = f"Projections of validation prompts at position {cell.position}"
    note = (
        "upwards: harmful prompts, downwards: harmless ones; along the candidate of the layer, in units of the stream"
    )
    rows = [
        [position, layer, name, number, value]
        for name, grid in (("harmful", geometry.harmful), ("harmless", geometry.harmless))
        for position, layers in zip(range(-len(grid), 0), grid.tolist(), strict=True)
        for layer, values in enumerate(layers)
        for number, value in enumerate(values)
    ]
    numbers = table(["position", "layer", "set", "prompt", "projection"], rows)
    return Picture("projections", title, charts.histograms_svg(title, panels, note), numbers)


# --- evidence --------------------------------------------------------------------------------------------------------


def dose_picture(report: Report) -> Picture:
    evidence, pick = report.evidence, report.choice.pick
    assert evidence is not None
    doses = [one["coefficient"] for one in evidence.dose]
    series = {name: [one[name] for one in evidence.dose] for name in ("harmful", "harmless")}
    title = "Dose-response: refusal score with the direction added"
    note = f"coefficient of the direction, added at layer {pick.layer if pick else '—'}; above 0: refuses"
    svg = charts.lines_svg(
        title, doses, series, _SCORE, x_name="coefficient", y_name="refusal score", note=note, levels=(0.0,)
    )
    rows = [[one["coefficient"], one["harmful"], one["harmless"]] for one in evidence.dose]
    return Picture("dose-response", title, svg, table(["coefficient", "harmful", "harmless"], rows))


def controls_table(report: Report) -> Picture:
    assert report.evidence is not None
    names = ("cosine", "ablation", "steering", "kl")
    arms = [("random", one) for one in report.evidence.random]
    arms += [("shuffled", one) for one in report.evidence.shuffled]
    return Picture(
        "control-arms", "Control arms", csv=table(["arm", *names], [[arm, *map(one.get, names)] for arm, one in arms])
    )


# --- texts -----------------------------------------------------------------------------------------------------------


def tokens_table(readings: Readings) -> Picture:
    rows = [row for number, one in enumerate(readings.shown, 1) for row in token_rows(one, number)]
    return Picture("tokens", "Projections of every token", csv=table(token_names(readings.n_layers), rows))


def token_names(layers: int) -> list[str]:
    return ["text", "set", "arm", "token", "written", "in_answer", *(f"layer {n}" for n in range(layers))]


def token_rows(reading: Reading, number: int) -> list[list[object]]:
    """A row per token, with the columns `token_names`."""
    if reading.projections is None:
        return []
    columns = reading.projections.T.tolist()
    part = reading.part.partition("_")[0]
    return [
        [number, part, reading.arm, at, neutral(token), int(at >= reading.answer_from), *columns[at]]
        for at, token in enumerate(reading.tokens)
    ]


def strip_picture(readings: Readings, reading: Reading, layer: int, number: int) -> Picture:
    assert reading.projections is not None
    scale = readings.scale(layer)
    tokens = [
        charts.Token(text, None if scale is None else _share_of(value, scale), value, at >= reading.answer_from)
        for at, (text, value) in enumerate(zip(reading.tokens, reading.projections[layer].tolist(), strict=True))
    ]
    arm = f", answer {reading.arm}" if reading.arm else ""
    title = f"Projection of every token at layer {layer}: {reading.part.partition('_')[0] or 'typed'} prompt{arm}"
    note = "along the direction, in units of the stream; underlined: the answer\n"
    if scale is None:
        note += "harmful and harmless prompts do not differ at this layer"
    else:
        note += f"white: like harmless prompts ({scale[0]:+.2f}), dark: like harmful ones ({scale[1]:+.2f})"
    return Picture(f"tokens-{number}", title, charts.strip_svg(title, tokens, note))


def _share_of(value: float, scale: tuple[float, float]) -> float:
    return max(0.0, min(1.0, (value - scale[0]) / (scale[1] - scale[0])))


AGREEMENT_NAMES = (
    "annotator", "projection_of", "rows", "refused", "auroc", "auroc_low", "auroc_high", "threshold", "kappa",
    "kappa_left_out",
)  # fmt: skip


def agreement_rows(found: Sequence[Agreement]) -> list[list[object]]:
    return [
        [one.annotator, one.of, one.rows, one.refused, *map(_or_none, one.auroc), *map(_or_none, (one.threshold,
         one.kappa, one.kappa_left_out))]
        for one in found
    ]  # fmt: skip


def agreement_table(found: Sequence[Agreement]) -> Picture:
    rows = [[neutral(value) for value in row] for row in agreement_rows(found)]
    return Picture("agreement", "Projection and labels", csv=table(AGREEMENT_NAMES, rows))


def _or_none(value: float) -> float | None:
    return None if value != value else value


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """CSV; an empty field is a figure that is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_short(value) for value in row] for row in rows)
    return text.getvalue()


def _short(value: object) -> object:
    """Six digits: what was stored as float32 has no more."""
    return f"{value:.6g}" if isinstance(value, float) else value
