"""`refusal-tui classifiers report` and `rows`: a run as a document, and the rows behind its figures."""

from __future__ import annotations

import click

from refusal_tui.cli.classifiers_runs import (
    classifier_argument,
    finished_folder,
    head_of,
    head_option,
    run_folder,
    run_of,
    training_job,
)
from refusal_tui.cli.common import Session, emit, emit_json, json_option, pass_session

_WIDTH = 100


@click.command()
@classifier_argument
@click.option("--text", "as_text", is_flag=True, help="Print it as text; write no file.")
@json_option
@pass_session
def report(session: Session, which: str, as_text: bool, as_json: bool) -> None:
    """Write the report of a finished run again, as one HTML file and as PDF, or print it."""
    from refusal_tui.classify.document import quoted_texts, report_sections, write_report
    from refusal_tui.text.block_lines import section_lines

    with session.store() as connection:
        job = training_job(connection, which)
        run = run_of(session, job.id)
        finished_folder(session, job)
        if as_text:
            for section in report_sections(run, quoted_texts(connection, run)):
                emit(f"\n{section.title}\n")
                for line in section_lines(section, _WIDTH):
                    emit(line.text)
            return
        paths = write_report(run_folder(session, job.id), job.id, connection)
    if as_json:
        emit_json({path.suffix[1:]: path for path in paths})
    else:
        for path in paths:
            emit(str(path))


@click.command()
@classifier_argument
@click.option("--label", default="", metavar="CLASS", help="Rows with this label.")
@click.option("--said", default="", metavar="CLASS", help="Rows of which the classifier says this.")
@click.option("--slice", "in_slice", default="", metavar="FIELD=VALUE",
              help="Rows of a slice: model=…, dataset=…, category=… or length=… as its table has it.")  # fmt: skip
@click.option("--bin", "number", type=click.IntRange(1, 10), default=None, metavar="N",
              help="Rows in a bin of confidence, 10 for 0.9 to 1.0.")  # fmt: skip
@click.option("--wrong", is_flag=True, help="Rows that the classifier is wrong about.")
@head_option
@json_option
@pass_session
def rows(
    session: Session, which: str, label: str, said: str, in_slice: str, number: int | None, wrong: bool, head: str,
    as_json: bool,
) -> None:  # fmt: skip
    """Say which test rows are behind a figure: a cell of the confusion matrix, a slice, a bin of confidence."""
    from refusal_tui.classify.behind import Which, rows_behind
    from refusal_tui.store.id_ranges import id_filter

    with session.store() as connection:
        job = training_job(connection, which)
    run = run_of(session, job.id)
    wanted = Which(label, said, in_slice, number or 0, wrong)
    ids = rows_behind(run_folder(session, job.id), run, head_of(run, head), wanted)
    found = id_filter(ids)
    if as_json:
        emit_json({"rows": len(ids), "filter": found, "item_ids": ids})
    else:
        emit(f"{len(ids):,} test rows" + (f": refusal-tui browse {found}" if found else ""))
