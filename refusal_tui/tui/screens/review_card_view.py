"""How is a card of a queue painted? Its texts, the question with its keys, what judges say, and where one stands."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.labels.verdict import Span
from refusal_tui.review.questions import Option
from refusal_tui.store.review_cards import Card
from refusal_tui.tui import paint
from refusal_tui.tui.state.adjudicate import KIND_WORDS
from refusal_tui.tui.state.figures import count
from refusal_tui.tui.state.review_card import Desk, JudgeSays, judges_of

_OPTION_GAP = 3
_RATIONALE_CELLS = 300
_NO_CARD = (
    "Nothing is left for you in this queue.",
    "Others may still be at work on some of its rows, or the queue is done.",
)


def prompt_of(card: Card, desk: Desk) -> tuple[Content, list[int]]:
    """The prompt under its heading, and where pieces of evidence start in it."""
    turns = f"  {len(card.row.messages)} turns" if len(card.row.messages) > 1 else ""
    return _part("Prompt", f"{count(len(card.row.prompt))} characters{turns}", card.row.prompt, "prompt", card, desk)


def response_of(card: Card, desk: Desk) -> tuple[Content, list[int]]:
    """The response under its heading, and where pieces of evidence start in it."""
    text = card.row.response
    if not text:
        said = "no response: a prompt alone" if text is None else "the model answered with nothing"
        return paint.lines(paint.heading("Response"), paint.words((said, paint.MUTED))), []
    return _part("Response", f"{count(len(text))} characters", text, "response", card, desk)


def _part(title: str, remark: str, text: str, field: str, card: Card, desk: Desk) -> tuple[Content, list[int]]:
    if desk.veiled:
        head = paint.words(paint.heading(title, remark), ("   z shows it", paint.KEY))
        return paint.lines(head, paint.veiled(text)), []
    spans = _spans(card, field) if desk.queue.settings.highlight else []
    passage, starts = paint.passage(text, spans)
    marks = f" · {count(len(spans))} mark{'s' * (len(spans) > 1)}" if spans else ""
    head = paint.heading(title, remark + marks)
    above = len(head.plain) + 1
    return paint.lines(head, passage), [above + start for start in starts]


def _spans(card: Card, field: str) -> list[tuple[int, int]]:
    """Evidence of several judges may overlap: what they cover together."""
    merged: list[tuple[int, int]] = []
    for span in card.spans:
        if span.field != field or not _fits(span, card):
            continue
        if merged and span.start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], span.end))
        else:
            merged.append((span.start, span.end))
    return merged


def _fits(span: Span, card: Card) -> bool:
    text = card.row.prompt if span.field == "prompt" else card.row.response or ""
    return 0 <= span.start < span.end <= len(text)


def nothing_left(desk: Desk) -> Content:
    """What an annotator reads at the end."""
    done = f"You have labelled {count(desk.progress.labelled)} and skipped {count(desk.progress.skipped)}."
    return paint.lines(
        "",
        paint.words((_NO_CARD[0], paint.STRONG)),
        paint.words((done, "")),
        paint.words((_NO_CARD[1], paint.MUTED)),
        "",
        paint.keys(("u", "take the last answer back"), ("b", "look at it"), ("g a", "agreement"), ("esc", "queues")),
    )


def question_of(desk: Desk, width: int) -> Content:
    """The open question and its keys: in one line where they fit, else in columns below it."""
    asked = desk.asked
    number = f"{desk.step + 1}/{len(desk.sheet.asked)} " if len(desk.sheet.asked) > 1 else ""
    text = paint.words((number, paint.MUTED), paint.text(asked.text, paint.STRONG))
    options = [_option(option, option.key in desk.marked, desk) for option in asked.options]
    row = _joined(options)
    if not asked.several and text.cell_length + _OPTION_GAP + row.cell_length <= width:
        return paint.words(text, " " * _OPTION_GAP, row)
    if not asked.several and row.cell_length <= width:
        return paint.lines(text, row)
    end = paint.keys(("  enter", "done" if desk.picked else "none")) if asked.several else paint.NOTHING
    return paint.lines(paint.words(text, end), _columns(options, width))


def _option(option: Option, marked: bool, desk: Desk) -> Content:
    shown = paint.label(option.word.lower() if desk.asked.name == "refusal3" else option.word)
    if desk.asked.name != "refusal3":
        shown = paint.line(_short(option.word), 24, paint.STRONG if marked else "")
    mark = paint.words(("▸" if marked else " ", paint.ACCENT)) if desk.marked or desk.asked.several else paint.NOTHING
    return paint.words(mark, (option.key, paint.KEY), " ", shown)


def _short(word: str) -> str:
    return word.removeprefix("STYLE.").lower() if word.startswith("STYLE.") else word


def _joined(parts: list[Content]) -> Content:
    spaced: list[Content | str] = []
    for part in parts:
        spaced += ["  " if spaced else "", part]
    return paint.words(*spaced)


def _columns(parts: list[Content], width: int) -> Content:
    """In columns, filled from top to bottom."""
    cell = max(part.cell_length for part in parts) + 2
    across = max(1, width // cell)
    down = -(-len(parts) // across)
    rows = [_joined([part.pad_right(cell - 2 - part.cell_length) for part in parts[y::down]]) for y in range(down)]
    return paint.lines(*rows)


def judges_panel(desk: Desk) -> Content:
    """Every judge's answer to what is asked, with its reasons."""
    card = desk.card
    if card is None or not desk.revealed:
        return paint.NOTHING
    said = judges_of(card, desk.heads)
    if not said:
        return paint.words(("No judge has said anything about this row.", paint.MUTED))
    because = {s.verdict.annotator.removeprefix("judge:"): s.verdict.rationale for s in card.judges}
    parts: list[Content | str] = []
    for one in said:
        reason = because.pop(one.judge, None)
        why = paint.words(("  ", ""), paint.line(reason, _RATIONALE_CELLS, paint.MUTED)) if reason else paint.NOTHING
        parts.append(paint.words(_says(one, with_head=len(desk.heads) > 1), why))
    return paint.lines(*parts)


def _says(one: JudgeSays, *, with_head: bool) -> Content:
    head = paint.words(paint.line(one.head, 24, paint.MUTED), " ") if with_head else paint.NOTHING
    sure = paint.words(" ", paint.probability(one.probability)) if one.probability is not None else paint.NOTHING
    return paint.words(paint.line(one.judge, 20, paint.MUTED), " ", head, paint.label(one.value), sure)


def status_of(desk: Desk, now: float, width: int) -> Content:
    """How far, how fast, and what became of the card before."""
    p = desk.progress
    done = p.labelled + p.skipped
    parts: list[Content | tuple[str, str] | str] = [f" {count(done)} of {count(done + p.left)}"]
    if desk.card is not None and (kind := KIND_WORDS.get(desk.card.item.stratum)):
        parts.append((f" · {kind}", paint.ACCENT))
    if desk.per_hour is not None:
        parts.append((f" · {count(desk.per_hour)}/h", paint.MUTED))
    if desk.median_seconds is not None:
        parts.append((f" · {desk.median_seconds:.1f} s", paint.MUTED))
    own = desk.card.own if desk.card is not None else None
    if own is not None and own.flagged:
        parts.append(("  ⚑ flagged", paint.WARN))
    if own is not None and own.note:
        parts += ["  ✎ ", paint.line(own.note, 24, paint.MUTED)]
    if desk.mark is not None:
        parts.append((f"  mark {desk.mark[0]} of {desk.mark[1]}", paint.ACCENT))
    if desk.looking_at is not None:
        parts.append(("  looking back: → goes on", paint.ACCENT))
    elif desk.wants_break(now):
        parts.append(("  45 minutes: a break keeps labels honest", paint.WARN))
    left = paint.words(*parts)
    right = _last(desk, max(width - left.cell_length - 3, 0))
    gap = max(width - left.cell_length - right.cell_length - 1, 1)
    return paint.words(left, " " * gap, right)


def _last(desk: Desk, width: int) -> Content:
    last = desk.last
    if last is None or desk.looking_at is not None:
        return paint.NOTHING
    if last.taken_back:
        return paint.words((f"{last.position} taken back: answer anew", paint.ACCENT))
    if last.said is None:
        return paint.words((f"{last.position} skipped", paint.MUTED))
    said = paint.label(last.said[0]) if len(last.said) == 1 else paint.words((f"{len(last.said)} answers", ""))
    shown = paint.words((f"{last.position} ", paint.MUTED), said)
    for one in last.judges[:3]:
        more = paint.words(("  ", ""), _says(one, with_head=len(desk.heads) > 1))
        if shown.cell_length + more.cell_length > width:
            break
        shown = paint.words(shown, more)
    return shown if shown.cell_length <= width else paint.NOTHING
