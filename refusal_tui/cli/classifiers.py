"""`refusal-tui classifiers`: what has been trained, how good it is, where and why it is wrong, and its files.

Training one: `refusal-tui run train-classifier`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.classifiers_report import report, rows
from refusal_tui.cli.classifiers_runs import (
    KIND,
    classifier_argument,
    finished_folder,
    head_of,
    head_option,
    run_folder,
    run_of,
    training_job,
)
from refusal_tui.cli.common import Session, emit, emit_json, emit_table, json_option, pass_session
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from refusal_tui.classify.explain import Explanation
    from refusal_tui.classify.report import Run
    from refusal_tui.store.jobs import Job

_SHOWN = 10  # mistakes and tokens; --json has all
_MOST_PIECES, _PIECE_CELLS = 4, 40  # of a stored explanation
_FIGURES = {"accuracy": "accuracy", "macro_f1": "macro-F1"}
_TESTS = {
    "mcnemar": "McNemar, rows taken as independent",
    "permutation_accuracy": "permutation of whole groups, accuracy",
    "permutation_macro_f1": "permutation of whole groups, macro-F1",
}


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def classifiers(context: click.Context, as_json: bool) -> None:
    """List the classifiers, or show one. CLASSIFIER is a name or the number of the job that trains it."""
    if context.invoked_subcommand is None:
        context.invoke(list_, as_json=as_json)


@classifiers.command("list")
@json_option
@pass_session
def list_(session: Session, as_json: bool) -> None:
    """List what has been trained and what is being trained, newest first."""
    from refusal_tui.classify.plain import figure_text
    from refusal_tui.store.jobs import list_jobs

    with session.store() as connection:
        runs = [(job, run_of(session, job.id)) for job in list_jobs(connection) if job.kind == KIND]
    if as_json:
        emit_json([_brief(job, run) for job, run in runs])
        return
    if not runs:
        emit("No classifier yet. Train one with: refusal-tui run train-classifier FILTER --name NAME --encoder linear")
        return
    lines = []
    for job, run in runs:
        figures = [f"{head} {figure_text(found['macro_f1'])}" for head, found in run.metrics.items()]
        lines.append([job.id, run.name or job.title, job.state.value, run.kind, ", ".join(figures) or job.step])
    emit_table(["job", "name", "state", "kind", "macro-F1 on test rows"], lines, cut=70)


@classifiers.command()
@classifier_argument
@head_option
@json_option
@pass_session
def show(session: Session, which: str, head: str, as_json: bool) -> None:
    """Show a classifier's figures, also while it is trained: classes, calibration, slices, folds, mistakes."""
    with session.store() as connection:
        job = training_job(connection, which)
    run = run_of(session, job.id)
    if as_json:
        emit_json(_whole(job, run))
    else:
        _describe(job, run, head_of(run, head) if run.metrics else "")


@classifiers.command()
@click.argument("one", metavar="A")
@click.argument("other", metavar="B")
@head_option
@json_option
@pass_session
def compare(session: Session, one: str, other: str, head: str, as_json: bool) -> None:
    """Compare two classifiers on the rows that are test rows of both: differences, McNemar's and permutation tests."""
    from refusal_tui.classify.compare import compare as compared
    from refusal_tui.classify.files import PREDICTIONS, of_head
    from refusal_tui.classify.plain import figure_text
    from refusal_tui.classify.predictions import read_predictions

    names, predictions = [], []
    with session.store() as connection:
        jobs = [training_job(connection, which) for which in (one, other)]
    for job in jobs:
        run = run_of(session, job.id)
        chosen = head_of(run, head)
        number = list(run.heads).index(chosen)
        names.append(run.name)
        predictions.append(read_predictions(run_folder(session, job.id) / of_head(PREDICTIONS, number, chosen)))
    found = compared(predictions[0], predictions[1])
    if as_json:
        emit_json({"classifiers": names, **found})
        return
    emit(f"{names[0]} and {names[1]} on {found['rows']:,} test rows of both, in {found['groups']:,} groups")
    lines = []
    for figure in _FIGURES:
        parts = (found[f"{figure}_{part}"] for part in ("before", "after", "change"))
        lines.append([_FIGURES[figure], *map(figure_text, parts)])
    emit_table(["", names[0], names[1], "difference"], lines, whole=("difference",))
    emit(f"only {names[0]} right: {found['only_first_right']:,}, only {names[1]} right: {found['only_second_right']:,}")
    for test, p_value in found["p_values"].items():
        corrected = found["p_values_holm"][test]
        emit(f"  {_TESTS[test]}: p = {p_value:.3g}, corrected for three tests {corrected:.3g}")
    if found["labels_differ"]:
        emit(f"  {found['labels_differ']:,} rows had another label when {names[1]} was trained; {names[0]}'s counts.")


@classifiers.command()
@classifier_argument
@click.option("--row", "item_id", type=click.IntRange(1), help="The row to explain (default: the stored mistakes).")
@click.option("--method", type=click.Choice(["auto", "shapley", "gradients", "occlusion", "attention"]), default="auto",
              show_default=True, help="auto: exact for a linear classifier, else by sentences.")  # fmt: skip
@click.option("--class", "target", default="", metavar="CLASS", help="The class (default: what it says).")
@head_option
@json_option
@pass_session
def explain(
    session: Session, which: str, item_id: int | None, method: Any, target: str, head: str, as_json: bool
) -> None:
    """Say which words or sentences of a row speak for a class, and which against it."""
    from refusal_tui.store.items import fetch_rows

    with session.store() as connection:
        job = training_job(connection, which)
        if item_id is None:
            run = run_of(session, job.id)
            rows = fetch_rows(connection, [found["item_id"] for found in run.explanations])
            _stored(run, {row.item_id: {"prompt": row.prompt, "response": row.response or ""} for row in rows}, as_json)
            return
        rows = fetch_rows(connection, [item_id])
    if not rows:
        raise InputError(f"There is no row {item_id}.", "List rows with: refusal-tui rows")
    from refusal_tui.classify.classifier import Classifier
    from refusal_tui.classify.explain import explain as explained

    prompt, response = rows[0].prompt, rows[0].response or ""
    classifier = Classifier.load(finished_folder(session, job))
    found = explained(classifier, prompt, response, head=head, target=target, method=method)
    if as_json:
        emit_json({"item_id": item_id, **found.as_json()})
    else:
        _tell(found, {"prompt": prompt, "response": response})


@classifiers.command()
@classifier_argument
@click.argument("out", type=click.Path(path_type=Path), metavar="DIR")
@json_option
@pass_session
def export(session: Session, which: str, out: Path, as_json: bool) -> None:
    """Copy a classifier's folder (weights, card, label map, provenance, figures) to DIR, which must be new or empty."""
    from refusal_tui.classify.folder import KIND as FILE
    from refusal_tui.export.spec import check_folder
    from refusal_tui.store.artifacts import list_artifacts, sha256_of

    check_folder(str(out))
    with session.store() as connection:
        job = training_job(connection, which)
        kept = {Path(a.path).name: a.sha256 for a in list_artifacts(connection, job.id) if a.kind == FILE}
    folder = finished_folder(session, job)
    changed = [
        name for name, digest in kept.items() if not (folder / name).is_file() or sha256_of(folder / name) != digest
    ]
    if changed:
        raise InputError(
            f"{', '.join(sorted(changed))} in {folder} is not what the job has written.", "Train the classifier again."
        )
    shutil.copytree(folder, out, dirs_exist_ok=True)
    if as_json:
        emit_json({"folder": str(out), "files": sorted(path.name for path in out.iterdir())})
    else:
        emit(f"{len(kept)} files in {out}; README.md is the card.")


def _brief(job: Job, run: Run) -> dict[str, object]:
    figures = {head: found["macro_f1"] for head, found in run.metrics.items()}
    return {"job": job.id, "name": run.name, "state": job.state.value, "kind": run.kind, "encoder": run.encoder,
            "heads": run.heads, "macro_f1": figures, "folder": run.classifier}  # fmt: skip


def _whole(job: Job, run: Run) -> dict[str, object]:
    from dataclasses import asdict

    return {"job": job.id, "state": job.state.value, **asdict(run)}


def _describe(job: Job, run: Run, head: str) -> None:
    from refusal_tui.classify import report_text as text
    from refusal_tui.classify.files import mistakes_selection

    emit(f"job {job.id}  {job.title}  {job.state.value}" + (f", {job.step}" if job.state.active and job.step else ""))
    for line in text.run_lines(run) if run.heads else ():  # nothing is known before the rows are read
        emit(line)
    for remark in run.log:
        emit(f"  {remark.level}: {remark.text}")
    if not head:
        emit(f"  {job.note}" if job.note else "  no figures yet")
        return
    metrics = run.metrics[head]
    emit(f"\n{head}: {metrics['headline']}\n")
    emit_table(*text.class_table(metrics))
    emit("")
    emit_table(*text.confusion_table(metrics))
    emit(f"\n{text.calibration_line(metrics)}\n{text.confidence_line(metrics)}")
    for line in text.most_wrong(metrics):
        emit(f"errors {line}")
    for field in metrics["slices"]:
        names, lines = text.slice_table(metrics, field)
        if len(lines) > 1:
            emit("")
            emit_table(names, lines[:_SHOWN], whole=names[1:])
    if run.validation:
        found = run.validation[head]
        emit(f"\n{found['folds']} folds, {found['repeats']} time(s)" if found["folds"] else "\nseeds on the same split")
        emit_table(*text.validation_table(found))
    if run.robustness:
        emit("")
        emit_table(*text.robustness_table(run.robustness[head]))
    for line in text.crossing_lines(run.crossing or {}):
        emit(line)
    names, lines = text.mistake_table(metrics)
    if lines:
        selection = mistakes_selection(job.id, list(run.heads).index(head), head)
        emit(f"\nthe surest of {len(lines)} mistakes (all: refusal-tui browse @{selection}; to label them again:")
        emit(f"refusal-tui review new @{selection} --aims none)")
        emit_table(names, lines[:_SHOWN])


def _stored(run: Run, texts: Mapping[int, Mapping[str, str]], as_json: bool) -> None:
    """The explanations that the run has made of its surest mistakes; `texts`: of the rows that are still there."""
    from refusal_tui.text.safe import shorten

    if not run.explanations:
        raise InputError(
            f"{run.name or 'This run'} has explained no mistake.",
            "Name a row: refusal-tui classifiers explain … --row ID",
        )
    if as_json:
        emit_json(list(run.explanations))
        return
    for found in run.explanations:
        of_row = texts.get(found["item_id"], {"prompt": "", "response": ""})
        most = sorted(found["pieces"], key=lambda piece: -abs(piece["share"]))[:_MOST_PIECES]
        said = [f"{p['share']:+.2f} {shorten(of_row[p['field']][p['start'] : p['end']], _PIECE_CELLS)}" for p in most]
        emit(f"row {found['item_id']}: said {found['target']}, score {found['score']:+.2f}: {'  '.join(said)}")


def _tell(found: Explanation, texts: dict[str, str]) -> None:
    """The pieces with most weight, in their words."""
    emit(f"{found.head}: {found.target}, score {found.score:+.3f} (base {found.base:+.3f}, {found.method})")
    if found.method == "attention":
        emit("Attention says where information flows, not why the score is what it is.")
    elif abs(found.residual) > 0.05 * max(1.0, abs(found.score - found.base)):
        emit(f"The shares miss the score by {found.residual:+.3f}.")
    most = sorted(found.pieces, key=lambda piece: -abs(piece.share))[: 2 * _SHOWN]
    emit_table(
        ["share", "where", "text"],
        [[f"{piece.share:+.3f}", piece.field, texts[piece.field][piece.start : piece.end]] for piece in most],
    )
    for name, share in sorted(found.features.items(), key=lambda pair: -abs(pair[1]))[:_SHOWN]:
        emit(f"  {share:+.3f}  {name}")


for _command in (report, rows):
    classifiers.add_command(_command)
