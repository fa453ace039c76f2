"""Reading the fixtures: their plans, items and answers."""

from __future__ import annotations

from pathlib import Path

from refusal_tui.ingest.items import Rejected, SourceItem
from refusal_tui.ingest.plan import ImportPlan, make_plan

FIXTURES = Path(__file__).parent.parent / "fixtures" / "datasets"


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
