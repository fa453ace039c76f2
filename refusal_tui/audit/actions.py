"""What does a finding's command start? Read from the command itself, so that the screen's key and the command line that
stands beside it cannot mean different things."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Does(Enum):
    """Where an action leads."""

    JOB = "job"  # a form of a new job
    QUEUE = "queue"  # a form of a new review queue
    LEAVE_OUT = "leave out"
    RESULTS = "results"


@dataclass(frozen=True, slots=True)
class Action:
    """`kind`: of the job, or the name of what is left out. `settings` are those of the form; `open` names the ones that
    somebody has to fill in."""

    does: Does
    kind: str = ""
    selection: str = ""
    settings: Mapping[str, str | bool] = field(default_factory=dict)
    open: tuple[str, ...] = ()


def action_of(command: str) -> Action | None:
    """None for an empty command.

    >>> found = action_of("refusal-tui run label 'dataset:own label:none' --judge linear")
    >>> found.kind, found.selection, found.settings
    ('label', 'dataset:own label:none', {'judge': 'linear'})
    >>> action_of("refusal-tui run prompts --endpoint NAME").open
    ('endpoint',)
    """
    match shlex.split(command)[1:]:
        case ["run", kind, *rest]:
            return _filled(Does.JOB, kind, rest)
        case ["review", "new", *rest]:
            return _filled(Does.QUEUE, "", rest)
        case ["audit", "drop", _, name]:
            return Action(Does.LEAVE_OUT, name)
        case ["results", *rest]:
            return _filled(Does.RESULTS, "", rest)
    return None


def _filled(does: Does, kind: str, words: list[str]) -> Action:
    """Options with their values, a flag without one, and the rows. Words in capitals stand for what is not known."""
    selection, settings, blank = [], dict[str, str | bool](), []
    while words:
        word, *words = words
        if not word.startswith("--"):
            selection.append(word)
            continue
        name = word.removeprefix("--").replace("-", "_")
        if not words or words[0].startswith("--"):
            settings[name] = True
            continue
        value, *words = words
        if value.isupper():
            blank.append(name)
        else:
            settings[name] = value
    return Action(does, kind, " ".join(selection), settings, tuple(blank))
