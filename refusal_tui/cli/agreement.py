"""`agreement`: how well people and judges agree, and how often a judge is wrong on rows nobody has looked at."""

from __future__ import annotations

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, line_width, pass_session
from refusal_tui.errors import InputError

_WIDE = 100  # columns
MOST_MATRICES = 3  # of a head; more are asked for by name


@click.command()
@click.argument("selection", nargs=-1)
@click.option("--annotator", "annotators", multiple=True, metavar="NAME",
              help="Compare these alone: human:NAME, judge:NAME or NAME. Repeat the option.")  # fmt: skip
@click.option("--head", metavar="HEAD", help="One head alone, such as refusal3 or prompt_harmful.")
@click.option("--queue", metavar="QUEUE", help="Rows of one review queue alone.")
@json_option
@pass_session
def agreement(
    session: Session, selection: tuple[str, ...], annotators: tuple[str, ...], head: str | None, queue: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Show agreement on the rows of SELECTION: percent, kappa, alpha and AC1 with 95 % intervals clustered by prompt,
    confusion matrices, and the judges' error rates corrected for how a queue was sampled."""
    from refusal_tui.review import agreement_text as text
    from refusal_tui.review.agreement import agreement
    from refusal_tui.review.agreement_report import Asked

    with session.store() as connection:
        report = agreement(connection, Asked(" ".join(selection), annotators, head, queue))
    if not report:
        raise InputError(
            "No two annotators have labelled the same rows here.",
            "Draw rows for people with: refusal-tui review new; let a judge label them with: refusal-tui run label",
        )
    if as_json:
        emit_json(text.report_json(report))
        return
    for number, one in enumerate(report):
        emit(("\n" if number else "") + f"{one.head}  ({', '.join(one.labels)})")
        names, lines = text.pair_lines(one, narrow=line_width() < _WIDE)
        if lines:
            emit_table(names, lines, cut=44, whole=names[2:])
        for pair in one.pairs if len(one.pairs) <= MOST_MATRICES else ():
            emit("")
            names, lines = text.class_lines(one, pair)
            emit_table(names, lines, cut=44, whole=names[1:])
        for errors in one.errors:
            emit(f"\nqueue {errors.queue}: {errors.rows} audited rows stand for {errors.population:,}"
                 + (f"; on {errors.open} people are split" if errors.open else "")
                 + f"; {text.short_name(errors.judge)} is wrong on {text.figure(errors.wrong.interval)}"
                 f" ({text.bounds(errors.wrong.interval)})")  # fmt: skip
            names, lines = text.error_lines([errors])
            emit_table(names, lines, cut=32, whole=names[2:])
    emit("\n" + text.NOTE)
    if any(len(one.pairs) > MOST_MATRICES for one in report):
        emit("For the classes of a pair name both with --annotator; --json holds everything.")
