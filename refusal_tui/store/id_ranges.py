"""How are many item ids written in few characters? `1-3,7`: what `id:` of the filter language takes, and reports keep.

Ids of one import follow each other, so that a whole dataset is one range.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def id_ranges(numbers: Iterable[int]) -> str:
    """
    >>> id_ranges([9, 1, 2, 3, 7, 10, 2])
    '1-3,7,9-10'
    """
    return written(_runs(numbers))


def id_filter(numbers: Iterable[int]) -> str:
    """The ids in the filter language, "" for none: `id:` alone would be no filter.

    >>> id_filter([4, 5]), id_filter([])
    ('id:4-5', '')
    """
    ranges = id_ranges(numbers)
    return f"id:{ranges}" if ranges else ""


def ids_of(ranges: str) -> list[int]:
    """
    >>> ids_of("1-3,7")
    [1, 2, 3, 7]
    """
    pairs = [part.partition("-") for part in ranges.split(",") if part]
    return [number for first, _, last in pairs for number in range(int(first), int(last or first) + 1)]


def written(runs: Iterable[tuple[int, int]]) -> str:
    """Runs of ids, each from its first to its last one.

    >>> written([(1, 3), (7, 7)])
    '1-3,7'
    """
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    run: tuple[int, int] | None = None
    for number in sorted(numbers):
        if run is None or number > run[1] + 1:
            if run is not None:
                yield run
            run = number, number
        else:
            run = run[0], number
    if run is not None:
        yield run
