"""The lines of Settings, painted: end points, what is within reach, and what is known of the chosen one."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.llm.detect import Candidate
from refusal_tui.tui import paint
from refusal_tui.tui.state.settings import EndpointLine, SettingsState, facts
from refusal_tui.tui.widgets.line_list import Line

POINT, CANDIDATE = "endpoint:", "candidate:"
_KIND, _KEY = 13, 26


def settings_lines(state: SettingsState, width: int) -> list[Line]:
    lines = [Line(paint.heading("End points", "language models that jobs may ask"))]
    if not state.lines:
        lines += [
            Line(paint.words(("None yet: language models are asked only after one was added here.", paint.MUTED))),
            Line(paint.keys(("a", "add one"), ("d", "look on this machine"))),
        ]
    lines += [Line(_point(line, width), POINT + line.endpoint.name) for line in state.lines]
    lines += [Line(), Line(paint.heading("Within reach", "servers on this machine, providers whose key is set"))]
    if state.candidates is None:
        lines.append(Line(paint.words(("looking…", paint.MUTED))))
    elif not state.offered:
        said = "No other server answers on the usual ports, and no other provider's key is set."
        lines.append(Line(paint.words((said, paint.MUTED))))
    lines += [Line(_candidate(one, width), f"{CANDIDATE}{n}") for n, one in enumerate(state.offered)]
    return lines


def _point(line: EndpointLine, width: int) -> Content:
    one = line.endpoint
    name = max(12, (width - _KIND - _KEY) // 3)
    key = (line.key_says, paint.BAD if line.has_key is False else paint.MUTED)
    left = width - 2 * name - _KIND - _KEY
    return paint.words(
        _cell(paint.line(one.name, name - 1, paint.STRONG), name),
        _cell(paint.line(one.preset, _KIND - 1), _KIND),
        _cell(paint.line(one.model, name - 1), name),
        _cell(paint.line(key[0], _KEY - 1, key[1]), _KEY),
        paint.line(line.probed_says, max(left, 0), paint.GOOD if one.capabilities is not None else paint.WARN),
    )


def _candidate(one: Candidate, width: int) -> Content:
    where = f"${one.key_env} is set" if one.key_env else one.base_url
    said = paint.words(_cell(paint.line(one.preset, _KIND - 1, paint.STRONG), _KIND), paint.line(where, 34), "  ")
    models = "wants a key" if one.locked else ", ".join(one.models)
    return paint.words(said, paint.line(models, max(0, width - said.cell_length), paint.MUTED))


def _cell(content: Content, width: int) -> Content:
    return content.pad_right(max(0, width - content.cell_length))


def details(state: SettingsState, key: str | None) -> Content:
    """What stands below the list."""
    if key is None:
        return paint.NOTHING
    if key.startswith(CANDIDATE):
        return paint.keys(("enter", "make it an end point"))
    name = key.removeprefix(POINT)
    line = state.line(name)
    if line is None:
        return paint.NOTHING
    parts: list[Content | str] = [paint.words(paint.line(name, 60, paint.HEADING))]
    if state.probing == name:
        parts.append(paint.words(("Probing: it is asked small questions. Leaving with esc ends that.", paint.WARN)))
        return paint.lines(*parts, *(paint.words(("  asked about ", paint.MUTED), step) for step in state.steps))
    if state.problem and state.problem_of == name:
        parts += [paint.text(state.problem, paint.BAD), ""]
    return paint.lines(*parts, *(paint.field(what, paint.text(value)) for what, value in facts(line)))
