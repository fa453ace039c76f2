"""How are several end points measured on one benchmark? By jobs that exist already: one that generates the responses
of an end point, and one that labels them; this finds them or starts them, and reads the results.

An evaluation keeps no state of its own. Its jobs are recognised by their settings and their rows, so that the same
command goes on with them after a death in any moment, finds them done, or adds one more end point to those measured.
SORRY-Bench (Xie et al., ICLR 2025) is evaluated in this way: generate, judge fulfilment, compare.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import combinations

from refusal_tui.errors import ConflictError, InputError, UsageError
from refusal_tui.jobs.control import reap, resume, retry, submit
from refusal_tui.jobs.registry import job_kind
from refusal_tui.jobs.spec import JobSpec, SpecError, build_spec, load_spec
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.results.compare import Comparison, compare_models, corrected
from refusal_tui.results.table import ResultsTable, results_table
from refusal_tui.store.browse import Facet, select_ids
from refusal_tui.store.connect import file_lock
from refusal_tui.store.datasets import find_dataset, get_dataset
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.jobs import Job, JobState, get_job, list_jobs
from refusal_tui.store.trouble import trouble
from refusal_tui.store.workspace import Workspace

_JOBS_LOOKED_AT = 100_000
# A row that has ended in one of these may end otherwise when it is tried again.
_WORTH_ANOTHER_TRY = {error.value for error in ErrorClass if error.retryable} | {"auth", "internal"}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`limit`: so many prompts at most, the same ones every time. `judge_endpoint` None: the judge works offline."""

    endpoints: tuple[str, ...]
    dataset: str
    judge: str
    judge_endpoint: str | None = None
    limit: int | None = None
    answer_tokens: int = 512

    def check(self, connection: sqlite3.Connection) -> None:
        """Raises what is wrong before anything is sent: UsageError, InputError, SpecError."""
        if not self.endpoints or len(set(self.endpoints)) < len(self.endpoints):
            raise UsageError("Name every end point once.", "Example: --endpoint base --endpoint tuned")
        get_dataset(connection, self.dataset)
        for name in self.endpoints:
            get_endpoint(connection, name)
        try:
            label = self.label_spec()
            label.check()
        except SpecError as error:
            text = str(error).replace("--endpoint", "--judge-endpoint")
            raise UsageError(text, "See the judges with: refusal-tui run label --help") from error
        label.check_in(connection)
        self._generate_spec(self.endpoints[0], "any").check()

    def prompts(self, connection: sqlite3.Connection) -> list[int]:
        """The rows whose prompts are answered. A limit draws evenly from all of them."""
        ids = list(select_ids(connection, self.selection))
        if self.limit is None or self.limit >= len(ids):
            return ids
        return sorted(sorted(ids, key=lambda number: hashlib.sha256(b"%d" % number).digest())[: self.limit])

    @property
    def selection(self) -> str:
        return Facet("dataset", self.dataset, 0).term

    def label_spec(self) -> JobSpec:
        settings = {"judge": self.judge, "endpoint": self.judge_endpoint}
        return build_spec(job_kind("label").spec_type(), settings)

    def _generate_spec(self, endpoint: str, name: str) -> JobSpec:
        settings = {"name": name, "endpoints": endpoint, "answer_tokens": self.answer_tokens}
        return build_spec(job_kind("generate").spec_type(), settings)

    def generate_spec(self, connection: sqlite3.Connection, endpoint: str) -> JobSpec:
        """With a name for the responses that no dataset has."""
        plain = f"{self.dataset}-by-{endpoint}"
        number = 1
        name = plain
        while find_dataset(connection, name) is not None:
            number += 1
            name = f"{plain}-{number}"
        return self._generate_spec(endpoint, name)


# --- finding or starting the jobs ------------------------------------------------------------------------------------


def generate_job(workspace: Workspace, evaluation: Evaluation, endpoint: str) -> Job:
    """The job that lets an end point answer the prompts: the one that is there, resumed where it stands, or a new one.

    Raises InputError when the dataset holds no rows, ConflictError while another evaluation is being started.
    """
    with _alone(workspace), closing(workspace.open()) as connection:
        reap(connection)
        ids = evaluation.prompts(connection)
        wanted = evaluation.generate_spec(connection, endpoint)
        model = get_endpoint(connection, endpoint).model
        for job in _jobs(connection, "generate", wanted, ids, besides=("name",)):
            if _models_of(connection, job) <= {model}:  # else the end point was another one then
                return job
        number = submit(workspace, "generate", wanted, selection=evaluation.selection, item_ids=ids)
        return get_job(connection, number)


def label_job(workspace: Workspace, evaluation: Evaluation, generated: Job) -> Job:
    """The job that labels what a generating job has made: the one that is there, or a new one.

    Raises InputError when there is no response to label, ConflictError while another evaluation is being started.
    """
    with _alone(workspace), closing(workspace.open()) as connection:
        reap(connection)
        selection = f"{_selection_of(connection, generated)} has:response"
        ids = list(select_ids(connection, selection))
        wanted = evaluation.label_spec()
        found = next(_jobs(connection, "label", wanted, ids), None)
        if found is not None:
            return found
        return get_job(connection, submit(workspace, "label", wanted, selection=selection, item_ids=ids))


def bring_on(workspace: Workspace, job: Job) -> None:
    """See to it that a job goes on: try again what may succeed now, resume what stands still."""
    with closing(workspace.open()) as connection:
        reap(connection)  # a job that says it runs may be a dead one
        job = get_job(connection, job.id)
        if job.state.active:
            return
        again = any(group.error_class in _WORTH_ANOTHER_TRY for group in trouble(connection, job.id))
    if again:
        retry(workspace, job.id)
    elif job.state.resumable:
        resume(workspace, job.id)


def responses_of(connection: sqlite3.Connection, job: Job) -> str | None:
    """The name of the dataset that a generating job has made; None: nothing yet."""
    row = connection.execute("SELECT name FROM dataset WHERE source = ?", (f"job {job.id}",)).fetchone()
    return None if row is None else str(row[0])


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """Two commands that are started at once shall not both start the same job."""
    with file_lock(workspace.root / "evaluate.lock", patience=10.0) as held:
        if not held:
            raise ConflictError("Another evaluation is being started.", "Try again in a moment.")
        yield


def _jobs(
    connection: sqlite3.Connection, kind: str, wanted: JobSpec, ids: Sequence[int], besides: Sequence[str] = ()
) -> Iterator[Job]:
    """The jobs of a kind over exactly these rows with these settings (but for budgets, paces and those in `besides`),
    newest first. What was cancelled was given up for good."""
    free = {*wanted.CHANGEABLE, *besides}
    plain = wanted.model_dump(exclude=free)
    for job in list_jobs(connection, limit=_JOBS_LOOKED_AT):
        if job.kind != kind or job.state is JobState.CANCELLED or job.n_items != len(ids):
            continue
        spec = load_spec(type(wanted), job.spec, job.spec_version)
        if spec.model_dump(exclude=free) == plain and _rows_of(connection, job) == set(ids):
            yield job


def _rows_of(connection: sqlite3.Connection, job: Job) -> set[int]:
    return {row[0] for row in connection.execute("SELECT item_id FROM job_item WHERE job_id = ?", (job.id,))}


def _models_of(connection: sqlite3.Connection, job: Job) -> set[str]:
    rows = connection.execute(
        "SELECT DISTINCT model FROM item WHERE dataset_id = (SELECT id FROM dataset WHERE source = ?)",
        (f"job {job.id}",),
    )
    return {row[0] for row in rows}


def _selection_of(connection: sqlite3.Connection, generated: Job) -> str:
    name = responses_of(connection, generated)
    if name is None:
        raise InputError(
            f"Job {generated.id} has made no response yet.", f"Look at it with: refusal-tui jobs show {generated.id}"
        )
    return Facet("dataset", name, 0).term


# --- what came out ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """`responses` maps end points to the datasets of their responses; `missing` to how many prompts have none.

    The table groups by dataset and category, so that two end points that serve a model of one name stay apart.
    """

    responses: Mapping[str, str]
    missing: Mapping[str, int]
    judge: str
    table: ResultsTable
    comparisons: tuple[Comparison, ...]


def outcome(connection: sqlite3.Connection, generated: Mapping[str, Job], labelled: Sequence[Job]) -> Outcome:
    """What the jobs of an evaluation have found. Raises InputError where no response has a label."""
    responses = {name: found for name, job in generated.items() if (found := responses_of(connection, job)) is not None}
    judges = {
        row[0]
        for job in labelled
        for row in connection.execute("SELECT DISTINCT annotator FROM verdict WHERE job_id = ?", (job.id,))
    }
    if not judges:
        raise InputError("The judge has labelled no response.", "See why with: refusal-tui jobs")
    (judge, *_) = sorted(judges)
    names = ",".join('"' + name.replace('"', '""') + '"' for name in responses.values())
    selection = f"dataset:{names}"
    table = results_table(connection, selection, ("dataset", "category"), judge, totals=True)
    pairs = [
        compare_models(connection, one, other, selection, (), judge, between="dataset")
        for one, other in combinations(responses.values(), 2)
    ]
    missing = {name: job.n_failed + job.n_unparsable for name, job in generated.items()}
    return Outcome(responses, missing, judge, table, tuple(corrected(pairs)))
