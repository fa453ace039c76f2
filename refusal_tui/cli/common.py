"""What all commands share: the session, the workspace, and who owns standard output and standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Protocol

import click

if TYPE_CHECKING:
    import sqlite3

    from refusal_tui.store.workspace import Workspace

_PIPE_COLUMNS = 120  # of a table that goes into a file or another program
_MEASURED_LINES = 1000  # of a table: a million rows are printed as they come
_NARROWEST = 6


class OpenWorkbench(Protocol):
    """Opens the screens and returns the exit code. Handed in from above: no face imports the other."""

    def __call__(
        self,
        workspace: Workspace,
        selection: str | None = None,
        review: str | None = None,
        direction: int | None = None,
    ) -> int: ...


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
job_argument = click.argument("job_id", type=click.IntRange(1), metavar="JOB")
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
    import json

    print(json.dumps(value, ensure_ascii=True, indent=2, default=str))


def emit_json_lines(values: Iterable[Any]) -> None:
    import json

    for value in values:
        print(json.dumps(value, ensure_ascii=True, default=str))


def emit_table(
    head: Sequence[str], lines: Iterable[Sequence[object]], *, cut: int = 60, whole: Sequence[str] = ()
) -> None:
    """Aligned columns on standard output, as wide as the terminal at most.

    Cells are safe text of at most `cut` cells, numbers stand right. The first lines decide how wide the columns are.
    Columns named in `whole` hold figures: they are never cut, and the line may be longer than the terminal.
    """
    from refusal_tui.text.safe import cell_width, shorten

    rest = iter(lines)
    measured = list(islice(rest, _MEASURED_LINES))
    right = [bool(measured) and all(isinstance(line[i], int | float) for line in measured) for i in range(len(head))]
    widths = [
        max([cell_width(name), *(cell_width(shorten(_cell(line[i]), cut)) for line in measured)])
        for i, name in enumerate(head)
    ]
    fixed = [is_right or not name or name in whole for is_right, name in zip(right, head, strict=True)]
    widths = _fitted(widths, fixed)
    for row in chain([head], measured, rest):
        padded = []
        for value, width, is_right in zip(row, widths, right, strict=True):
            cell = shorten(_cell(value), width)
            space = " " * (width - cell_width(cell))
            padded.append(space + cell if is_right else cell + space)
        print("  ".join(padded).rstrip())


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _fitted(widths: Sequence[int], fixed: Sequence[bool]) -> list[int]:
    """Column widths that fit the line: what is too much is taken from the widest columns, never from `fixed` ones."""
    fitted = list(widths)
    excess = sum(fitted) + 2 * (len(fitted) - 1) - line_width()
    while excess > 0:
        candidates = [i for i, width in enumerate(fitted) if width > _NARROWEST and not fixed[i]]
        if not candidates:
            break
        fitted[max(candidates, key=lambda i: fitted[i])] -= 1
        excess -= 1
    return fitted


def line_width() -> int:
    """Cells of a line: $COLUMNS, the terminal's, or a wide line where there is none."""
    import shutil

    return shutil.get_terminal_size((_PIPE_COLUMNS, 24)).columns
