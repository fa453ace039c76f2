"""What does the Settings screen show? The end points, what is within reach, and the form that adds one.

Whatever asks a server runs as a command of its own (`refusal-tui endpoint add --test`, `endpoint probe`): the SDKs and
weights are loaded there, and the screen can end it. A look at this machine's ports needs the standard library only.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from refusal_tui.llm.adding import settings_of, split_urls, wrong_settings
from refusal_tui.llm.detect import Candidate
from refusal_tui.llm.keys import known_keys
from refusal_tui.llm.ladder import Capabilities
from refusal_tui.llm.presets import PRESETS, get_preset
from refusal_tui.store.endpoints import Endpoint

if TYPE_CHECKING:  # pydantic is imported when the form opens
    from refusal_tui.jobs.spec import SpecField

_OPTIONS = ("concurrency", "rpm", "tpm", "price_in", "price_out", "timeout")
_KNOWN = {None: "not known", True: "yes", False: "no"}


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """An end point and whether its key is there; never the key. `has_key` is None where none is needed."""

    endpoint: Endpoint
    has_key: bool | None

    @property
    def key_says(self) -> str:
        """What matters first: the line may be cut."""
        if self.has_key is None:
            return "no key needed"
        return f"{'key set' if self.has_key else 'NO KEY'}: ${self.endpoint.key_env}"

    @property
    def probed_says(self) -> str:
        if self.endpoint.capabilities is None:
            return "not probed"
        found = Capabilities.from_json(self.endpoint.capabilities)
        obeys = [
            name
            for name, there in (
                ("schema", found.json_schema), ("choices", found.choice is not None), ("logprobs", found.logprobs),
                ("seed", found.seed),
            ) if there
        ]  # fmt: skip
        return ", ".join(obeys) or "plain text only"


def endpoint_lines(endpoints: Iterable[Endpoint], folders: Iterable[Path]) -> list[EndpointLine]:
    keys = known_keys(folders)
    return [
        EndpointLine(one, None if one.key_env is None else bool(keys.get(one.key_env, "").strip())) for one in endpoints
    ]


def facts(line: EndpointLine) -> list[tuple[str, str]]:
    """(name, value) of everything that is known of one end point."""
    one = line.endpoint
    in_process = get_preset(one.preset).in_process if one.preset in PRESETS else False
    found: list[tuple[str, str]] = [("kind", PRESETS[one.preset].title if one.preset in PRESETS else one.preset)]
    found += [] if in_process else [("server", url) for url in one.base_urls]
    found += [("model", one.model), ("key", line.key_says)]
    found += [(name.replace("_", " "), f"{one.options[name]:g}") for name in _OPTIONS if name in one.options]
    if one.capabilities is None:
        return [*found, ("probed", "no: answers are asked for in plain text; p finds out what it obeys")]
    known = Capabilities.from_json(one.capabilities)
    alternatives = f", {known.top_logprobs} alternatives" if known.top_logprobs else ""
    found += [
        ("JSON schema", _KNOWN[known.json_schema]),
        ("choices", known.choice.value if known.choice else "no"),
        ("JSON mode", _KNOWN[known.json_mode]),
        ("logprobs", _KNOWN[known.logprobs] + alternatives),
        ("seed", _KNOWN[known.seed]),
        ("context", f"{known.context_length:,} tokens" if known.context_length else "not known"),
        ("side by side", str(known.concurrency or "not measured")),
    ]
    return found + [("note", note) for note in known.notes]


def within_reach(candidates: Sequence[Candidate], endpoints: Iterable[Endpoint]) -> list[Candidate]:
    """What could be added: servers that no end point names yet, and providers of whose kind there is none."""
    known = list(endpoints)
    urls = {url.rstrip("/") for one in known for url in one.base_urls}
    return [candidate for candidate in candidates if candidate.base_url.rstrip("/") not in urls]


@dataclass(slots=True)
class SettingsState:
    """`candidates` is None until this machine was looked at. `steps` is what a running probe has told so far."""

    lines: list[EndpointLine] = field(default_factory=list)
    candidates: list[Candidate] | None = None
    probing: str | None = None
    steps: list[str] = field(default_factory=list)
    problem: str = ""  # why the last probe came to nothing, of `problem_of`
    problem_of: str | None = None

    @property
    def offered(self) -> list[Candidate]:
        return within_reach(self.candidates or [], [line.endpoint for line in self.lines])

    def line(self, name: str | None) -> EndpointLine | None:
        return next((line for line in self.lines if line.endpoint.name == name), None)


# --- the form --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class EndpointForm:
    """One kind of server and the values of its settings as typed. `fixed`: the name cannot be changed; otherwise it
    must not be one of `taken`, whose end point it would replace."""

    preset: str
    values: dict[str, str] = field(default_factory=dict)
    fixed: bool = False
    taken: frozenset[str] = frozenset()

    @classmethod
    def empty(cls, preset: str) -> EndpointForm:
        settings = settings_of(get_preset(preset))
        return cls(preset, {setting.name: setting.default for setting in settings} | {"name": _a_name(preset)})

    @classmethod
    def of_candidate(cls, candidate: Candidate) -> EndpointForm:
        form = cls.empty(candidate.preset)
        if "url" in form.values:
            form.values["url"] = candidate.base_url
        if len(candidate.models) == 1:
            form.values["model"] = candidate.models[0]
        return form

    @classmethod
    def of_endpoint(cls, endpoint: Endpoint) -> EndpointForm:
        form = cls.empty(endpoint.preset if endpoint.preset in PRESETS else "custom")
        form.values |= {"name": endpoint.name, "model": endpoint.model}
        if "url" in form.values:
            form.values["url"] = ", ".join(endpoint.base_urls)
        if "key_env" in form.values:
            form.values["key_env"] = endpoint.key_env or ""
        form.values |= {
            name: f"{endpoint.options[name]:g}" for name in _OPTIONS if name in endpoint.options and name in form.values
        }
        form.fixed = True
        return form

    def as_preset(self, preset: str) -> EndpointForm:
        """The form for another kind of server; what was typed and still has a place stays."""
        other = EndpointForm.empty(preset)
        suggested = EndpointForm.empty(self.preset).values
        typed = {k: v for k, v in self.values.items() if k in other.values and v != suggested.get(k, "")}
        other.values |= typed
        other.fixed, other.taken = self.fixed, self.taken
        return other

    def beside(self, taken: Iterable[str]) -> EndpointForm:
        """The form for one more end point: its suggested name is a free one."""
        self.taken = frozenset(taken)
        name, number = self.values["name"], 2
        while self.values["name"] in self.taken:
            self.values["name"], number = f"{name}-{number}", number + 1
        return self

    @property
    def fields(self) -> list[SpecField]:
        from refusal_tui.jobs.spec import SpecField

        return [
            SpecField(setting.name, "text", setting.help, setting.required, setting.default)
            for setting in settings_of(get_preset(self.preset))
            if not (self.fixed and setting.name == "name")
        ]

    @property
    def errors(self) -> dict[str, str]:
        wrong = wrong_settings(self.preset, self.values)
        if not self.fixed and self.values["name"].strip() in self.taken:
            wrong["name"] = "is taken: choose another, or press e on that end point"
        return wrong

    @property
    def arguments(self) -> list[str]:
        """What stands after `refusal-tui`."""
        given = {name: value.strip() for name, value in self.values.items() if value.strip()}
        words = ["endpoint", "add", given.pop("name", "NAME"), "--preset", self.preset]
        for url in split_urls(given.pop("url", "")):
            words += ["--url", url]
        for name, value in given.items():
            words += ["--" + name.replace("_", "-"), value]
        return words

    @property
    def command(self) -> str:
        return shlex.join(["refusal-tui", *self.arguments, "--test"])


def _a_name(preset: str) -> str:
    return "weights" if get_preset(preset).in_process else preset.replace(".", "-")


# --- commands of their own -------------------------------------------------------------------------------------------


def own_command(workspace: Path, *arguments: str) -> list[str]:
    """The command line of a process that does one thing for the screen."""
    return [sys.executable, "-m", "refusal_tui", "--workspace", str(workspace), *arguments]


def problem_of(code: int, errors: str) -> str:
    """What a command that has failed says: its last sentences, without what it told on its way.

    >>> problem_of(6, "  a plain question\\nError: It is not there.\\nStart it.")
    'It is not there.\\nStart it.'
    """
    _, found, said = f"\n{errors}".rpartition("\nError: ")
    return said.strip() if found else f"It ended with exit code {code}."


def added_name(output: str) -> str | None:
    try:
        return str(json.loads(output)["name"])
    except (ValueError, KeyError, TypeError):
        return None
