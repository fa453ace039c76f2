"""What does an audit say? Findings and figures as plain values, as they stand in `audit_report.json`.

A face reads the file with `read_report`; nothing here needs numpy.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.id_ranges import id_ranges, ids_of

REPORT, PAGE, SAMPLES = "audit_report.json", "audit_report.html", "human_review_samples.json"
ARTIFACT = "audit"
MOST_ROWS = 5000  # of a finding that are named one by one


class Level(StrEnum):
    """`alarm`: do not train or publish before it is looked at. `warning`: look. `note`: good to know."""

    ALARM = "alarm"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Statistic:
    """The figure behind a finding; its interval (95 %) or p-value where there is one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found. `rows` counts what it speaks of, `item_ids` names them (in a file the first MOST_ROWS).

    `name` is the finding's own within its report: the check, with a number where that has found several things.
    `filter` opens the rows in Browse; "" where there is nothing to open. `advice` is what to do, `command` does it.
    `surplus` are rows that a data set is better off without, `leave_out` the filter for them; see `kept.py`.
    """

    check: str
    level: Level
    sentence: str
    statistic: Statistic | None = None
    rows: int = 0
    item_ids: tuple[int, ...] = ()
    filter: str = ""
    advice: str = ""
    command: str = ""
    name: str = ""
    surplus: tuple[int, ...] = ()
    leave_out: str = ""


@dataclass(frozen=True, slots=True)
class NotRun:
    """A check that could not be made, and why."""

    check: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """`sections`: figures by name, plain JSON values; which ones there are is in docs/audit.md. `made_with`: the
    program, the rules in force and the files that the rows came from."""

    job: int
    selection: str
    total_items: int
    findings: tuple[Finding, ...]
    not_run: tuple[NotRun, ...] = ()
    sections: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    made_with: dict[str, Any] = field(default_factory=dict)

    def of_level(self, level: Level) -> list[Finding]:
        return [finding for finding in self.findings if finding.level is level]

    def finding(self, name: str) -> Finding:
        """Raises InputError with the names there are."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        names = ", ".join(finding.name for finding in self.findings) or "none"
        raise InputError(f"Audit {self.job} has no finding {name!r}.", f"Its findings: {names}.")


def counted(number: int, one: str, more: str) -> str:
    """
    >>> counted(1, "row repeats", "rows repeat"), counted(1200, "row repeats", "rows repeat")
    ('1 row repeats', '1,200 rows repeat')
    """
    return f"{number:,} {one if number == 1 else more}"


def level_words(report: Report, levels: Iterable[Level] = Level) -> str:
    """How many findings of each level: `1 alarm, 4 warnings, 7 notes`."""
    return ", ".join(counted(len(report.of_level(one)), one.value, f"{one.value}s") for one in levels)


def figure_words(finding: Finding) -> str:
    """The statistic behind a finding with its interval and p-value; "" where there is none."""
    figure = finding.statistic
    if figure is None:
        return ""
    bounds = "" if figure.low is None or figure.high is None else f" ({figure.low:.3g} to {figure.high:.3g})"
    chance = "" if figure.p_value is None else f", {_chance_words(figure.p_value)}"
    return f"{figure.name}: {figure.value:.4g}{bounds}{chance}"


def _chance_words(p_value: float) -> str:
    """
    >>> _chance_words(0.0), _chance_words(0.012)
    ('p < 1e-12', 'p = 0.012')
    """
    return "p < 1e-12" if p_value < 1e-12 else f"p = {p_value:.2g}"


def report_json(report: Report) -> dict[str, Any]:
    """The names of the dataset-pipeline system's report, with the findings beside them."""
    findings = [_finding_json(finding) for finding in report.findings]
    sections = report.sections
    return {
        "total_items": report.total_items,
        "quality_metrics": {
            name: sections.get(name, {})
            for name in ("duplicates", "pii", "toxicity", "confidence", "invariants", "label_errors")
        },
        "human_review_samples": sections.get("review_samples", {}),
        "agreement_metrics": sections.get("agreement", []),
        "coverage_analysis": sections.get("coverage", {}),
        "distributions": sections.get("distributions", {}),
        "label_doctor": sections.get("doctor", {}),
        "recommendations": [
            {key: finding[key] for key in ("level", "name", "check", "advice", "open", "command")}
            for finding in findings
            if finding["advice"]
        ],
        "findings": findings,
        "not_run": [asdict(one) for one in report.not_run],
        "metadata": {
            "job": report.job,
            "selection": report.selection,
            "settings": report.settings,
            "made_with": report.made_with,
        },
    }


def _finding_json(finding: Finding) -> dict[str, Any]:
    found = asdict(finding) | {"level": finding.level.value, "item_ids": id_ranges(finding.item_ids[:MOST_ROWS])}
    found["surplus"] = len(finding.surplus)
    return found | {"open": f"refusal-tui browse {shlex.quote(finding.filter)}" if finding.filter else ""}


def report_of(data: dict[str, Any]) -> Report:
    """The report that a file holds."""
    metadata, quality = data["metadata"], data["quality_metrics"]
    return Report(
        job=metadata["job"],
        selection=metadata["selection"],
        total_items=data["total_items"],
        findings=tuple(_finding_of(one) for one in data["findings"]),
        not_run=tuple(NotRun(**one) for one in data["not_run"]),
        sections=quality
        | {
            "review_samples": data["human_review_samples"],
            "agreement": data["agreement_metrics"],
            "coverage": data["coverage_analysis"],
            "distributions": data["distributions"],
            "doctor": data["label_doctor"],
        },
        settings=metadata["settings"],
        made_with=metadata.get("made_with", {}),
    )


def _finding_of(data: dict[str, Any]) -> Finding:
    known = {key: value for key, value in data.items() if key not in ("open", "surplus")}
    statistic = known["statistic"]
    return Finding(
        **known
        | {
            "level": Level(known["level"]),
            "statistic": None if statistic is None else Statistic(**statistic),
            "item_ids": tuple(ids_of(known["item_ids"])),
            "name": known.get("name") or known["check"],
        }
    )


def read_report(connection: sqlite3.Connection, root: Path, job_id: int) -> Report:
    """The finished report of an audit job. Raises InputError where there is none."""
    for artifact in list_artifacts(connection, job_id):
        path = root / artifact.path
        if artifact.kind == ARTIFACT and path.name == REPORT and path.is_file():
            return report_of(json.loads(path.read_text(encoding="utf-8")))
    raise InputError(f"Job {job_id} has no finished audit report.", "Make one with: refusal-tui run audit SELECTION")


def audits(connection: sqlite3.Connection) -> list[int]:
    """The jobs with a finished report, the latest first."""
    reports = [a for a in list_artifacts(connection) if a.kind == ARTIFACT and a.path.endswith(REPORT)]
    return sorted({a.job_id for a in reports if a.job_id is not None}, reverse=True)


def report_folder(root: Path, job_id: int) -> Path:
    return root / "artifacts" / f"job-{job_id}"
