"""The strip of tokens, painted: tokens with a bar or a figure below each, and what stands under the cursor."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.direction.readings import Reading
from refusal_tui.tui import paint
from refusal_tui.tui.state.direction_pictures import BARS, window
from refusal_tui.tui.state.direction_tokens import Place, TokensState
from refusal_tui.tui.widgets.line_list import Line

_STYLES = (
    paint.MUTED, paint.MUTED, "", "", paint.ACCENT, paint.ACCENT, paint.WARN, paint.BAD
)  # fmt: skip
_PART, _ARM = 10, 10
_NO_SCALE = "·"
_Parts = list[Content | tuple[str, str] | str]


def text_lines(state: TokensState, width: int) -> list[Line]:
    """A line per text."""
    if state.error is not None:
        return [Line(paint.error(state.error))]
    if not state.read:
        return [Line(paint.words(("reading the run…", paint.MUTED)))]
    if not state.texts:
        told = "This run has kept no projections of tokens: it found no direction, or is of an older version."
        return [Line(paint.words((told, paint.MUTED)))]
    return [Line(_text(one, width), str(number)) for number, one in enumerate(state.texts)]


def _text(one: Reading, width: int) -> Content:
    part = one.part.partition("_")[0] or "typed"
    named = paint.words(
        (f"{part:<{_PART}}", paint.WARN if part == "harmful" else paint.MUTED),
        (f"{one.arm or '—':<{_ARM}}", paint.MUTED),
    )
    room = max(20, width - _PART - _ARM)
    if not one.arm:
        return paint.words(named, paint.line(one.words, room))
    said = paint.line(one.answer or "(an empty answer)", room // 2 - 1)  # three arms have the same prompt
    return paint.words(
        named, said.pad_right(room // 2 - said.cell_length), paint.line(one.prompt, room - room // 2, paint.MUTED)
    )


def head(state: TokensState) -> Content:
    """The layer, and what the bars mean there."""
    readings = state.readings
    if readings is None or state.at is None:
        return paint.NOTHING
    layer = state.shown_layer
    scale = readings.scale(layer)
    parts: _Parts = [("layer ", paint.MUTED), (f"{layer}", paint.STRONG), (f" of {readings.n_layers}", paint.MUTED)]
    parts += [(" ◆" if layer == readings.pick.layer else "  ", paint.GOOD)]
    if scale is None:
        parts.append((" harmful and harmless prompts do not differ here", paint.WARN))
    else:
        parts.append((f" ▁ like harmless prompts {scale[0]:+.2f} … █ like harmful ones {scale[1]:+.2f}", paint.MUTED))
    return paint.words(*parts)


def strip_lines(state: TokensState, found: list[Place]) -> list[Content]:
    """Two lines per line of tokens."""
    reading, readings = state.at, state.readings
    if reading is None or readings is None or reading.projections is None or not found:
        return []
    layer = state.shown_layer
    tokens: list[_Parts] = [[] for _ in range(found[-1].line + 1)]
    below: list[_Parts] = [[] for _ in tokens]
    for number, (place, value) in enumerate(zip(found, reading.projections[layer].tolist(), strict=True)):
        step = readings.level(value, layer)
        style = paint.MUTED if step is None else _STYLES[step]
        under = (
            f"{value:+.2f}"[: place.wide] if state.figures else (_NO_SCALE if step is None else BARS[step]) * place.wide
        )
        chosen = "reverse" if number == state.token else "underline" if number >= reading.answer_from else ""
        word = paint.line(place.shown, place.wide, f"{style} {chosen}".strip())
        tokens[place.line] += [word.pad_right(place.wide - word.cell_length), " "]
        below[place.line] += [(under.ljust(place.wide), style), " "]
    return [paint.words(*parts) for pair in zip(tokens, below, strict=True) for parts in pair]


def detail(state: TokensState, width: int) -> Content:
    """Two lines on the token under the cursor: its figure here, and a bar for each layer."""
    reading, readings, value = state.at, state.readings, state.figure
    if reading is None or readings is None or reading.projections is None or value is None:
        return paint.NOTHING
    token, layer = reading.tokens[state.token], state.shown_layer
    step = readings.level(value, layer)
    where = f"{reading.arm} answer".strip() if state.token >= reading.answer_from else "prompt"
    first = paint.words(
        (f"token {state.token} of the {where}  ", paint.MUTED), paint.line(repr(token), 28, paint.STRONG),
        ("  lies at ", paint.MUTED), (f"{value:+.3f}", paint.STRONG),
        (f" {_NO_SCALE if step is None else BARS[step]}", paint.ACCENT),
    )  # fmt: skip
    shown = window(readings.n_layers, width - 10, layer)
    parts: _Parts = [("by layer ", paint.MUTED)]
    for one in shown:
        height = readings.level(float(reading.projections[one, state.token]), one)
        glyph = _NO_SCALE if height is None else BARS[height]
        parts.append((glyph, "reverse" if one == layer else paint.MUTED if height is None else _STYLES[height]))
    return paint.lines(first, paint.words(*parts))
