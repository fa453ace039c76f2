"""The keys of the Direction screen. Those of the footer come first; what they do is in `direction.py`."""

from __future__ import annotations

from textual.binding import Binding, BindingType

from refusal_tui.direction.measures import MEASURES

KEYS: list[BindingType] = [
    Binding("s", "section", "evidence", tooltip="The next part of the evidence", id="direction.section"),
    Binding(
        "p",
        "open('direction_pictures')",
        "pictures",
        tooltip="Cosines, histograms, AUROC, dose-response, labels",
        id="direction.pictures",
    ),
    Binding("t", "open('direction_tokens')", "tokens", tooltip="Where tokens lie along it", id="direction.tokens"),
    Binding(
        "x", "open('direction_bench')", "try it", tooltip="Ask it with and without this candidate", id="direction.bench"
    ),
    Binding("a", "answers", "answers", tooltip="Answers with and without the direction", id="direction.answers"),
    Binding("e", "write", "write", tooltip="Write the map as SVG and CSV", id="direction.write"),
    Binding("m", "measure(1)", "measure", tooltip="The next figure on the map", id="direction.measure"),
    Binding("n", "next_best", "next best", tooltip="To the next candidate that passes", id="direction.best"),
    Binding("tab", "turn", "map, list", tooltip="Between the map and the evidence", id="direction.turn"),
    Binding("d", "dropped", "dropped", tooltip="Prompts that the filter has dropped", id="direction.dropped"),
    Binding("r", "runs", "runs", tooltip="All runs that look for a direction", id="direction.runs"),
    Binding("b", "job", "job", tooltip="The job of this run", id="direction.job"),
    Binding("right_square_bracket", "run(1)", "older run", tooltip="The run before", id="direction.older"),
    Binding("left_square_bracket", "run(-1)", "The run after", show=False, id="direction.newer"),
    Binding("M", "measure(-1)", "The figure before on the map", show=False, id="direction.measure_back"),
    *(
        Binding(str(n), f"choose({n - 1})", f"Show {measure.value} on the map", show=False, id=f"direction.{n}")
        for n, measure in enumerate(MEASURES, 1)
    ),
]
