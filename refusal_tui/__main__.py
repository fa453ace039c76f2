"""Where the two faces meet: the command line starts here and may open the workbench."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refusal_tui.store.workspace import Workspace


def main() -> None:
    from refusal_tui.cli.main import run

    run(open_workbench)


def open_workbench(workspace: Workspace, screen: str = "home") -> int:
    """Open the Textual app and return its exit code; nothing of Textual is imported before."""
    from refusal_tui.tui.app import run

    return run(workspace, start=screen)


if __name__ == "__main__":
    main()
