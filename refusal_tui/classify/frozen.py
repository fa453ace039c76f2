"""Which rows, labels and parts has a run? As they were when it first started: labels that come later are not of it.

`data.json` has them by row number and hash, with the parts of every model that is trained (folds and seeds).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from refusal_tui.classify.data import Example, Examples, HeadClasses, Said, read_examples
from refusal_tui.classify.files import DATA
from refusal_tui.classify.recorder import tell
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.classify.splits import SHARES, make_split
from refusal_tui.classify.trials import Trial, trials_of
from refusal_tui.errors import InputError
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.jobs.schedule import stable_seed
from refusal_tui.store.items import fetch_rows

QUICK_ROWS, _QUICK_OF_CLASS = 120, 20


@dataclass(frozen=True, slots=True)
class Frozen:
    """`threads`: as many as the first start had, for the same sums. The kept model's trial is the last one."""

    examples: Examples
    trials: tuple[Trial, ...]
    threads: int

    @property
    def final(self) -> Trial:
        return self.trials[-1]


def frozen(context: ComputeContext, spec: TrainClassifierSpec) -> Frozen:
    path = context.folder / DATA
    if path.exists():
        return _thaw(context, json.loads(path.read_bytes()))
    context.report(0, None, "reading the rows", now=True)
    examples = read_examples(
        context.connection, list(context.item_ids()), head=spec.head, judge=spec.judge, text=spec.text,
        classes=spec.classes,
    )  # fmt: skip
    if spec.quick:
        examples = _sample(examples, spec.seed)
    context.report(0, None, "looking for rows that are alike", now=True)
    split = make_split(examples.examples, spec.seed)
    trials = trials_of(examples.examples, split, folds=spec.fold_count, repeats=spec.repeats, seed=spec.seed)
    found = Frozen(examples, trials, _threads(spec))
    rows = [
        {"item_id": e.item_id, "hash": e.hash, "group": group, "part": part, "beside": e.beside,
         "said": [None if said is None else asdict(said) for said in e.said]}
        for e, part, group in zip(examples.examples, split.part, split.group, strict=True)
    ]  # fmt: skip
    data = {
        "heads": [asdict(head) for head in examples.heads], "left_out": examples.left_out, "threads": found.threads,
        "seed": spec.seed, "shares": dict(SHARES), "trials": [trial.as_json() for trial in trials], "rows": rows,
    }  # fmt: skip
    write_atomically(path, json.dumps(data).encode())
    left = ", ".join(f"{count:,} {why}" for why, count in examples.left_out.items())
    tell(context, "info", "rows", f"{len(rows):,} rows to learn from" + (f"; left out: {left}" if left else ""))
    return found


def _threads(spec: TrainClassifierSpec) -> int:
    if spec.kind == "linear":
        return 1
    import torch

    return int(torch.get_num_threads())


def _thaw(context: ComputeContext, data: Mapping[str, Any]) -> Frozen:
    kept = data["rows"]
    rows = {row.item_id: row for row in fetch_rows(context.connection, [r["item_id"] for r in kept])}
    gone = sum(r["item_id"] not in rows for r in kept)
    if gone:
        raise InputError(
            f"{gone:,} of the {len(kept):,} rows of this run are no longer in the workspace.", "Start a new run."
        )
    examples = tuple(
        Example(
            r["item_id"], r["hash"], (row := rows[r["item_id"]]).prompt, row.response or "",
            tuple(None if said is None else Said(**said) for said in r["said"]), row.dataset, row.model, row.category,
            r["beside"],
        )
        for r in kept
    )  # fmt: skip
    heads = tuple(HeadClasses(head["head"], tuple(head["classes"])) for head in data["heads"])
    groups = [r["group"] for r in kept]
    trials = tuple(Trial.of_json(trial, groups) for trial in data["trials"])
    return Frozen(Examples(examples, heads, data["left_out"]), trials, int(data["threads"]))


def _sample(examples: Examples, seed: int) -> Examples:
    """About 120 rows, of every class of every head its share and no fewer than 20 where it has them."""
    chosen: set[str] = set()
    for number, head in enumerate(examples.heads):
        labelled = [e for e in examples.examples if e.said[number] is not None]
        for name in head.classes:
            of_class = sorted(
                (e.hash for e in labelled if e.label(number) == name), key=lambda h: stable_seed(seed, "quick", h)
            )
            share = round(QUICK_ROWS * len(of_class) / len(labelled))
            chosen.update(of_class[: max(share, _QUICK_OF_CLASS)])
    kept = tuple(e for e in examples.examples if e.hash in chosen)
    left = {**examples.left_out, "not in the quick sample": len(examples.examples) - len(kept)}
    return Examples(kept, examples.heads, left)


def run_fingerprint(spec: TrainClassifierSpec, found: Frozen, base: str | None) -> str:
    """sha256 of what a checkpoint depends on: settings, rows with labels, weights and parts, and the base model."""
    rows = [[e.hash, [said and asdict(said) for said in e.said]] for e in found.examples.examples]
    parts = [trial.as_json() for trial in found.trials]
    return hashlib.sha256(json.dumps([spec.model_dump(), base, rows, parts]).encode()).hexdigest()


def encoder_fingerprint(encoder: str) -> str | None:
    """sha256 over the files of an encoder's folder; None for a name on the hub and for no encoder."""
    folder = Path(encoder)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".json", ".txt")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
