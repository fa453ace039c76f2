"""Which judges are there? Names as strings: nothing is imported until a worker asks."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from refusal_tui.errors import UsageError
from refusal_tui.labels.verdict import Judge

# name -> "module:attribute", called without arguments.
JUDGES: Mapping[str, str] = {
    "linear": "refusal_tui.judge.linear:LinearJudge",
    "lexical": "refusal_tui.judge.lexical:LexicalJudge",
}


def make_judge(name: str) -> Judge:
    """The judge called `name`. Raises UsageError for an unknown name."""
    if name not in JUDGES:
        raise UsageError(f"There is no judge {name!r}.", f"Choose one of: {', '.join(JUDGES)}.")
    module, _, attribute = JUDGES[name].partition(":")
    judge: Judge = getattr(import_module(module), attribute)()
    return judge
