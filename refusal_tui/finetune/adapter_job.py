"""How does a refusal adapter come about? Read refusals, train an adapter per seed, take its directions, compare them.

In the job's folder: `data.json` (the rows), `sources.json` (where they come from), `trials/refusal-sN/` (steps and
checkpoints), and at the end, each whole or not there, `adapter/` of the first seed as peft reads it and the directions
of its update with their spectrum and everything that a card of it needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.finetune.adapter_spec import RefusalAdapterSpec
from refusal_tui.finetune.adapters import HARDLY_REPEATS, KIND, LEARNT_FROM_REFUSALS
from refusal_tui.finetune.answers import judged
from refusal_tui.finetune.data import Dialogue, read_dialogues, require_answers
from refusal_tui.finetune.direction_files import save_adapter, save_directions
from refusal_tui.finetune.directions import Directions, cosines, directions_of
from refusal_tui.finetune.encode import encode
from refusal_tui.finetune.factors import Factors, attach
from refusal_tui.finetune.files import CHECKPOINTS, SOURCES, STEPS, TRIALS
from refusal_tui.finetune.loop import Tuned, train
from refusal_tui.finetune.provenance import sources_of, weights_of
from refusal_tui.finetune.recorder import Recorder
from refusal_tui.finetune.subject import (
    Sets,
    describe,
    digest_of,
    digest_of_sets,
    frozen_sets,
    load_subject,
    shown_name,
)
from refusal_tui.finetune.trial_run import loop_settings
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.jobs.judging import offline_judge
from refusal_tui.jobs.versions import versions_of

_KEPT = ("name", "model", "base", "weights", "rows", "sources", "settings", "versions")  # of a run, beside directions
_PACKAGES = ("torch", "transformers", "peft")


class RefusalAdapterJob:
    """A ComputeJob. The model's own weights are never changed."""

    def __init__(self, spec: RefusalAdapterSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        spec = self._spec
        context.report(0, None, "reading the rows", now=True)
        sets = frozen_sets(context, lambda: _read(context, spec))
        context.report(0, None, "loading the model", now=True)
        subject = load_subject(spec.model, device=spec.device, dtype=spec.dtype)
        model, factors = attach(subject.model, spec.targets, rank=spec.rank, alpha=spec.alpha, dropout=spec.dropout)
        rows = encode(subject.tokenizer, [*sets["refusals"], *sets["harmless"]], subject.end, spec.max_tokens)
        tuned = Tuned(model, factors, subject.pad, rows)
        names = [f"refusal-s{seed}" for seed in range(spec.seed, spec.seed + spec.seeds)]
        about = {
            "kind": KIND, "name": spec.name, "model": shown_name(spec.model), "settings": _settings(spec),
            "rows": {name: len(part) for name, part in sets.items()}, "matrices": list(factors.names),
            "base": subject.fingerprint, "trials": names, "sources": _sources(context.folder),
            "versions": versions_of(_PACKAGES),
        }  # fmt: skip
        describe(context, about)

        found = []
        for place, name in enumerate(names):
            folder = context.folder / TRIALS / name
            folder.mkdir(parents=True, exist_ok=True)
            settings = loop_settings(spec, spec.seed + place, spec.steps, spec.learning_rate)
            watch = Recorder(context, folder, name, place * spec.steps, len(names) * spec.steps)
            mark = digest_of(_settings(spec), settings.seed, subject.fingerprint, digest_of_sets(sets))
            train(tuned, None, settings, folder / CHECKPOINTS, watch, fingerprint=mark)
            found.append(
                [directions_of(factors.scale * stack.up.detach(), stack.down.detach()) for stack in factors.stacks]
            )
            if place == 0:
                note = {"name": spec.name, "base_model": about["model"], "base_fingerprint": subject.fingerprint,
                        "what": LEARNT_FROM_REFUSALS, "rows": about["rows"]}  # fmt: skip
                save_adapter(context.folder, model, note)
        context.report(
            len(names) * spec.steps, None, "reading the base model's weights once more, for the card", now=True
        )
        # Last, not first: of a large model this takes a minute, which a run that is resumed need not pay again.
        about["weights"] = weights_of(spec.model, subject.model.config)
        return self._conclude(context, about, factors, found)

    def _conclude(
        self, context: ComputeContext, about: Mapping[str, Any], factors: Factors, found: Sequence[Sequence[Directions]]
    ) -> str:
        agree = agreement(factors, found)
        losses = _losses(context.folder, about["trials"])
        facts = {key: about[key] for key in _KEPT}
        paths = save_directions(
            context.folder, factors, found[0], {**facts, "agreement": agree, "losses": [last for _, last in losses]}
        )
        paths += sorted(path for path in (context.folder / "adapter").iterdir() if path.is_file())
        for path in paths:
            context.artifact(path, KIND, {"name": about["name"], "model": about["model"]})
        steps = len(about["trials"]) * self._spec.steps
        context.report(steps, steps, "done", now=True)
        mean = agree["mean"]
        if mean is None:
            repeats = "one seed: whether its direction repeats is not known"
        else:
            weak = "; such a direction hardly repeats" if mean < HARDLY_REPEATS else ""
            repeats = f"cosine between the directions of {len(found)} seeds {mean:.2f}{weak}"
        first, last = losses[0]
        learnt = (
            "" if last < first else f" ({first:.3f} at the first: nothing was learnt; use a smaller --learning-rate)"
        )
        return f"{about['name']}: loss {last:.3f} after {self._spec.steps} steps{learnt}; {repeats}"


def agreement(factors: Factors, found: Sequence[Sequence[Directions]]) -> dict[str, Any]:
    """The reliability gate: cosines of the directions of every two seeds, the mean over matrices (`pairs` [seed][seed])
    and per matrix with the first seed; `mean` over all pairs, None of one seed."""
    pairs = [[1.0] * len(found) for _ in found]
    by_matrix: dict[str, list[float]] = {name: [] for name in factors.names}
    for i, one in enumerate(found):
        for j, other in enumerate(found[:i]):
            values = [value for a, b in zip(one, other, strict=True) for value in cosines(a, b).tolist()]
            pairs[i][j] = pairs[j][i] = sum(values) / len(values)
            if j == 0:
                for name, value in zip(factors.names, values, strict=True):
                    by_matrix[name].append(value)
    below = [pairs[i][j] for i in range(len(found)) for j in range(i)]
    return {"pairs": pairs, "by_matrix": by_matrix, "mean": sum(below) / len(below) if below else None}


def _read(context: ComputeContext, spec: RefusalAdapterSpec) -> Sets:
    """Answers that the offline judge does not call refusals are left out, unless they are asked for."""
    frozen = set(context.item_ids())
    sets = {
        name: read_dialogues(context.connection, source, answers=True, among=frozen) if source else []
        for name, source in (("refusals", spec.refusals), ("harmless", spec.harmless))
    }
    require_answers("refusals", sets["refusals"])
    judge = offline_judge(spec.judge, context.workspace)
    refusing: list[Dialogue] = []
    for dialogue, verdict in zip(
        sets["refusals"], judged(judge, sets["refusals"], [d.answer for d in sets["refusals"]]), strict=True
    ):
        if verdict is not None and judge.refuses(verdict):
            refusing.append(dialogue)
    every = len(sets["refusals"])
    if not refusing and not spec.keep_all:
        raise InputError(
            f"None of the {every:,} answers of --refusals is a refusal, says the offline judge.",
            "Choose dialogues whose answer refuses (harmless dialogues go into --harmless), or use --keep-all.",
        )
    rest = (
        ""
        if len(refusing) == every
        else "; the others are learnt, too"
        if spec.keep_all
        else "; the others are left out"
    )
    context.event(
        "info", "refusals", f"{len(refusing):,} of {every:,} answers refuse, says the {spec.judge} judge{rest}"
    )
    learnt = sets if spec.keep_all else {**sets, "refusals": refusing}
    keys = {dialogue.key for dialogue in refusing}
    sources = [
        entry
        for name, source in (("refusals", spec.refusals), ("harmless", spec.harmless))
        for entry in sources_of(
            context.connection, name, source, sets[name], learnt[name], keys if name == "refusals" else None
        )
    ]
    write_atomically(context.folder / SOURCES, (json.dumps(sources, indent=1) + "\n").encode())
    return learnt


def _sources(folder: Path) -> list[dict[str, Any]]:
    """As they were when the rows were read; [] of a run that was begun before they were counted."""
    path = folder / SOURCES
    return json.loads(path.read_bytes()) if path.exists() else []


def _settings(spec: RefusalAdapterSpec) -> dict[str, Any]:
    """Without the places of files: they are of this machine."""
    return {**spec.model_dump(exclude={"model", "refusals", "harmless"}), "model": shown_name(spec.model)}


def _losses(folder: Path, names: Sequence[str]) -> list[tuple[float, float]]:
    """Of every trial, that of its first and of its last step."""
    lines = ((folder / TRIALS / name / STEPS).read_bytes().splitlines() for name in names)
    return [(float(json.loads(every[0])["loss"]), float(json.loads(every[-1])["loss"])) for every in lines]
