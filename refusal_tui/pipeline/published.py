"""What does a config of the dataset-pipeline system mean here? Its keys as ours; nothing is left out without a word.

What has no meaning here is named in a note, what would change the result and cannot be done is a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from refusal_tui.ingest.adapters.base import Adapter
from refusal_tui.ingest.adapters.generic import TARGETS
from refusal_tui.ingest.registry import all_adapters
from refusal_tui.pipeline.lines import Place
from refusal_tui.pipeline.mistakes import dotted, nearest

_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "generation": ("models", "temperature", "max_tokens", "system_prompt", "jailbreak_wrappers", "use_huggingface",
                   "hf_cache_dir", "hf_trust_remote_code"),
    "labeling": ("judge_model", "constitution_file", "confidence_threshold", "max_retries", "batch_size",
                 "two_pass_evaluation", "use_heuristics"),
    "quality": ("human_sample_rate", "agreement_threshold", "min_confidence", "deduplication_threshold",
                "pii_scrubbing", "toxicity_check"),
}  # fmt: skip
_TOP = (
    "datasets", *_SECTIONS, "output_dir", "raw_dir", "processed_dir", "audit_dir", "schema_file",
    "category_mapping_file", "skip_generation", "skip_labeling", "skip_quality_control", "parallel_workers",
    "random_seed",
)  # fmt: skip
_DATASET = ("name", "source_type", "source_path", "split", "columns", "filters", "license", "description")
_UNUSED = {
    "raw_dir": "rows are kept in the workspace",
    "processed_dir": "rows are kept in the workspace",
    "audit_dir": "reports are kept among the workspace's artifacts",
    "schema_file": "the schema of the final dataset is fixed",
    "category_mapping_file": "sources' categories are mapped by their adapters",
    "parallel_workers": "each job says itself how many requests it makes side by side",
    "generation.jailbreak_wrappers": "prompts are asked as they are",
    "generation.use_huggingface": "an end point says where a model runs",
    "generation.hf_cache_dir": "an end point says where a model runs",
    "generation.hf_trust_remote_code": "code from a repository is never run",
    "labeling.max_retries": "the job engine retries what can be retried",
    "labeling.batch_size": "the job engine chooses it",
    "labeling.use_heuristics": "a model that judges is asked about every row",
    "quality.agreement_threshold": "agreement is reported with its interval, without a threshold",
    "quality.toxicity_check": "it is always done",
    "datasets.license": "the licence is the source's own, as its adapter knows it",
    "datasets.description": "it is for people",
}


@dataclass
class Translation:
    """`ours`: the config with our keys; `theirs`: our place -> the place in the file; `wrong`: mistakes by place in the
    file."""

    ours: dict[str, Any] = field(default_factory=dict)
    theirs: dict[Place, Place] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    wrong: list[tuple[Place, str]] = field(default_factory=list)

    def set(self, place: Place, value: Any, from_: Place) -> None:
        """Give one of our keys the value that stands at `from_`; null is "not given"."""
        self.theirs[place] = from_
        if value is None:
            return
        table: Any = self.ours
        for key in place[:-1]:
            table = table.setdefault(key, {})
        table[place[-1]] = value

    def unused(self, name: str) -> None:
        note = f"{name} is not used: {_UNUSED[name]}"
        if note not in self.notes:
            self.notes.append(note)


def is_published(data: Mapping[str, Any]) -> bool:
    """Whether a config is one of the dataset-pipeline system."""
    datasets = data.get("datasets")
    theirs = isinstance(datasets, list) and any(isinstance(one, dict) and "source_path" in one for one in datasets)
    return theirs or any(key in data for key in _TOP if key != "datasets")


def translate(data: Mapping[str, Any]) -> Translation:
    """The config in our words."""
    found = Translation()
    _refuse_unknown(found, (), data, _TOP)
    for name in ("raw_dir", "processed_dir", "audit_dir", "schema_file", "category_mapping_file", "parallel_workers"):
        if data.get(name) is not None:
            found.unused(name)
    sections = {name: _section(found, data, name) for name in _SECTIONS}
    datasets = data.get("datasets", [])
    if isinstance(datasets, list):
        found.ours["datasets"] = [_dataset(found, number, one) for number, one in enumerate(datasets)]
    else:
        found.wrong.append((("datasets",), "must be a list"))
    if not data.get("skip_generation"):
        _generation(found, sections["generation"])
    if data.get("skip_labeling"):
        found.ours["label"] = False
    else:
        _labeling(found, sections["labeling"])
    if data.get("skip_quality_control"):
        found.ours["audit"] = False
    else:
        _quality(found, sections["quality"])
    found.set(("export", "out"), data.get("output_dir"), ("output_dir",))
    found.set(("seed",), data.get("random_seed"), ("random_seed",))
    return found


def _refuse_unknown(found: Translation, place: Place, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            found.wrong.append(((*place, key), f"there is no such key; {nearest(key, known)}"))


def _section(found: Translation, data: Mapping[str, Any], name: str) -> dict[str, Any]:
    section = data.get(name) or {}
    if not isinstance(section, dict):
        found.wrong.append(((name,), "must be a table"))
        return {}
    _refuse_unknown(found, (name,), section, _SECTIONS[name])
    for key, value in section.items():
        if value is not None and f"{name}.{key}" in _UNUSED:
            found.unused(f"{name}.{key}")
    return section


def _dataset(found: Translation, number: int, given: Any) -> Any:
    place = ("datasets", number)
    if not isinstance(given, dict):
        return given  # our own check says that it must be a table
    _refuse_unknown(found, place, given, _DATASET)
    for name in ("license", "description"):
        if given.get(name) is not None:
            found.unused(f"datasets.{name}")
    if given.get("filters"):
        found.wrong.append(((*place, "filters"), "rows cannot be filtered while they are imported; filter the file"))
    found.theirs[(*place, "source")] = (*place, "source_path")
    found.theirs[(*place, "map")] = (*place, "columns")
    path, kind = given.get("source_path"), given.get("source_type", "local")
    made: dict[str, Any] = {"name": given.get("name"), "split": given.get("split"), "source": path}
    if kind not in ("local", "huggingface"):
        what = f"{kind} cannot be fetched; download the files and name them with source_type local"
        found.wrong.append(((*place, "source_type"), what))
        del made["source"]  # no second complaint about it
    adapter = _adapter_of(str(path)) if kind == "huggingface" else None
    if kind == "huggingface":
        made["source"] = f"hf:{path}"
        if adapter is not None and given.get("split") in adapter.configs:
            made["source"], made["split"] = f"hf:{path}:{given['split']}", None
    columns = given.get("columns") or {}
    if adapter is not None:
        if columns:
            found.notes.append(f"datasets[{number}].columns is not used: the adapter {adapter.name} knows the columns")
    elif isinstance(columns, dict):
        made["map"] = {name: column for name, column in columns.items() if name in TARGETS} or None
        kept = [name for name in columns if name not in TARGETS]
        if kept:
            found.notes.append(f"{dotted((*place, 'columns'))}: {', '.join(kept)} stay with each row, unread")
    return {key: value for key, value in made.items() if value is not None}


def _adapter_of(repository: str) -> Adapter | None:
    return next((adapter for adapter in all_adapters() if adapter.hub_id == repository), None)


def _generation(found: Translation, section: Mapping[str, Any]) -> None:
    if not section.get("models"):
        return
    for ours, theirs in (("endpoints", "models"), ("temperature", "temperature"), ("answer_tokens", "max_tokens"),
                         ("system_prompt", "system_prompt")):  # fmt: skip
        found.set(("generate", ours), section.get(theirs), ("generation", theirs))
    found.theirs[("generate",)] = ("generation",)


def _labeling(found: Translation, section: Mapping[str, Any]) -> None:
    found.theirs[("label",)] = ("labeling",)
    found.set(("constitution",), section.get("constitution_file"), ("labeling", "constitution_file"))
    if section.get("judge_model") is None:
        return
    found.ours["label"] = {"judge": "atoms"}
    found.set(("label", "endpoint"), section["judge_model"], ("labeling", "judge_model"))
    if section.get("two_pass_evaluation", True):
        threshold = ("labeling", "confidence_threshold")
        found.set(("label", "second_pass"), section.get("confidence_threshold", 0.7), threshold)


def _quality(found: Translation, section: Mapping[str, Any]) -> None:
    for ours, theirs in (("sample_rate", "human_sample_rate"), ("min_confidence", "min_confidence"),
                         ("similarity", "deduplication_threshold")):  # fmt: skip
        found.set(("audit", ours), section.get(theirs), ("quality", theirs))
    if section.get("pii_scrubbing") is False:
        found.set(("export", "pii"), "keep", ("quality", "pii_scrubbing"))
