"""How are disagreements painted? A line of the list, and who said what on the card."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from refusal_tui.review.adjudication import Candidate, Disagreement, candidates
from refusal_tui.store.adjudication import Voice
from refusal_tui.tui import paint
from refusal_tui.tui.state.adjudicate import MOST_LINES, AdjudicateState
from refusal_tui.tui.state.figures import count
from refusal_tui.tui.told import error_lines
from refusal_tui.tui.widgets.line_list import Line

_SHORT_KIND = {"people": "people", "person-judge": "with a judge", "judges": "judges", "unsure": "unsure"}
_COUNTED = _SHORT_KIND | {"people": "between people", "judges": "between judges"}
_KIND = 12
_SAID = 28  # cells of who said what in the list
_NAME = 18
MOST_VOICES = 6  # with more, everybody who says the same shares a line


def summary(state: AdjudicateState) -> Content:
    """What is asked for."""
    wanted = state.wanted
    parts: list[Content | tuple[str, str] | str] = [
        ("head ", paint.MUTED), paint.line(wanted.head, 20), ("   rows ", paint.MUTED),
        paint.line(wanted.selection or "all", 28),
    ]  # fmt: skip
    if wanted.queue is not None:
        parts += [("   queue ", paint.MUTED), paint.line(wanted.queue.name, 20)]
    if wanted.annotators:
        names = " and ".join(name.partition(":")[2] for name in wanted.annotators)
        parts += [("   between ", paint.MUTED), paint.line(names, 32)]
    return paint.words(*parts)


def counted(state: AdjudicateState) -> Content:
    """How many of each kind there are, and how many are settled."""
    if state.answer is None or not state.found:
        return paint.NOTHING
    kinds = [f"{count(number)} {_COUNTED[kind]}" for kind, number in state.counts()]
    settled = f"{count(state.answer.settled)} settled"
    return paint.words((" · ".join([*kinds, settled]), paint.MUTED))


def disagreement_lines(state: AdjudicateState, width: int) -> list[Line]:
    """The list, in lines of at most `width` cells."""
    if state.error is not None:
        return error_lines(state.error, width)
    if state.answer is None:
        return [Line(), Line(paint.words(("looking…", paint.MUTED)))]
    if not state.found:
        return _nothing(state.answer.settled)
    head = f"{'between':<{_KIND}} {'who says what':<{_SAID}} prompt"
    lines = [Line(paint.words((head, paint.MUTED)))]
    lines += [_line(one, state.answer.prompts[one.item_id], width) for one in state.found[:MOST_LINES]]
    if len(state.found) > MOST_LINES:
        more = f"… and {count(len(state.found) - MOST_LINES)} less valuable ones"
        lines.append(Line(paint.words((more, paint.MUTED))))
    return lines


def _line(one: Disagreement, prompt: str, width: int) -> Line:
    said = _cut([_in_short(c) for c in candidates(one.voices)], _SAID)
    start = paint.words(
        paint.line(_SHORT_KIND[one.kind], _KIND).pad_right(_KIND - len(_SHORT_KIND[one.kind])), " ",
        said.pad_right(_SAID - said.cell_length), " ",
    )  # fmt: skip
    left = max(width - start.cell_length, 0)
    return Line(paint.words(start, paint.line(prompt, left, paint.MUTED)), str(one.item_id))


def _in_short(candidate: Candidate) -> Content:
    one, *others = candidate.voices
    by = paint.words((f"×{len(others) + 1}", paint.MUTED)) if others else paint.line(one.name, 10, paint.MUTED)
    return paint.words(paint.label(candidate.value), " ", by)


def _cut(parts: Sequence[Content], width: int) -> Content:
    """As many parts as have room; the rest is told by a mark."""
    shown = parts[0]
    for part in parts[1:]:
        longer = paint.words(shown, "  ", part)
        if longer.cell_length > width - (2 if part is not parts[-1] else 0):
            return paint.words(shown, (" …", paint.MUTED))
        shown = longer
    return shown


def _nothing(settled: int) -> list[Line]:
    done = f"{count(settled)} rows are settled." if settled else "Nobody differs on these rows, and no judge is unsure."
    return [
        Line(),
        Line(paint.words(("No disagreement is left here.", paint.STRONG))),
        Line(paint.words((done, paint.MUTED))),
        Line(),
        Line(paint.words(("/", paint.KEY), "  other rows;  ", ("g v n", paint.KEY),
                         "  a queue that people label;  ", ("g n", paint.KEY), "  a judge")),
    ]  # fmt: skip


# --- the card ---------------------------------------------------------------------------------------------------------


def candidates_panel(voices: Sequence[Voice], width: int) -> Content:
    """Who said what, under the number that picks it; reasons where there is room for a line each."""
    listed = candidates(voices)
    if not listed:
        return paint.words(("Nobody's label of this row is known here: give one.", paint.WARN))
    each = len(voices) <= MOST_VOICES
    lines: list[Content] = []
    for number, candidate in enumerate(listed, 1):
        lines += _voices(number, candidate, width) if each else [_together(number, candidate, width)]
    return paint.lines(*lines)


def _voices(number: int, candidate: Candidate, width: int) -> list[Content]:
    lines = []
    for n, voice in enumerate(candidate.voices):
        label = _number_and_label(number, candidate.value) if n == 0 else paint.words("  ")
        start = paint.words(label.pad_right(max(0, 2 + paint.LABEL_WIDTH - label.cell_length)), " ", _who(voice))
        reason = paint.line(voice.reason, max(width - start.cell_length - 2, 0), paint.MUTED)
        lines.append(paint.words(start, "  ", reason) if voice.reason else start)
    return lines


def _together(number: int, candidate: Candidate, width: int) -> Content:
    people = sum(voice.human for voice in candidate.voices)
    start = paint.words(_number_and_label(number, candidate.value), (f"  {people} of people  ", ""))
    names = ", ".join(voice.name for voice in candidate.voices)
    return paint.words(start, paint.line(names, max(width - start.cell_length, 0), paint.MUTED))


def _number_and_label(number: int, value: str) -> Content:
    return paint.words((f"{number}" if number < 10 else " ", paint.KEY), " ", paint.label(value))


def _who(voice: Voice) -> Content:
    name = paint.line(voice.name, _NAME, paint.STRONG if voice.human else "")
    name = name.pad_right(_NAME - name.cell_length)
    if voice.human:
        return paint.words(name, " ", ("assisted" if voice.seen_judge else "blind   ", paint.MUTED))
    sure = (
        paint.probability(voice.probability) if voice.probability is not None else paint.words(("judge", paint.MUTED))
    )
    return paint.words(name, " ", sure.pad_right(8 - sure.cell_length))
