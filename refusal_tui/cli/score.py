"""`refusal-tui score`: how well does a judge agree with human labels? Figures with intervals, never a bare number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, json_option, pass_session, say
from refusal_tui.jobs.judging import DEFAULT_JUDGE


@click.command()
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--judge", "judge_name", default=DEFAULT_JUDGE, show_default=True,
              help="Who judges: linear or lexical offline, or one of: run label --help.")  # fmt: skip
@click.option("--endpoint", metavar="NAME", help="The language model that judges; the offline judges need none.")
@click.option("--gold", required=True, metavar="FIELD", help="The field with the human label.")
@click.option("--prompt-field", default="prompt", show_default=True, metavar="FIELD")
@click.option("--response-field", default="response", show_default=True, metavar="FIELD")
@click.option("--cluster", metavar="FIELD", help="What intervals are clustered by (default: the prompt).")
@click.option("--by", metavar="FIELD", help="Also score each value of FIELD (model, say) alone.")
@click.option("--any-refusal", is_flag=True, help="Only the two-class question: refusal (hard or soft) or none.")
@json_option
@pass_session
def score(
    session: Session, file: Path, judge_name: str, endpoint: str | None, gold: str, prompt_field: str,
    response_field: str, cluster: str | None, by: str | None, any_refusal: bool, as_json: bool,
) -> None:  # fmt: skip
    """Measure a judge against the human labels of FILE (JSONL, JSON or CSV). An offline judge needs no workspace.

    Accuracy, macro-F1, per-class F1 and Cohen's kappa with 95 % bootstrap intervals clustered by prompt, the confusion
    matrix and the calibration error. Rows without a gold label are left out: null is not none.
    """
    from refusal_tui.judge.named import holds_a_model, judge_named
    from refusal_tui.judge.score import score_rows
    from refusal_tui.judge.score_text import render_text

    fields: dict[str, Any] = {
        "gold": gold, "prompt": prompt_field, "response": response_field, "cluster": cluster, "by": by,
        "any_refusal": any_refusal,
    }  # fmt: skip
    if holds_a_model(judge_name, endpoint, session.workspace):
        from refusal_tui.judge.score_apart import score_apart

        report = score_apart(list(_records(file)), session.workspace(), judge_name, endpoint, **fields)
    else:
        judge, constitution = judge_named(judge_name, endpoint, session.workspace)
        report = score_rows(_records(file), judge, constitution=constitution, **fields)
    if as_json:
        emit_json(report.to_dict())
    else:
        emit(render_text(report))


def _records(file: Path) -> Iterator[dict[str, Any]]:
    """The rows of the file; ones that cannot be read are told and left out."""
    from refusal_tui.ingest.items import Rejected
    from refusal_tui.ingest.readers import open_source

    rejected = 0
    for record in open_source(file):
        if isinstance(record, Rejected):
            rejected += 1
        else:
            yield record.data
    if rejected:
        say(f"{rejected} rows of {file.name} could not be read.")
