"""Guidelines over the card: what the labels mean here. `e` opens them in $EDITOR, for this queue alone."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import ClassVar, cast

from textual.app import ComposeResult, SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from refusal_tui.errors import RefusalTuiError
from refusal_tui.review.guidelines import guidelines_of
from refusal_tui.store.review_queues import get_queue, set_guidelines
from refusal_tui.tui import paint
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.steady import Overlay
from refusal_tui.tui.widgets.text_view import TextView


class ReviewGuidelines(Overlay[None]):
    """The guidelines of a queue."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i", "dismiss(None)", "Back to the card", id="guidelines.close"),
        Binding("e", "edit", "Edit them for this queue", id="guidelines.edit"),
        Binding("R", "reset", "Those of the constitution again", id="guidelines.reset"),
    ]

    def __init__(self, queue: str) -> None:
        super().__init__()
        self._queue = queue

    def compose(self) -> ComposeResult:
        with Vertical(classes="box", id="guidelines-box"):
            yield TextView(id="guidelines-text")
            yield Static(paint.keys(("esc", "back"), ("e", "edit"), ("R", "as generated")), id="guidelines-keys")

    @property
    def _work(self) -> WorkScreen:
        return cast(WorkScreen, self.app.screen_stack[-2])

    def on_mount(self) -> None:
        self.query_one(TextView).focus()
        self._show()

    def _text(self) -> str:
        connection = self._work.work.connection
        return guidelines_of(connection, get_queue(connection, self._queue))

    def _show(self) -> None:
        self.query_one(TextView).show(paint.text(self._text()))

    def action_edit(self) -> None:
        """In the editor of the user's choice; the screen comes back when it closes."""
        editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
        before = self._text()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "guidelines.md"
            file.write_text(before, encoding="utf-8")
            try:
                with self.app.suspend():
                    subprocess.run([*editor, str(file)], check=False)
            except (OSError, SuspendNotSupported) as error:
                self._work.work.say(f"The editor {editor[0]} cannot be started here ({error})")
                return
            after = file.read_text(encoding="utf-8", errors="replace")
        if after != before:
            self._keep(after)

    def action_reset(self) -> None:
        self._keep(None)

    def _keep(self, text: str | None) -> None:
        app = self._work.work
        try:
            with app.write() as connection:
                set_guidelines(connection, get_queue(connection, self._queue).id, text)
        except RefusalTuiError as error:
            app.notify_error(error)
        else:
            self._show()
