"""Which rows should people read? A stratified sample with known inclusion probabilities.

Strata are outcome x confidence band x source x whether judge and people agree, and each gets alike, so that rare ones
are seen. A row's inclusion probability is stored with it: weighted by its inverse (Horvitz and Thompson, JASA 1952) a
mean over the sample stands for all rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.table import Codes, Table

LEAST, MOST = 20, 2000
_BANDS = ("no confidence", "below .6", ".6 to .9", ".9 up")
_SAME = ("one side", "agree", "differ")


@dataclass(frozen=True, slots=True)
class Drawn:
    """A row of the table, its stratum, and the probability with which it was drawn."""

    place: int
    stratum: str
    inclusion: float


def strata_of(table: Table, judge: Codes, people: Codes) -> Codes:
    """The stratum of each row."""
    label = table.label()
    column = table.heads.get("refusal3")
    chances = column.probability if column is not None else np.full(len(table), np.nan)
    band = np.select([np.isnan(chances), chances < 0.6, chances < 0.9], [0, 1, 2], 3)
    both = (judge.codes >= 0) & (people.codes >= 0)
    same = np.where(~both, 0, np.where(judge.codes == people.codes, 1, 2))
    values = (*label.names, "unlabelled")  # which -1 stands for
    parts = (values, _BANDS, table.source.names, _SAME)
    shape = tuple(map(len, parts))
    of_row = np.ravel_multi_index((label.codes % len(values), band, table.source.codes, same), shape)
    kinds, codes = np.unique(of_row, return_inverse=True)
    places = zip(*(part.tolist() for part in np.unravel_index(kinds, shape)), strict=True)
    names = [" | ".join(part[place] for part, place in zip(parts, kind, strict=True)) for kind in places]
    return Codes(tuple(names), codes.astype(np.int32))


def draw(strata: Codes, size: int, seed: int) -> list[Drawn]:
    """About `size` rows (never more), in the order of the table. With more strata than `size`, strata are drawn, too.

    >>> from refusal_tui.audit.table import coded
    >>> drawn = draw(coded(["rare"] * 2 + ["common"] * 98), 10, 1)
    >>> sorted({(d.stratum, round(d.inclusion, 3)) for d in drawn}), len(drawn)
    ([('common', 0.082), ('rare', 1.0)], 10)
    """
    names, codes = strata.names, strata.codes
    sizes = np.bincount(codes, minlength=len(names))
    chance = np.random.default_rng(seed)
    wanted = min(size, len(codes))
    if len(names) > wanted:
        kept = np.sort(chance.choice(len(names), wanted, replace=False))
        takes, factor = np.zeros(len(names), np.int64), wanted / len(names)
        takes[kept] = 1
    else:
        takes, factor = _even(sizes, wanted), 1.0
    found: list[Drawn] = []
    for code, take in enumerate(takes.tolist()):
        rows = np.flatnonzero(codes == code)
        places = chance.choice(rows, take, replace=False).tolist() if take else []
        found += [Drawn(place, names[code], factor * take / len(rows)) for place in places]
    return sorted(found, key=lambda one: one.place)


def _even(sizes: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """As many of each stratum as evenly possible, at most what there is."""
    takes = np.zeros_like(sizes)
    while (left := wanted - int(takes.sum())) > 0:
        open_ = np.flatnonzero(takes < sizes)
        more = max(1, left // len(open_))
        for code in open_[: left if more == 1 else None].tolist():
            takes[code] += min(more, sizes[code] - takes[code])
    return takes
