"""The parts of a Clean review card, painted: what came in, what it became, the answer, and why."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.store.clean_review import Choice, Queue
from refusal_tui.text.word_diff import word_diff
from refusal_tui.tui import paint
from refusal_tui.tui.state.clean_review import PAST, Card, CleanReviewState
from refusal_tui.tui.state.figures import count

_GLYPHS = {Choice.ACCEPT: ("✓ ", paint.GOOD), Choice.EDIT: ("✎ ", paint.ACCENT), Choice.REJECT: ("✗ ", paint.BAD),
           Choice.SKIP: ("→ ", paint.MUTED)}  # fmt: skip
_STATES = {"keep": ("keep", paint.GOOD), "review": ("doubtful", paint.WARN), "drop": ("drop", paint.BAD)}
_EMPTY = {
    Queue.UNDECIDED: "Every row is decided: nothing is left to review.",
    Queue.CHANGED: "This job has changed no row.",
    Queue.REFUSED_AGAIN: "No row was refused again.",
    Queue.DOUBTFUL: "The job has no doubt about any row.",
    Queue.SKIPPED: "You have skipped no row.",
    Queue.TOUCHED: "The job has changed no row.",
}


def head(state: CleanReviewState) -> Content:
    """Where one is in the queue, what the job says of the row, and what people have said."""
    parts: list[Content | tuple[str, str] | str] = [(state.queue.value, paint.STRONG), f"  {state.place()}"]
    card = state.card
    if card is not None:
        parts += [("   job says ", paint.MUTED), _STATES.get(str(card.row.meta.get("decision")), ("—", paint.MUTED))]
        for who, one in card.decisions.items():
            glyph = _GLYPHS[one.choice]
            name = "you" if who == state.annotator else who.removeprefix("human:")
            parts += ["   ", glyph, paint.line(name, 16), (f" {PAST[one.choice]}", glyph[1])]
    return paint.words(*parts)


def progress(state: CleanReviewState) -> Content:
    done = state.progress
    if done is None:
        return paint.NOTHING
    parts: list[Content | tuple[str, str] | str] = [
        (f"{count(done.decided)} of {count(done.rows)} decided", paint.STRONG)
    ]
    for choice, number in (
        (Choice.ACCEPT, done.accepted), (Choice.EDIT, done.edited), (Choice.REJECT, done.rejected),
        (Choice.SKIP, done.skipped),
    ):  # fmt: skip
        parts += ["   ", _GLYPHS[choice], (f"{PAST[choice]} {count(number)}", "" if number else paint.MUTED)]
    return paint.words(*parts)


def nothing(state: CleanReviewState) -> Content:
    if state.ids is None:
        return paint.words(("reading…", paint.MUTED))
    others = paint.keys(("f", "other rows"), ("u", "take the last decision back"), ("esc", "back"))
    write = paint.words(("Write what is kept:  ", paint.MUTED), f"refusal-tui cleaned {state.job_id} --out FILE.jsonl")
    return paint.lines("", _EMPTY[state.queue], "", others, "", write)


def original(card: Card) -> Content:
    gone, _ = word_diff(card.original, card.row.prompt) if card.rewritten else ([], [])
    shown, _ = paint.passage(card.original, gone, paint.GONE)
    remark = "struck: gone from the rewrite" if gone else ""
    return paint.lines(paint.heading("Original", remark), shown)


def rewrite(card: Card) -> Content:
    """The model's wording, and below it a person's, each with what is new in it."""
    if not card.rewritten:
        parts = [paint.heading("Rewrite"), paint.words(("none: the instruction is as it was", paint.MUTED))]
    else:
        _, come = word_diff(card.original, card.row.prompt)
        shown, _ = paint.passage(card.row.prompt, come, paint.COME)
        parts = [paint.heading("Rewrite", "underlined: new"), shown]
    if card.edited is not None and card.edited != card.row.prompt:
        _, come = word_diff(card.row.prompt, card.edited)
        shown, _ = paint.passage(card.edited, come, paint.COME)
        parts += ["", paint.heading("Edited", "underlined: not the model's"), shown]  # type: ignore[list-item]
    return paint.lines(*parts)


def answer(card: Card) -> Content:
    """The answer that goes with the rewrite, the one that was there before, and why the job says what it says."""
    waits = card.decided is not None and card.decided.choice is Choice.EDIT
    remark = "to the model's wording: answered again later; a says that it fits" if waits else ""
    parts: list[Content | str] = [paint.heading("Answer", remark), _response(card.row.response)]
    if card.before != card.row.response:
        parts += ["", paint.heading("Before"), _response(card.before)]
    meta = card.row.meta
    parts += ["", paint.heading("Why"), _fact("job says", card.why)]
    for name, value in (
        ("strategy", meta.get("strategy")), ("rewritten by", meta.get("rewritten_by")), ("answered by", card.row.model),
        ("judge", meta.get("judge")), ("rounds", meta.get("rounds")), ("same topic", meta.get("similarity")),
        ("source", f"{meta.get('source_dataset')}/{meta.get('source_key')}"),
    ):  # fmt: skip
        if value is not None:
            parts.append(_fact(name, str(value)))
    return paint.lines(*parts)


def whole(card: Card) -> Content:
    return paint.lines(original(card), "", rewrite(card), "", answer(card))


def _response(value: str | None) -> Content:
    if value is None or not value.strip():
        return paint.words(("no response" if value is None else "an empty response", paint.MUTED))
    return paint.text(value)


def _fact(name: str, value: str) -> Content:
    return paint.field(name, paint.text(value))
