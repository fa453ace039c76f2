"""Which rows does each arm learn, which are held out, and what may be asked? Raw rows and what cleaning made of them.

A cleaned row belongs to the raw rows whose prompt it was made from (`original_instruction`; without one, its own
prompt). The same prompts are held out of both sets in any wording, and nothing is asked that either set holds.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_tui.errors import InputError
from refusal_tui.finetune.data import Dialogue, drawn, read_dialogues, require_answers
from refusal_tui.jobs.schedule import stable_seed
from refusal_tui.labels.rows import render_messages

if TYPE_CHECKING:
    from refusal_tui.finetune.cleaned.spec import RawVsCleanedSpec

RAW, CLEANED, BOTH = "raw", "cleaned", "both"
_HELD_OUT, _HELD_OUT_SHARE = 100, 0.2  # prompts, of those that both sets have


@dataclass(frozen=True, slots=True)
class Parts:
    """What each arm learns and what is held out of it, by arm; `counts`: what the reader is told of the sets."""

    learnt: Mapping[str, Sequence[Dialogue]]
    held_out: Mapping[str, Sequence[Dialogue]]
    counts: Mapping[str, int]


def read_sets(
    connection: sqlite3.Connection, spec: RawVsCleanedSpec, among: Collection[int] | None = None
) -> dict[str, list[Dialogue]]:
    """`raw`, `cleaned`, and `prompts` and `benign` as they are drawn. Raises InputError for sets that cannot be
    compared: empty, equal, of different prompts, or with too few prompts left to ask."""
    sets = {
        name: read_dialogues(connection, source, answers=True, among=among)
        for name, source in ((RAW, spec.raw), (CLEANED, spec.cleaned))
    }
    for name, rows in sets.items():
        require_answers(name, rows)
    _require_cleaned(sets[RAW], sets[CLEANED])
    learnt = {text for part in sets.values() for row in part for text in _wordings(row)}
    for name, source in (("prompts", spec.prompts), ("benign", spec.benign)):
        asked = read_dialogues(connection, source, answers=False, among=among)
        unseen = [row for row in asked if prompt_of(row) not in learnt]
        seen = f", {len(asked) - len(unseen):,} of them in what is learnt" if len(unseen) < len(asked) else ""
        sets[name] = drawn(unseen, spec.n, spec.seed, f"prompts of --{name}{seen}")
    if twice := {row.messages for row in sets["prompts"]} & {row.messages for row in sets["benign"]}:
        raise InputError(
            f"--prompts and --benign have {len(twice):,} of their prompts in common.",
            "A prompt is either to be refused or to be answered: take them out of one of the sets.",
        )
    return sets


def prompt_of(row: Dialogue) -> str:
    return render_messages(row.messages)


def origin_of(row: Dialogue) -> str:
    """The raw prompt that a row belongs to."""
    return row.origin or prompt_of(row)


def _wordings(row: Dialogue) -> set[str]:
    """Its prompt, and the raw one: two raw prompts may be rewritten as one and the same."""
    return {prompt_of(row), origin_of(row)}


def _require_cleaned(raw: Sequence[Dialogue], cleaned: Sequence[Dialogue]) -> None:
    if _pairs(raw) == _pairs(cleaned):
        raise InputError(
            "The raw and the cleaned set hold the same dialogues: there is nothing to compare.",
            "Name the dataset that a cleaning job has made (refusal-tui run clean), or its file, as --cleaned.",
        )
    if len({origin_of(row) for row in raw} & {origin_of(row) for row in cleaned}) < 2:
        raise InputError(
            "The cleaned rows do not come from the raw ones: they have no two prompts in common.",
            "Name what was cleaned as --raw. A cleaned row names its prompt as original_instruction, or keeps it.",
        )


def _pairs(rows: Sequence[Dialogue]) -> set[tuple[str, str]]:
    return {(prompt_of(row), row.answer) for row in rows}


def parts_of(raw: Sequence[Dialogue], cleaned: Sequence[Dialogue], *, seed: int, same_rows: bool) -> Parts:
    """The same parts for the same seed. `same_rows`: of the larger set as many rows are drawn as the other has."""
    shared = sorted({origin_of(row) for row in raw} & {origin_of(row) for row in cleaned})
    count = max(1, min(_HELD_OUT, int(_HELD_OUT_SHARE * len(shared))))
    held = set(sorted(shared, key=lambda text: stable_seed(seed, "held out", text))[:count])
    whole = {RAW: raw, CLEANED: cleaned}
    held_out = {arm: [row for row in rows if origin_of(row) in held] for arm, rows in whole.items()}
    unseen = {text for rows in held_out.values() for row in rows for text in _wordings(row)}
    learnt = {arm: [row for row in rows if unseen.isdisjoint(_wordings(row))] for arm, rows in whole.items()}
    fewest = min(map(len, learnt.values()))
    counts = {
        "raw": len(raw), "cleaned": len(cleaned), "prompts in both": len(shared), **_changes(raw, cleaned),
        "held-out prompts": count,
    }  # fmt: skip
    if same_rows:
        learnt = {arm: _some(rows, fewest, seed) for arm, rows in learnt.items()}
    counts |= {f"learnt, {arm}": len(rows) for arm, rows in learnt.items()}
    return Parts(learnt, held_out, counts)


def _some(rows: Sequence[Dialogue], count: int, seed: int) -> list[Dialogue]:
    """Drawn from all rows alike, so that a set keeps its share of refusals and of whatever else was cleaned."""
    order = sorted(range(len(rows)), key=lambda place: stable_seed(seed, "drawn", rows[place].key, place))
    return [rows[place] for place in sorted(order[:count])]


def _changes(raw: Sequence[Dialogue], cleaned: Sequence[Dialogue]) -> dict[str, int]:
    """Of the cleaned rows those that are as they were, changed and new ones; of the raw rows those that are gone."""
    before = _pairs(raw)
    origins = {origin_of(row) for row in raw}
    kinds = Counter(
        "unchanged" if (prompt_of(row), row.answer) in before
        else "changed by cleaning" if origin_of(row) in origins
        else "only in cleaned"
        for row in cleaned
    )  # fmt: skip
    left = {origin_of(row) for row in cleaned}
    gone = sum(origin_of(row) not in left for row in raw)
    return {name: kinds[name] for name in ("unchanged", "changed by cleaning", "only in cleaned")} | {"left out": gone}
