"""What is there to do for a step whose predecessors are over? Its inputs, its job's settings and rows, or nothing.

The same functions answer `pipeline plan` and the pipeline's own worker.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.ingest.job import source_sha256
from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.pipeline.config import PipelineConfig, Source
from refusal_tui.pipeline.graph import Step, StepKind
from refusal_tui.pipeline.history import History, digest
from refusal_tui.pipeline.inputs import (
    judge_hash,
    models_of,
    rows_filter,
    rows_hash,
    rules_of,
    settings_hash,
    verdicts_hash,
)
from refusal_tui.store.datasets import Dataset, find_dataset, list_datasets
from refusal_tui.store.settings import constitution_in_force
from refusal_tui.store.workspace import Workspace

_KEPT = "-meta.decision:drop,review"  # of a cleaned dataset, which holds what was dropped, too


@dataclass(frozen=True)
class Desk:
    """What a decision about a step rests on. `products`: what the steps that are over have made, by their names."""

    workspace: Workspace
    connection: sqlite3.Connection
    config: PipelineConfig
    history: History
    sources: tuple[Source, ...]
    products: Mapping[str, Mapping[str, str]]
    counted: dict[tuple[str, str], tuple[int, dict[str, str]]] = field(default_factory=dict)  # of all rows, once


@dataclass(frozen=True)
class Work:
    """`inputs`: name -> hash of what the step depends on. `spec` and `selection` are those of its job, `product` what
    it makes. `skip`: why there is nothing to do; `found`: the product is there already, made by hand or by an import
    before."""

    inputs: Mapping[str, str] = field(default_factory=dict)
    spec: JobSpec | None = None
    selection: str = ""
    rows: int | None = None
    product: Mapping[str, str] = field(default_factory=dict)
    skip: str = ""
    found: bool = False

    @property
    def key(self) -> str:
        return digest(dict(self.inputs))


def work_of(desk: Desk, step: Step) -> Work:
    """Raises InputError where what the step needs is not there."""
    return _WORK[step.kind](desk, step)


def datasets_of(desk: Desk, source: Source, *, before: StepKind) -> list[str]:
    """The datasets that hold the rows of a source when a step of the kind `before` begins."""
    imported = desk.products.get(f"import {source.name}", {})
    found = [imported.get("dataset", source.name)]
    if before is StepKind.GENERATE:
        return found
    generated = desk.products.get(f"generate {source.name}", {})
    if "dataset" in generated:
        found.append(generated["dataset"])
    cleaned = desk.products.get(f"clean {source.name}", {})
    if before is not StepKind.CLEAN and "dataset" in cleaned:
        return [cleaned["dataset"]]
    return found


def rows_of(desk: Desk, source: Source | None, before: StepKind) -> str:
    """The filter of the rows of a source, or of all sources."""
    sources = desk.sources if source is None else (source,)
    names = [name for one in sources for name in datasets_of(desk, one, before=before)]
    if not names:
        raise InputError("There is no dataset to work on.", "Name one in the config, or import one first.")
    with_response = "" if before is StepKind.GENERATE else "has:response"
    kept = _KEPT if desk.config.clean is not None and before is not StepKind.CLEAN else ""
    return rows_filter(names, with_response, kept, desk.config.select)


def _constitution(desk: Desk, step: Step) -> Work:
    wanted = desk.config.constitution
    assert wanted is not None
    found = constitution_in_force(desk.connection) == wanted.rules
    return Work({"constitution": wanted.rules.hash}, product={"constitution": wanted.rules.hash}, found=found)


def _import(desk: Desk, step: Step) -> Work:
    assert step.source is not None and step.source.spec is not None
    spec = step.source.spec
    hub = spec.source.startswith("hf:")
    content = spec.source if hub else source_sha256(Path(spec.source))
    reading = digest([spec.adapter, spec.split, spec.limit, spec.map, spec.options])
    inputs = {"content": digest(content), "reading": reading}
    there = next((d for d in list_datasets(desk.connection) if _is_of(d, spec, content)), None)
    if there is not None:
        return Work(inputs, rows=there.n_items, product={"dataset": there.name}, found=True)
    taken = find_dataset(desk.connection, step.source.name)
    same = taken is not None and content in (taken.provenance.sha256, taken.provenance.source)
    begun = taken is not None and same and taken.state != "ready"
    name = step.source.name if begun else free_name(desk.connection, step.source.name)
    return Work(inputs, spec.model_copy(update={"name": name}), product={"dataset": name})


def _is_of(dataset: Dataset, spec: ImportSpec, content: str) -> bool:
    """Whether a dataset was imported from the very same source in the very same way, as far as that is known."""
    known = dataset.provenance
    if dataset.state != "ready" or content not in (known.sha256, known.source):
        return False
    if spec.map is not None or spec.options is not None or spec.adapter not in (None, known.adapter):
        return False
    return known.split == spec.split and (known.options or {}).get("limit") == spec.limit


def free_name(connection: sqlite3.Connection, wanted: str) -> str:
    """The name, or name-2, name-3, …: the first that no dataset has."""
    name, number = wanted, 1
    while find_dataset(connection, name) is not None:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _generate(desk: Desk, step: Step) -> Work:
    assert step.source is not None and desk.config.generate is not None
    spec = desk.config.generate
    if desk.config.system_prompt:
        spec = spec.model_copy(update={"systems": _kept_text(desk.workspace, desk.config.system_prompt)})
    selection = rows_of(desk, step.source, StepKind.GENERATE)
    if spec.missing_only:
        selection += " -has:response"
    count, rows = rows_hash(desk.connection, selection)
    if not count:
        return Work(skip="every row has a response" if spec.missing_only else "there are no rows")
    inputs = {
        "rows": rows,
        "settings": settings_hash(spec, ("name", "systems", "endpoints")),
        "system prompts": digest(sorted(text or "" for text in spec.system_texts().values())),
        "models": digest(models_of(desk.connection, spec.models)),
    }
    name = free_name(desk.connection, f"{step.source.name}-responses")
    return Work(inputs, spec.model_copy(update={"name": name}), selection, count, {"dataset": name})


def _kept_text(workspace: Workspace, text: str) -> str:
    """The path of a file with this text: the job reads its system prompt from one."""
    path = workspace.artifacts / f"system-prompt-{digest(text)}.txt"
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    return str(path)


def _clean(desk: Desk, step: Step) -> Work:
    assert step.source is not None and desk.config.clean is not None
    spec = desk.config.clean
    selection = rows_of(desk, step.source, StepKind.CLEAN)
    count, rows = rows_hash(desk.connection, selection)
    if not count:
        return Work(skip="no row has a response")
    inputs = {
        "rows": rows,
        "settings": settings_hash(spec, ("name",)),
        "models": digest(models_of(desk.connection, spec.endpoints)),
    }
    name = free_name(desk.connection, f"{step.source.name}-cleaned")
    return Work(inputs, spec.model_copy(update={"name": name}), selection, count, {"dataset": name})


def _label(desk: Desk, step: Step) -> Work:
    assert desk.config.label is not None
    selection = rows_of(desk, step.source, StepKind.LABEL)
    count, rows = rows_hash(desk.connection, selection)
    if not count:
        return Work(skip="no row has a response")
    judge = judge_hash(desk.connection, desk.config.label, rules_of(desk.connection, desk.config))
    inputs = {"rows": rows, "settings": settings_hash(desk.config.label), "judge": judge}
    return Work(inputs, desk.config.label, selection, count)


def _of_all_rows(desk: Desk, settings: str, annotators: str = "*") -> tuple[str, int, dict[str, str]]:
    """The selection of everything, its rows, and the inputs of what looks at all labels."""
    selection = rows_of(desk, None, StepKind.AUDIT)
    if (selection, annotators) not in desk.counted:
        count, rows = rows_hash(desk.connection, selection)
        labels = verdicts_hash(desk.connection, selection, annotators)
        desk.counted[selection, annotators] = count, {"rows": rows, "labels": labels}
    count, inputs = desk.counted[selection, annotators]
    rules = rules_of(desk.connection, desk.config).hash
    return selection, count, {**inputs, "constitution": rules, "settings": settings}


def _audit(desk: Desk, step: Step) -> Work:
    assert desk.config.audit is not None
    selection, count, inputs = _of_all_rows(desk, settings_hash(desk.config.audit))
    if not count:
        return Work(skip="no row has a response")
    return Work(inputs, desk.config.audit, selection, count)


def _review(desk: Desk, step: Step) -> Work:
    """People's answers are no input: whoever labels the sample must not be given another one for it."""
    assert desk.config.audit is not None
    selection, count, inputs = _of_all_rows(desk, settings_hash(desk.config.audit), "judge:*")
    if not count:
        return Work(skip="no row has a response")
    return Work({**inputs, "name": digest(desk.config.queue)}, None, selection)


def _export(desk: Desk, step: Step) -> Work:
    spec = desk.config.export
    assert spec is not None
    out = desk.config.out or desk.workspace.artifacts / "final"
    selection, count, inputs = _of_all_rows(desk, settings_hash(spec, ("out",)))
    if not count:
        return Work(skip="no row has a response")
    folder = str(free_folder(out))
    spec = spec.model_copy(update={"out": folder})
    return Work({**inputs, "folder": digest(str(out))}, spec, selection, count, {"out": folder})


def free_folder(out: Path) -> Path:
    """The folder, or out-2, out-3, …: the first that is not there or empty. Nothing is ever overwritten."""
    found, number = out, 1
    while found.exists() and (not found.is_dir() or any(found.iterdir())):
        number += 1
        found = out.with_name(f"{out.name}-{number}")
    return found


_WORK: Mapping[StepKind, Callable[[Desk, Step], Work]] = {
    StepKind.CONSTITUTION: _constitution,
    StepKind.IMPORT: _import,
    StepKind.GENERATE: _generate,
    StepKind.CLEAN: _clean,
    StepKind.LABEL: _label,
    StepKind.AUDIT: _audit,
    StepKind.REVIEW: _review,
    StepKind.EXPORT: _export,
}


def is_there(desk: Desk, kind: StepKind, product: Mapping[str, Any]) -> bool:
    """Whether what an earlier step has made is still there."""
    if "dataset" in product:
        dataset = find_dataset(desk.connection, product["dataset"])
        return dataset is not None and dataset.state == "ready"
    if "queue" in product:
        found = desk.connection.execute("SELECT 1 FROM queue WHERE name = ?", (product["queue"],)).fetchone()
        return found is not None
    if "out" in product:
        return (Path(product["out"]) / "dataset_info.json").is_file()
    return True
