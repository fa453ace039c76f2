"""A terminal workbench for refusal research on language models.

From Python: `from refusal_tui import Pipeline, Workspace` (`pipeline/api.py` has an example).
"""

from importlib import import_module

__version__ = "0.1.0"

# By name, so that `import refusal_tui` stays light and no floor below reaches up through the package itself.
_PUBLIC = {"Workspace": "refusal_tui.store.workspace", "Pipeline": "refusal_tui.pipeline.api"}


def __getattr__(name: str) -> object:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)
