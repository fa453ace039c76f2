"""`refusal-tui demo`: the bundled sample data, imported and labelled offline, live in a terminal or as a summary; with
`--direction` the refusal direction of a tiny chat model that comes with it."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import sys
from pathlib import Path

import click

import refusal_tui
from refusal_tui.cli.common import Session, emit, emit_table, pass_session, say
from refusal_tui.cli.watch import wait_for_job
from refusal_tui.errors import ConflictError, ExitCode, UnavailableError
from refusal_tui.jobs.control import submit
from refusal_tui.jobs.judging import DEFAULT_JUDGE
from refusal_tui.jobs.progress import average_rate
from refusal_tui.jobs.registry import job_kind
from refusal_tui.jobs.spec import build_spec
from refusal_tui.store.datasets import list_datasets
from refusal_tui.store.jobs import get_job, get_worker
from refusal_tui.store.labels import label_pairs
from refusal_tui.store.workspace import DATABASE, Workspace, create_workspace, default_root

LABELLED = "refusal-demo"
SAMPLES = {LABELLED: "refusal_demo.jsonl", "demo-dialogues": "dialogue_pairs.jsonl", "demo-hostile": "hostile.jsonl"}
# The offline judge would be done before the screen is up; at this pace there is something to watch.
LIVE_ROWS_PER_SECOND = 15.0
MODEL = "tiny_chat"  # a folder of the sample data: model, tokenizer and prompts
ANSWERS = "demo-answers"
ML = ("torch", "transformers", "accelerate")


@click.command()
@click.option("--direction", is_flag=True, help="Find the refusal direction of a tiny chat model (ml extra, no GPU).")
@pass_session
def demo(session: Session, direction: bool) -> int:
    """See it work: import the sample data, label it offline, and look at it.

    In a terminal this opens the workbench while the job runs; elsewhere it prints a summary. The workspace is
    --workspace, or a folder of its own beside the default workspace; no network, key or GPU is needed.
    """
    if direction and not _ml_installed():
        raise UnavailableError(
            "Finding a direction needs torch and transformers.", "Install them with: pip install 'refusal-tui[ml]'"
        )
    named = session.workspace_option or os.environ.get("REFUSAL_WORKSPACE")
    root = Path(named) if named else default_root().with_name("refusal-tui-demo")
    session.workspace_option = str(root)
    if (root / DATABASE).exists():
        _refuse_real_workspace(session)
    workspace = create_workspace(root)
    for name, file in SAMPLES.items():
        code = _import(session, workspace, name, sample_folder() / file)
        if code != ExitCode.OK:
            return code
    live = sys.stdin.isatty() and sys.stdout.isatty()
    if direction:
        return _find_direction(session, workspace, live=live)
    code = _label(session, workspace, live=live)
    if code == ExitCode.OK and _ml_installed():
        again = "" if named is None else f"--workspace {workspace.root} "
        say(f"Find the refusal direction of a tiny chat model, live: refusal-tui {again}demo --direction")
    return code


def _label(session: Session, workspace: Workspace, *, live: bool) -> int:
    kind = job_kind("label")
    settings = {"judge": DEFAULT_JUDGE, "max_rate": LIVE_ROWS_PER_SECOND if live else None}
    job_id = submit(
        workspace,
        "label",
        build_spec(kind.spec_type(), settings),
        selection=f"dataset:{','.join(SAMPLES)} has:response",
    )
    if live:
        return session.open_workbench(workspace)
    code = wait_for_job(session, job_id)
    if code == ExitCode.OK:
        with session.store() as connection:
            _summary(connection, job_id)
        say(f"Look around with: refusal-tui --workspace {workspace.root}")
    return code


def _find_direction(session: Session, workspace: Workspace, *, live: bool) -> int:
    """A run on the tiny chat model: a quarter of a minute, most of it for loading torch."""
    folder = sample_folder() / MODEL
    with session.store() as connection:
        answered = any(d.name == ANSWERS for d in list_datasets(connection))
    settings = {
        "model": str(folder), "harmful": str(folder / "harmful.txt"), "harmless": str(folder / "harmless.txt"),
        "answers": "" if answered else ANSWERS, "answer_tokens": 16, "device": "cpu",
    }  # fmt: skip
    job_id = submit(workspace, "direction", build_spec(job_kind("direction").spec_type(), settings))
    if live:
        code = session.open_workbench(workspace, direction=job_id)
    else:
        code = wait_for_job(session, job_id)
    if code == ExitCode.OK:
        again = f"refusal-tui --workspace {workspace.root}"
        say(f"Its figures: {again} direction show {job_id}")
        say(f"Its map: {again} (g f); its answers with and without the direction: a there, or dataset:{ANSWERS}")
    return code


def _ml_installed() -> bool:
    """Looked up without loading anything."""
    return all(importlib.util.find_spec(name) is not None for name in ML)


def sample_folder() -> Path:
    """The bundled data: inside the installed package, or `data/` of a checkout. Raises UnavailableError."""
    package = Path(refusal_tui.__file__).parent
    for folder in (package / "_data", package.parent / "data"):
        if (folder / SAMPLES[LABELLED]).exists():
            return folder
    raise UnavailableError("The sample data is not part of this installation.", "Reinstall refusal-tui.")


def _refuse_real_workspace(session: Session) -> None:
    with session.store() as connection:
        names = {d.name for d in list_datasets(connection)}
    if names and not names & SAMPLES.keys():
        raise ConflictError(
            f"The workspace {session.workspace().root} holds data of yours; the demo would mix its samples in.",
            "Give the demo a folder of its own: refusal-tui --workspace DIR demo",
        )


def _import(session: Session, workspace: Workspace, name: str, source: Path) -> int:
    with session.store() as connection:
        if any(d.name == name and d.state == "ready" for d in list_datasets(connection)):
            return ExitCode.OK
    spec = build_spec(job_kind("import").spec_type(), {"source": str(source), "name": name})
    return wait_for_job(session, submit(workspace, "import", spec))


def _summary(connection: sqlite3.Connection, job_id: int) -> None:
    from refusal_tui.stats.agreement import accuracy, cohen_kappa, confusion_matrix, macro_f1

    job = get_job(connection, job_id)
    classes = ("none", "soft", "hard")
    pairs = label_pairs(connection, "human:%", f"judge:{DEFAULT_JUDGE}", f"dataset:{LABELLED}")
    matrix = confusion_matrix([gold for gold, _ in pairs], [judge for _, judge in pairs], classes)
    counts = dict(
        connection.execute(
            "SELECT value, count(*) FROM label WHERE head = 'refusal3' AND annotator = ? GROUP BY 1",
            [f"judge:{DEFAULT_JUDGE}"],
        ).fetchall()
    )
    rate = average_rate(job, get_worker(connection, job_id))
    emit("")
    emit_table(
        ["refusal-tui demo", ""],
        [
            ["rows labelled", f"{job.n_ok:,}"],
            ["rows without an answer to judge", f"{job.n_failed:,}"],
            *([f"labelled {name}", f"{counts.get(name, 0):,}"] for name in classes),
            ["rate", f"{rate:,.0f} rows/s" if rate else "too fast to measure"],
            ["judge", f"{DEFAULT_JUDGE} (offline, three classes, XSTest profile)"],
            [f"agreement with {len(pairs)} gold labels", f"accuracy {accuracy(matrix):.3f}"],
            ["", f"Cohen's kappa {cohen_kappa(matrix):.3f}, macro-F1 {macro_f1(matrix):.3f}"],
            ["", "(the samples are hard on purpose: data/README.md)"],
        ],
    )
