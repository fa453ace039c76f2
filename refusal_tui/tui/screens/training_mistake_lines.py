"""What the Mistake screen says, painted: a row's text with what each word or sentence weighs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from textual.content import Content

from refusal_tui.classify.sections_why import pieces_of
from refusal_tui.labels.rows import Row
from refusal_tui.text.blocks import heaviest
from refusal_tui.tui import paint

_MOST = 6
_METHODS = {
    "shapley": "exact shares",
    "occlusion": "score without each sentence",
    "gradients": "integrated gradients",
    "attention": "attention, not an explanation",
}


def facts_of(mistake: Mapping[str, Any], found: Mapping[str, Any] | None, width: int) -> Content:
    """Two lines: label and answer; where the row comes from and how it was explained."""
    first = paint.words(
        ("said ", paint.MUTED), paint.label(mistake["said"]), f"  {mistake['confidence']:.3f}",
        ("    label ", paint.MUTED), paint.label(mistake["label"]), f"  {mistake['of_label']:.3f}",
        (" by ", paint.MUTED), paint.line(mistake["by"], 20),
    )  # fmt: skip
    where = f"row {mistake['item_id']}  {mistake['dataset']}  {mistake['model'] or ''}"
    return paint.lines(first, paint.words(paint.line(where, width, paint.MUTED)))


def text_of(row: Row | None, found: Mapping[str, Any] | None) -> Content:
    """Prompt and response in full; underlined words speak for what was said, those in italics against it."""
    if row is None:
        return paint.words(("This row is no longer in the workspace.", paint.MUTED))
    parts: list[Content | str] = [*_why(row, found), "", paint.heading("Response")]
    most = heaviest([(p["start"], p["end"], p["share"]) for p in found["pieces"]]) if found is not None else 0.0
    for field, text in (("response", row.response), ("prompt", row.prompt)):
        if field == "prompt":
            parts += ["", paint.heading("Prompt")]
        pieces = pieces_of(found, field) if found is not None else []
        parts.append(paint.words(("none", paint.MUTED)) if text is None else paint.weighed(text, pieces, most))
    return paint.lines(*parts)


def _why(row: Row, found: Mapping[str, Any] | None) -> Iterator[Content]:
    if found is None:
        yield paint.words(
            ("Why was not looked at: refusal-tui classifiers explain (y copies the command)", paint.MUTED)
        )
        return
    target = paint.line(found["target"], 16, paint.STRONG)
    yield paint.words(
        target, f" {found['score']:+.2f}", (f" (base {found['base']:+.2f}; {_METHODS[found['method']]})   words ", ""),
        ("for", paint.FOR), " it, ", ("against", paint.AGAINST), " it",
    )  # fmt: skip
    texts = {"prompt": row.prompt, "response": row.response or ""}
    most = sorted(found["pieces"], key=lambda piece: -abs(piece["share"]))[:_MOST]
    shown: list[Content | tuple[str, str] | str] = []
    for piece in most:
        word = texts[piece["field"]][piece["start"] : piece["end"]]
        style = paint.LESS_FOR if piece["share"] > 0 else paint.LESS_AGAINST
        shown += [(f"{piece['share']:+.2f} ", ""), paint.line(word, 24, style), "  "]
    yield paint.words(("most: ", paint.MUTED), *shown)
    findings = sorted(found["features"].items(), key=lambda pair: -abs(pair[1]))[:3]
    if findings:
        yield paint.words(("findings: ", paint.MUTED), *(
            paint.words(f"{share:+.2f} ", paint.line(name, 30, paint.MUTED), "  ") for name, share in findings
        ))  # fmt: skip
