"""How does text from data reach the terminal? Through `safe_text`: exact to the eye and harmless to the terminal.

Nothing is removed. What would act on the terminal or hide from the reader becomes a visible glyph:

    ESC, NUL and the other C0 controls, DEL     their control picture: ␛ ␀ ␡
    tab                                         four spaces (fixed, so that a part of a text looks like the whole)
    CRLF, LF                                    a new line, or ↵ with newlines=False; a lone CR is ␍
    C1 controls, bidi controls, zero-width and  ⟨U+009B⟩ ⟨U+202E⟩ ⟨U+200B⟩
    other invisible characters, fillers, line
    separators, tag characters, lone surrogates,
    private use, noncharacters
    ZWJ, variation selector, skin tone          kept inside an emoji sequence of up to four emoji, else ⟨U+200D⟩
    ZWNJ                                        kept where it shapes Arabic or Indic letters, else ⟨U+200C⟩
    more than four combining marks in a row     four of them, then ⟨+12 marks⟩
    a combining mark that starts a line         on a dotted circle, so that it cannot land on a border

Brackets stay brackets: the result is plain text and not markup. A widget that parses markup takes `Text(safe_text(x))`.
Sources: Unicode 17, DerivedCoreProperties.txt (Default_Ignorable_Code_Point); UTS #51 (emoji sequences).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

TAB = "    "
NEWLINE_GLYPH = "↵"
_ZWJ = "\u200d"
ELLIPSIS = "…"
MARKS_SHOWN = 4  # Hebrew with vowels and accents needs four
_EMOJI_JOINED = 4  # the longest sequence that Unicode recommends (a family) has four emoji

_NONCHARACTERS = "".join(f"{chr(plane + 0xFFFE)}-{chr(plane + 0xFFFF)}" for plane in range(0, 0xF0000, 0x10000))
_SKIN_TONES = "\U0001f3fb-\U0001f3ff"
# Everything that is never shown as it is, apart from CR and LF. In the order of the code points.
_HIDDEN = (
    "\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ue000-\uf8ff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U00013430-\U00013440\U00016fe4\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    f"{_SKIN_TONES}\U000e0000-\U000e0fff\U000f0000-\U0010ffff{_NONCHARACTERS}"
)
_EMOJI_CLASS = (
    "©®\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b05-\u2b55\u3030\u303d\u3297"
    "\u3299\U0001f000-\U0001f1e5\U0001f200-\U0001f3fa\U0001f400-\U0001faff"
)
_EMOJI = f"[{_EMOJI_CLASS}][\ufe0e\ufe0f{_SKIN_TONES}]?"
_EMOJI_SEQUENCE = rf"[#*0-9]\ufe0f\u20e3|{_EMOJI}(?:\u200d{_EMOJI}){{0,{_EMOJI_JOINED - 1}}}"
# Letters that join to the next one (so that ZWNJ between them is seen), and the viramas of the Indic scripts.
_ARABIC_JOINING = (
    "\u0626\u0628\u062a-\u062e\u0633-\u063f\u0641-\u0647"
    "\u0649\u064a\u0678-\u0687\u069a-\u06bf\u06c1\u06c2\u06cc\u06ce\u06d0\u06d1"
)
_ARABIC_LETTER = "\u0620-\u064a\u066e-\u06d3"
_VIRAMA = "\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u0dca"
_SHAPING_ZWNJ = rf"(?<=[{_ARABIC_JOINING}])\u200c(?=[{_ARABIC_LETTER}])|(?<=[{_VIRAMA}])\u200c(?=[\u0900-\u0dff])"
# Marks have no class in `re`. They are neither letters nor ASCII, so these are the candidates, and `_is_mark` decides.
# Hangul vowels and tails are letters, but they stack on the syllable before them and take no cell of their own.
_HANGUL_TAIL = "\u1161-\u11ff\ud7b0-\ud7ff"
_MAYBE_MARK = rf"(?:[^\x00-\x7f\w\s{_HIDDEN}{_EMOJI_CLASS}]|[{_HANGUL_TAIL}])"

# Letters and signs that are never hidden, never marks and never in a sequence (but for the digits of keycaps). Most
# rows hold nothing else (3 µs per 1,000 characters); of the others only the other stretches are looked at. All
# lie below U+10000, where `re` looks a character up in a bitmap, 30 times faster than in a list of ranges.
_PLAIN = (
    " -~\xa0-\xa8\xaa-\xac\xaf-\u02ff\u0370-\u0482\u048a-\u052f\u05d0-\u05ea\u0620-\u064a\u0660-\u066f\u0671-\u06d3"
    "\u1e00-\u200a\u2010-\u2027\u202f-\u203b\u203d-\u2048\u204a-\u205f\u2070-\u20cf\u2100-\u2121\u2123-\u2138"
    "\u213a-\u2193\u2200-\u2319\u2400-\u24c1\u24c3-\u25a9\u27c0-\u2933\u2936-\u2b04\u2b56-\u2bff\u3000-\u3029"
    "\u3031-\u303c\u303e-\u3098\u309b-\u3163\u3165-\u3296\u329a-\ua48c\uac00-\ud7a3\uf900-\ufaff\uff01-\uff9f"
)
# [x][x]* and not [x]+, because `re` jumps to the first hit only if a pattern begins with a plain class.
_UNUSUAL = re.compile(rf"[^{_PLAIN}\n][^{_PLAIN}\n]*")
_UNUSUAL_OR_NEWLINE = re.compile(f"[^{_PLAIN}][^{_PLAIN}]*")

_PIECE = re.compile(
    rf"(?P<newline>\r\n|\n)|(?P<cr>\r)|(?P<keep>{_EMOJI_SEQUENCE}|{_SHAPING_ZWNJ})|(?P<hidden>[{_HIDDEN}]+)"
    rf"|(?P<marks>(?:\A|(?<=[\r\n])){_MAYBE_MARK}+|{_MAYBE_MARK}{{{MARKS_SHOWN + 1},}})"
)


class _Glyphs(dict[int, str]):
    """`str.translate` table of the hidden characters, filled as they are met."""

    def __missing__(self, code: int) -> str:
        if code == 0x09:
            glyph = TAB
        elif code < 0x20:
            glyph = chr(0x2400 + code)
        elif code == 0x7F:
            glyph = "␡"
        else:
            glyph = f"⟨U+{code:04X}⟩"
        self[code] = glyph
        return glyph


_GLYPHS = _Glyphs()


class _Edit(NamedTuple):
    """Raw characters [start, end) are shown as `shown`: one glyph after the other, or all by one piece."""

    start: int
    end: int
    shown: str
    each: bool = False


def safe_text(value: str, *, newlines: bool = True) -> str:
    """`value` as a reader must see it, with nothing in it that a terminal obeys (the table is in the module docstring).

    With `newlines=False` the result is one line. Clean text comes back as the same object.

    >>> safe_text("\\x1b[2J gone?")
    '␛[2J gone?'
    >>> safe_text("two\\nlines", newlines=False)
    'two↵lines'
    """
    edits = list(_edits(value, newlines))
    return _apply(value, edits) if edits else value


@dataclass(frozen=True, slots=True)
class SafeText:
    """Safe text that knows where each raw character went, so that evidence spans can be painted."""

    text: str
    _raw: str
    _edits: tuple[_Edit, ...]
    _shifts: tuple[int, ...]  # length of safe minus raw text before each edit; one more for the end

    def offset(self, index: int) -> int:
        """Where raw offset `index` (0 to the length of the raw text) lies in `text`; never decreases with `index`.

        Inside what is shown as one piece (CRLF, a count of marks) it is the start of the piece. Raises ValueError for
        an index outside the raw text.
        """
        return self._locate(index)[0]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Raw [start, end) in `text`, widened to whole glyphs: what holds a raw character is never empty here."""
        return self._locate(start)[0], self._locate(end)[1] if end > start else self._locate(start)[0]

    def _locate(self, index: int) -> tuple[int, int]:
        """The safe offset of `index`; inside a piece, the start and the end of the piece."""
        if not 0 <= index <= len(self._raw):
            raise ValueError(f"offset {index} is outside a text of {len(self._raw)} characters")
        number = bisect_right(self._edits, index, key=lambda edit: edit.start) - 1
        if number < 0:
            return index, index
        edit = self._edits[number]
        if index >= edit.end:
            offset = index + self._shifts[number + 1]
            return offset, offset
        piece = edit.start + self._shifts[number]
        if edit.each:
            offset = piece + len(self._raw[edit.start : index].translate(_GLYPHS))
            return offset, offset
        return piece, piece if index == edit.start else piece + len(edit.shown)


def safe_text_map(value: str, *, newlines: bool = True) -> SafeText:
    """`safe_text(value)` with the way back from raw offsets (evidence spans) to offsets in the safe text.

    >>> shown = safe_text_map("\\x00I cannot")
    >>> start, end = shown.span(3, 9)
    >>> shown.text[start:end]
    'cannot'
    """
    edits = tuple(_edits(value, newlines))
    shifts = [0]
    for edit in edits:
        shifts.append(shifts[-1] + len(edit.shown) - (edit.end - edit.start))
    return SafeText(_apply(value, edits), value, edits, tuple(shifts))


def _apply(value: str, edits: Sequence[_Edit]) -> str:
    pieces: list[str] = []
    position = 0
    for edit in edits:
        pieces.append(value[position : edit.start])
        pieces.append(edit.shown)
        position = edit.end
    pieces.append(value[position:])
    return "".join(pieces)


def _edits(value: str, newlines: bool) -> Iterator[_Edit]:
    """Everything that is shown otherwise than it is, in order and without overlap."""
    unusual = _UNUSUAL if newlines else _UNUSUAL_OR_NEWLINE
    for stretch in unusual.finditer(value):
        stretch_start, stretch_end = stretch.span()
        # One more character on each side: the digit of a keycap, the LF of a CRLF, the letter after a ZWNJ.
        for match in _PIECE.finditer(value, max(stretch_start - 1, 0), stretch_end + 1):
            start, end = match.span()
            if start >= stretch_end:
                break
            kind = match.lastgroup
            if kind == "hidden":
                yield _Edit(start, end, match[0].translate(_GLYPHS), each=True)
            elif kind == "marks":
                yield from _mark_edits(value, start, end)
            elif kind == "cr":
                yield _Edit(start, end, "␍")
            elif kind == "newline" and (not newlines or end - start == 2):
                yield _Edit(start, end, "\n" if newlines else NEWLINE_GLYPH)


def _mark_edits(value: str, start: int, end: int) -> Iterator[_Edit]:
    """In a run of characters that may be marks: a seat for one that starts a line, a count for a flood."""
    if (start == 0 or value[start - 1] in "\r\n") and _is_mark(value[start]):
        yield _Edit(start, start, "◌")
    run = 0  # marks in a row up to here
    for index in range(start, end + 1):
        if index < end and _is_mark(value[index]):
            run += 1
            continue
        if run > MARKS_SHOWN:
            yield _Edit(index - run + MARKS_SHOWN, index, f"⟨+{run - MARKS_SHOWN} marks⟩")
        run = 0


def _stacks(char: str) -> bool:
    """Does it stand on the character before it, without a cell of its own?"""
    return unicodedata.category(char)[0] == "M" or "\u1161" <= char <= "\u11ff" or "\ud7b0" <= char <= "\ud7ff"


def _is_mark(char: str) -> bool:
    # Cn: unknown to this Python's Unicode, but perhaps a mark to the terminal's newer one.
    return _stacks(char) or unicodedata.category(char) == "Cn"


# One cluster of safe text that must not be cut apart; marks follow as clusters of width 0.
_CLUSTER = re.compile(rf"{_EMOJI_SEQUENCE}|[\U0001f1e6-\U0001f1ff]{{2}}|[\s\S]")
# One cell each, whatever follows them.
_NARROW = re.compile("[ -~\xa0-\xac\xae-\u02ff\u0370-\u0482\u2010-\u2027\u2190-\u21ff\u2400-\u243f\u2500-\u257f⟨⟩]*")


def cell_width(text: str) -> int:
    """Cells that safe text takes in a terminal, by the same table that lays out the screens (Rich's)."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shorten(value: str, width: int) -> str:
    """Data as one safe line of at most `width` cells; … at its end says that there is more.

    Looks only at the beginning of `value` (a few characters per cell): a line of 1 MB costs no more than a short one.
    Emoji sequences, flags and letters with their marks are never cut apart.

    >>> shorten("first line\\nsecond line", 12)
    'first line↵…'
    """
    if width <= 0:
        return ""
    end = min(len(value), 8 * width + 64)
    while 0 < end < len(value) and (_stacks(value[end]) or _ZWJ in value[end - 1 : end + 1]):
        end -= 1  # a window that ends inside a cluster would show a wrong one
    line = safe_text(value[:end], newlines=False)
    if end == len(value) and cell_width(line) <= width:
        return line
    narrow = _NARROW.match(line)
    if narrow is not None and narrow.end() >= width:
        return line[: width - 1] + ELLIPSIS
    used = 0
    cut = 0  # where the longest part ends that leaves a cell for the …
    for match in _CLUSTER.finditer(line):
        used += cell_width(match[0])
        if used > width - 1:
            break
        cut = match.end()
    return line[:cut] + ELLIPSIS
