"""What does Browse show? The filter, its rows, their order and marks; no Textual, no connection."""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass, field

from refusal_tui.errors import InputError, RefusalTuiError
from refusal_tui.store.browse import SORTS, Facet
from refusal_tui.store.query import FIELDS, parse
from refusal_tui.tui.state.marks import Marks

SORT_WORDS = {
    "id": "id", "key": "key", "dataset": "dataset", "model": "model", "category": "category",
    "length": "response length", "prompt_length": "prompt length", "judge": "judge", "gold": "gold",
    "confidence": "confidence",
}  # fmt: skip
_VALUES = {
    "label": ("hard", "soft", "none"),
    "gold": ("hard", "soft", "none"),
    "judge": ("hard", "soft", "none"),
    "has": ("response", "label", "gold", "judge", "meta"),
    "is": ("disagreement", "settled"),
}
_TOKEN = re.compile(r"""-?(?:"(?:[^"]|"")*(?:"|$)|[^\s"])+""")


@dataclass(frozen=True)
class Query:
    """What is asked of the store."""

    filter: str = ""
    sort: str = "id"
    descending: bool = False


@dataclass
class BrowseState:
    """`shown` is what the rows on the screen answer, `wanted` what was asked last; they differ meanwhile."""

    wanted: Query = field(default_factory=Query)
    shown: Query | None = None
    ids: array[int] = field(default_factory=lambda: array("q"))
    total: int = 0
    marks: Marks = field(default_factory=Marks)
    anchor: int | None = None  # where a range begins, as an index
    error: RefusalTuiError | None = None

    # --- asking ----------------------------------------------------------------------------------------------------

    def want_filter(self, text: str) -> Query:
        self.wanted = Query(text.strip(), self.wanted.sort, self.wanted.descending)
        return self.wanted

    def want_next_sort(self) -> Query:
        names = list(SORTS)
        following = names[(names.index(self.wanted.sort) + 1) % len(names)]
        self.wanted = Query(self.wanted.filter, following, False)
        return self.wanted

    def want_reverse(self) -> Query:
        self.wanted = Query(self.wanted.filter, self.wanted.sort, not self.wanted.descending)
        return self.wanted

    # --- answers ---------------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self.error is None and self.shown != self.wanted

    def loaded(self, query: Query, ids: array[int], total: int, keep: int | None) -> int:
        """Take the rows of a query; returns where the cursor belongs: on the same item if it is still there."""
        self.shown, self.ids, self.total = query, ids, total
        self.error = None
        self.anchor = None
        try:
            return ids.index(keep) if keep is not None else 0
        except ValueError:
            return 0

    def failed(self, error: RefusalTuiError) -> None:
        """The filter cannot be used: say so and keep the rows that are there."""
        self.error = error
        shown = self.shown or Query()
        self.wanted = Query(self.wanted.filter, shown.sort, shown.descending)

    # --- marks -----------------------------------------------------------------------------------------------------

    def is_marked(self, index: int, item_id: int, cursor: int) -> bool:
        """Marked, or in the range that is being drawn from the anchor to the cursor."""
        if self.anchor is not None and min(self.anchor, cursor) <= index <= max(self.anchor, cursor):
            return True
        return item_id in self.marks

    def end_range(self, cursor: int) -> None:
        """Mark the rows from the anchor to the cursor."""
        if self.anchor is not None:
            first, last = sorted((self.anchor, cursor))
            self.marks.add(self.ids[first : last + 1])
            self.anchor = None

    def selection(self) -> str:
        """What a job, an export or a saved selection works on: the marked rows, else the filter on the screen."""
        return self.marks.expression() or (self.shown or self.wanted).filter

    def position(self, answer: str) -> int:
        """The index that `12` (the twelfth row) or `#345` (the item 345) means. Raises InputError for neither."""
        number = answer.strip().replace(",", "").removeprefix("#")
        if not number.isdecimal():
            raise InputError(f"{answer!r} is not a row.", "Give a row's number, or #345 for the item 345.")
        if not answer.strip().startswith("#"):
            return int(number) - 1
        try:
            return self.ids.index(int(number))
        except (ValueError, OverflowError):
            raise InputError(
                f"The item #{number} is not among these rows.", "Change the filter with / first."
            ) from None

    # --- words -----------------------------------------------------------------------------------------------------

    def status(self) -> str:
        """`1,234 of 450,000 rows · by length ↓ · 3 marked`"""
        query = self.shown or self.wanted
        count = f"{len(self.ids):,}"
        rows = f"{count} of {self.total:,} rows" if len(self.ids) != self.total else f"{count} rows"
        parts = ["filtering…" if self.busy else rows]
        if (query.sort, query.descending) != ("id", False):
            parts.append(f"by {SORT_WORDS[query.sort]} {'↓' if query.descending else '↑'}")
        if self.anchor is not None:
            parts.append("range: v ends it")
        elif marked := len(self.marks):
            parts.append(f"{marked:,} marked")
        return " · ".join(parts)

    def describe_selection(self) -> str:
        """`3 marked rows`, `the 44 rows of this filter`, `all 1,000 rows`."""
        if marked := len(self.marks):
            return f"{marked:,} marked row{'s' if marked != 1 else ''}"
        if (self.shown or self.wanted).filter:
            return f"the {len(self.ids):,} rows of this filter"
        return f"all {len(self.ids):,} rows"


# --- editing the filter --------------------------------------------------------------------------------------------


def with_facet(text: str, facet: Facet, *, exclude: bool = False) -> str:
    """The filter with a facet's term added, replaced by its opposite, or left alone when it is there already.

    >>> with_facet("judge:hard", Facet("model", "gpt4", 2), exclude=True)
    'judge:hard -model:gpt4'
    """
    term = ("-" if exclude else "") + facet.term
    opposite = facet.term if exclude else f"-{facet.term}"
    padded = f" {text.strip()} "
    if f" {term} " in padded:
        return text
    if f" {opposite} " in padded:
        return padded.replace(f" {opposite} ", f" {term} ").strip()
    return f"{text.strip()} {term}".strip()


def last_token(text: str) -> str:
    """The part of the filter that is being typed."""
    tokens = list(_TOKEN.finditer(text))
    return tokens[-1][0] if tokens and tokens[-1].end() == len(text) else ""


def completions(text: str, datasets: list[str], selections: list[str]) -> list[str]:
    """What the part being typed may become: fields, then values of the field.

    >>> completions("sorry da", [], [])
    ['dataset:']
    >>> completions("judge:", [], [])
    ['judge:hard', 'judge:soft', 'judge:none']
    """
    token = last_token(text)
    sign, body = ("-", token[1:]) if token.startswith("-") else ("", token)
    if body.startswith("@"):
        return [f"{sign}@{name}" for name in selections if name.startswith(body[1:])]
    name, colon, value = body.partition(":")
    if not colon:
        return [f"{sign}{field}{'>' if field in ('length', 'confidence', 'prompt_length') else ':'}"
                for field in FIELDS if field.startswith(body) and field != body]  # fmt: skip
    known = datasets if name == "dataset" else list(_VALUES.get(name.partition(".")[0], ()))
    return [sign + Facet(name, choice, 0).term for choice in known if choice.startswith(value) and choice != value]


def complete(text: str, choice: str) -> str:
    """The filter with the part being typed replaced."""
    return text[: len(text) - len(last_token(text))] + choice


def check(text: str) -> RefusalTuiError | None:
    """What is wrong with the grammar of a filter, without asking the store."""
    try:
        parse(text)
    except RefusalTuiError as error:
        return error
    return None
