"""How is a table of results written? As records for JSON, as CSV, as Markdown, and as cells for a terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from refusal_tui.results.compare import Comparison
from refusal_tui.results.table import EXPLAINED, TITLES, Cell, Rate, ResultsTable, annotator_of, percent, span
from refusal_tui.store.results import MEASURES
from refusal_tui.text.safe import safe_text
from refusal_tui.text.spreadsheet import neutral

NOT_NAMED = "(not named)"
TOTAL = "(all)"


def table_json(table: ResultsTable) -> dict[str, Any]:
    """Everything, exact; what is not known is null, never NaN."""
    return {
        "by": list(table.by),
        "selection": table.selection,
        "labels": _whose(table.judge),
        "profiles": list(table.profiles),
        "unlabelled": table.unlabelled,
        "measures": EXPLAINED,
        "provider_refused": table.provider,
        "cells": [_cell_json(table.by, cell) for cell in table.cells],
        "totals": [_cell_json(table.by[:1], cell) for cell in table.totals],
    }


def _cell_json(by: Sequence[str], cell: Cell) -> dict[str, Any]:
    return {
        **dict(zip(by, cell.key, strict=True)),
        "rows": cell.rows,
        "none": cell.none,
        "hard": cell.hard,
        "soft": cell.soft,
        "unlabelled": cell.unlabelled,
        "provider_refused": cell.provider,
        **{measure: _rate_json(cell.rates[measure]) for measure in MEASURES},
        "filter": cell.filter,
    }


def _rate_json(rate: Rate) -> dict[str, Any] | None:
    if not rate.known:
        return None
    value, low, high = rate.interval
    return {"rate": value, "low": low, "high": high, "rows": rate.rows, "prompts": rate.prompts}


def table_csv(table: ResultsTable) -> str:
    """One line per cell and none of the totals, which a sum over the column would count twice; an unknown rate is an
    empty cell. Names are neutralised: they come from data."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns = [f"{measure}{part}" for measure in MEASURES for part in ("", "_low", "_high", "_rows", "_prompts")]
    writer.writerow([*table.by, "rows", "none", "hard", "soft", "by_provider", "unlabelled", *columns, "filter"])
    for cell in table.cells:
        rates = [value for measure in MEASURES for value in _rate_cells(cell.rates[measure])]
        writer.writerow(
            [*map(neutral, cell.key), cell.rows, cell.none, cell.hard, cell.soft, cell.provider,
             cell.unlabelled, *rates, neutral(cell.filter)]
        )  # fmt: skip
    return out.getvalue()


def _rate_cells(rate: Rate) -> list[object]:
    interval = [f"{number:.6f}" for number in rate.interval] if rate.known else [None] * 3
    return [*interval, rate.rows, rate.prompts]


def table_lines(table: ResultsTable) -> tuple[list[str], list[list[object]]]:
    """Head and lines for a terminal."""
    stopped = ["by provider"] if table.provider else []
    head = [*table.by, "rows", *stopped, *(title for m in MEASURES for title in (TITLES[m], "95 %"))]
    lines: list[list[object]] = []
    for key, cell in _with_totals(table):
        rates = [
            text for m in MEASURES for text in (percent(cell.rates[m].interval.value), span(cell.rates[m].interval))
        ]
        lines.append([*key, cell.rows, *([cell.provider] if stopped else []), *rates])
    return head, lines


def table_markdown(table: ResultsTable) -> str:
    stopped = ["by provider"] if table.provider else []
    head = [*table.by, "n", *stopped, *(f"{TITLES[m]} (95 %)" for m in MEASURES)]
    lines = []
    for key, cell in _with_totals(table):
        rates = [cell.rates[measure] for measure in MEASURES]
        shown = [f"{percent(r.interval.value)} ({span(r.interval)})" if r.known else "—" for r in rates]
        lines.append([*key, f"{cell.rows:,}", *([f"{cell.provider:,}"] if stopped else []), *shown])
    return _markdown(head, lines, len(table.by)) + "\n" + "\n".join(f"{note}  " for note in notes(table)) + "\n"


def _with_totals(table: ResultsTable) -> Iterator[tuple[list[str], Cell]]:
    """The cells with what stands in their first columns; each value of the first group ends with its total, unless it
    has one cell only."""
    total_of = {cell.key[0]: cell for cell in table.totals}
    for first, group in groupby(table.cells, key=lambda cell: cell.key[:1]):
        cells = list(group)
        for cell in cells:
            yield [NOT_NAMED if value is None else value for value in cell.key], cell
        if first and len(cells) > 1 and first[0] in total_of:
            name = NOT_NAMED if first[0] is None else first[0]
            yield [name, *[TOTAL] * (len(table.by) - 1)], total_of[first[0]]


def notes(table: ResultsTable) -> list[str]:
    """What must be read beside the numbers."""
    said = [f"Labels: {_whose(table.judge)}; three-class rules: {', '.join(table.profiles) or 'none in use'}."]
    said.append("Intervals: 95 %, Wilson at the effective number of rows, clustered by prompt.")
    said.extend(f"{TITLES[measure].capitalize()}: {EXPLAINED[measure]}." for measure in MEASURES)
    if table.provider:
        said.append(
            f"Refused by a provider's filter and not by a model: {table.provider:,}; they count as refused and not "
            "fulfilled. Their rows: meta.provider_refused:true"
        )
    if table.unlabelled:
        said.append(f"Responses without a label, which are in no rate: {table.unlabelled:,}.")
    return said


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    return {
        "one": comparison.one,
        "other": comparison.other,
        "selection": comparison.selection,
        "labels": _whose(comparison.judge),
        "by": list(comparison.by),
        "lines": [
            {
                **dict(zip(comparison.by, key, strict=True)),
                "measure": measure,
                "prompts": d.prompts,
                "rate_one": d.one,
                "rate_other": d.other,
                "difference": d.interval.value,
                "low": d.interval.low,
                "high": d.interval.high,
                "only_one": d.only_one,
                "only_other": d.only_other,
                "p_value": d.p_value,
                "p_holm": d.p_holm,
            }
            for key, differences in comparison.lines
            for measure, d in differences.items()
        ],
    }


def comparison_lines(comparison: Comparison) -> tuple[list[str], list[list[object]]]:
    """Head and lines for a terminal."""
    head = [*comparison.by, "", "prompts", comparison.one, comparison.other, "difference", "95 %", "only one",
            "only other", "p", "p (Holm)"]  # fmt: skip
    lines: list[list[object]] = []
    for key, differences in comparison.lines:
        for measure, d in differences.items():
            lines.append(
                [*(NOT_NAMED if v is None else v for v in key), TITLES[measure], d.prompts, percent(_known(d.one)),
                 percent(_known(d.other)), f"{100 * d.interval.value:+.1f} pp",
                 f"{100 * d.interval.low:+.1f} to {100 * d.interval.high:+.1f}", d.only_one, d.only_other,
                 p_text(d.p_value), p_text(d.p_holm)]
            )  # fmt: skip
    return head, lines


def comparison_markdown(comparison: Comparison) -> str:
    head, lines = comparison_lines(comparison)
    return _markdown(head, lines, len(comparison.by) + 1) + "\n" + COMPARISON_NOTE + "\n"


COMPARISON_NOTE = (
    "Paired on the prompts that both have answered: difference in percentage points with Bonett and Price's "
    "95 % interval; p is McNemar's, exact; p (Holm) is corrected for all lines that are shown here together."
)


def p_text(p: float) -> str:
    """
    >>> p_text(0.0703), p_text(0.00001)
    ('0.070', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _known(value: float | None) -> float:
    return math.nan if value is None else value


def _whose(judge: str | None) -> str:
    return "people before judges, the latest of each" if judge is None else annotator_of(judge)


def _markdown(head: Sequence[str], lines: Sequence[Sequence[object]], left: int) -> str:
    """A table; names are data, so that pipes, markup and line breaks in them are shown and not obeyed."""
    rule = [":--" if column < left else "--:" for column in range(len(head))]
    rows = [[_escaped(str(value)) for value in line] for line in (head, *lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (rows[0], rule, *rows[1:])) + "\n"


def _escaped(text: str) -> str:
    shown = safe_text(text, newlines=False)
    for mark in "\\`*_[]<>|#!":
        shown = shown.replace(mark, "\\" + mark)
    return shown
