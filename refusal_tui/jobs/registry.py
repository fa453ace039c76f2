"""Which kinds of jobs are there? Names as strings: nothing is imported until somebody asks."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from refusal_tui.errors import UsageError

if TYPE_CHECKING:
    from refusal_tui.jobs.spec import JobSpec
    from refusal_tui.store.jobs import Job


@dataclass(frozen=True, slots=True)
class Lane:
    """Jobs of one lane wait for each other beyond `capacity`."""

    name: str
    capacity: int


CPU = Lane("cpu", 1)
FREE = Lane("free", 4)  # imports, exports, API jobs: side by side
GPU = Lane("gpu", 1)  # weights in the worker's own process: one job has the device
PIPELINE = Lane("pipeline", 1)  # who waits for jobs of the other lanes must not keep a place in them
LANES: Mapping[str, Lane] = {lane.name: lane for lane in (CPU, FREE, GPU, PIPELINE)}

# How a job gets a judge from the engine (`jobs/judging.py`).
HANDED_JUDGE = "refusal_tui.judge.handed:make_handed_judge"
# How the classifying room gets the offline judge's features, and shares of a linear score on them.
HASHED_FEATURES = "refusal_tui.judge.linear:vectors"
HASHED_BUCKETS = "refusal_tui.judge.ngrams:BUCKETS"
HASHED_HEAD = "refusal_tui.judge.linear:Head"
HASHED_SHARES = "refusal_tui.judge.attribution:explain_head"
# How the judging room gets a classifier that was trained here.
CLASSIFIER_JUDGE = "refusal_tui.classify.judge:classifier_judge"
CHECK_CLASSIFIER = "refusal_tui.classify.folder:check_classifier"
# How an export learns whether a source is gated: the adapters' cards say so.
IS_GATED = "refusal_tui.ingest.catalog:is_gated"


@dataclass(frozen=True, slots=True)
class JobKind:
    """One capability. `spec` and `job` are "module:attribute"; `job` is called with (spec, workspace).

    mode "rows": a RowJob, one durable outcome per item. mode "compute": a ComputeJob with its own checkpoints.
    `selects`: the job takes a selection of items, frozen when it is created.
    `unit`: what is counted where each row has several outcomes (`Job.units`).
    """

    name: str
    title: str
    help: str
    spec: str
    job: str
    lane: Lane
    mode: Literal["rows", "compute"]
    selects: bool
    unit: str = "steps"

    def spec_type(self) -> type[JobSpec]:
        return load(self.spec)  # type: ignore[no-any-return]


KINDS: Mapping[str, JobKind] = {
    kind.name: kind
    for kind in (
        JobKind(
            "import",
            "Import a dataset",
            "Read a file, a folder or a Hugging Face dataset into the workspace.",
            "refusal_tui.ingest.spec:ImportSpec",
            "refusal_tui.ingest.job:ImportJob",
            FREE,
            "compute",
            selects=False,
        ),
        JobKind(
            "label",
            "Label refusals",
            "Let a judge say for every row whether the response refuses.",
            "refusal_tui.judge.spec:LabelSpec",
            "refusal_tui.judge.job:make_label_job",
            CPU,
            "rows",
            selects=True,
            unit="votes",
        ),
        JobKind(
            "prompts",
            "Write prompts",
            "Let a model write test prompts of a requested mix, evaluate them and write the bad ones again.",
            "refusal_tui.generate.prompts_spec:PromptsSpec",
            "refusal_tui.generate.prompts_job:PromptsJob",
            FREE,
            "rows",
            selects=False,
        ),
        JobKind(
            "generate",
            "Generate responses",
            "Let models answer the prompts of the selection, as rows of a new dataset.",
            "refusal_tui.generate.spec:GenerateSpec",
            "refusal_tui.generate.job:GenerateJob",
            FREE,
            "rows",
            selects=True,
            unit="answers",
        ),
        JobKind(
            "clean",
            "Clean refusals",
            "Rewrite refused instructions into questions that can be answered, answer them, and verify.",
            "refusal_tui.clean.spec:CleanSpec",
            "refusal_tui.clean.job:CleanJob",
            FREE,
            "rows",
            selects=True,
        ),
        JobKind(
            "train-classifier",
            "Train a classifier",
            "Teach an encoder the labels of the selection, people's before judges', and measure it on rows held out.",
            "refusal_tui.classify.spec:TrainClassifierSpec",
            "refusal_tui.classify.job:TrainClassifierJob",
            GPU,
            "compute",
            selects=True,
            unit="steps",
        ),
        JobKind(
            "direction",
            "Find a refusal direction",
            "Find the direction of a local chat model along which it refuses, with the evidence for it.",
            "refusal_tui.direction.spec:DirectionSpec",
            "refusal_tui.direction.job:DirectionJob",
            GPU,
            "compute",
            selects=False,
        ),
        JobKind(
            "refusal-adapter",
            "Train a refusal adapter",
            "Teach a local chat model refusals by LoRA, and take the directions of that update in weight space.",
            "refusal_tui.finetune.adapter_spec:RefusalAdapterSpec",
            "refusal_tui.finetune.adapter_job:RefusalAdapterJob",
            GPU,
            "compute",
            selects=False,
        ),
        JobKind(
            "robustness",
            "Test robustness",
            "Fine-tune against refusal, plainly and with the update constrained, and see how much refusal is left.",
            "refusal_tui.finetune.spec:RobustnessSpec",
            "refusal_tui.finetune.job:RobustnessJob",
            GPU,
            "compute",
            selects=False,
        ),
        JobKind(
            "raw-vs-cleaned",
            "Compare raw and cleaned",
            "Fine-tune one model on a raw and on its cleaned selection alike, and compare what they refuse and answer.",
            "refusal_tui.finetune.cleaned.spec:RawVsCleanedSpec",
            "refusal_tui.finetune.cleaned.job:RawVsCleanedJob",
            GPU,
            "compute",
            selects=False,
        ),
        JobKind(
            "audit",
            "Audit labels",
            "Look for duplicates, leaks, personal data, thin classes and labels that cannot be trusted.",
            "refusal_tui.audit.spec:AuditSpec",
            "refusal_tui.audit.job:AuditJob",
            CPU,
            "compute",
            selects=True,
        ),
        JobKind(
            "export",
            "Export rows",
            "Write a selection with its labels, a dataset_info.json and a dataset card.",
            "refusal_tui.export.spec:ExportSpec",
            "refusal_tui.export.job:ExportJob",
            FREE,
            "compute",
            selects=True,
        ),
        JobKind(
            "export-final",
            "Final dataset",
            "Write a selection to train on: one label per head, parts without leaks, personal data taken out.",
            "refusal_tui.export.final_spec:FinalExportSpec",
            "refusal_tui.export.final_job:FinalExportJob",
            FREE,
            "compute",
            selects=True,
        ),
        JobKind(
            "pipeline",
            "Run a pipeline",
            "From sources to the final dataset: import, generate, label, audit, review sample, export as one graph.",
            "refusal_tui.pipeline.spec:PipelineSpec",
            "refusal_tui.pipeline.job:PipelineJob",
            PIPELINE,
            "compute",
            selects=False,
        ),
    )
}


def unit_of(job: Job) -> str:
    """What the counts of `job` are counts of: rows, or what each row has several of."""
    if job.units == 1:
        return "rows"
    return KINDS[job.kind].unit if job.kind in KINDS else "steps"


def counted(job: Job, number: int) -> str:
    """So many of what the counts of `job` are counts of: `1 vote`, `1,200 rows`."""
    unit = unit_of(job)
    return f"{number:,} {unit.removesuffix('s') if number == 1 else unit}"


def job_kind(name: str) -> JobKind:
    """Raises UsageError, naming what there is, for an unknown kind."""
    if name not in KINDS:
        raise UsageError(f"There is no job kind {name!r}.", f"Use one of: {', '.join(KINDS)}.")
    return KINDS[name]


def make_job(kind: JobKind, spec: JobSpec, workspace: object) -> Any:
    """The RowJob or ComputeJob that runs `spec`; imports the capability, so call it in a worker only."""
    return load(kind.job)(spec, workspace)


def load(path: str) -> Any:
    """What a "module:attribute" string names."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)
