"""How does data become painted text? Only here: every string of data passes `safe_text` before a widget sees it.

Widgets parse markup in plain strings and pass escape sequences through to the terminal. So they are given `Content`,
made by these functions; a lint (tests/text/test_one_door.py) forbids every other way. Styles are theme variables, and
nothing is told by colour alone: labels and states have a glyph and a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from textual.content import Content, Span

from refusal_tui.errors import RefusalTuiError
from refusal_tui.text.blocks import heaviest, weight
from refusal_tui.text.safe import safe_text, safe_text_map, shorten
from refusal_tui.tui.wrap import wrap

MUTED = "$text-muted"
STRONG = "bold"
ACCENT = "$text-accent"
GOOD = "$text-success"
WARN = "$text-warning"
BAD = "$text-error"
KEY = "bold $text-accent"
HEADING = "bold $text-accent"
EVIDENCE = "bold underline $text-warning"
# Words that speak for something and against it, much and less: told apart without colour, too.
FOR, LESS_FOR = "bold underline $text-error", "underline $text-error"
AGAINST, LESS_AGAINST = "bold italic $text-success", "italic $text-success"
_WEIGHTS = {2: FOR, 1: LESS_FOR, -1: LESS_AGAINST, -2: AGAINST}
GONE = "bold strike $text-error"
COME = "bold underline $text-success"

# The same glyph and word everywhere: a state must be readable without colour.
LABELS = {"hard": ("● hard", BAD), "soft": ("◐ soft", WARN), "none": ("○ none", GOOD)}
NO_LABEL = "· —"
LABEL_WIDTH = 6

NOTHING = Content("")
_VEIL = re.compile(r"[^\s]")


def text(value: str, style: str = "") -> Content:
    """Data with its line breaks."""
    return _plain(safe_text(value), style)


def line(value: str | None, width: int, style: str = "") -> Content:
    """Data as one line of at most `width` cells; a missing value is a dash."""
    if value is None:
        return _plain("—" if width else "", MUTED)
    return _plain(shorten(value, width), style)


def two_lines(value: str, width: int, style: str = "") -> list[Content]:
    """Data in one line, or two where it is longer, broken at a blank; the second one is cut."""
    return few_lines(value, width, 2, style)


def few_lines(value: str, width: int, most: int, style: str = "") -> list[Content]:
    """Data in as many lines as it needs, broken at blanks, up to `most` of them, of which the last is cut."""
    shown = safe_text(value, newlines=False)
    places = wrap(shown, width)
    parts = [shown[start:end] for start, end in zip(places.starts, places.ends, strict=True)]
    if len(parts) > most:
        parts = [*parts[: most - 1], shown[places.starts[most - 1] :]]
    return [line(part, width, style) for part in parts]


def number(value: float | None, width: int = 0, style: str = "") -> Content:
    """A count with thousands separators, at the right of `width` cells."""
    return _plain(("—" if value is None else f"{value:,}").rjust(width), style if value is not None else MUTED)


def short_number(value: int, width: int = 0, style: str = "") -> Content:
    """A count in at most seven cells: 999,999 or 1.23M."""
    shown = f"{value:,}" if value < 1_000_000 else f"{value / 1_000_000:.2f}M"
    return _plain(shown.rjust(width), style)


def probability(value: float | None) -> Content:
    """Four cells: 0.93, or a dash."""
    return _plain("  — " if value is None else f"{value:4.2f}", "" if value is not None else MUTED)


def label(value: str | None) -> Content:
    """A refusal label as glyph and word; other heads' values as they are."""
    if value is None:
        return _plain(NO_LABEL, MUTED)
    if value in LABELS:
        word, style = LABELS[value]
        return _plain(word, style)
    return _plain(shorten(value, 24))


def words(*parts: Content | tuple[str, str] | str) -> Content:
    """Parts side by side. A bare string or a (string, style) pair is for our own words; data comes as Content."""
    return _joined([_part(part) for part in parts], "")


def lines(*parts: Content | str) -> Content:
    """Parts below each other."""
    return _joined([_part(part) for part in parts], "\n")


def _part(part: Content | tuple[str, str] | str) -> Content:
    if isinstance(part, Content):
        return part
    return text(*part) if isinstance(part, tuple) else text(part)


def _joined(parts: Sequence[Content], between: str) -> Content:
    """`Content.join` measures every part, which takes long for a response of a megabyte."""
    spans: list[Span] = []
    offset = 0
    for part in parts:
        spans += [Span(start + offset, end + offset, style) for start, end, style in part.spans]
        offset += len(part.plain) + len(between)
    joined = between.join([part.plain for part in parts])
    return Content(joined, spans, strip_control_codes=False)  # exact: every part is painted already


def heading(word: str, remark: str = "") -> Content:
    return words((word, HEADING), ("  " + remark if remark else "", MUTED))


def field(name: str, value: str | Content | None, width: int = 14) -> Content:
    """One `name  value` line of a description."""
    shown = value if isinstance(value, Content) else (_plain("—", MUTED) if value is None else text(value))
    return words((name.ljust(width) + " ", MUTED), shown)


def passage(value: str, spans: Sequence[tuple[int, int]] = (), style: str = EVIDENCE) -> tuple[Content, list[int]]:
    """Data with evidence (or other spans) painted; `spans` are [start, end) of the raw text.

    Also returns where each span starts in the painted text. Spans that lie outside the text are left out: they belong
    to another text.
    """
    shown = safe_text_map(value)
    painted: list[Span] = []
    for start, end in spans:
        if 0 <= start < end <= len(value):
            painted.append(Span(*shown.span(start, end), style))
    return Content(shown.text, painted, strip_control_codes=False), [span.start for span in painted]


def weighed(value: str, shares: Sequence[tuple[int, int, float]], most: float = 0.0) -> Content:
    """Data whose pieces [start, end) speak for something (share above 0) or against it; what weighs little, measured by
    `most` (0: the largest share of these), is plain."""
    shown = safe_text_map(value)
    most = most or heaviest(shares)
    painted = [
        Span(*shown.span(start, end), _WEIGHTS[weight(share, most)])
        for start, end, share in shares
        if weight(share, most) and 0 <= start < end <= len(value)
    ]
    return Content(shown.text, painted, strip_control_codes=False)


def veiled(value: str) -> Content:
    """Data that is not to be read yet: its shape alone."""
    return _plain(_VEIL.sub("░", safe_text(value)), MUTED)


def editable(value: str) -> Content:
    """What is being typed, one glyph per character so that the cursor stays where it belongs."""
    return _plain("".join(_glyph(char) for char in value) if not value.isascii() or not value.isprintable() else value)


def error(problem: RefusalTuiError) -> Content:
    """The sentence and what to do now."""
    return words((str(problem), BAD), (f" {problem.next_step}" if problem.next_step else "", ""))


def keys(*pairs: tuple[str, str]) -> Content:
    """`key what  key what` for empty states and overlays."""
    parts: list[Content | tuple[str, str] | str] = []
    for key, what in pairs:
        parts += [("  " if parts else "", ""), (key, KEY), (f" {what}", "")]
    return words(*parts)


def _plain(shown: str, style: str = "") -> Content:
    """Text that is safe already."""
    spans = [Span(0, len(shown), style)] if style and shown else None
    return Content(shown, spans, strip_control_codes=False)  # exact: the callers above made it safe


def _glyph(char: str) -> str:
    shown = safe_text(char, newlines=False)
    return shown if len(shown) == 1 else "�"
