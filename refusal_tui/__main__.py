"""Where the two faces meet: the command line starts here and may open the workbench."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refusal_tui.store.workspace import Workspace


def main() -> None:
    from refusal_tui.cli.main import run

    run(open_workbench)


def open_workbench(
    workspace: Workspace, selection: str | None = None, review: str | None = None, direction: int | None = None
) -> int:
    """Open the Textual app, on the rows of a selection, the cards of a review queue or the run of a direction job if
    one is given; nothing of Textual is imported before.

    Returns the exit code: `App.run` itself returns normally even after a crash.
    """
    from refusal_tui.tui.app import RefusalApp

    if review is not None:
        app = RefusalApp(workspace, start="review", queue=review)
    elif direction is not None:
        app = RefusalApp(workspace, start="direction", job_id=direction)
    elif selection is not None:
        app = RefusalApp(workspace, start="browse", filter=selection)
    else:
        app = RefusalApp(workspace)
    app.run()
    return app.return_code or 0


if __name__ == "__main__":
    main()
