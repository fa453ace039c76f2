"""Who labels? `--annotator`, then $REFUSAL_ANNOTATOR, then the name of the user's account."""

from __future__ import annotations

import getpass
import os
import re

from refusal_tui.errors import UsageError

VARIABLE = "REFUSAL_ANNOTATOR"


def annotator_named(name: str | None = None) -> str:
    """`human:NAME`, as it is stored with every verdict. Raises UsageError for a name that cannot be one.

    >>> annotator_named("ada"), annotator_named("human:ada")
    ('human:ada', 'human:ada')
    """
    bare = (name or os.environ.get(VARIABLE) or _account()).removeprefix("human:")
    if not re.fullmatch(r"[\w.@-]{1,60}", bare):
        raise UsageError(
            f"{bare!r} cannot be an annotator's name.", "Use letters, digits, dot, dash, @: --annotator NAME"
        )
    return f"human:{bare}"


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return "somebody"
