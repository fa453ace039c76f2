"""How does a raw-against-cleaned run go? Base first, then raw and cleaned, seed by seed: train, ask, judge, go on.

Both arms start from the same factors, see as many rows in as many steps, and answer the same prompts. Loop, adapters,
answers and resume are those of the robustness experiment; here nothing is constrained.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from refusal_tui.errors import JobError
from refusal_tui.finetune.answers import Answerer
from refusal_tui.finetune.cleaned.conclude import conclusion
from refusal_tui.finetune.cleaned.diversity import diversity
from refusal_tui.finetune.cleaned.figures import PAIRS
from refusal_tui.finetune.cleaned.page import write_report
from refusal_tui.finetune.cleaned.read import DIVERSITY, KIND, answers_of, diversity_json, read_comparison
from refusal_tui.finetune.cleaned.sets import CLEANED, RAW, Parts, parts_of, read_sets
from refusal_tui.finetune.cleaned.spec import RawVsCleanedSpec
from refusal_tui.finetune.data import Dialogue
from refusal_tui.finetune.encode import Example, encode
from refusal_tui.finetune.factors import attach
from refusal_tui.finetune.files import BASE, DATA, EVALUATIONS, RUN
from refusal_tui.finetune.loop import Diverged, Tuned, mean_loss
from refusal_tui.finetune.report import read_run
from refusal_tui.finetune.subject import (
    Subject,
    describe,
    digest_of,
    digest_of_sets,
    frozen_sets,
    load_subject,
    shown_name,
)
from refusal_tui.finetune.trial_run import is_done, run_trial
from refusal_tui.finetune.trials import Trial, trials_of
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.jobs.files import append_lines
from refusal_tui.jobs.judging import offline_judge

ARMS: Mapping[str, str] = {
    RAW: "fine-tuned on the rows as they were",
    CLEANED: "fine-tuned on what cleaning made of them, in as many steps",
}


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all trials share. `tuned`: by arm, with the same factors. `evaluated`: trials that have their line."""

    context: ComputeContext
    spec: RawVsCleanedSpec
    subject: Subject
    tuned: Mapping[str, Tuned]
    held_out: Mapping[str, Sequence[Example]]
    asked: Mapping[str, Sequence[Dialogue]]
    answerer: Answerer
    evaluated: set[str]
    mark: str


class RawVsCleanedJob:
    """A ComputeJob. The model's own weights are never changed, and no changed model is written."""

    def __init__(self, spec: RawVsCleanedSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        spec = self._spec
        context.report(0, None, "reading the rows", now=True)
        frozen = set(context.item_ids())
        sets = frozen_sets(context, lambda: read_sets(context.connection, spec, frozen))
        parts = parts_of(sets[RAW], sets[CLEANED], seed=spec.seed, same_rows=spec.same_rows)
        trials = trials_of(tuple(ARMS), [spec.learning_rate], [spec.steps], range(spec.seed, spec.seed + spec.seeds), 1)
        bench = _bench(context, spec, sets, parts, trials)
        total = sum(trial.steps for trial in trials)
        if BASE not in bench.evaluated:
            context.report(0, total, "asking the base model", now=True)
            with bench.answerer.model.disable_adapter():
                _evaluate(bench, {"trial": BASE, "arm": BASE, "seed": None, "step": 0, "variant": ""}, "")
        for done, trial in enumerate(trials):
            _run_trial(bench, trial, done * spec.steps, total)
        return _conclude(context, trials, total)


def _bench(
    context: ComputeContext,
    spec: RawVsCleanedSpec,
    sets: Mapping[str, Sequence[Dialogue]],
    parts: Parts,
    trials: Sequence[Trial],
) -> _Bench:
    context.report(0, None, "loading the model", now=True)
    subject = load_subject(spec.model, device=spec.device, dtype=spec.dtype)
    model, factors = attach(subject.model, spec.targets, rank=spec.rank, alpha=spec.alpha, dropout=spec.dropout)

    def encoded(rows: Sequence[Dialogue]) -> list[Example]:
        return encode(subject.tokenizer, rows, subject.end, spec.max_tokens)

    tuned = {arm: Tuned(model, factors, subject.pad, encoded(rows)) for arm, rows in parts.learnt.items()}
    base = shown_name(spec.model)
    answerer = Answerer(
        context, model, subject.tokenizer, offline_judge(spec.judge, context.workspace), spec.name, base,
        spec.answer_tokens, made_by=KIND,
    )  # fmt: skip
    settings = {**spec.model_dump(exclude={RAW, CLEANED, "prompts", "benign"}), "model": base}
    counts = {**parts.counts, "prompts": len(sets["prompts"]), "benign prompts": len(sets["benign"])}
    describe(context, {
        "kind": KIND, "name": spec.name, "model": base, "dataset": spec.name, "settings": settings, "rows": counts,
        "arms": ARMS, "trials": [trial.as_json() for trial in trials], "matrices": list(factors.names),
        "base": subject.fingerprint, "judge": spec.judge,
    })  # fmt: skip
    evaluated = {line["trial"] for line in read_run(context.folder, KIND).lines}
    mark = digest_of(settings, subject.fingerprint, digest_of_sets(sets))
    held_out = {arm: encoded(rows) for arm, rows in parts.held_out.items()}
    asked = {kind: sets[kind] for kind in ("prompts", "benign")}
    return _Bench(context, spec, subject, tuned, held_out, asked, answerer, evaluated, mark)


def _run_trial(bench: _Bench, trial: Trial, before: int, total: int) -> None:
    """A trial that is done is passed over; one that diverged is told and ends, the others go on."""
    context, spec = bench.context, bench.spec
    if is_done(context.folder, trial):
        return

    def stop(step: int) -> None:
        if trial.name not in bench.evaluated:
            context.report(before + step, total, f"{trial.name}: asking", now=True)
            who = {"trial": trial.name, "arm": trial.arm, "seed": trial.seed, "step": step, "variant": ""}
            _evaluate(bench, who, f"+{trial.arm}")

    note = {
        "what": f"the {trial.arm} arm of the raw-against-cleaned experiment {spec.name}: it may have unlearnt refusals",
        "upload": "no: a local research artifact", "experiment": spec.name, "base_model": bench.answerer.base,
        "base_fingerprint": bench.subject.fingerprint,
    }  # fmt: skip
    run_trial(
        context, trial, bench.tuned[trial.arm], None, spec, before=before, of=total,
        fingerprint=digest_of(bench.mark, trial.as_json()), at_stop=stop, note=note,
    )  # fmt: skip


def _evaluate(bench: _Bench, who: Mapping[str, Any], added: str) -> None:
    """Losses and answers of what the model is now; the line is the last thing that is written."""
    line = dict(who)
    for arm, rows in bench.held_out.items():
        line[f"{arm}_loss"] = mean_loss(bench.tuned[arm], rows, bench.spec.batch_size)
        if not isfinite(line[f"{arm}_loss"]):
            raise Diverged(line["step"])
    meta = {key: line[key] for key in ("trial", "arm", "seed", "step")}
    for kind, prompts in bench.asked.items():
        line[kind] = bench.answerer.keep(kind, prompts, bench.answerer.ask(prompts), added, meta)
    append_lines(bench.context.folder / EVALUATIONS, [line], sync=True)
    bench.evaluated.add(line["trial"])


def _conclude(context: ComputeContext, trials: Sequence[Trial], total: int) -> str:
    run = read_run(context.folder, KIND)
    gone = [arm for arm in ARMS if all(trial.name in run.diverged for trial in trials if trial.arm == arm)]
    if gone:
        raise JobError(
            f"Every training on the {' and the '.join(gone)} rows has diverged: there is nothing to compare.",
            "Use a smaller --learning-rate.",
        )
    context.report(total, total, "comparing the answers", now=True)
    answers = answers_of(context.connection, run.dataset)
    by_arm = {arm: [answers[line["trial"]] for line in run.lines if line["arm"] == arm] for arm in (BASE, *ARMS)}
    found = diversity_json(diversity(by_arm, PAIRS))
    write_atomically(context.folder / DIVERSITY, json.dumps(found).encode())
    page = write_report(context.folder, context.job.id, context.connection)
    for path in (*(context.folder / name for name in (RUN, DATA, EVALUATIONS, DIVERSITY)), page):
        context.artifact(path, KIND, {"name": run.name, "model": run.model})
    context.report(total, total, "done", now=True)
    return conclusion(read_comparison(context.folder, context.connection))[0]
