"""Where does a classifier come from? Settings, rows, labels, versions: `provenance.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from refusal_tui.classify.folder import counts
from refusal_tui.classify.frozen import Frozen
from refusal_tui.classify.learner import Learner
from refusal_tui.classify.loop import Trained
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.classify.splits import SHARES, shared_formulas
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.jobs.versions import versions_of

_PACKAGES = ("torch", "transformers", "accelerate", "scikit-learn", "numpy")


def provenance_of(
    context: ComputeContext,
    spec: TrainClassifierSpec,
    found: Frozen,
    trained: Trained,
    base: str | None,
    learner: Learner,
) -> dict[str, Any]:
    examples, split = found.examples, found.final.split
    rows: Sequence[Mapping[str, Any]] = [asdict(example) for example in examples.examples]
    encoder = Path(spec.encoder).name if base else spec.encoder
    by_head = {
        head.head: [asdict(said) for e in examples.examples if (said := e.said[number]) is not None]
        for number, head in enumerate(examples.heads)
    }
    first = by_head[examples.heads[0].head]
    return {
        "job": context.job.id,
        "kind": spec.kind,
        "encoder": encoder,
        "fingerprint": base,
        "settings": {**spec.model_dump(), "encoder": encoder},
        "selection": context.job.selection,
        "data": {
            "rows": {part: len(split.rows(part)) for part in SHARES},
            "groups": len(set(split.group)),
            "classes": counts(first, "label"),
            "by": counts(first, "by"),
            "heads": {head: {"classes": counts(of, "label"), "by": counts(of, "by")} for head, of in by_head.items()},
            "datasets": counts(rows, "dataset"),
            "models": counts(rows, "model"),
            "left_out": dict(examples.left_out),
            "shared_formulas": shared_formulas(examples.examples, split),
        },
        "training": {
            "steps": trained.steps, "best_step": trained.best_step, "stopped_early": trained.stopped_early,
            "epochs": [asdict(one) for one in trained.history], "device": learner.device, "threads": found.threads,
            "models": [trial.name for trial in found.trials], **learner.facts,
        },
        "versions": versions_of(_PACKAGES),
    }  # fmt: skip
