"""What does a step depend on? Short hashes of rows, labels, rules, settings and models.

Verdicts are append-only and items are never edited, so their number and the newest of them say whether anything has
changed; nothing is read row by row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from refusal_tui.jobs.spec import JobSpec
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.constitution import DEFAULT, Constitution
from refusal_tui.pipeline.config import PipelineConfig
from refusal_tui.pipeline.history import digest
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.query import compile_filter
from refusal_tui.store.settings import calibrations, constitution_in_force


def rows_filter(datasets: Sequence[str], *more: str) -> str:
    """The rows of these datasets, as a filter.

    >>> rows_filter(["hh", "my rows"], "has:response", "")
    'dataset:hh,"my rows" has:response'
    """
    quoted = ['"' + name.replace('"', '""') + '"' if re.search(r'[\s,"]', name) else name for name in datasets]
    return " ".join(["dataset:" + ",".join(quoted), *(term for term in more if term)])


def rows_hash(connection: sqlite3.Connection, selection: str) -> tuple[int, str]:
    """How many rows a selection has, and what says that they are the same ones."""
    condition = compile_filter(connection, selection)
    row = connection.execute(
        f"SELECT count(*), coalesce(max(id), 0), total(id), total(response_chars) FROM item WHERE {condition.sql}",
        condition.parameters,
    ).fetchone()
    return int(row[0]), digest(list(row))


def verdicts_hash(connection: sqlite3.Connection, selection: str, annotators: str = "*") -> str:
    """What judges and people have said of these rows; `annotators` is a pattern such as `judge:*`."""
    condition = compile_filter(connection, selection)
    row = connection.execute(
        f"""SELECT count(*), coalesce(max(id), 0) FROM verdict
            WHERE annotator GLOB ? AND item_id IN (SELECT id FROM item WHERE {condition.sql})""",
        (annotators, *condition.parameters),
    ).fetchone()
    honest = {name: c.temperature for name, c in calibrations(connection).items()}
    return digest([list(row), honest])


def settings_hash(spec: JobSpec, besides: Iterable[str] = ()) -> str:
    """The settings that change what comes out: budgets and the pace do not."""
    return digest([type(spec).__name__, type(spec).VERSION, spec.model_dump(exclude={*spec.CHANGEABLE, *besides})])


def rules_of(connection: sqlite3.Connection, config: PipelineConfig) -> Constitution:
    """The constitution that holds when the pipeline has put its own in force."""
    if config.constitution is not None:
        return config.constitution.rules
    return constitution_in_force(connection) or DEFAULT


def judge_hash(connection: sqlite3.Connection, spec: LabelSpec, rules: Constitution) -> str:
    """Who judges: the version of an offline judge, or what is asked (under these rules) of which model.

    How labels follow from answers is no part of it: other rules derive them again without asking.
    """
    if spec.offline:
        return digest([spec.own_name, offline_version(spec)])
    from refusal_tui.judge.interview import questions_of

    asked = questions_of(spec.judge, spec.beside).form(rules, order_key=None, one_token=False).template
    return digest([spec.judge, asked, models_of(connection, spec.asked)])


def offline_version(spec: LabelSpec) -> str:
    from refusal_tui.judge.registry import JUDGES, make_judge

    return make_judge(spec.judge).version if spec.judge in JUDGES else str(spec.classifier)


def models_of(connection: sqlite3.Connection, endpoints: Sequence[str]) -> Any:
    """Which models these are: where they are served does not matter. Raises InputError for an unknown name."""
    found = [get_endpoint(connection, name) for name in endpoints]
    return [[one.name, one.preset, one.model, dict(one.options.get("extra") or {})] for one in found]
