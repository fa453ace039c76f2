"""Under which terms may this very source be used? The adapter's, unless the source itself says more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.ingest.adapters.base import Adapter
from refusal_tui.ingest.catalog import is_gated
from refusal_tui.ingest.items import SourceItem

_STRICTEST_FIRST = ("none", "labels-only", "full")


@dataclass(frozen=True, slots=True)
class Terms:
    """`redistribution` is full, labels-only or none."""

    licence: str
    redistribution: str
    eval_only: bool


def terms_of(source: str, adapter: Adapter, preview: Sequence[SourceItem]) -> Terms:
    """The terms of a source. An export of ours keeps the terms of what went into it: the strictest of all."""
    if adapter.name == "workbench":
        info = _dataset_info(source)
        sources = [entry for entry in info.get("sources", ()) if isinstance(entry, dict)] if info else []
        if sources:
            allowed = {"none" if _gated(entry) else entry.get("redistribution") for entry in sources}
            return Terms(
                "; ".join(sorted({str(entry.get("licence") or "not stated") for entry in sources})),
                next((mode for mode in _STRICTEST_FIRST if mode in allowed), "labels-only"),
                any(entry.get("eval_only") for entry in sources),
            )
        said = sorted({licence for item in preview if isinstance(licence := item.meta.get("licence"), str)})
        if said:
            return Terms("; ".join(said), adapter.redistribution, adapter.eval_only)
    held_out = preview[0].split in adapter.eval_only_splits
    return Terms(adapter.licence, adapter.redistribution, adapter.eval_only or held_out)


def _gated(entry: dict[str, Any]) -> bool:
    """What was gated stays so: nobody reads it in a copy of ours without having accepted its terms."""
    return bool(entry.get("gated")) or is_gated(str(entry.get("adapter")), str(entry.get("source")))


def _dataset_info(source: str) -> dict[str, Any] | None:
    """`dataset_info.json` of an export, beside the file or in the folder; None where there is none that can be read."""
    path = Path(source)
    try:
        info = json.loads((path if path.is_dir() else path.parent).joinpath("dataset_info.json").read_bytes())
    except (OSError, ValueError):
        return None
    return info if isinstance(info, dict) else None
