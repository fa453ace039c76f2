"""How does an audit run? Columns, texts, checks, files; an interrupted one begins anew, nothing half-written is left.

`artifacts/job-N/`: `audit_report.json`, `audit_report.html`, `human_review_samples.json`, `pii_spans.jsonl` (places and
types, no values). The rows of each finding are kept as a saved selection `@audit-N-CHECK`, which Browse and every
command take.
"""

from __future__ import annotations

import json
import shlex
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refusal_tui import __version__
from refusal_tui.audit import doctor, figures, findings
from refusal_tui.audit.agree import agreement
from refusal_tui.audit.languages import languages, spoken_rows
from refusal_tui.audit.page import page
from refusal_tui.audit.queue import queue_of_sample
from refusal_tui.audit.report import (
    ARTIFACT,
    PAGE,
    REPORT,
    SAMPLES,
    Finding,
    Level,
    NotRun,
    Report,
    level_words,
    report_json,
)
from refusal_tui.audit.samples import review_samples
from refusal_tui.audit.sampling import LEAST, MOST, draw, strata_of
from refusal_tui.audit.scan import Scan, scan, sketch_prompts
from refusal_tui.audit.spec import AuditSpec
from refusal_tui.audit.table import Codes, Table, load_table
from refusal_tui.audit.toxicity import HEAD as HARM
from refusal_tui.audit.toxicity import toxicity
from refusal_tui.errors import InputError
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.pii.find import find_pii
from refusal_tui.pii.spans import PiiSpan
from refusal_tui.similarity.near import nearest
from refusal_tui.stats.association import cramers_v, crosstab
from refusal_tui.store.artifacts import list_artifacts
from refusal_tui.store.browse import select_ids
from refusal_tui.store.datasets import list_datasets
from refusal_tui.store.id_ranges import id_filter
from refusal_tui.store.query import save_selection
from refusal_tui.store.settings import constitution_in_force

SPANS = "pii_spans.jsonl"
MOST_PROBED = 20_000
_ORDER = {Level.ALARM: 0, Level.WARNING: 1, Level.NOTE: 2}


class AuditJob:
    """A ComputeJob."""

    def __init__(self, spec: AuditSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        find = self._finder()
        table = load_table(
            context.connection,
            list(context.item_ids()),
            lambda done, total: context.report(done, total, "reading labels"),
        )
        if not len(table):
            raise InputError("There is no row to audit.", "Choose another selection.")
        sampled = _probed(table, self._spec.seed)
        scanned = scan(
            context.connection, table, similarity=self._spec.similarity, find=find, sampled=sampled,
            spoken=spoken_rows(table, self._spec.seed),
            watch=lambda step, done, total: context.report(done, total, step),
        )  # fmt: skip
        context.report(len(table), len(table), "checking labels", now=True)
        report, judge, people = self._report(context, table, scanned)
        report = replace(report, findings=_with_filters(report.findings, context.job.id), made_with=_made_with(context))
        context.report(len(table), len(table), "writing", now=True)
        drawn = draw(strata_of(table, judge, people), _sample_size(len(table), self._spec.sample_rate), self._spec.seed)
        report.sections["review_samples"] = {
            "rows": len(drawn),
            "population": int((table.response_chars >= 0).sum()),
            "file": SAMPLES,
            "seed": self._spec.seed,
            "filter": f"@audit-{context.job.id}-sample",
            "command": f"refusal-tui audit review {context.job.id}",
            "queue": self._spec.review,
        }
        samples = review_samples(context.connection, table, drawn, find)
        self._write(context, report, samples, scanned)
        with context.commit() as connection:
            _save_selections(connection, report, [int(table.ids[one.place]) for one in drawn])
            if self._spec.review:
                queue_of_sample(connection, context.workspace.root, report, self._spec.review)
        found = level_words(report, (Level.ALARM, Level.WARNING))
        return f"{len(table):,} rows: {found}; refusal-tui audit show {context.job.id}"

    def _finder(self) -> Callable[[str], Iterable[PiiSpan]]:
        if not self._spec.names:
            return find_pii
        from refusal_tui.pii.names import find_with_names

        return find_with_names()

    def _report(self, context: ComputeContext, table: Table, scanned: Scan) -> tuple[Report, Codes, Codes]:
        spec = self._spec
        cluster_of = scanned.cluster_of(table)
        pairs, judge, people = agreement(context.connection, table, context.job.selection)
        duplicates, found = findings.duplicates(table, scanned)
        between = duplicates["between_sources"] = findings.between_sources(table, cluster_of)
        found += filter(None, [findings.shared_prompts(table, cluster_of, between)])
        if spec.against:
            duplicates["contamination"], finding = self._contamination(context, table, scanned)
            found += filter(None, [finding])
        pii, finding = findings.personal_data(table, scanned.pii, spec.names)
        found += filter(None, [finding])
        harm, more = toxicity(table, scanned.toxic, _classifier_of_harm(context))
        found += more
        spoken, finding = languages(table, scanned.languages)
        found += filter(None, [finding])
        confidence = figures.confidence(table, spec.min_confidence)
        found += findings.low_confidence(table, confidence, spec.min_confidence)
        invariants, finding = findings.broken_invariants(table)
        found += filter(None, [finding])
        coverage = figures.coverage(table)
        found += findings.thin_coverage(coverage)
        found += _doctor(table, scanned, cluster_of, judge, people)
        probes, not_run = _probes(table, scanned, cluster_of, spec.seed)
        found += probes[0]
        sections = {
            "duplicates": duplicates,
            "pii": pii,
            "toxicity": harm,
            "confidence": confidence,
            "invariants": invariants,
            "coverage": coverage,
            "agreement": pairs,
            "distributions": figures.distributions(table)
            | {"scripts": dict(sorted(scanned.scripts.items())), "languages": spoken},
            "doctor": probes[1] | {"labels_by_source": doctor.of_sources(table, "refusal3")},
            "label_errors": {"looked_at": probes[1].get("probed_rows", 0)},
        }
        ordered = sorted(found, key=lambda one: _ORDER[one.level])
        report = Report(
            context.job.id, context.job.selection, len(table), tuple(ordered), tuple(not_run), sections,
            spec.model_dump(),
        )  # fmt: skip
        return report, judge, people

    def _contamination(
        self, context: ComputeContext, table: Table, scanned: Scan
    ) -> tuple[dict[str, Any], Finding | None]:
        """Of the selection with `against`, whose own rows in the selection are left out of the comparison."""
        own = set(table.ids.tolist())
        others = [item for item in select_ids(context.connection, self._spec.against) if item not in own]
        theirs = np.unique(load_table(context.connection, others).prompt) if others else np.zeros(0, np.int64)
        best, similarity = nearest(
            sketch_prompts(context.connection, scanned.prompts.tolist()),
            sketch_prompts(context.connection, theirs.tolist()),
            self._spec.similarity,
        )
        return findings.contamination(table, best, similarity, scanned.prompts, self._spec.against)

    def _write(self, context: ComputeContext, report: Report, samples: list[dict[str, Any]], scanned: Scan) -> None:
        made_from = {"selection": report.selection, "rows": report.total_items}
        files = {
            REPORT: json.dumps(report_json(report), indent=2, ensure_ascii=False),
            PAGE: page(report),
            SAMPLES: json.dumps(samples, indent=2, ensure_ascii=False),
            SPANS: "".join(_spans(scanned)),
        }
        for name, text in files.items():
            path = context.folder / name
            write_atomically(path, text.encode("utf-8", "backslashreplace"))
            context.artifact(path, ARTIFACT, made_from)


def _doctor(
    table: Table, scanned: Scan, cluster_of: np.ndarray[Any, Any], judge: Codes, people: Codes
) -> Iterator[Finding]:
    yield from doctor.source_findings(table)
    yield from doctor.refusing_openings(table, scanned.opening)
    yield from filter(
        None,
        (
            doctor.judge_against_people(table, judge, people),
            doctor.confidence_scales(table, scanned.confidence),
            doctor.position_bias(table, scanned.order),
            doctor.split_leaks(table, cluster_of),
        ),
    )


def _probes(
    table: Table, scanned: Scan, cluster_of: np.ndarray[Any, Any], seed: int
) -> tuple[tuple[list[Finding], dict[str, Any]], list[NotRun]]:
    """The checks that train a small model, where scikit-learn is installed and there are enough labelled texts."""
    label, source = table.label(), table.source
    association = cramers_v(crosstab(source.codes, label.codes, len(source.names), max(1, len(label.names))))[0]
    facts: dict[str, Any] = {"association": round(association, 4)}
    checks = ("source-probe", "suspected-labels")
    try:
        from refusal_tui.audit.probes import Sample, features_of, source_finding, source_probe, suspected_labels

        places = np.array(sorted(scanned.texts), np.int64)
        texts = [scanned.texts[place] for place in places.tolist()]
        features = features_of(texts) if texts else None
        sample = Sample(table.ids[places], features, cluster_of[places], source.codes[places], label.codes[places])
        area = source_probe(sample, seed)
        suspected, looked_at = suspected_labels(sample, label.names, seed)
    except ImportError:
        reason = "It needs scikit-learn: pip install 'refusal-tui[ml]'."
        return ([], facts), [NotRun(check, reason) for check in checks]
    facts |= {"source_probe_area": None if area is None else round(area, 4), "probed_rows": looked_at}
    few = "There are too few labelled rows with a response."
    not_run = [NotRun(checks[0], few + " Or one source only.")] if area is None else []
    not_run += [NotRun(checks[1], few)] if not looked_at else []
    found = [None if area is None else source_finding(area, association), suspected]
    return ([finding for finding in found if finding is not None], facts), not_run


def _probed(table: Table, seed: int) -> list[int]:
    """The rows whose texts the probes read: labelled, with a response, at most MOST_PROBED."""
    places = np.flatnonzero((table.response_chars > 0) & (table.label().codes >= 0))
    if len(places) > MOST_PROBED:
        places = np.random.default_rng(seed).choice(places, MOST_PROBED, replace=False)
    return sorted(places.tolist())


def _sample_size(rows: int, rate: float) -> int:
    return min(rows, max(LEAST, min(MOST, round(rows * rate))))


def _with_filters(found: Iterable[Finding], job: int) -> tuple[Finding, ...]:
    """Each finding with its name and the filters of its rows, filled into its command as well."""
    filled: list[Finding] = []
    used: Counter[str] = Counter()
    for finding in found:
        used[finding.check] += 1
        name = finding.check if used[finding.check] == 1 else f"{finding.check}-{used[finding.check]}"
        filter_ = finding.filter or (f"@audit-{job}-{name}" if finding.item_ids else "")
        leave_out = ""
        if finding.surplus:
            leave_out = filter_ if finding.surplus == finding.item_ids else f"@audit-{job}-{name}-later"
        command = finding.command.replace("{filter}", shlex.quote(filter_))
        command = command.replace("{job}", str(job)).replace("{name}", name)
        filled.append(replace(finding, name=name, filter=filter_, leave_out=leave_out, command=command))
    return tuple(filled)


def _save_selections(connection: sqlite3.Connection, report: Report, sampled: Sequence[int]) -> None:
    for finding in report.findings:
        if finding.filter.startswith("@"):
            save_selection(connection, finding.filter[1:], id_filter(finding.item_ids))
        if finding.leave_out not in ("", finding.filter):
            save_selection(connection, finding.leave_out[1:], id_filter(finding.surplus))
    save_selection(connection, f"audit-{report.job}-sample", id_filter(sampled))


def _classifier_of_harm(context: ComputeContext) -> str:
    """The newest classifier of this workspace that says whether a response is harmful; "" for none."""
    made = [json.loads(one.made_from) for one in list_artifacts(context.connection) if one.kind == "classifier"]
    return next((str(one["name"]) for one in reversed(made) if one.get("head") == HARM), "")


def _made_with(context: ComputeContext) -> dict[str, Any]:
    """What this report stands on: the program, the rules in force, the files that the rows came from."""
    rules = constitution_in_force(context.connection)
    return {
        "program": f"refusal-tui {__version__}",
        "constitution": "built in" if rules is None else rules.hash,
        "datasets": [
            {
                "name": one.name,
                "source": one.provenance.source,
                "revision": one.provenance.revision,
                "sha256": one.provenance.sha256,
                "licence": one.provenance.licence,
                "rows": one.n_items,
            }
            for one in list_datasets(context.connection)
        ],
    }


def _spans(scanned: Scan) -> Iterator[str]:
    for one in scanned.pii:
        span = one.span
        yield json.dumps(
            {"item_id": one.item_id, "field": one.field, "start": span.start, "end": span.end, "type": span.type.value,
             "check": span.check, "passed": span.passed}
        ) + "\n"  # fmt: skip
