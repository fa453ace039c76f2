"""How is a config told what is wrong with it? Every mistake at once, each with its file, its line and its key."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from refusal_tui.errors import InputError
from refusal_tui.pipeline.lines import Place, line_of


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that cannot be used. `key` as the file writes it: `datasets[0].source`."""

    file: str
    line: int
    key: str
    what: str

    def __str__(self) -> str:
        return (
            f"{self.file}:{self.line}: {self.key}: {self.what}" if self.key else f"{self.file}:{self.line}: {self.what}"
        )


class ConfigError(InputError):
    """A config that cannot be used, with everything that is wrong with it."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = sorted(mistakes, key=lambda one: (one.file, one.line, one.key))
        number = len(self.mistakes)
        listed = "\n".join(f"  {one}" for one in self.mistakes)
        super().__init__(
            f"The config has {number} mistake{'s' if number > 1 else ''}; nothing was started.\n{listed}",
            "Correct the lines, then look again with: refusal-tui pipeline validate CONFIG",
        )


@dataclass(frozen=True)
class Where:
    """A file, the lines of its keys, and for a config of another system how its keys are called there."""

    file: str
    lines: Mapping[Place, int] = field(default_factory=dict)
    theirs: Mapping[Place, Place] = field(default_factory=dict)

    def mistake(self, place: Place, what: str) -> Mistake:
        place = self._in_the_file(place)
        return Mistake(self.file, line_of(self.lines, place), dotted(place), what.rstrip("."))

    def _in_the_file(self, place: Place) -> Place:
        """The nearest place around it that is known by another name, and what is left of the path."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.theirs:
                return (*self.theirs[place[:end]], *place[end:])
        return place


def dotted(place: Place) -> str:
    """
    >>> dotted(("datasets", 0, "source"))
    'datasets[0].source'
    """
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).removeprefix(".")


def unknown_key(name: str, known: Collection[str], top: Collection[str]) -> str:
    """What is wrong with a key of a table that has no such key. TOML gives what stands below `[export]` to export.

    >>> unknown_key("seed", ["out", "test"], ["seed", "select"])
    'is no key of this table but of the whole config: write it above the first table'
    """
    if name in top:
        return "is no key of this table but of the whole config: write it above the first table"
    return f"there is no such key; {nearest(name, known)}"


def nearest(name: str, known: Collection[str]) -> str:
    """
    >>> nearest("modle", ["model", "judge"])
    'did you mean model?'
    """
    near = difflib.get_close_matches(name, list(known), 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
