"""What does a paper say of a job? One paragraph made of stored facts: what is not stored is not said."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from refusal_tui.jobs.registry import unit_of
from refusal_tui.store.methods import Asked, JobFacts, Requested, Studied

_SHOWN = 6
_HASH = 12
_SILENT = frozenset({None, "", False})
# What the sentences say already, or what is about this machine and not about the method.
_NOT_METHOD = frozenset({"judge", "endpoint", "endpoints", "out", "max_rate", "concurrency", "source", "name"})


def methods_paragraph(facts: JobFacts, version: str) -> str:
    """The paragraph, on one line; names in it are data. `version` is this program's."""
    sentences = [
        _what(facts),
        *([_data(facts.studied)] if facts.studied else []),
        *(_judge(asked) for asked in facts.asked),
        *(_requests(requested) for requested in facts.requested),
        *_settings(facts),
        _outcome(facts),
        f"Software: refusal-tui {version}.",
    ]
    return " ".join(sentences)


def _what(facts: JobFacts) -> str:
    job = facts.job
    when = _dates(job.started or job.created, job.finished)
    selection = f" on the selection “{job.selection}”" if job.selection else ""
    return f"Job {job.id} ({job.title}) ran{selection} {when}."


def _data(studied: Sequence[Studied]) -> str:
    total = sum(one.rows for one in studied)
    parts = []
    for one in studied:
        which = f"revision {one.revision}" if one.revision else f"sha256 {one.sha256[:_HASH]}" if one.sha256 else ""
        by = f", responses by {one.model}" if one.model else ""
        parts.append(f"{one.rows:,} of {one.dataset} ({one.source}{', ' + which if which else ''}{by})")
    return f"It covers {total:,} rows: {_listed(parts)}."


def _judge(asked: Asked) -> str:
    kind, _, name = asked.annotator.partition(":")
    who = f"the judge {name}" if kind == "judge" else f"the annotator {name}"
    return (
        f"{asked.verdicts:,} verdicts were given by {who} (version {asked.version}) on the question set "
        f"“{asked.question_set}”, three-class rules of the profile {asked.profile}."
    )


def _requests(one: Requested) -> str:
    said = f"The model {one.model} (end point {one.endpoint}) was asked {_dates(one.first, one.last)}: "
    said += f"{one.attempts:,} requests, {one.answered:,} answered"
    if one.prompt_tokens is not None and one.completion_tokens is not None:
        said += f", {one.prompt_tokens:,} prompt and {one.completion_tokens:,} completion tokens"
    if one.cost_usd is not None:
        said += f", {one.cost_usd:.2f} USD"
    return said + "."


def _settings(facts: JobFacts) -> list[str]:
    shown = [
        f"{name.replace('_', ' ')} {value}"
        for name, value in sorted(facts.spec.items())
        if name not in _NOT_METHOD and isinstance(value, str | int | float | bool) and value not in _SILENT
    ]
    return [f"Settings: {', '.join(shown)}."] if shown else []


def _outcome(facts: JobFacts) -> str:
    job = facts.job
    state = "finished" if job.state.value == "done" else f"is {job.state.value}"
    if job.total is None:
        return f"The job {state}."
    said = f"The job {state} with {job.n_ok:,} of {job.total:,} {unit_of(job)} answered"
    if facts.errors:
        said += "; without a result: " + ", ".join(f"{count:,} {name}" for name, count in facts.errors)
    return said + "."


def _dates(first: float, last: float | None) -> str:
    """Days in UTC: a paper needs no more.

    >>> _dates(0.0, 86400.0), _dates(0.0, None)
    ('from 1970-01-01 to 1970-01-02', 'on 1970-01-01')
    """
    days = [time.strftime("%Y-%m-%d", time.gmtime(moment)) for moment in (first, last) if moment is not None]
    return f"on {days[0]}" if days[0] == days[-1] else f"from {days[0]} to {days[-1]}"


def _listed(parts: Sequence[str]) -> str:
    shown: Iterable[str] = parts[:_SHOWN]
    more = f"; and {len(parts) - _SHOWN} more groups" if len(parts) > _SHOWN else ""
    return "; ".join(shown) + more
