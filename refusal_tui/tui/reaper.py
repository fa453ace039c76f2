"""Who notices a dead worker when no supervisor is left? Whoever looks: an open workbench asks every few seconds."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.control import reap
from refusal_tui.store.jobs import list_running
from refusal_tui.store.workspace import Workspace

if TYPE_CHECKING:
    from refusal_tui.tui.app import RefusalApp

REAP_SECONDS = 5.0

log = logging.getLogger("refusal_tui.reaper")


def start_reaper(app: RefusalApp) -> None:
    """Look from now on; nothing is opened or written while no job runs."""

    def look() -> None:
        if list_running(app.connection):
            app.run_worker(lambda: reap_once(app.workspace), thread=True, exit_on_error=False, group="reap")

    app.set_interval(REAP_SECONDS, look)


def reap_once(workspace: Workspace) -> None:
    """Mark dead workers' jobs as interrupted. A locked or full disk is no reason to disturb: the next look is soon."""
    try:
        with closing(workspace.open()) as connection:
            reap(connection)
    except RefusalTuiError as error:
        log.info("%s", error)
