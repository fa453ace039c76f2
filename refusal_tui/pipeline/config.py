"""What shall a pipeline do? TOML or JSON as settings of the jobs, every mistake named at once.

    seed, select (a filter of the rows), constitution (a file)
    [[datasets]]  source, name, adapter, split, limit, map, options; a name alone is one that is imported already
    [generate] [clean] [label] [audit] [export]     the settings of `refusal-tui run KIND`, by the same names
    [review]      name: of the queue that the audit's sample becomes

`label`, `audit`, `review` and `export` are taken unless they are `false`; `generate` and `clean` only where they stand
there. Without datasets it works on what is imported. Paths are relative to the config. A config of the
dataset-pipeline system is read as it is (`published.py`).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from refusal_tui.audit.spec import AuditSpec
from refusal_tui.clean.spec import CleanSpec
from refusal_tui.clean.strategies import names as strategies
from refusal_tui.errors import InputError, RefusalTuiError
from refusal_tui.export.final_spec import FinalExportSpec
from refusal_tui.generate.spec import NO_SYSTEM, GenerateSpec
from refusal_tui.ingest.plan import suggest_name
from refusal_tui.ingest.spec import ImportSpec
from refusal_tui.jobs.spec import JobSpec, SpecError, build_spec, spec_fields
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.constitution import Constitution, from_mapping
from refusal_tui.pipeline.lines import Place, json_lines, toml_lines
from refusal_tui.pipeline.mistakes import ConfigError, Mistake, Where, dotted, nearest, unknown_key
from refusal_tui.pipeline.published import is_published, translate
from refusal_tui.store.query import parse

S = TypeVar("S", bound=JobSpec)

_TOP = ("seed", "select", "constitution", "datasets", "generate", "clean", "label", "audit", "review", "export")
_DATASET = ("source", "name", "adapter", "split", "limit", "map", "options")
PLACEHOLDER = "to-be-named"  # datasets that steps make are named when they are made


@dataclass(frozen=True, slots=True)
class Source:
    """One dataset; `spec` None: it is in the workspace already."""

    name: str
    spec: ImportSpec | None = None


@dataclass(frozen=True, slots=True)
class ConstitutionFile:
    """A constitution with the text that the workspace keeps."""

    path: str
    text: str
    format: str
    rules: Constitution


@dataclass(frozen=True)
class PipelineConfig:
    """A checked config. A step that is None is left out; `out` None: in the workspace."""

    where: Where
    sources: tuple[Source, ...] = ()
    select: str = ""
    constitution: ConstitutionFile | None = None
    generate: GenerateSpec | None = None
    system_prompt: str = ""
    clean: CleanSpec | None = None
    label: LabelSpec | None = field(default_factory=LabelSpec)
    audit: AuditSpec | None = field(default_factory=AuditSpec)
    review: bool = True
    queue: str = ""
    export: FinalExportSpec | None = None
    out: Path | None = None
    notes: tuple[str, ...] = ()

    def offline(self) -> PipelineConfig:
        """The same with the offline judge and nothing that asks a model."""
        label = LabelSpec() if self.label is not None and not self.label.offline else self.label
        left_out = [name for name, spec in (("generate", self.generate), ("clean", self.clean)) if spec is not None]
        notes = [f"{name} is left out: offline" for name in left_out]
        if label is not self.label:
            notes.append(f"the offline judge {LabelSpec().judge} takes the place of the model that judges")
        return replace(self, generate=None, clean=None, label=label, notes=(*self.notes, *notes))


def load_config(path: Path) -> PipelineConfig:
    """Raises ConfigError with every mistake, InputError for a file that cannot be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"The config {path} cannot be read: {error.strerror}.", "Check the path.") from None
    except UnicodeDecodeError:
        raise InputError(f"The config {path} is no UTF-8 text.", "Save it as UTF-8, or check the path.") from None
    format = "json" if path.suffix.lower() == ".json" else "toml"
    return read_config(text, format, folder=path.absolute().parent, file=path.name)


def read_config(text: str, format: str = "toml", *, folder: Path, file: str = "config") -> PipelineConfig:
    """A config from its text; relative paths start at `folder`. Raises ConfigError."""
    data, where, wrong = _parse(text, format, file)
    notes: tuple[str, ...] = ()
    if is_published(data):
        told = translate(data)
        wrong += [where.mistake(place, what) for place, what in told.wrong]
        data, notes, where = told.ours, tuple(told.notes), replace(where, theirs=told.theirs)
    reader = _Reader(data, where, folder, wrong)
    config = reader.read(notes)
    if reader.wrong:
        raise ConfigError(reader.wrong)
    return config


def _parse(text: str, format: str, file: str) -> tuple[dict[str, Any], Where, list[Mistake]]:
    """The keys, their lines, and what stands there twice. Raises ConfigError for what is no TOML or JSON at all."""
    try:
        data = json.loads(text) if format == "json" else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError([Mistake(file, error.lineno, "", f"no valid JSON: {error.msg}")]) from None
    except tomllib.TOMLDecodeError as error:
        line = str(error).partition("at line ")[2].partition(",")[0]
        number = int(line) if line.isdecimal() else text.count("\n") + 1
        raise ConfigError([Mistake(file, number, "", f"no valid TOML: {str(error).partition(' (at')[0]}")]) from None
    except RecursionError:
        raise ConfigError([Mistake(file, 1, "", "it is nested too deep")]) from None
    if not isinstance(data, dict):
        raise ConfigError([Mistake(file, 1, "", "a config is a table of keys")])
    lines, twice = json_lines(text) if format == "json" else (toml_lines(text), {})
    where = Where(file, lines)
    return data, where, [Mistake(file, line, dotted(key), "it stands there twice") for key, line in twice.items()]


class _Reader:
    """Reads our own keys and collects what is wrong."""

    def __init__(self, data: dict[str, Any], where: Where, folder: Path, wrong: list[Mistake]) -> None:
        self._data, self._where, self._folder = data, where, folder
        self.wrong = wrong

    def read(self, notes: tuple[str, ...]) -> PipelineConfig:
        for key in self._data:
            if key not in _TOP:
                self._add((key,), f"there is no such key; {nearest(key, _TOP)}")
        if "seed" in self._data and self._data["seed"] != self._seed():
            self._add(("seed",), "must be a whole number, 0 or more")
        generate, system_prompt = self._generate()
        constitution = self._constitution()
        export = self._section("export", FinalExportSpec, self._export_values, unless_false=True)
        out = export.out if export is not None and "out" in self._table("export") else None
        audit = self._section("audit", AuditSpec, self._seeded, frozenset({"review"}), unless_false=True)
        review, queue = self._review()
        return PipelineConfig(
            where=self._where,
            sources=self._sources(),
            select=self._select(),
            constitution=constitution,
            generate=generate,
            system_prompt=system_prompt,
            clean=self._section("clean", CleanSpec, self._clean_values, frozenset({"name"})),
            label=self._section("label", LabelSpec, dict, unless_false=True),
            audit=audit,
            review=review and audit is not None,  # it draws the rows
            queue=queue,
            export=export,
            out=None if out is None else Path(out),
            notes=notes + (constitution.rules.notes if constitution is not None else ()),
        )

    def _add(self, place: Place, what: str) -> None:
        self.wrong.append(self._where.mistake(place, what))

    def _text(self, key: str) -> str:
        value = self._data.get(key, "")
        if not isinstance(value, str):
            self._add((key,), "must be a text")
            return ""
        return value

    def _table(self, key: str) -> dict[str, Any]:
        value = self._data.get(key)
        return value if isinstance(value, dict) else {}

    def _path(self, value: str) -> str:
        return str(self._folder / Path(value).expanduser())

    def _section(
        self,
        key: str,
        spec_type: type[S],
        values: Callable[[dict[str, Any]], dict[str, Any]],
        chosen: frozenset[str] = frozenset(),
        *,
        unless_false: bool = False,
    ) -> S | None:
        """The settings of one step; None where it is left out. `chosen`: settings that the pipeline makes itself."""
        given = self._data.get(key, {} if unless_false else None)
        if given is None or (given is False and unless_false):
            return None
        if not isinstance(given, dict):
            self._add((key,), "must be a table" + (" or false" if unless_false else ""))
            return None
        known = [field.name for field in spec_fields(spec_type) if field.name not in chosen]
        for name in given:
            if name in chosen:
                self._add((key, name), "is chosen by the pipeline; leave it out")
            elif name not in known:
                self._add((key, name), unknown_key(name, known, _TOP))
        usable = {name: _joined(value) for name, value in given.items() if name in known}
        return self._spec((key,), spec_type, values(usable))

    def _spec(self, place: Place, spec_type: type[S], values: Mapping[str, Any]) -> S | None:
        try:
            spec = build_spec(spec_type, values)
            assert isinstance(spec, spec_type)
            if isinstance(spec, FinalExportSpec):  # its folder is chosen when it is written
                spec.model_copy(update={"out": str(self._folder / PLACEHOLDER)}).check()
            else:
                spec.check()
            return spec
        except SpecError as error:
            for name, what in error.fields.items():
                self._add((*place, name), what)
        except RefusalTuiError as error:
            self._add(place, f"{error} {error.next_step}".strip())
        return None

    def _sources(self) -> tuple[Source, ...]:
        given = self._data.get("datasets", [])
        if not isinstance(given, list):
            self._add(("datasets",), "must be a list of tables: [[datasets]]")
            return ()
        found: list[Source] = []
        for number, one in enumerate(given):
            source = self._source(("datasets", number), one)
            if source is None:
                continue
            if source.name in {other.name for other in found}:
                self._add(("datasets", number, "name"), f"two datasets are called {source.name!r}; name one otherwise")
            found.append(source)
        return tuple(found)

    def _source(self, place: Place, given: Any) -> Source | None:
        if not isinstance(given, dict):
            self._add(place, "must be a table")
            return None
        for name in given:
            if name not in _DATASET:
                self._add((*place, name), unknown_key(name, _DATASET, _TOP))
        source, name = given.get("source"), given.get("name")
        if source is None and isinstance(name, str) and name:
            return Source(name)
        if not isinstance(source, str) or not source:
            self._add((*place, "source"), "is needed: a file, a folder or hf:owner/name; or a name of what is imported")
            return None
        values = {key: _joined(given[key]) for key in _DATASET if key in given}
        values["source"] = source if source.startswith("hf:") else self._path(source)
        values["name"] = name or suggest_name(source)
        spec = self._spec(place, ImportSpec, values)
        return Source(values["name"], spec) if spec is not None else None

    def _select(self) -> str:
        select = self._text("select")
        try:
            parse(select)
        except RefusalTuiError as error:
            self._add(("select",), f"{error} {error.next_step}")
        return select

    def _constitution(self) -> ConstitutionFile | None:
        name = self._text("constitution")
        if not name:
            return None
        path = Path(self._path(name))
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            self._add(("constitution",), f"{path} cannot be read ({getattr(error, 'strerror', None) or error})")
            return None
        format = "json" if path.suffix.lower() == ".json" else "toml"
        try:
            data, where, wrong = _parse(text, format, path.name)
        except ConfigError as error:
            self.wrong += error.mistakes
            return None
        for key in data:  # one by one, so that each key says what is wrong with it
            try:
                from_mapping({key: data[key]})
            except RefusalTuiError as error:
                wrong.append(where.mistake((key,), f"{error} {error.next_step}".strip()))
        self.wrong += wrong
        return None if wrong else ConstitutionFile(str(path), text, format, from_mapping(data, name=path.stem))

    def _review(self) -> tuple[bool, str]:
        """Whether the audit's sample becomes a queue, and its name ("": the audit's)."""
        given = self._data.get("review", {})
        if given is False:
            return False, ""
        if not isinstance(given, dict):
            self._add(("review",), "must be a table or false")
            return True, ""
        for key in given:
            if key != "name":
                self._add(("review", key), "there is no such setting; known: name (audit.sample_rate draws the rows)")
        name = given.get("name", "")
        if not isinstance(name, str) or (name and not re.fullmatch(r"[\w.-]{1,50}", name)):
            self._add(("review", "name"), "must be of letters, digits, dot, dash and underscore")
        return True, str(name)

    def _generate(self) -> tuple[GenerateSpec | None, str]:
        """The settings, and the text of a system prompt that stands in the config itself."""
        given = self._data.get("generate")
        if not isinstance(given, dict):
            return self._section("generate", GenerateSpec, dict, frozenset({"name"})), ""
        text = given.pop("system_prompt", "") or ""
        if not isinstance(text, str) or (text and "systems" in given):
            self._add(("generate", "system_prompt"), "must be a text, and stand there without systems")
        return self._section("generate", GenerateSpec, self._generate_values, frozenset({"name"})), str(text).strip()

    def _generate_values(self, values: dict[str, Any]) -> dict[str, Any]:
        systems = [name.strip() for name in str(values.get("systems", "")).split(",") if name.strip()]
        if systems:
            values["systems"] = ",".join(name if name == NO_SYSTEM else self._path(name) for name in systems)
        return {"missing_only": True, **values, "name": PLACEHOLDER}

    def _clean_values(self, values: dict[str, Any]) -> dict[str, Any]:
        strategy = values.get("strategy")
        if isinstance(strategy, str) and strategy not in strategies():
            values["strategy"] = self._path(strategy)
        return {**values, "name": PLACEHOLDER}

    def _seeded(self, values: dict[str, Any]) -> dict[str, Any]:
        return ({"seed": self._seed()} if "seed" in self._data else {}) | values

    def _seed(self) -> int:
        seed = self._data["seed"]
        return seed if isinstance(seed, int) and not isinstance(seed, bool) and seed >= 0 else 0

    def _export_values(self, values: dict[str, Any]) -> dict[str, Any]:
        out = values.get("out")
        return self._seeded(values) | {"out": self._path(out if isinstance(out, str) and out else PLACEHOLDER)}


def _joined(value: Any) -> Any:
    """Lists and tables as the job's settings write them: a,b and key=value,key=value."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ",".join(value)
    if isinstance(value, dict):
        return ",".join(f'"{key}={one}"' for key, one in value.items())
    return value
