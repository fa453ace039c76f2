"""Which rows are left out after an audit? A saved selection, `@audit-N-kept`: nothing is deleted, and it can be undone.

Some findings have rows that a data set is better off without (repeats, later members of a cluster, leaks). Leaving them
out writes the audit's selection minus theirs; Browse, `export` and every other command take it by its name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from refusal_tui.audit.report import Report
from refusal_tui.errors import InputError
from refusal_tui.store.query import list_selections, parse, save_selection


@dataclass(frozen=True, slots=True)
class Surplus:
    """Rows that may go. `selection`: the saved selection of them; `expression` is what it stands for where it is saved
    only when it is used."""

    name: str
    selection: str
    expression: str = ""


def surplus_of(report: Report) -> dict[str, Surplus]:
    """What may be left out, by the name of the finding, or of the cluster."""
    found = {f.name: Surplus(f.name, f.leave_out.removeprefix("@")) for f in report.findings if f.leave_out}
    for cluster in report.sections.get("duplicates", {}).get("largest_prompt_clusters", ()):
        if cluster.get("later"):
            name = cluster["name"]
            found[name] = Surplus(name, f"audit-{report.job}-{name}", f"id:{cluster['later']}")
    return found


def kept_selection(job: int) -> str:
    return f"audit-{job}-kept"


def left_out(connection: sqlite3.Connection, report: Report) -> list[str]:
    """The names of what is left out now."""
    kept = kept_selection(report.job)
    expression = next((s.expression for s in list_selections(connection) if s.name == kept), "")
    without = {term.values[0] for term in parse(expression) if term.field == "@" and term.negated}
    return [name for name, surplus in surplus_of(report).items() if surplus.selection in without]


def leave_out(connection: sqlite3.Connection, report: Report, names: Collection[str]) -> str:
    """Leave these out and nothing else; returns the filter of what is kept. The caller holds the transaction.

    Raises InputError for a name that has no rows to leave out.
    """
    known = surplus_of(report)
    if unknown := [name for name in names if name not in known]:
        there = ", ".join(known) or "none"
        raise InputError(f"{', '.join(unknown)} has no rows to leave out.", f"Those that have: {there}.")
    chosen = [known[name] for name in known if name in names]
    for surplus in chosen:
        if surplus.expression:
            save_selection(connection, surplus.selection, surplus.expression)
    terms = [report.selection, *(f"-@{surplus.selection}" for surplus in chosen)]
    save_selection(connection, kept_selection(report.job), " ".join(term for term in terms if term))
    return f"@{kept_selection(report.job)}"
