"""Helpers of the ingest tests: fixtures in the original shapes, and files made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from refusal_tui.ingest.items import Record, Rejected, SourceItem
from refusal_tui.ingest.plan import ImportPlan, make_plan
from refusal_tui.ingest.readers import open_source

FIXTURES = Path(__file__).parent.parent / "fixtures" / "datasets"

Rows = list[Record | Rejected]


@pytest.fixture
def rows_of(tmp_path: Path) -> Callable[..., Rows]:
    """All rows of a file with this content."""

    def read(content: bytes | str, name: str = "data.jsonl", **options: object) -> Rows:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return list(open_source(path, **options))  # type: ignore[arg-type]

    return read


def plan_of(name: str, **settings: object) -> ImportPlan:
    """The plan for a fixture."""
    return make_plan(str(FIXTURES / name), **settings)  # type: ignore[arg-type]


def everything(plan: ImportPlan) -> tuple[list[SourceItem], list[Rejected]]:
    """All items and all rejected rows of a planned source."""
    out = list(plan.items(plan.open()))
    return [o for o in out if isinstance(o, SourceItem)], [o for o in out if isinstance(o, Rejected)]


def items_of(name: str, **settings: object) -> list[SourceItem]:
    """All items of a fixture in which every row is good."""
    items, rejected = everything(plan_of(name, **settings))
    assert rejected == []
    return items


def answers(item: SourceItem, annotator: str) -> dict[str, object]:
    """What one annotator says of an item; {} where they say nothing."""
    return {
        question: answer.value
        for verdict in item.verdicts
        if verdict.annotator == annotator
        for question, answer in verdict.answers.items()
    }
