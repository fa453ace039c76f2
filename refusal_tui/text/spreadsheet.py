"""How is a cell of a CSV file written so that no spreadsheet takes it for a formula (CWE-1236)?"""

from __future__ import annotations

from typing import Any

# The apostrophe marks a neutralised cell, so a cell that starts with one is marked, too: reading takes exactly one
# away. An empty text is marked, because an empty cell is null.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'")


def neutral(cell: Any) -> Any:
    """A CSV cell that no spreadsheet takes for a formula.

    >>> neutral("=1+1"), neutral("'quoted'"), neutral(""), neutral("plain"), neutral(None)
    ("'=1+1", "''quoted'", "'", 'plain', None)
    """
    if isinstance(cell, str) and (not cell or cell.startswith(FORMULA_STARTS)):
        return "'" + cell
    return cell
