"""What does the store know for a judge card? Every annotator that a labelling job has brought, with its rows."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.jobs.spec import load_spec
from refusal_tui.judge.card import CardRow, JudgeCard, make_card
from refusal_tui.judge.consensus import METHODS, consensus_annotator, has_panel, made_in
from refusal_tui.judge.llm_job import CANARY, annotator_of
from refusal_tui.judge.spec import ARBITER, ORDER, SECOND, LabelSpec
from refusal_tui.judge.stance import Stance, contradictions, stance
from refusal_tui.labels.constitution import Constitution
from refusal_tui.labels.verdict import Verdict
from refusal_tui.store.gold import COMPUTED
from refusal_tui.store.jobs import Job
from refusal_tui.store.labels import annotator_verdicts, job_verdicts
from refusal_tui.store.metrics import metric_steps
from refusal_tui.store.outcomes import Unit
from refusal_tui.store.settings import constitution_in_force


@dataclass(slots=True)
class _Said:
    stance: Stance
    contradicts: bool


def job_cards(connection: sqlite3.Connection, job: Job, *, gold: str | None = None) -> list[JudgeCard]:
    """One card per judge of a labelling job, in the order of its units, then one per consensus that was made of its
    votes. `gold` names a human annotator.

    Raises InputError for a job of another kind and for one without outcomes.
    """
    spec = load_spec(LabelSpec, job.spec, job.spec_version) if job.kind == "label" else None
    if not isinstance(spec, LabelSpec):
        raise InputError(f"Job {job.id} is no labelling job.", "See the jobs: refusal-tui jobs")
    if not job.finished_rows:
        raise InputError(f"Job {job.id} has no finished rows.", f"Look at it with: refusal-tui jobs show {job.id}")
    right = None if gold is None else gold if gold.startswith("human:") else f"human:{gold}"
    humans = _human_labels(connection, job.id, right)
    verdicts, about = _verdicts(connection, job.id)
    again = ORDER if spec.order_sample is not None else SECOND
    second = verdicts.get(annotator_of(spec.judge, spec.voters[0], again), {}) if spec.voters else {}
    canaries = [value == 1.0 for value in metric_steps(connection, job.id, CANARY).values()]
    cards = []
    for unit, annotator in _units(spec):
        said = verdicts.get(annotator, {})
        rows = [
            _card_row(record, said.get(record["item_id"]), second.get(record["item_id"]) if unit == Unit() else None,
                      humans.get(record["item_id"]))
            for record in _outcomes(connection, job.id, unit)
            if record["error_class"] or record["item_id"] in said
        ]  # fmt: skip
        if not rows:
            continue
        version, profile = about.get(annotator, ("", ""))
        first = unit == Unit()
        cards.append(
            make_card(
                rows,
                judge=annotator.removeprefix("judge:"),
                version=version,
                profile=profile,
                gold=right,
                canaries=canaries if first else (),
                usd=_cost(connection, job.id, unit) if not spec.offline else 0.0,
                seconds=job.active_seconds if first and job.active_seconds else None,
                order_sampled=first and again == ORDER,
            )
        )
    return cards + _consensus_cards(connection, job, spec, humans, right)


def _consensus_cards(
    connection: sqlite3.Connection,
    job: Job,
    spec: LabelSpec,
    humans: Mapping[int, Mapping[str, str]],
    gold: str | None,
) -> list[JudgeCard]:
    """Of every method that has settled this job's votes. A row on which the votes are even has no label."""
    if not has_panel(spec):
        return []
    constitution = constitution_in_force(connection)
    prompts = {row["item_id"]: row["prompt_id"] for row in _outcomes(connection, job.id, Unit())}
    cards = []
    for method in METHODS:
        annotator = consensus_annotator(method, spec.judge)
        rows, version, profile = [], "", ""
        for item_id, verdict in annotator_verdicts(connection, annotator, list(prompts)).items():
            if verdict.rationale != made_in(method, job.id):
                continue  # another job has settled its own votes on the row since
            said = stance(verdict, constitution)
            version, profile = verdict.version, _profile_of(verdict, constitution)
            rows.append(
                CardRow(
                    prompts[item_id], said.label, said.probability, None if said.label else "even_votes",
                    humans.get(item_id), None, bool(contradictions(verdict, constitution)),
                )
            )  # fmt: skip
        if rows:
            name = annotator.removeprefix("judge:")
            cards.append(make_card(rows, judge=name, version=version, profile=profile, gold=gold, usd=0.0))
    return cards


def _profile_of(verdict: Verdict, constitution: Constitution | None) -> str:
    asked_atoms = "refusal3" not in verdict.answers
    return (constitution.profile if constitution is not None and asked_atoms else verdict.profile).value


def _units(spec: LabelSpec) -> Iterable[tuple[Unit, str]]:
    if spec.offline:
        yield Unit(), f"judge:{spec.own_name}"
        return
    for k, name in enumerate(spec.voters):
        yield Unit("", k), annotator_of(spec.judge, name)
    if spec.arbiter:
        yield Unit(ARBITER), annotator_of(spec.judge, spec.arbiter)


def _verdicts(
    connection: sqlite3.Connection, job_id: int
) -> tuple[Mapping[str, Mapping[int, _Said]], Mapping[str, tuple[str, str]]]:
    """annotator -> item -> what it said in this job; annotator -> (version, profile)."""
    constitution = constitution_in_force(connection)
    said: dict[str, dict[int, _Said]] = defaultdict(dict)
    about: dict[str, tuple[str, str]] = {}
    for verdict in job_verdicts(connection, job_id):
        found = _Said(stance(verdict, constitution), bool(contradictions(verdict, constitution)))
        said[verdict.annotator][verdict.item_id] = found
        about[verdict.annotator] = (verdict.version, _profile_of(verdict, constitution))
    return said, about


def _card_row(
    record: sqlite3.Row, said: _Said | None, second: _Said | None, humans: Mapping[str, str] | None
) -> CardRow:
    return CardRow(
        cluster=record["prompt_id"],
        label=said.stance.label if said is not None else None,
        probability=said.stance.probability if said is not None else None,
        error_class=record["error_class"],
        humans=humans,
        second=second.stance.label if second is not None else None,
        contradicts=said is not None and said.contradicts,
    )


def _outcomes(connection: sqlite3.Connection, job_id: int, unit: Unit) -> Iterable[sqlite3.Row]:
    return connection.execute(
        """SELECT outcome.item_id, outcome.error_class, item.prompt_id FROM outcome JOIN item ON item.id = item_id
           WHERE job_id = ? AND stage = ? AND k = ? ORDER BY outcome.item_id""",
        (job_id, unit.stage, unit.k),
    )


def _human_labels(
    connection: sqlite3.Connection, job_id: int, gold: str | None
) -> Mapping[int, Mapping[str, str]]:  # fmt: skip
    """item -> annotator -> label; three classes where there are some, otherwise refusal or none. What was computed from
    people's labels is no person; it is here only where it is the gold that is asked for."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    rows = connection.execute(
        f"""SELECT item_id, annotator, head, value FROM label
            WHERE annotator GLOB 'human:*' AND (NOT {COMPUTED} OR annotator IS ?)
              AND head IN ('refusal3', 'response_refusal')
              AND item_id IN (SELECT item_id FROM job_item WHERE job_id = ?)""",
        (gold, job_id),
    )
    for item_id, annotator, head, value in rows:
        if head == "refusal3":
            found[item_id][annotator] = value
        else:
            found[item_id].setdefault(annotator, "refusal" if value == "yes" else "none")
    return found


def _cost(connection: sqlite3.Connection, job_id: int, unit: Unit) -> float | None:
    """US dollars of one unit's requests; None where no price is known.

    An answer that was cut off tells no usage: it counts as much as the others on average.
    """
    usd, priced, unknown = connection.execute(
        """SELECT coalesce(sum(cost_usd), 0.0), count(cost_usd),
                  coalesce(sum(cost_usd IS NULL AND status_code BETWEEN 200 AND 299), 0)
           FROM attempt WHERE job_id = ? AND stage = ? AND k = ?""",
        (job_id, unit.stage, unit.k),
    ).fetchone()
    if unknown and not priced:
        return None
    return float(usd) * (1 + unknown / priced) if priced else 0.0
