"""How does a robustness run go? Base first, then arm by arm and seed by seed: train, stop, ask, judge, go on.

The base model is loaded once; one adapter sits in it, holds the factors of the arm at work, and is switched off for the
base. Everything is kept as it comes: a line per step, a checkpoint and a line of outcomes at every stop, the answers in
a dataset. After kill -9 the run goes on at the last checkpoint of the trial that it was at, and ends the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite
from pathlib import Path
from typing import Any

from refusal_tui.errors import JobError
from refusal_tui.finetune.adapters import adapter_folder
from refusal_tui.finetune.answers import Answerer
from refusal_tui.finetune.arms import WORDS, Arm, Constraint, constraint_of, parse_arms
from refusal_tui.finetune.conclude import conclusion
from refusal_tui.finetune.data import Dialogue
from refusal_tui.finetune.direction_files import load_factors
from refusal_tui.finetune.directions import Directions
from refusal_tui.finetune.document import write_report
from refusal_tui.finetune.encode import Example, encode
from refusal_tui.finetune.factors import Factors, attach, matched
from refusal_tui.finetune.files import BASE, DATA, EVALUATIONS, RUN
from refusal_tui.finetune.loop import Diverged, Tuned, mean_loss
from refusal_tui.finetune.report import read_run
from refusal_tui.finetune.source import Source, source_of
from refusal_tui.finetune.spec import RobustnessSpec, read_sets
from refusal_tui.finetune.subject import (
    Subject,
    describe,
    digest_of,
    digest_of_sets,
    frozen_sets,
    load_subject,
    read_sets_of,
    shown_name,
)
from refusal_tui.finetune.trial_run import is_done, run_trial
from refusal_tui.finetune.trials import Trial, mixed, trials_of
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.files import append_lines
from refusal_tui.jobs.judging import offline_judge
from refusal_tui.jobs.schedule import stable_seed

_HELD_OUT, _HELD_OUT_SHARE = 100, 0.2  # rows of the task that are not learnt: its loss is taken on them


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all trials share. `learnt`: the rows at each ratio. `held_out`: of the task. `evaluated`: (trial, step) that
    have their line."""

    context: ComputeContext
    spec: RobustnessSpec
    subject: Subject
    tuned: Tuned
    learnt: Mapping[float | None, Sequence[Example]]
    refusal: Sequence[Directions]
    published: Sequence[tuple[Any, Any]]
    sets: Mapping[str, Sequence[Dialogue]]
    held_out: Sequence[Example]
    answerer: Answerer
    evaluated: set[tuple[str, int]]
    mark: str

    @property
    def factors(self) -> Factors:
        return self.tuned.factors


class RobustnessJob:
    """A ComputeJob. The model's own weights are never changed, and no changed model is written."""

    def __init__(self, spec: RobustnessSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        spec = self._spec
        context.report(0, None, "reading the rows", now=True)
        frozen = set(context.item_ids())
        folder = adapter_folder(context.workspace, context.connection, spec.adapter)

        def read() -> dict[str, list[Dialogue]]:
            found = read_sets(context.connection, spec, frozen)
            asked = {dialogue.messages for dialogue in (*found["prompts"], *found["benign"])}
            return {**found, "guard": [d for d in read_sets_of(folder)["refusals"] if d.messages not in asked]}

        sets = frozen_sets(context, read)
        trials = trials_of(
            parse_arms(spec.arms), spec.learning_rates, spec.step_counts, range(spec.seed, spec.seed + spec.seeds),
            spec.checkpoints, spec.ratios,
        )  # fmt: skip
        bench = _bench(context, spec, sets, source_of(context, spec, folder), trials)
        total = sum(trial.steps for trial in trials)
        _ask_base(bench, total)
        done = 0
        for trial in trials:
            _run_trial(bench, trial, done, total)
            done += trial.steps
        return _conclude(context, trials, total)


def _bench(
    context: ComputeContext,
    spec: RobustnessSpec,
    sets: Mapping[str, Sequence[Dialogue]],
    source: Source,
    trials: Sequence[Trial],
) -> _Bench:
    context.report(0, None, "loading the model", now=True)
    subject = load_subject(spec.model, device=spec.device, dtype=spec.dtype)
    found = source.directions(subject, spec.subspace_rank)
    model, factors = attach(subject.model, sorted(found), rank=spec.rank, alpha=spec.alpha, dropout=spec.dropout)
    refusal = matched(factors, found)
    arms = tuple(dict.fromkeys(Arm(trial.arm) for trial in trials))
    published = load_factors(source.folder, factors) if Arm.PUBLISHED in arms else []
    for arm in arms:  # what an arm cannot do is said before anything is trained
        constraint_of(arm, factors, refusal, rank=spec.subspace_rank, sides=spec.sides, seed=0, published=published)
    learnt, held_out = _split(sets["task"], spec.seed)
    own, harmless, held, guard = (
        encode(subject.tokenizer, part, subject.end, spec.max_tokens)
        for part in (learnt, sets["harmless"], held_out, sets["guard"])
    )
    mixtures = mixed(own, harmless, spec.ratios, spec.seed)
    if Arm.SURGERY in arms and not guard:
        raise JobError(
            "The surgery arm has no refusals to look at: all of the refusal adapter's rows are test prompts here.",
            "Leave the arm out, or ask other prompts.",
        )
    rows = next(iter(mixtures.values()))
    tuned = Tuned(model, factors, subject.pad, rows, guard, min(spec.guard_rows, len(guard)), spec.guard_weight)
    base = shown_name(spec.model)
    answerer = Answerer(
        context, model, subject.tokenizer, offline_judge(spec.judge, context.workspace), spec.name, base,
        spec.answer_tokens,
    )  # fmt: skip
    settings = {**spec.model_dump(exclude={"task", "prompts", "harmless", "benign", "before"}), "model": base}
    about = {
        "kind": "robustness", "name": spec.name, "model": base, "dataset": spec.name, "settings": settings,
        "rows": {name: len(part) for name, part in sets.items()} | {"learnt": len(learnt), "held_out": len(held_out)}
        | ({"at every ratio": len(rows)} if spec.ratio else {}),
        "arms": {str(arm): WORDS[arm] for arm in arms}, "trials": [trial.as_json() for trial in trials],
        "matrices": list(factors.names), "base": subject.fingerprint, "directions": source.about(),
        "subspace": [spec.subspace_rank, spec.sides], "judge": spec.judge,
    }  # fmt: skip
    describe(context, about)
    mark = digest_of(settings, subject.fingerprint, source.digest(), digest_of_sets(sets))
    return _Bench(
        context, spec, subject, tuned, mixtures, refusal, published, sets, held, answerer,
        _evaluated(context.folder), mark,
    )  # fmt: skip


def _split(task: Sequence[Dialogue], seed: int) -> tuple[list[Dialogue], list[Dialogue]]:
    """Rows to learn, and rows to take the task's loss on; at least one of each, where there are two."""
    count = max(1, min(_HELD_OUT, int(_HELD_OUT_SHARE * len(task))))
    order = sorted(task, key=lambda dialogue: stable_seed(seed, "held out", dialogue.key))
    held = set(map(id, order[:count])) if len(task) > 1 else set()
    return [d for d in task if id(d) not in held], [d for d in task if id(d) in held] or list(task)


def _evaluated(folder: Path) -> set[tuple[str, int]]:
    return {(line["trial"], line["step"]) for line in read_run(folder).lines}


def _ask_base(bench: _Bench, total: int) -> None:
    if (BASE, 0) not in bench.evaluated:
        bench.context.report(0, total, "asking the base model", now=True)
        with bench.tuned.model.disable_adapter():
            _evaluate(bench, {"trial": BASE, "arm": BASE, "seed": None, "step": 0, "variant": ""}, "", None)


def _run_trial(bench: _Bench, trial: Trial, before: int, total: int) -> None:
    """A trial that is done is passed over; one that diverged is told and ends, the others go on."""
    spec = bench.spec
    if is_done(bench.context.folder, trial):
        return
    constraint = constraint_of(
        Arm(trial.arm), bench.factors, bench.refusal, rank=spec.subspace_rank, sides=spec.sides, seed=trial.seed,
        published=bench.published,
    )  # fmt: skip

    def stop(step: int) -> None:
        if (trial.name, step) in bench.evaluated:
            return
        bench.context.report(before + step, total, f"{trial.name}: asking at step {step}", now=True)
        who = f"+{trial.arm}{trial.variant}@{step}"
        facts = {key: value for key, value in trial.as_json().items() if key not in ("name", "stops")}
        _evaluate(bench, {"trial": trial.name, **facts, "step": step}, who, constraint)

    note = {
        "what": f"arm {trial.arm} of the robustness experiment {spec.name}: pulls against refusal",
        "upload": "no: a local research artifact", "experiment": spec.name, "base_model": bench.answerer.base,
        "base_fingerprint": bench.subject.fingerprint,
    }  # fmt: skip
    tuned = replace(bench.tuned, rows=bench.learnt[trial.ratio])
    run_trial(
        bench.context, trial, tuned, constraint, spec, before=before, of=total,
        fingerprint=digest_of(bench.mark, trial.as_json()), at_stop=stop, note=note,
    )  # fmt: skip


def _evaluate(bench: _Bench, who: Mapping[str, Any], added: str, constraint: Constraint | None) -> None:
    """Losses and answers of what the model is now; the line is the last thing that is written."""
    spec, line = bench.spec, dict(who)
    line["task_loss"] = mean_loss(bench.tuned, bench.held_out, spec.batch_size)
    if not isfinite(line["task_loss"]):
        raise Diverged(line["step"])
    kinds = [kind for kind in ("prompts", "benign") if bench.sets[kind]]
    said = iter(bench.answerer.ask([prompt for kind in kinds for prompt in bench.sets[kind]]))
    for kind in kinds:
        asked = bench.sets[kind]
        answers = list(islice(said, len(asked)))
        meta = {key: line[key] for key in ("trial", "arm", "seed", "step")}
        line[kind] = bench.answerer.keep(kind, asked, answers, added, meta)
        if all(prompt.answer for prompt in asked):
            same = (given.strip() == prompt.answer.strip() for given, prompt in zip(answers, asked, strict=True))
            line[f"{kind}_exact"] = "".join("01"[one] for one in same)
    if constraint is not None:
        import torch

        with torch.no_grad():
            now = constraint.measure(bench.factors, [(stack.up, stack.down) for stack in bench.factors.stacks])
        line |= {
            "total_violation": now.total, "inner": now.inner, "inner_most": now.inner_most, "norm": now.norm,
            "by_matrix": [round(value, 9) + 0.0 for value in now.by_matrix.tolist()],
        }  # fmt: skip
    append_lines(bench.context.folder / EVALUATIONS, [line], sync=True)
    bench.evaluated.add((line["trial"], line["step"]))


def _conclude(context: ComputeContext, trials: Sequence[Trial], total: int) -> str:
    run = read_run(context.folder)
    if all(name in run.diverged for name in (trial.name for trial in trials)):
        raise JobError("Every arm has diverged: there is nothing to compare.", "Use a smaller --learning-rate.")
    for name in (RUN, DATA, EVALUATIONS):
        context.artifact(context.folder / name, "robustness", {"name": run.name, "model": run.model})
    context.artifact(write_report(context.folder, context.job.id), "robustness", {"name": run.name, "model": run.model})
    context.report(total, total, "done", now=True)
    return conclusion(run)[0]
