"""Planted data in a workspace, and audits of it run in this process."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from refusal_tui.audit.job import AuditJob
from refusal_tui.audit.report import Report, read_report
from refusal_tui.audit.spec import AuditSpec
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState, end_job
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import Workspace
from tests.audit.planted import Rows
from tests.store.building import NewRow, add_keyed
from tests.support.imports import claimed


def fill(workspace: Workspace, rows: Rows) -> None:
    """The rows under their sources, labelled by a judge and, in part, by a person."""
    with closing(workspace.open()) as connection:
        for name in dict.fromkeys(rows.source):
            places = [place for place, source in enumerate(rows.source) if source == name]
            add_keyed(connection, {f"k{place}": _new_row(rows, place) for place in places}, name)
        numbers = {
            (row[0], row[1]): row[2]
            for row in connection.execute(
                "SELECT dataset.name, item.key, item.id FROM item JOIN dataset ON dataset.id = item.dataset_id"
            )
        }
        verdicts = []
        for place, (source, label, human) in enumerate(zip(rows.source, rows.label, rows.human, strict=True)):
            item = ItemId(numbers[source, f"k{place}"])
            chance = 0.55 if place % 10 == 0 else 0.97
            verdicts.append(Verdict(item, "judge:own", "q", "1", {"refusal3": Answer(label, chance)}))
            if human is not None and place % 4 == 0:
                verdicts.append(Verdict(item, "human:ann", "q", "1", {"refusal3": Answer(human)}))
        with transaction(connection):
            add_verdicts(connection, verdicts)


def _new_row(rows: Rows, place: int) -> NewRow:
    meta = {"confidence": rows.confidence[place]}
    return NewRow(rows.prompt[place], rows.response[place], "aster", rows.split[place], meta=meta)


def audit(workspace: Workspace, selection: str = "", **settings: object) -> Report:
    with closing(workspace.open()) as connection:
        return audit_with(workspace, connection, selection, **settings)


def audit_with(workspace: Workspace, connection: sqlite3.Connection, selection: str, **settings: object) -> Report:
    spec = AuditSpec(**settings)  # type: ignore[arg-type]
    context = claimed(workspace, connection, "audit", spec, selection)
    note = AuditJob(spec, workspace).run(context)
    end_job(connection, context.job, JobState.DONE, note)
    return read_report(connection, workspace.root, context.job.id)
