"""Which steps does a config make, and which waits for which?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from refusal_tui.pipeline.config import PipelineConfig, Source
from refusal_tui.pipeline.history import History
from refusal_tui.store.datasets import list_datasets


class StepKind(StrEnum):
    """What a step does; the value is the kind of its job where it has one."""

    CONSTITUTION = "constitution"
    IMPORT = "import"
    GENERATE = "generate"
    CLEAN = "clean"
    LABEL = "label"
    AUDIT = "audit"
    REVIEW = "review"
    EXPORT = "export-final"

    @property
    def has_job(self) -> bool:
        """The others are one transaction, done by the pipeline itself."""
        return self not in (StepKind.CONSTITUTION, StepKind.REVIEW)


@dataclass(frozen=True, slots=True)
class Step:
    """One node: `name` is its own within the graph, `source` the dataset that it works on, if it is one."""

    name: str
    kind: StepKind
    after: tuple[str, ...] = ()
    source: Source | None = None


def graph_of(config: PipelineConfig, sources: Sequence[Source]) -> list[Step]:
    """The steps, each behind those that it waits for. Every dataset has steps of its own up to its labels."""
    rules: tuple[str, ...] = ()
    steps: list[Step] = []
    if config.constitution is not None:
        steps.append(Step(StepKind.CONSTITUTION, StepKind.CONSTITUTION))
        rules = (StepKind.CONSTITUTION,)
    ends: list[str] = []
    for source in sources:
        own = _steps_of(config, source, rules)
        steps += own
        ends += [own[-1].name] if own else []
    last = tuple(ends) or rules
    for kind in _of_all_rows(config):
        steps.append(Step(kind.removesuffix("-final"), kind, last))
        last = (steps[-1].name,)
    return steps


def _steps_of(config: PipelineConfig, source: Source, rules: tuple[str, ...]) -> list[Step]:
    """A chain; whoever asks a judge waits for the rules, too."""
    wanted = {
        StepKind.IMPORT: source.spec is not None,
        StepKind.GENERATE: config.generate is not None,
        StepKind.CLEAN: config.clean is not None,
        StepKind.LABEL: config.label is not None,
    }
    steps: list[Step] = []
    for kind in (kind for kind, there in wanted.items() if there):
        before = (steps[-1].name,) if steps else ()
        judges = kind in (StepKind.CLEAN, StepKind.LABEL)
        steps.append(Step(f"{kind} {source.name}", kind, before + (rules if judges else ()), source))
    return steps


def _of_all_rows(config: PipelineConfig) -> list[StepKind]:
    wanted = {
        StepKind.AUDIT: config.audit is not None,
        StepKind.REVIEW: config.review,
        StepKind.EXPORT: config.export is not None,
    }
    return [kind for kind, there in wanted.items() if there]


def sources_of(connection: sqlite3.Connection, config: PipelineConfig, history: History) -> tuple[Source, ...]:
    """The datasets of a config; without any, those of the workspace but for what pipelines themselves have made."""
    if config.sources:
        return config.sources
    made = history.made(StepKind.GENERATE, StepKind.CLEAN)
    return tuple(
        Source(dataset.name)
        for dataset in list_datasets(connection)
        if dataset.state == "ready" and dataset.name not in made
    )
