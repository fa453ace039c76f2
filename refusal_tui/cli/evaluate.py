"""`evaluate`: several end points on one benchmark, from prompts to paired differences, in one command."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session, say
from refusal_tui.cli.watch import wait_for_job
from refusal_tui.errors import ExitCode

if TYPE_CHECKING:
    from refusal_tui.results.evaluate import Outcome
    from refusal_tui.store.jobs import Job

_UNKNOWN = "—"
_AGAIN = "Give the same command again to go on."


@click.command()
@click.option("--endpoint", "endpoints", multiple=True, required=True, metavar="NAME",
              help="An end point to measure; give it several times.")  # fmt: skip
@click.option("--dataset", required=True, metavar="NAME", help="Whose prompts are answered, sorry-bench say.")
@click.option("--judge", default="sorry-bench", show_default=True, metavar="NAME",
              help="Who judges: linear or lexical offline, or one of: run label --help.")  # fmt: skip
@click.option("--judge-endpoint", metavar="NAME", help="The language model that judges.")
@click.option("--limit", type=click.IntRange(1), help="So many prompts, drawn evenly, the same ones every time.")
@click.option("--answer-tokens", type=click.IntRange(1), default=512, show_default=True,
              help="How long an answer may be.")  # fmt: skip
@click.option("--wait/--detach", default=True, help="Wait for the jobs (the default), or start the next ones only.")
@json_option
@pass_session
def evaluate(
    session: Session, endpoints: tuple[str, ...], dataset: str, judge: str, judge_endpoint: str | None,
    limit: int | None, answer_tokens: int, wait: bool, as_json: bool,
) -> int:  # fmt: skip
    """Measure who refuses how much: let every end point answer the prompts of a dataset, label the answers, and print
    rates with intervals and paired differences.

    It starts the jobs `generate` and `label`, which outlive this command. The same command again finds them: it goes on
    where they stand, sends nothing twice, and adds an end point to those already measured.
    """
    from refusal_tui.results import evaluate as evaluation

    plan = evaluation.Evaluation(endpoints, dataset, judge, judge_endpoint, limit, answer_tokens)
    workspace = session.workspace()
    with session.store() as connection:
        plan.check(connection)
        prompts = len(plan.prompts(connection))
    say(f"{prompts:,} prompts of {dataset}, answered by {', '.join(endpoints)}, judged by {judge}.")
    generated = {name: evaluation.generate_job(workspace, plan, name) for name in endpoints}
    _bring_on(session, generated.values())
    if not wait:
        return _tell_started(session, generated.values(), as_json)
    code, done = _wait_for_all(session, generated.values())
    if code != ExitCode.OK:
        return code
    generated = dict(zip(generated, done, strict=True))
    labelled = [evaluation.label_job(workspace, plan, job) for job in generated.values()]
    _bring_on(session, labelled)
    code, labelled = _wait_for_all(session, labelled)
    if code != ExitCode.OK:
        return code
    with session.store() as connection:
        found = evaluation.outcome(connection, generated, labelled)
    complete = all(job.state.value == "done" for job in (*generated.values(), *labelled))
    if as_json:
        emit_json(_json(found, [*generated.values(), *labelled], complete))
    else:
        _show(found)
    if not complete:
        say(f"Not all jobs are done: these are the figures so far. {_AGAIN}")
    return ExitCode.OK


def _bring_on(session: Session, jobs: Iterable[Job]) -> None:
    from refusal_tui.results.evaluate import bring_on

    for job in jobs:
        bring_on(session.workspace(), job)


def _tell_started(session: Session, jobs: Iterable[Job], as_json: bool) -> int:
    numbers = [job.id for job in jobs]
    say(f"Jobs {', '.join(map(str, numbers))} are on their way. {_AGAIN}")
    if as_json:
        emit_json({"jobs": numbers, "complete": False})
    return ExitCode.OK


def _wait_for_all(session: Session, jobs: Iterable[Job]) -> tuple[int, list[Job]]:
    """0 and the jobs as they are now, or the first other exit code and the jobs up to that one."""
    from refusal_tui.store.jobs import get_job

    done = []
    for job in jobs:
        code = wait_for_job(session, job.id)
        with session.store() as connection:
            done.append(get_job(connection, job.id))
        if code != ExitCode.OK:
            say(_AGAIN)
            return code, done
    return ExitCode.OK, done


def _json(found: Outcome, jobs: list[Job], complete: bool) -> dict[str, object]:
    from refusal_tui.results import render

    return {
        "complete": complete,
        "jobs": [job.id for job in jobs],
        "judge": found.judge,
        "responses": dict(found.responses),
        "without_response": dict(found.missing),
        "results": render.table_json(found.table),
        "comparisons": [render.comparison_json(one) for one in found.comparisons],
    }


def _show(found: Outcome) -> None:
    from refusal_tui.results import render

    end_point = {dataset: name for name, dataset in found.responses.items()}
    head, lines = render.table_lines(found.table)
    said = [i for i in range(1, len(head)) if any(line[i] not in (_UNKNOWN, "") for line in lines)]
    emit_table(
        ["end point", *(head[i] for i in said)],
        [[end_point[str(line[0])], *(line[i] for i in said)] for line in lines],
        cut=40, whole=["end point"],
    )  # fmt: skip
    for name, number in found.missing.items():
        if number:
            emit(f"{name}: {number:,} prompts without a response; the same command tries them again.")
    if found.comparisons:
        emit("")
        compared = [render.comparison_lines(one) for one in found.comparisons]
        emit_table(
            ["pair", "", "prompts", "one", "other", *compared[0][0][4:]],
            [[f"{end_point[one.one]} / {end_point[one.other]}", *line]
             for one, (_, some) in zip(found.comparisons, compared, strict=True) for line in some],
            cut=48, whole=["pair", *compared[0][0]],
        )  # fmt: skip
        emit("")
        emit(render.COMPARISON_NOTE)
    emit("")
    for note in render.notes(found.table):
        emit(note)
    emit("\nRows of a line: refusal-tui browse FILTER")
    for cell in (*found.table.totals, *found.table.cells):
        emit(f"  {cell.filter.removeprefix(found.table.selection).strip()}")
