"""What do p, r, x, R and s do to a job? The same on every screen that shows jobs.

Each is a wish written into the store by a thread: a locked database never freezes the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

from textual import work
from textual.binding import Binding, BindingType

from refusal_tui.jobs import control
from refusal_tui.tui import paint
from refusal_tui.tui.ask import Ask
from refusal_tui.tui.confirm import Confirm
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.jobs import JobLine

_TITLE_CELLS = 24


class JobKeys(WorkScreen):
    """A screen with a job that keys act on: `current_job` says which."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause_job", "pause", tooltip="Pause the job after the rows in flight", id="job.pause"),
        Binding("r", "resume_job", "resume", tooltip="Resume the job where it stopped", id="job.resume"),
        Binding("x", "cancel_job", "cancel", tooltip="Cancel the job for good (asks first)", id="job.cancel"),
        Binding("R", "retry_job", "retry failed", tooltip="Try the failed rows again", id="job.retry"),
        Binding("s", "job_settings", "Change a budget or the pace", show=False, id="job.settings"),
    ]

    def current_job(self) -> JobLine | None:
        raise NotImplementedError

    def action_pause_job(self) -> None:
        self._act(lambda job_id: f"Job {control.pause(self.work.workspace, job_id).id} pauses; r resumes it.")

    def action_resume_job(self) -> None:
        self._act(lambda job_id: f"Job {control.resume(self.work.workspace, job_id).id} goes on.")

    def action_retry_job(self) -> None:
        self._act(lambda job_id: f"Job {job_id} tries {control.retry(self.work.workspace, job_id):,} failures again.")

    def action_job_settings(self) -> None:
        """Budgets and the pace, as `jobs resume --set` takes them; an empty value means no limit."""
        job = self.current_job()
        if job is None:
            return
        now = control.changeable_settings(self.work.workspace, job.id)
        if not now:
            self.work.say("This kind of job has neither a budget nor a pace.")
            return

        def answered(line: str | None) -> None:
            if line is not None:
                pairs = (word.partition("=") for word in line.split())
                self._run(job.id, partial(self._changed, changes={name: value for name, _, value in pairs}))

        value = " ".join(f"{name}={value}" for name, value in now.items())
        self.app.push_screen(Ask(f"Job {job.id}", value), answered)

    def _changed(self, job_id: int, changes: Mapping[str, str]) -> str:
        control.change_settings(self.work.workspace, job_id, changes)
        return f"Job {job_id} has these settings from its next run on; r resumes it."

    def action_cancel_job(self) -> None:
        job = self.current_job()
        if job is None:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self._run(job.id, self._cancelled)

        question = paint.words(
            (f"Cancel job {job.id} ", paint.STRONG), paint.line(job.title, _TITLE_CELLS), (" for good?", paint.STRONG)
        )
        self.app.push_screen(Confirm(question, "x"), answered)

    def _cancelled(self, job_id: int) -> str:
        control.cancel(self.work.workspace, job_id)
        return f"Job {job_id} is cancelled; what it has done stays."

    def _act(self, what: Callable[[int], str]) -> None:
        job = self.current_job()
        if job is not None:
            self._run(job.id, what)

    @work(thread=True, exit_on_error=False, group="job-keys")
    def _run(self, job_id: int, what: Callable[[int], str]) -> None:
        message = what(job_id)
        self.app.call_later(self.work.say, message)
