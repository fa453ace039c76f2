"""Which datasets does the workbench know, and under which terms? Derived from the adapters: said once, there."""

from __future__ import annotations

from dataclasses import dataclass

from refusal_tui.ingest.adapters.base import Adapter
from refusal_tui.ingest.registry import ADAPTERS, all_adapters, get_adapter

# Gated forms of data that is open elsewhere, and read by the same adapter.
_GATED_FORMS = ("hf:allenai/xstest-response",)


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One line of `refusal-tui datasets`. `source` is what `import` takes, None for formats without a home."""

    name: str
    title: str
    source: str | None
    licence: str
    gated: bool
    redistribution: str
    eval_only: bool
    size: str
    splits: tuple[str, ...]
    citation: str
    notes: str


def catalogue() -> list[CatalogueEntry]:
    """All known datasets, by name."""
    entries = [
        CatalogueEntry(
            adapter.name, adapter.title, _source(adapter), adapter.licence,
            adapter.gated, adapter.redistribution, adapter.eval_only, adapter.size, adapter.splits, adapter.citation,
            adapter.notes,
        )
        for adapter in all_adapters()
    ]  # fmt: skip
    return sorted(entries, key=lambda entry: (entry.source is None, entry.name))


def is_gated(adapter: str, source: str) -> bool:
    """Whether the owners of a source want their terms accepted by everybody who reads it."""
    return (adapter in ADAPTERS and get_adapter(adapter).gated) or source.startswith(_GATED_FORMS)


def _source(adapter: Adapter) -> str | None:
    if adapter.hub_id is None:
        return None
    return ":".join(("hf", adapter.hub_id, *adapter.configs[:1]))
