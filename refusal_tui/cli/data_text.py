"""How do a plan, a catalogue entry and a row look as text? Lines for people; `common.emit` makes them safe."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from refusal_tui.cli.common import line_width
from refusal_tui.ingest.catalog import CatalogueEntry
from refusal_tui.ingest.plan import ImportPlan
from refusal_tui.labels.rows import Row, render_messages
from refusal_tui.store.browse import Dossier
from refusal_tui.text.safe import shorten

if TYPE_CHECKING:
    from refusal_tui.judge.attribution import Why

_MARGIN = 15
_PREVIEW_CELLS = 300
_MOST = 6  # words and findings told by name; --json has all


def catalogue_lines(entry: CatalogueEntry) -> Iterator[str]:
    """Name and source, and below them what one should know before importing."""
    yield f"{entry.name:<{_MARGIN}}{entry.source or '(your own file)'}"
    facts = [entry.licence, entry.size, "gated" if entry.gated else ""]
    yield from _hanging("", "; ".join(fact for fact in facts if fact))


def plan_lines(plan: ImportPlan) -> Iterator[str]:
    """What would be imported, how, and why so."""
    rows = "" if plan.estimated_rows is None else f", about {plan.estimated_rows:,} rows"
    settings = {name: value for name, value in plan.options.items() if name not in plan.mapping}
    terms = f"{plan.licence}; redistribution: {plan.redistribution}" + ("; evaluation only" if plan.eval_only else "")
    facts = {
        "source": plan.source,
        "name": plan.name,
        "format": f"{plan.format}{rows}",
        "revision": plan.revision or "",
        "split": plan.split or "",
        "adapter": f"{plan.adapter.name} ({plan.adapter.title})",
        "columns": ", ".join(f"{ours} = {theirs}" for ours, theirs in plan.mapping.items()),
        "options": ", ".join(f"{name}={value}" for name, value in settings.items()),
        "licence": terms,
    }
    for name, value in facts.items():
        if value:
            yield from _hanging(name, value)
    for name, sentences in (("because", plan.reasons), ("warning", plan.warnings)):
        for sentence in sentences:
            yield from _hanging(name, sentence)
    for bad in plan.rejected:
        yield from _hanging("cannot be read", f"line {bad.line}: {bad.reason}")
    for number, item in enumerate(plan.preview, start=1):
        prompt = item.prompt if isinstance(item.prompt, str) else render_messages(item.prompt)
        yield ""
        yield from _hanging(f"row {number}", shorten(prompt, _PREVIEW_CELLS))
        yield from _hanging("  response", "(none)" if item.response is None else shorten(item.response, _PREVIEW_CELLS))
        for said in item.verdicts:
            answers = ", ".join(f"{question}={answer.value}" for question, answer in said.answers.items())
            yield from _hanging("  label", f"{answers} by {said.annotator}")


def dossier_lines(dossier: Dossier) -> Iterator[str]:
    """Everything that is known of one row."""
    item = dossier.row
    yield f"row {item.item_id}  {item.dataset}  key {item.key}  model {item.model or '-'}  split {dossier.split or '-'}"
    yield "\nPROMPT\n" + item.prompt
    yield "\nRESPONSE\n" + ("(none)" if item.response is None else item.response)
    yield "\nLABELS"
    for label in dossier.labels:
        sure = f" p={label.probability:.2f}" if label.probability is not None else ""
        profile = f" ({label.profile})" if label.profile else ""
        yield f"  {label.head} = {label.value}{sure}  by {label.annotator}{profile}"
    yield "\nVERDICTS (oldest first)"
    for stored in dossier.verdicts:
        verdict = stored.verdict
        answers = ", ".join(f"{q}={a.value}" for q, a in verdict.answers.items()) or "retracted"
        asked = verdict.question_set + (f" {verdict.version}" if verdict.version else "")
        yield f"  {verdict.annotator} ({asked}): {answers}" + ("  (superseded)" if stored.superseded else "")
        for span in verdict.spans:
            text = (item.prompt if span.field == "prompt" else item.response or "")[span.start : span.end]
            yield f"    {span.rule}: {text}"
    if dossier.outcomes:
        yield "\nJOBS"
    for outcome in dossier.outcomes:
        yield f"  job {outcome.job_id} {outcome.kind}: {outcome.state} {outcome.error or ''}".rstrip()
    if item.meta:
        yield "\nSOURCE FIELDS"
        for name, value in item.meta.items():
            yield f"  {name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"


def row_record(row: Row) -> dict[str, Any]:
    """A row as JSON, its turns with the names of their parts."""
    return {**asdict(row), "messages": [turn._asdict() for turn in row.messages]}


def _hanging(name: str, text: str) -> list[str]:
    """`name` in the margin and the text beside it, broken at the end of the line."""
    head = f"{name:<{_MARGIN}}" if len(name) < _MARGIN else f"{name} "
    return textwrap.wrap(
        text, max(40, line_width()), initial_indent=head, subsequent_indent=" " * _MARGIN, break_on_hyphens=False
    ) or [head.rstrip()]


def why_lines(response: str, why: Why) -> Iterator[str]:
    """The linear judge's label, where its score comes from, and the words and findings that weigh most."""
    chances = ", ".join(f"{label.value} {chance:.2f}" for label, chance in why.chances.items())
    doubt = "; in doubt: a guess" if why.in_doubt else ""
    yield f"\nWHY (linear judge: {why.label.value}; {chances}{doubt})"
    yield f"  log-odds of a refusal {why.shares.score:+.2f} = {why.shares.base:+.2f} the average text"
    yield f"    {why.words:+.2f} these words {why.findings:+.2f} findings {why.shares.absent:+.2f} words not here"
    words = (f"{response[token.start : token.end]} {token.share:+.2f}" for token in why.strongest_tokens(_MOST))
    yield from _hanging("  words", "   ".join(words))
    yield from _hanging(
        "  findings", "   ".join(f"{name} {share:+.2f}" for name, share in why.strongest_findings(_MOST))
    )
