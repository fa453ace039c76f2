"""How is a refused instruction turned into one that can be answered? One file per strategy, in plain words.

A new strategy: a Markdown file in this folder, whose name is the strategy's. A user's own is any text file by its path.
What stands after a line `## Answer` is what the answering model is told instead of the usual.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from refusal_tui.errors import InputError

FOLDER = Path(__file__).parent
_LONGEST = 20_000  # characters
_ANSWER = "\n## Answer\n"


@dataclass(frozen=True, slots=True)
class Strategy:
    """What the rewriting model is told, and the answering one (None: as ever). `hash` (of both) stands in every row's
    provenance."""

    name: str
    text: str
    answer: str | None = None

    @property
    def hash(self) -> str:
        return hashlib.sha256((self.text + (self.answer or "")).encode()).hexdigest()[:12]

    @property
    def template(self) -> str:
        """Name and version, part of the request's identity."""
        return f"clean-{self.name}/{self.hash}"


def names() -> list[str]:
    """The built-in strategies.

    >>> names()
    ['defensive-security', 'educational', 'historical', 'question', 'support']
    """
    return sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")


def read_strategy(name: str) -> Strategy:
    """A built-in strategy by its name, or a user's own by the path of its file. Raises InputError for neither."""
    if name in names():
        return _strategy(name, (FOLDER / f"{name}.md").read_text(encoding="utf-8"))
    try:
        text = Path(name).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"There is no strategy {name!r}, and no text file of that name can be read ({error}).",
            f"Use one of {', '.join(names())}, or the path of a text file with your own.",
        ) from error
    if not text or len(text) > _LONGEST:
        raise InputError(f"The strategy file {name} is empty or longer than {_LONGEST:,} characters.")
    return _strategy(Path(name).stem, text)


def _strategy(name: str, text: str) -> Strategy:
    rewrite, _, answer = text.partition(_ANSWER)
    return Strategy(name, rewrite.strip(), answer.strip() or None)
