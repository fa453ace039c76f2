"""Has a step with these inputs been done before, and what did the last one of that name work with?"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping

from refusal_tui.store.pipelines import StepRecord, all_steps


class History:
    """The steps of all runs of a workspace, read once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._steps = all_steps(connection)  # newest run first

    def with_key(self, key: str) -> list[StepRecord]:
        """Newest first; those that were skipped or are only to be asked for have nothing to offer."""
        return [step for _, step in self._steps if step.key == key and not step.skipped and (step.job or step.over)]

    def made(self, *kinds: str) -> set[str]:
        """The datasets that steps of these kinds have made or are making."""
        return {step.product["dataset"] for _, step in self._steps if step.kind in kinds and "dataset" in step.product}

    def changed(self, name: str, kind: str, inputs: Mapping[str, str]) -> list[str]:
        """Which inputs differ from those of the latest step of that name; none where it is the first."""
        before = next((s for _, s in self._steps if (s.name, s.kind) == (name, kind) and s.key and not s.skipped), None)
        if before is None:
            return []
        return [name for name in inputs if before.inputs.get(name) != inputs[name]]


def digest(value: object) -> str:
    """Sixteen hex digits of a plain value, the same for every order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]
