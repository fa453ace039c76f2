"""What do the screens that show one job's work share? A head, tabs, a list, and below it what the line speaks of."""

from __future__ import annotations

from typing import ClassVar, Protocol

from textual.app import ComposeResult
from textual.content import Content

from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark

PADDING = 4  # cells at the sides of what stands above and below the list


class RunState(Protocol):
    job_id: int | None


class RunScreen(WorkScreen):
    """A subclass names its `PART` (`training-head` and so on, for its style sheet), has a `state`, and gives
    `_show_run` and `told_below`."""

    PART: ClassVar[str]
    state: RunState

    def __init__(self) -> None:
        super().__init__()
        self._lookup = Lookup(self)

    def crumbs(self) -> str:
        job_id = self.state.job_id
        return f"Jobs › Job {job_id} › {self.NAME}" if job_id is not None else super().crumbs()

    def shows_job(self, job_id: int) -> bool:
        return job_id == self.state.job_id

    def compose_body(self) -> ComposeResult:
        yield Remark(id=f"{self.PART}-head")
        yield Remark(id=f"{self.PART}-tabs")
        yield LineList(id=f"{self.PART}-list")
        yield Remark(id=f"{self.PART}-below")

    def on_mount(self) -> None:
        self.query_one(LineList).focus()

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        if self.whole:
            self.name_what_is_shown()
            self._show_run()

    def _show_run(self) -> None:
        raise NotImplementedError

    def told_below(self) -> Content:
        """What the line under the cursor speaks of; nothing hides the place."""
        raise NotImplementedError

    def _say(self, part: str, content: Content) -> None:
        self.query_one(f"#{self.PART}-{part}", Remark).say(content)

    def _show_below(self) -> None:
        told = self.told_below()
        self.query_one(f"#{self.PART}-below").display = bool(told.plain)
        self._say("below", told)

    @property
    def _key(self) -> str | None:
        return self.query_one(LineList).key

    def action_job(self) -> None:
        if self.state.job_id is not None:
            self.work.push("job", job_id=self.state.job_id)
