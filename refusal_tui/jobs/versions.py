"""Which software made a result? For provenance files and cards."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from refusal_tui import __version__


def versions_of(packages: Sequence[str]) -> dict[str, str]:
    """Of this program, and of those of `packages` that are installed."""
    found = {"refusal_tui": __version__}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
