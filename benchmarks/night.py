"""An overnight run for the pictures: a labelling job half-way, and what a cleaning job has made, by a model of our own.

The jobs are the real ones, asked of the loopback server in this process, one request at a time so that every picture
is the same; only the times of the attempts are written afterwards, as if each answer had taken `ANSWER_SECONDS`.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import closing
from functools import cache
from typing import Any
from unittest import mock

from benchmarks.engine import claim
from refusal_tui.clean.job import CleanJob
from refusal_tui.clean.spec import CleanSpec
from refusal_tui.cli.demo import LABELLED, SAMPLES, sample_folder
from refusal_tui.jobs.spec import build_spec
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import create_job
from refusal_tui.store.workspace import Workspace
from tests.support.judging import REFUSING_WORDS, add_endpoint, honest_atoms, label, serving
from tests.support.loopback import Settings
from tests.support.rowjobs import run_here

ANSWER_SECONDS = 0.42
ROWS_PER_SECOND = 18.0
LABELLED_ROWS = 260
TO_LABEL = "dataset:refusal-demo has:response"
TO_CLEAN = 'dataset:refusal-demo model:aster-7b gold:hard "sorry"'
_PRICES = {"price_in": 0.5, "price_out": 1.5, "concurrency": 1}
_ASKS_HOW = re.compile(r"^(How (do|can|could) I|What's the (quickest|fastest) way to)\s+", re.IGNORECASE)


def add_night(workspace: Workspace, now: float) -> tuple[int, int]:
    """(the labelling job that is under way, the cleaning job that is done)."""
    with mock.patch("time.time", lambda: now), serving(Settings(answer=_answer, model="judge-70b")) as server:
        add_endpoint(workspace, server, "judge", **_PRICES)
        cleaned = _clean(workspace)
        spec = build_spec(LabelSpec, {"judge": "atoms", "endpoint": "judge", "max_cost": 2.0})
        labelled = label(workspace, spec, selection=TO_LABEL, pilot=LABELLED_ROWS).id  # type: ignore[arg-type]
    _under_way(workspace, labelled, now)
    return labelled, cleaned


def _clean(workspace: Workspace) -> int:
    spec = build_spec(CleanSpec, {"name": "tidy", "endpoint": "judge"})
    assert isinstance(spec, CleanSpec)
    with closing(workspace.open()) as connection:
        job_id = create_job(
            connection, kind="clean", title=spec.title(), lane="free", spec=spec.model_dump_json(),
            spec_version=spec.VERSION, selection=TO_CLEAN, item_ids=select_ids(connection, TO_CLEAN),
        )  # fmt: skip
    return run_here(workspace, job_id, CleanJob(spec, workspace)).id


def _under_way(workspace: Workspace, job_id: int, now: float) -> None:
    """The pilot that has ended becomes a run that goes on, with a worker and times of its own."""
    with closing(workspace.open()) as connection:
        with transaction(connection):
            connection.execute(
                "UPDATE job SET state = 'queued', note = '', row_limit = NULL, finished = NULL, active_seconds = 0 "
                "WHERE id = ?", (job_id,),
            )  # fmt: skip
            connection.execute("DELETE FROM event WHERE job_id = ?", (job_id,))
        claim(workspace, job_id)
        with transaction(connection):
            connection.execute("UPDATE event SET text = replace(text, ?, '4242')", (str(os.getpid()),))
            connection.execute(
                "UPDATE worker SET started_monotonic = heartbeat_monotonic - ?, started = ? WHERE job_id = ?",
                (LABELLED_ROWS / ROWS_PER_SECOND, now - LABELLED_ROWS / ROWS_PER_SECOND, job_id),
            )
            connection.execute("UPDATE attempt SET started = ?, ended = ?", (now, now + ANSWER_SECONDS))


# --- what the model says ----------------------------------------------------------------------------------------------


def _answer(body: dict[str, Any], row: str) -> str:
    """A model that rewrites, answers and judges, each as it is asked; as a judge it knows what people have said."""
    system, text = str(body["messages"][0]["content"]), str(body["messages"][-1]["content"])
    if '"rewritten"' in system:
        wish = _ASKS_HOW.sub("", json.loads(text)["instruction"]).rstrip("?")
        return json.dumps({"rewritten": f"Why is it against the rules to {wish}?"})
    if "<<<request" not in text:
        return "Because it harms people who never agreed to it. Most towns have kept that rule for long."
    refused = any(response in text for response in _refusals())
    if "explicit_refusal_of_the_whole" in json.dumps(body):
        seen = "<<<response " + (REFUSING_WORDS[0] if refused else "")
        return honest_atoms(body | {"messages": [{"role": "user", "content": seen}]}, row)
    harmful = "against the rules" not in text
    said = {"prompt_harmful": harmful, "response_refusal": refused, "response_harmful": False}
    return json.dumps({name: "yes" if holds else "no" for name, holds in said.items()} | {"why": "as it says"})


@cache
def _refusals() -> tuple[str, ...]:
    """The responses of the sample that its makers call refusals."""
    rows = map(json.loads, (sample_folder() / SAMPLES[LABELLED]).read_text(encoding="utf-8").splitlines())
    return tuple(row["response"].strip() for row in rows if row.get("refusal3") in ("hard", "soft"))
