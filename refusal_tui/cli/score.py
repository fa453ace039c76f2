"""`refusal-tui score`: how well does a judge agree with human labels? Figures with intervals, never a bare number."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, json_option, pass_session, say
from refusal_tui.errors import UsageError
from refusal_tui.jobs.judging import DEFAULT_JUDGE

if TYPE_CHECKING:
    from refusal_tui.labels.constitution import Constitution
    from refusal_tui.labels.verdict import Judge


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
    from refusal_tui.judge.score import score_rows
    from refusal_tui.judge.score_text import render_text

    judge, constitution = _judge(session, judge_name, endpoint)
    report = score_rows(
        _records(file), judge, gold=gold, prompt=prompt_field, response=response_field, cluster=cluster, by=by,
        any_refusal=any_refusal, constitution=constitution,
    )  # fmt: skip
    if as_json:
        emit_json(report.to_dict())
    else:
        emit(render_text(report))


def _judge(session: Session, name: str, endpoint: str | None) -> tuple[Judge, Constitution | None]:
    """The judge of that name, and the constitution under which its answers become labels (None: the built-in one)."""
    from refusal_tui.jobs.judging import CLASSIFIER, classifier_judge
    from refusal_tui.judge.registry import JUDGES, make_judge
    from refusal_tui.judge.spec import LLM_JUDGES

    kind, _, trained = name.partition(":")
    if kind == CLASSIFIER and trained:
        return classifier_judge(session.workspace(), trained), None
    if name in JUDGES:
        return make_judge(name), None
    if name not in LLM_JUDGES:
        raise UsageError(
            f"There is no judge {name!r}.", f"Choose one of: {', '.join([*JUDGES, *LLM_JUDGES, 'classifier:NAME'])}."
        )
    if endpoint is None:
        raise UsageError(f"The judge {name} asks a language model.", "Name one: --endpoint NAME.")
    from refusal_tui.judge.llm import LlmJudge
    from refusal_tui.labels.constitution import DEFAULT
    from refusal_tui.llm.keys import api_key
    from refusal_tui.store.endpoints import get_endpoint
    from refusal_tui.store.settings import constitution_in_force

    with session.store() as connection:
        asked = get_endpoint(connection, endpoint)
        constitution = constitution_in_force(connection)
    key = api_key(asked.key_env, [Path.cwd(), session.workspace().root])
    return LlmJudge(name, asked, api_key=key, constitution=constitution or DEFAULT), constitution


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
