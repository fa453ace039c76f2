"""What ends the workbench from outside? SIGHUP (the link is cut, the window closed) and SIGTERM.

The terminal is restored and the exit code tells which it was. A terminal that is gone takes no more bytes: Textual's
writer stops and the app waits for it for ever, an orphan that nobody sees. So a timer, which no lock can hold up, ends
the process when it has not ended by itself. Nothing is lost: jobs live elsewhere and every write is a transaction.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

from refusal_tui.errors import ExitCode

if TYPE_CHECKING:
    from refusal_tui.tui.app import RefusalApp

LAST_RESORT_SECONDS = 5.0
ENDINGS = {signal.SIGHUP: ExitCode.HANGUP, signal.SIGTERM: ExitCode.TERMINATED}


def end_on_signals(app: RefusalApp) -> None:
    """Install the handlers; call it on the app's own loop, in the main thread.

    Plain handlers and not the loop's: they run also while the loop waits for a terminal that does not answer.
    """
    loop = asyncio.get_running_loop()

    def end(number: int, frame: FrameType | None) -> None:
        code = int(ENDINGS[signal.Signals(number)])
        last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, [code])
        last_resort.daemon = True
        last_resort.start()
        loop.call_soon_threadsafe(app.exit, None, code)

    for number in ENDINGS:
        signal.signal(number, end)
