"""How is a row's dossier written? Its text with the evidence painted, and everything that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from refusal_tui.store.browse import Dossier, StoredOutcome
from refusal_tui.store.labels import StoredVerdict
from refusal_tui.tui import paint
from refusal_tui.tui.state.dossier import answers, evidence, meta_lines, moment

if TYPE_CHECKING:
    from refusal_tui.judge.attribution import Why

_MOST = 6  # words and findings told by name
_STATE_STYLES = {"ok": paint.GOOD, "failed": paint.BAD, "unparsable": paint.WARN}


def text_of(dossier: Dossier, why: Why | None = None) -> tuple[Content, list[int]]:
    """Prompt and response, and where the pieces of evidence start in it, in reading order.

    With `why` the shares of a judge's score stand in the evidence's place.
    """
    row = dossier.row
    spans = [] if why is not None else evidence(dossier)
    prompt, in_prompt = paint.passage(row.prompt, [(s.start, s.end) for s in spans if s.field == "prompt"])
    in_response: list[int]
    if row.response is None:
        response, in_response = paint.words(("no response: a prompt alone", paint.MUTED)), []
    elif not row.response:
        response, in_response = paint.words(("the model answered with nothing", paint.MUTED)), []
    elif why is not None:
        shares = [(token.start, token.end, token.share) for token in why.shares.tokens]
        response, in_response = paint.lines(paint.weighed(row.response, shares), "", *why_lines(row.response, why)), []
    else:
        response, in_response = paint.passage(row.response, [(s.start, s.end) for s in spans if s.field == "response"])
    by = paint.words(("  ", ""), paint.line(row.model, 60, paint.MUTED)) if row.model else paint.NOTHING
    above = paint.lines(paint.heading("Prompt", f"{len(row.prompt):,} characters"), "")
    length = f"{len(row.response):,} characters" if row.response is not None else ""
    between = paint.lines("", "", paint.words(paint.heading("Response", length), by), "")
    offset = len(above.plain) + len(prompt.plain) + len(between.plain)
    offsets = [len(above.plain) + start for start in in_prompt] + [offset + start for start in in_response]
    return paint.words(above, prompt, between, response), offsets


def why_lines(response: str, why: Why) -> list[Content]:
    """The linear judge's label, where its score comes from, and the words and findings that weigh most."""
    chances = "  ".join(f"{label.value} {chance:.2f}" for label, chance in why.chances.items())
    parts = (
        ("the average text", why.shares.base), ("these words", why.words), ("named findings", why.findings),
        ("words that are not here", why.shares.absent),
    )  # fmt: skip
    return [
        paint.heading("Why", "the linear judge; " + ("in doubt: a guess" if why.in_doubt else "exact shares")),
        paint.words(paint.label(why.label.value), f"  {chances}"),
        paint.words(f"log-odds of a refusal {why.shares.score:+.2f}  (words ", ("for it", paint.FOR), " and ",
                    ("against it", paint.AGAINST), ")"),
        *(paint.words((f"  {share:+6.2f}  ", ""), (name, paint.MUTED)) for name, share in parts),
        paint.words(("words     ", paint.MUTED), *(
            paint.words(paint.line(response[token.start : token.end], 16), (f" {token.share:+.2f}  ", paint.MUTED))
            for token in why.strongest_tokens(_MOST)
        )),
        paint.words(("findings  ", paint.MUTED), *(
            paint.words(paint.line(name, 24), (f" {share:+.2f}  ", paint.MUTED))
            for name, share in why.strongest_findings(_MOST)
        )),
    ]  # fmt: skip


def facts_of(dossier: Dossier) -> Content:
    """Labels, the history of verdicts, outcomes of jobs, metadata."""
    row = dossier.row
    parts: list[Content | str] = [
        paint.heading("Row"),
        paint.field("dataset", row.dataset),
        paint.field("key", row.key),
        paint.field("model", row.model),
        paint.field("split", dossier.split),
        paint.field("category", dossier.category),
        "",
        *_labels(dossier),
        "",
        *_verdicts(dossier),
        "",
        *_outcomes(dossier.outcomes),
        "",
        paint.heading("Metadata"),
    ]
    parts += [
        paint.words(paint.line(key, 24, paint.MUTED), "  ", paint.text(value)) for key, value in meta_lines(dossier)
    ]
    if not row.meta:
        parts.append(paint.words(("none", paint.MUTED)))
    return paint.lines(*parts)


def _labels(dossier: Dossier) -> list[Content]:
    lines = [paint.heading("Labels")]
    for label in dossier.labels:
        profile = f"  profile {label.profile}" if label.profile else ""
        head = "" if label.head == "refusal3" else f"  {label.head}"
        lines.append(
            paint.words(
                paint.label(label.value), "  ", paint.probability(label.probability), "  ",
                paint.line(label.annotator, 40), (head + profile, paint.MUTED),
            )
        )  # fmt: skip
    if not dossier.labels:
        lines.append(paint.words(("none yet: J in Browse starts a job that labels", paint.MUTED)))
    return lines


def _verdicts(dossier: Dossier) -> list[Content]:
    lines = [paint.heading("Verdicts", "oldest first")]
    for stored in dossier.verdicts:
        lines += _verdict(stored)
    if not dossier.verdicts:
        lines.append(paint.words(("none", paint.MUTED)))
    return lines


def _verdict(stored: StoredVerdict) -> list[Content]:
    verdict = stored.verdict
    quiet = paint.MUTED if stored.superseded else ""
    job = f"  job {stored.job_id}" if stored.job_id is not None else ""
    seen = "  had seen a judge" if verdict.seen_judge else ""
    lines = [
        paint.words(
            (moment(stored.created), paint.MUTED), "  ", paint.line(verdict.annotator, 30, quiet),
            "  ", paint.line(f"{verdict.question_set} v{verdict.version}", 30, paint.MUTED),
            (f"{job}{seen}", paint.MUTED), ("  ✗ superseded" if stored.superseded else "", paint.WARN),
        )
    ]  # fmt: skip
    for question, value, probability in answers(stored):
        said = paint.words(("? open", paint.MUTED)) if value is None else paint.label(value)
        lines.append(paint.words("  ", paint.line(question, 20, paint.MUTED), "  ", said, "  ",
                                 paint.probability(probability)))  # fmt: skip
    if not verdict.answers:
        lines.append(paint.words(("  retracted", paint.MUTED)))
    rules = sorted({span.rule for span in verdict.spans})
    if rules:
        lines.append(paint.words(("  evidence  ", paint.MUTED), paint.text(", ".join(rules))))
    if verdict.rationale:
        lines.append(paint.words(("  because  ", paint.MUTED), paint.text(verdict.rationale)))
    if verdict.raw:
        lines.append(paint.words(("  raw answer  ", paint.MUTED), paint.text(verdict.raw)))
    return lines


def _outcomes(outcomes: list[StoredOutcome]) -> list[Content]:
    lines = [paint.heading("Jobs")]
    for outcome in outcomes:
        stage = f" {outcome.stage}" if outcome.stage else ""
        tries = f"  {outcome.attempts} attempts" if outcome.attempts > 1 else ""
        lines.append(
            paint.words(
                (moment(outcome.created), paint.MUTED), f"  job {outcome.job_id} ", paint.line(outcome.kind, 20),
                (f"{stage}  ", paint.MUTED), (outcome.state, _STATE_STYLES.get(outcome.state, "")),
                (tries, paint.MUTED),
            )
        )  # fmt: skip
        if outcome.error:
            lines.append(paint.words(("  ", ""), paint.line(outcome.error_class or "", 20, paint.BAD), "  ",
                                     paint.text(outcome.error)))  # fmt: skip
        if outcome.raw:
            lines.append(paint.words(("  raw answer  ", paint.MUTED), paint.text(outcome.raw)))
    if not outcomes:
        lines.append(paint.words(("no job has touched this row", paint.MUTED)))
    return lines
