"""The errors that a user may see, and the one table of exit codes.

Every error is a sentence and a next step. Faces (`cli`, `tui`) turn them into an exit code or a notice; nobody else
catches them.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its parent. The table is repeated in docs/cli.md and a test keeps the two equal."""

    OK = 0
    CRASH = 1  # a defect of ours: a redacted log is written
    USAGE = 2  # wrong option or argument (click's own code)
    WORKSPACE = 3  # no workspace, not readable, newer than this program
    INPUT = 4  # a source, selection or mapping that cannot be used
    JOB_FAILED = 5  # the job ended failed, cancelled or interrupted
    UNAVAILABLE = 6  # a package, network, token or device that is not there
    CONFLICT = 7  # somebody else holds it: a running job, a locked database
    STORAGE = 8  # disk full, no permission, damaged database
    UNHEALTHY = 9  # `doctor` found a problem
    DETACHED = 10  # the command stopped waiting; the job goes on
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class RefusalTuiError(Exception):
    """Base of the family: `str(error)` is the sentence, `next_step` says what to do now."""

    exit_code: ExitCode = ExitCode.CRASH

    def __init__(self, sentence: str, next_step: str = "") -> None:
        super().__init__(sentence)
        self.next_step = next_step
        if next_step:
            self.add_note(next_step)  # a traceback in somebody's own script ends with it


class UsageError(RefusalTuiError):
    """The command or form holds a value that cannot be used."""

    exit_code = ExitCode.USAGE


class WorkspaceError(RefusalTuiError):
    """No workspace, or one that this program cannot open."""

    exit_code = ExitCode.WORKSPACE


class InputError(RefusalTuiError):
    """A source, selection, mapping or file that cannot be used."""

    exit_code = ExitCode.INPUT


class JobError(RefusalTuiError):
    """A job that failed as a whole (rows that fail are outcomes, not exceptions)."""

    exit_code = ExitCode.JOB_FAILED


class UnavailableError(RefusalTuiError):
    """A package, network, token or device that is not there."""

    exit_code = ExitCode.UNAVAILABLE


class ConflictError(RefusalTuiError):
    """Somebody else holds what is asked for."""

    exit_code = ExitCode.CONFLICT


class StorageError(RefusalTuiError):
    """The disk is full, not writable, or the database is damaged."""

    exit_code = ExitCode.STORAGE
