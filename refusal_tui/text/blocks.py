"""How is a report laid out? Sections of tables and figures as plain values: one source for screen, page and PDF.

What a line of a figure speaks of can be opened: `opens` says how, in words of the room that made the report (a filter,
a command's options); "" where there is nothing to open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Bars:
    """A number per name, the largest bar as wide as there is room."""

    title: str
    values: Mapping[str, float]
    opens: Mapping[str, str]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Steps:
    """A histogram: counts of neighbouring steps."""

    title: str
    names: Sequence[str]
    counts: Sequence[int]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """How each group is divided."""

    title: str
    groups: Mapping[str, Mapping[str, int]]
    opens: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rows:
    """A table; `opens` has a filter per row, or is empty. `names`: what a row is about, where
    something can be done with it (left out, drawn), "" for nothing."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    opens: Sequence[str] = ()
    names: Sequence[str] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """Points (x, y) in the order in which they are joined; `dots`: they are not joined. `intervals`: least and most y
    of every point, or empty; points with intervals are marked, too."""

    name: str
    points: Sequence[tuple[float, float]]
    dots: bool = False
    intervals: Sequence[tuple[float, float]] = ()

    @property
    def marked(self) -> bool:
        """Whether its points stand out with a glyph of its own."""
        return self.dots or bool(self.intervals)


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines over one pair of axes. `bounds`: least and most y, None: what the points need."""

    title: str
    x: str
    series: Sequence[Series]
    bounds: tuple[float, float] | None = None
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Counts by row and column, shape (rows, columns); `opens` has a way per cell, or is empty."""

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    counts: Sequence[Sequence[int]]
    opens: Sequence[Sequence[str]] = ()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A text whose pieces [start, end) speak for something (share above 0) or against it. `most`: the share that the
    others are measured by, where other texts belong to it; 0: the largest of these."""

    title: str
    text: str
    pieces: Sequence[tuple[int, int, float]]
    remark: str = ""
    most: float = 0.0


@dataclass(frozen=True, slots=True)
class Words:
    text: str


Block = Bars | Steps | Shares | Rows | Curves | Matrix | Passage | Words


@dataclass(frozen=True, slots=True)
class Section:
    """`name`: one word, as it is typed on the command line."""

    name: str
    title: str
    blocks: Sequence[Block]


def is_empty(block: Block) -> bool:
    """Whether there is nothing in it to show."""
    match block:
        case Bars(values=values):
            return not values
        case Steps(counts=counts):
            return not any(counts)
        case Shares(groups=groups):
            return not any(map(sum, (counts.values() for counts in groups.values())))
        case Rows(rows=rows):
            return not rows
        case Curves(series=series):
            return not any(one.points for one in series)
        case Matrix(counts=table):
            return not any(map(sum, table))
        case Passage(text=text) | Words(text=text):
            return not text
    return False


def filled_steps(title: str, names: Sequence[str], counts: Sequence[int], remark: str = "") -> Steps:
    """Without the empty steps at both ends."""
    full = [place for place, count in enumerate(counts) if count]
    first, last = (full[0], full[-1] + 1) if full else (0, 0)
    return Steps(title, names[first:last], counts[first:last], remark)


def cell_text(value: Cell) -> str:
    """
    >>> [cell_text(value) for value in (None, 1234, 0.25, 3.0, 0.00012, "word")]
    ['—', '1,234', '0.25', '3', '0.00012', 'word']
    """
    if value is None:
        return "—"
    if isinstance(value, float):
        if value.is_integer() or 0 < abs(value) < 0.001:
            return f"{value:,.0f}" if value.is_integer() else f"{value:.2g}"
        return f"{value:,.3f}".rstrip("0")
    return f"{value:,}" if isinstance(value, int) else value


def heaviest(pieces: Sequence[tuple[int, int, float]]) -> float:
    return max((abs(share) for _, _, share in pieces), default=0.0)


def weight(share: float, most: float) -> int:
    """How much a piece speaks for something, as steps that are told apart: 2 much, 1 some, 0 little, below 0 against.

    >>> [weight(share, 1.0) for share in (0.9, 0.3, 0.1, -0.2, -0.5)]
    [2, 1, 0, -1, -2]
    """
    if not most or abs(share) < most / 8:
        return 0
    step = 2 if abs(share) >= 0.4 * most else 1
    return step if share > 0 else -step
