"""Who refuses how much? Sums for every model, dataset and category, in one query that reads no text.

Whose label counts: a judge that is named, else people before judges, and the latest of each. A row is refused where its
three-class label is hard or soft, else where `response_refusal` says so. It is fulfilled as SORRY-Bench's score says
where there is one (a judge's score never stands beside a person's three classes); else `none` (or no refusal) fulfils,
`hard` does not, and `soft` leaves it open, as in `labels/profiles.py`. A prompt is known to be harmless by the label
of any row that has it, people before judges, so that a new model's answers to a labelled prompt count, too.

What a provider's filter stopped (`meta.provider_refused` of a generated row) is a fact and needs no judge: it counts as
refused and not fulfilled, whatever a judge made of the words that came instead, and in a column of its own. Where the
other rows were asked about fulfilment alone, nothing is said of refusing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from refusal_tui.errors import InputError
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.stats.rates import ClusterSums
from refusal_tui.store.query import compile_filter

GROUPS = ("model", "dataset", "category", "split")
MEASURES = ("refusal", "over_refusal", "fulfilment")
Key = tuple[str | None, ...]
Side = Literal["model", "dataset"]
_SIDES: dict[Side, str] = {
    "model": "model", "dataset": "(SELECT dataset.name FROM dataset WHERE dataset.id = dataset_id)"
}  # fmt: skip

# One maximum finds the label that counts: people before judges, then the latest; its value is in the lowest bits.
_PEOPLE_FIRST = "((annotator GLOB 'human:*') << 61) + (verdict_id << 2)"
_NONE, _HARD, _SOFT, _REFUSED = 0, 1, 2, 3  # _REFUSED: of an unknown kind

_ROWS = f"""
    latest AS (SELECT item_id,
            max(CASE WHEN head = 'refusal3' THEN {_PEOPLE_FIRST} + CASE value WHEN 'none' THEN {_NONE}
                WHEN 'hard' THEN {_HARD} ELSE {_SOFT} END END) AS three,
            max(CASE WHEN head = 'response_refusal' THEN {_PEOPLE_FIRST} + (value = 'yes') * {_REFUSED} END) AS two,
            max(CASE WHEN head = 'sorry' THEN {_PEOPLE_FIRST} + (value = '1') END) AS sorry
        FROM label WHERE head IN ('refusal3', 'response_refusal', 'sorry') AND (? IS NULL OR annotator = ?)
        GROUP BY item_id),
    said AS (SELECT item_id, three & 3 AS three, two & 3 AS two,
            CASE WHEN (sorry >> 61) >= (coalesce(three, two, 0) >> 61) THEN sorry & 1 END AS sorry FROM latest),
    known AS (SELECT item.prompt_id, max({_PEOPLE_FIRST} + (value = 'no')) & 1 AS harmless
        FROM label JOIN item ON item.id = label.item_id WHERE head = 'prompt_harmful' GROUP BY 1),
    chosen AS (SELECT item.id, item.prompt_id, item.model, item.dataset_id, item.category, item.split
        FROM item WHERE item.response_chars IS NOT NULL AND {{condition}}),
    {{stopped}},
    known_rows AS (SELECT chosen.*, known.harmless, sorry,
            stopped.item_id IS NOT NULL AS provider, CASE WHEN stopped.item_id IS NULL THEN three END AS three,
            CASE WHEN stopped.item_id IS NULL THEN coalesce(three, two) WHEN about_refusing THEN {_REFUSED} END AS kind
        FROM chosen CROSS JOIN asked LEFT JOIN said ON said.item_id = chosen.id
            LEFT JOIN known ON known.prompt_id = chosen.prompt_id LEFT JOIN stopped ON stopped.item_id = chosen.id),
    rows AS (SELECT *, kind > 0 AS refused, CASE WHEN harmless THEN kind > 0 END AS over,
            CASE WHEN provider THEN 0
                ELSE coalesce(sorry, CASE kind WHEN {_NONE} THEN 1 WHEN {_HARD} THEN 0 END) END AS fulfilled
        FROM known_rows)"""
_STOPPED = """SELECT item_body.item_id FROM item JOIN item_body ON item_body.item_id = item.id
    WHERE item.dataset_id IN (SELECT id FROM dataset WHERE adapter = 'generate')
        AND instr(item_body.meta, '"provider_refused"') AND json_extract(item_body.meta, '$.provider_refused')"""
_SOME_STOPPED = f"""stopped AS ({_STOPPED}),
    asked AS (SELECT coalesce(max(coalesce(three, two) IS NOT NULL), 0) OR NOT coalesce(max(sorry IS NOT NULL), 0)
            AS about_refusing FROM chosen JOIN said ON said.item_id = chosen.id)"""
_NONE_STOPPED = "stopped AS (SELECT 0 AS item_id WHERE 0), asked AS (SELECT 1 AS about_refusing)"
_COLUMNS = {"refusal": "refused", "over_refusal": "over", "fulfilment": "fulfilled"}


@dataclass(frozen=True, slots=True)
class CellCounts:
    """One cell. `key` has a value for each group, None where the source does not say. Counts are rows with a response.

    `none`, `hard`, `soft` count three-class labels, `provider` what a provider's filter stopped; `unlabelled` rows have
    nothing of what is measured.
    """

    key: Key
    none: int
    hard: int
    soft: int
    unlabelled: int
    refusal: ClusterSums
    over_refusal: ClusterSums
    fulfilment: ClusterSums
    provider: int = 0


@dataclass(frozen=True, slots=True)
class PairCounts:
    """Two models on the prompts that both have answered, for one measure.

    `one` and `other` are the models' mean rates; `total` and `squares` sum the differences of a prompt's rates and
    their squares. `only_one`, `only_other`: prompts on which one model alone says yes in most of its answers.
    """

    prompts: int
    one: float | None
    other: float | None
    total: float
    squares: float
    only_one: int
    only_other: int


@dataclass(frozen=True, slots=True)
class LabelSource:
    """Whose labels there are: `judge:NAME` or `human:NAME`, under which three-class rules, on how many rows."""

    annotator: str
    profile: str
    rows: int


def count_cells(
    connection: sqlite3.Connection, filter_text: str = "", by: Sequence[str] = GROUPS[:3], judge: str | None = None
) -> list[CellCounts]:
    """One cell for every combination of the groups in `by`, in their order; () gives one cell of everything.

    Rows without a response are left out. Raises InputError for a bad filter, an unknown group or an unknown judge.
    """
    groups = _groups(by)
    condition = compile_filter(connection, filter_text)
    annotator = _annotator(connection, judge)
    per_prompt = ", ".join(f"count({c}) AS {c}_n, coalesce(sum({c}), 0) AS {c}_y" for c in _COLUMNS.values())
    sums = ", ".join(
        f"count(nullif({c}_n, 0)), sum({c}_n), sum({c}_y), sum({c}_n * {c}_n), sum({c}_n * {c}_y), sum({c}_y * {c}_y)"
        for c in _COLUMNS.values()
    )
    keys = "".join(f"{g}, " for g in groups)
    found = connection.execute(
        f"""WITH {_rows(connection, condition.sql)},
            prompts AS (SELECT {keys} prompt_id, {per_prompt}, coalesce(sum(three = {_NONE}), 0) AS n_none,
                    coalesce(sum(three = {_HARD}), 0) AS n_hard, coalesce(sum(three = {_SOFT}), 0) AS n_soft,
                    sum(kind IS NULL AND fulfilled IS NULL) AS n_open, sum(provider) AS n_provider
                FROM rows GROUP BY {keys} prompt_id)
            SELECT {keys} sum(n_none), sum(n_hard), sum(n_soft), sum(n_open), sum(n_provider), {sums} FROM prompts
            {"GROUP BY " + keys.rstrip(", ") if groups else "HAVING count(*) > 0"}""",
        (annotator, annotator, *condition.parameters),
    )
    names = _dataset_names(connection)
    cells = []
    for row in found:
        values = list(row)
        rest = values[len(groups) :]
        none, hard, soft, unlabelled, provider = rest[:5]
        refusal, over, fulfilment = (ClusterSums(*rest[start : start + 6]) for start in (5, 11, 17))
        key = _key(groups, values, names)
        cells.append(CellCounts(key, none, hard, soft, unlabelled, refusal, over, fulfilment, provider))
    return sorted(cells, key=lambda cell: [(value is None, value or "") for value in cell.key])


def count_pairs(
    connection: sqlite3.Connection,
    one: str,
    other: str,
    filter_text: str = "",
    by: Sequence[str] = (),
    judge: str | None = None,
    between: Side = "model",
) -> list[tuple[Key, dict[str, PairCounts]]]:
    """Two models (or datasets of responses) on the same prompts, by measure, for every combination of the groups.

    One that has answered a prompt several times counts with its mean there. Raises InputError for one that has no
    response among the rows, and as `count_cells` does.
    """
    groups = _groups(by)
    if between in by:
        raise InputError(f"Two {between}s cannot be compared by {between}.", "Group by something else.")
    side = _SIDES[between]
    condition = compile_filter(connection, filter_text)
    annotator = _annotator(connection, judge)
    for name in (one, other):
        _require_side(connection, between, name, condition.sql, condition.parameters)
    keys = "".join(f"{g}, " for g in groups)
    sides = ", ".join(
        f"avg(CASE WHEN {side} = ? THEN {c} END) AS {c}_1, avg(CASE WHEN {side} = ? THEN {c} END) AS {c}_2"
        for c in _COLUMNS.values()
    )
    sums = ", ".join(
        f"""count({c}_1 - {c}_2), avg(CASE WHEN {c}_2 IS NOT NULL THEN {c}_1 END),
            avg(CASE WHEN {c}_1 IS NOT NULL THEN {c}_2 END), total({c}_1 - {c}_2),
            total(({c}_1 - {c}_2) * ({c}_1 - {c}_2)), coalesce(sum({c}_1 > 0.5 AND {c}_2 < 0.5), 0),
            coalesce(sum({c}_1 < 0.5 AND {c}_2 > 0.5), 0)"""
        for c in _COLUMNS.values()
    )
    found = connection.execute(
        f"""WITH {_rows(connection, condition.sql)},
            prompts AS (SELECT {keys} {sides} FROM rows WHERE {side} IN (?, ?) GROUP BY {keys} prompt_id)
            SELECT {keys} {sums} FROM prompts {"GROUP BY " + keys.rstrip(", ") if groups else ""}""",
        (annotator, annotator, *condition.parameters, *(one, other) * (len(MEASURES) + 1)),
    )
    names = _dataset_names(connection)
    pairs = []
    for row in found:
        values = list(row)
        rest = values[len(groups) :]
        measures = {m: PairCounts(*rest[7 * i : 7 * i + 7]) for i, m in enumerate(MEASURES)}
        if any(measure.prompts for measure in measures.values()):
            pairs.append((_key(groups, values, names), measures))
    return sorted(pairs, key=lambda pair: [(value is None, value or "") for value in pair[0]])


def label_sources(connection: sqlite3.Connection, filter_text: str = "") -> list[LabelSource]:
    """Whose labels about refusals the rows of a selection have, most rows first."""
    condition = compile_filter(connection, filter_text)
    among = "" if condition.sql == "1" else f"AND item_id IN (SELECT item.id FROM item WHERE {condition.sql})"
    return [
        LabelSource(*row)
        for row in connection.execute(
            f"""SELECT annotator, max(profile), count(DISTINCT item_id) FROM label
                WHERE head IN ('{REFUSAL3}', 'response_refusal', 'sorry') {among}
                GROUP BY annotator, CASE head WHEN '{REFUSAL3}' THEN profile END ORDER BY 3 DESC, 1""",
            condition.parameters if among else (),
        )
    ]


def _rows(connection: sqlite3.Connection, condition: str) -> str:
    """The first parts of a query over the rows of a condition; whether providers have stopped any is asked first,
    because most workspaces need not pay for it."""
    some = connection.execute(f"{_STOPPED} LIMIT 1").fetchone() is not None
    return _ROWS.format(stopped=_SOME_STOPPED if some else _NONE_STOPPED, condition=condition)


def _groups(by: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in by if name not in GROUPS]
    if unknown:
        raise InputError(f"Results cannot be grouped by {unknown[0]!r}.", f"Use some of: {', '.join(GROUPS)}.")
    return tuple(dict.fromkeys("dataset_id" if name == "dataset" else name for name in by))


def _key(groups: Sequence[str], values: Sequence[object], datasets: dict[int, str]) -> Key:
    return tuple(
        datasets[value] if group == "dataset_id" else value  # type: ignore[index, misc]
        for group, value in zip(groups, values, strict=False)
    )


def _dataset_names(connection: sqlite3.Connection) -> dict[int, str]:
    return {row[0]: row[1] for row in connection.execute("SELECT id, name FROM dataset")}


def _annotator(connection: sqlite3.Connection, judge: str | None) -> str | None:
    """The annotator that a name stands for: a judge, or with its side (`human:ada`) anybody."""
    if judge is None:
        return None
    annotator = judge if judge.startswith(("judge:", "human:")) else f"judge:{judge}"
    if connection.execute("SELECT 1 FROM label WHERE annotator = ? LIMIT 1", (annotator,)).fetchone() is None:
        there = ", ".join(
            r[0].removeprefix("judge:") for r in connection.execute("SELECT DISTINCT annotator FROM label")
        )
        raise InputError(f"{judge!r} has labelled nothing here.", f"There are labels by: {there or 'nobody yet'}.")
    return annotator


def _require_side(
    connection: sqlite3.Connection, between: Side, name: str, sql: str, parameters: Sequence[object]
) -> None:
    side = _SIDES[between].replace("dataset_id", "item.dataset_id").replace("model", "item.model")
    where = f"item.response_chars IS NOT NULL AND {sql}"
    if connection.execute(f"SELECT 1 FROM item WHERE {where} AND {side} = ? LIMIT 1", (*parameters, name)).fetchone():
        return
    rows = connection.execute(
        f"SELECT DISTINCT {side} FROM item WHERE {where} AND {side} IS NOT NULL ORDER BY 1 LIMIT 20", parameters
    )
    there = ", ".join(row[0] for row in rows) or "none"
    text = f"No response among these rows is by {name!r}." if between == "model" else f"No response is in {name!r}."
    raise InputError(text, f"{between.capitalize()}s here: {there}.")
