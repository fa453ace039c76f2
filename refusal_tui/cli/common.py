"""What all commands share: the session, the workspace, and who owns standard output and standard error."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    from refusal_tui.store.workspace import Workspace


class OpenWorkbench(Protocol):
    """Opens the screens and returns the exit code. Handed in from above: no face imports the other."""

    def __call__(self, workspace: Workspace, selection: str | None = None) -> int: ...


@dataclass
class Session:
    """One call of the program."""

    open_workbench: OpenWorkbench
    workspace_option: str | None = None
    verbose: bool = False
    _workspace: Workspace | None = field(default=None, repr=False)

    def workspace(self) -> Workspace:
        """The workspace to use; raises WorkspaceError with where one can be made."""
        if self._workspace is None:
            from refusal_tui.store.workspace import find_workspace

            self._workspace = find_workspace(self.workspace_option)
        return self._workspace

    @contextmanager
    def store(self) -> Iterator[sqlite3.Connection]:
        with closing(self.workspace().open()) as connection:
            yield connection


pass_session = click.make_pass_decorator(Session)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")


def say(text: str) -> None:
    """Talk to the person: standard error, in safe text."""
    from refusal_tui.text.safe import safe_text  # 13 ms that `--help` need not pay

    print(safe_text(text), file=sys.stderr, flush=True)


def emit(text: str) -> None:
    """Data for people: standard output, in safe text."""
    from refusal_tui.text.safe import safe_text

    print(safe_text(text))


def emit_json(value: Any) -> None:
    """Data for programs: exact, with every control character escaped by JSON itself."""
    print(json.dumps(value, ensure_ascii=True, indent=2, default=str))


def emit_json_lines(values: Iterable[Any]) -> None:
    for value in values:
        print(json.dumps(value, ensure_ascii=True, default=str))


def emit_table(head: Sequence[str], lines: Sequence[Sequence[object]], *, cut: int = 60) -> None:
    """Aligned columns on standard output; cells are safe text of at most `cut` cells, numbers stand right."""
    from refusal_tui.text.safe import cell_width, shorten

    cells = [[shorten("" if value is None else str(value), cut) for value in line] for line in lines]
    widths = [max([cell_width(name), *(cell_width(line[i]) for line in cells)]) for i, name in enumerate(head)]
    right = [bool(lines) and all(isinstance(line[i], int | float) for line in lines) for i in range(len(head))]
    for row in [list(head), *cells]:
        padded = [
            " " * (width - cell_width(cell)) + cell if is_right else cell + " " * (width - cell_width(cell))
            for cell, width, is_right in zip(row, widths, right, strict=True)
        ]
        print("  ".join(padded).rstrip())
