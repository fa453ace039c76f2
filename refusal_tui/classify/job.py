"""How does a training run go? Freeze the rows, train, predict, measure, write the folder; each is kept when it is done.

In the job's folder: `data.json` (rows, labels and split as they were at the first start), `checkpoints/`,
`predictions.jsonl`, and in the end `classifier/`. After kill -9 the run goes on with the newest checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from refusal_tui.classify.classifier import ClassifierSettings
from refusal_tui.classify.data import Example, Examples, read_examples
from refusal_tui.classify.encode import Encoder
from refusal_tui.classify.evaluate import Predicted, Predictions, evaluate, read_predictions, write_predictions
from refusal_tui.classify.folder import FOLDER, KIND, PREDICTIONS, counts, weights_version, write_folder
from refusal_tui.classify.loop import LoopSettings, Measured, Part, Trained, train
from refusal_tui.classify.model import load_encoder, longest_input
from refusal_tui.classify.passes import make_accelerator, predict
from refusal_tui.classify.plan import class_weights, stable_seed
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.classify.splits import SHARES, TEST, TRAIN, VALIDATION, Split, make_split, shared_formulas
from refusal_tui.errors import InputError, JobError
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.metrics import put_gauges

_QUICK_ROWS, _QUICK_EPOCHS, _QUICK_TOKENS, _QUICK_OF_CLASS = 400, 2, 128, 40
_QUICK_BATCH_TOKENS = 1024  # a sample has few rows; in larger batches it would have next to no steps
_FLUSH_SECONDS, _FLUSH_STEPS = 0.5, 20


class TrainClassifierJob:
    """A ComputeJob."""

    def __init__(self, spec: TrainClassifierSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        spec = self._spec
        examples, split, threads = _frozen(context, spec)
        context.report(0, None, "loading the encoder", now=True)
        import torch

        torch.set_num_threads(threads)
        accelerator = make_accelerator(spec.device, spec.precision)
        model, tokenizer = load_encoder(spec.encoder, examples.classes, seed=spec.seed, freeze=spec.freeze)
        if spec.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        max_tokens = min(spec.max_tokens, longest_input(model, tokenizer), _QUICK_TOKENS if spec.quick else 1 << 30)
        encode = Encoder(tokenizer, spec.text, max_tokens)
        context.report(0, None, "reading the texts", now=True)
        parts = {name: _part(examples, split, name, encode) for name in SHARES}
        cut = sum(part.texts.cut for part in parts.values())
        if cut:
            context.event("info", "cut", f"{cut:,} rows of {len(examples.examples):,} have over {max_tokens} tokens")
        labels = np.bincount(parts[TRAIN].labels, minlength=len(examples.classes)).tolist()
        base = _fingerprint(spec.encoder)
        settings = _loop_settings(spec)
        trained = train(
            model, parts[TRAIN], parts[VALIDATION], class_weights(labels, spec.class_weights), settings,
            context.folder / "checkpoints", _Shown(context), fingerprint=_run_fingerprint(spec, examples, split, base),
            accelerator=accelerator, pad=tokenizer.pad_token_id,
        )  # fmt: skip
        context.report(trained.steps, None, "measuring", now=True)
        predictions = context.folder / PREDICTIONS
        _predict(context, predictions, model, examples, split, parts, settings, accelerator, tokenizer.pad_token_id)
        metrics = evaluate(read_predictions(predictions))
        known = ClassifierSettings(
            spec.name, spec.head, examples.classes, spec.text, max_tokens, metrics["calibration"]["temperature"],
            weights_version(model),
        )  # fmt: skip
        facts = _provenance(context, spec, examples, split, trained, base, threads, str(accelerator.device))
        files = write_folder(context.folder / FOLDER, model, tokenizer, known, metrics, facts, predictions)
        for path in files:
            context.artifact(path, KIND, {"name": spec.name, "head": spec.head, "encoder": spec.encoder})
        context.artifact(context.folder / "data.json", "split", {"name": spec.name, "seed": spec.seed})
        _keep_figures(context, metrics, trained.steps)
        context.report(trained.steps, trained.steps, "done", now=True)
        return f"{spec.name}: {metrics['headline']}"


def _frozen(context: ComputeContext, spec: TrainClassifierSpec) -> tuple[Examples, Split, int]:
    """Rows, labels and split as they were when the run first started: labels that come later are not of this run."""
    path = context.folder / "data.json"
    if path.exists():
        return _thaw(context, json.loads(path.read_bytes()))
    import torch

    context.report(0, None, "reading the rows", now=True)
    examples = read_examples(
        context.connection, list(context.item_ids()), head=spec.head, judge=spec.judge, text=spec.text,
        classes=spec.classes,
    )  # fmt: skip
    if spec.quick:
        examples = _sample(examples, spec.seed)
    context.report(0, None, "looking for rows that are alike", now=True)
    split = make_split(examples.examples, spec.seed)
    rows = [
        {"item_id": e.item_id, "hash": e.hash, "label": e.label, "weight": e.weight, "by": e.by, "part": p, "group": g}
        for e, p, g in zip(examples.examples, split.part, split.group, strict=True)
    ]
    threads = torch.get_num_threads()
    frozen = {
        "classes": examples.classes, "left_out": examples.left_out, "threads": threads, "seed": spec.seed,
        "shares": dict(SHARES), "rows": rows,
    }  # fmt: skip
    write_atomically(path, json.dumps(frozen).encode())
    left = ", ".join(f"{count:,} {why}" for why, count in examples.left_out.items())
    context.event("info", "rows", f"{len(rows):,} rows to learn from" + (f"; left out: {left}" if left else ""))
    return examples, split, threads


def _thaw(context: ComputeContext, data: Mapping[str, Any]) -> tuple[Examples, Split, int]:
    kept = data["rows"]
    rows = {row.item_id: row for row in fetch_rows(context.connection, [r["item_id"] for r in kept])}
    gone = sum(r["item_id"] not in rows for r in kept)
    if gone:
        raise InputError(
            f"{gone:,} of the {len(kept):,} rows of this run are no longer in the workspace.", "Start a new run."
        )
    examples = tuple(
        Example(
            r["item_id"], r["hash"], (row := rows[r["item_id"]]).prompt, row.response or "", r["label"], r["weight"],
            r["by"], row.dataset, row.model,
        )
        for r in kept
    )  # fmt: skip
    split = Split(tuple(r["part"] for r in kept), tuple(r["group"] for r in kept))
    return Examples(examples, tuple(data["classes"]), data["left_out"]), split, int(data["threads"])


def _sample(examples: Examples, seed: int) -> Examples:
    """About 400 rows, of every class its share and no fewer than 40 where it has them."""
    chosen: set[str] = set()
    for name in examples.classes:
        of_class = sorted(
            (e.hash for e in examples.examples if e.label == name), key=lambda h: stable_seed(seed, "quick", h)
        )
        share = round(_QUICK_ROWS * len(of_class) / len(examples.examples))
        chosen.update(of_class[: max(share, _QUICK_OF_CLASS)])
    kept = tuple(e for e in examples.examples if e.hash in chosen)
    left = {**examples.left_out, "not in the quick sample": len(examples.examples) - len(kept)}
    return Examples(kept, examples.classes, left)


def _loop_settings(spec: TrainClassifierSpec) -> LoopSettings:
    epochs, batch_tokens = spec.epochs, spec.batch_tokens
    if spec.quick:
        epochs, batch_tokens = min(epochs, _QUICK_EPOCHS), min(batch_tokens, _QUICK_BATCH_TOKENS)
    return LoopSettings(
        seed=spec.seed, epochs=epochs, learning_rate=spec.learning_rate, weight_decay=spec.weight_decay,
        warmup=spec.warmup, schedule=spec.schedule, batch_tokens=batch_tokens, accumulate=spec.accumulate,
        patience=spec.patience, save_every=spec.save_every,
    )  # fmt: skip


def _part(examples: Examples, split: Split, name: str, encode: Encoder) -> Part:
    some = [examples.examples[index] for index in split.rows(name)]
    numbers = {label: number for number, label in enumerate(examples.classes)}
    return Part(
        encode([e.prompt for e in some], [e.response for e in some]),
        np.array([numbers[e.label] for e in some], np.int64),
        np.array([e.weight for e in some], np.float32),
    )


def _predict(
    context: ComputeContext,
    path: Path,
    model: Any,
    examples: Examples,
    split: Split,
    parts: Mapping[str, Part],
    settings: LoopSettings,
    accelerator: Any,
    pad: int,
) -> None:
    """The logits of the validation and the test rows, as one file."""
    rows: list[Predicted] = []
    for name in (VALIDATION, TEST):
        logits = predict(
            model, parts[name].texts, 4 * settings.batch_tokens, accelerator=accelerator, pad=pad, check=context.check
        )
        for index, said in zip(split.rows(name), logits.tolist(), strict=True):
            e = examples.examples[index]
            rows.append(
                Predicted(e.item_id, e.hash, name, split.group[index], e.label, e.by, e.dataset, e.model, tuple(said))
            )
    write_predictions(path, Predictions(examples.classes, tuple(rows)))


class _Shown:
    """Tells the store: metrics in groups, so that a fast loop does not wait for the disk."""

    def __init__(self, context: ComputeContext) -> None:
        self._context = context
        self._waiting: dict[int, dict[str, float]] = {}
        self._flushed = time.monotonic()
        self._seen = 0

    def step(self, step: int, steps: int, loss: float, learning_rate: float, rows: int, epoch: int) -> None:
        self._seen += rows
        self._waiting[step] = {"train/loss": loss, "train/learning_rate": learning_rate}
        late = time.monotonic() - self._flushed
        if len(self._waiting) >= _FLUSH_STEPS or late >= _FLUSH_SECONDS:
            self._waiting[step]["train/rows_per_second"] = self._seen / max(late, 1e-6)
            self.flush()
        self._context.report(step, steps, f"epoch {epoch + 1}")

    def measured(self, found: Measured) -> None:
        self._waiting.setdefault(found.step, {}).update(
            {f"validation/{name}": getattr(found, name) for name in ("loss", "accuracy", "macro_f1")}
        )
        self.flush()

    def note(self, code: str, text: str) -> None:
        self._context.event("warning", code, text)

    def flush(self) -> None:
        """A step that is done again after kill -9 replaces its own figures with the same ones."""
        if self._waiting:
            with self._context.commit() as connection:
                for step, values in self._waiting.items():
                    put_gauges(connection, self._context.job.id, step, values)
        self._waiting.clear()
        self._flushed, self._seen = time.monotonic(), 0


def _keep_figures(context: ComputeContext, metrics: Mapping[str, Any], steps: int) -> None:
    values = {f"test/{name}": metrics[name]["value"] for name in ("accuracy", "macro_f1", "mcc", "kappa")}
    values["test/ece"] = metrics["calibration"]["fitted"]["ece"]
    with context.commit() as connection:
        put_gauges(connection, context.job.id, steps, {k: v for k, v in values.items() if v is not None})


def _run_fingerprint(spec: TrainClassifierSpec, examples: Examples, split: Split, base: str | None) -> str:
    """sha256 of what a checkpoint depends on: settings, rows with labels, weights and split, and the base model."""
    rows = [(e.hash, e.label, e.weight, p) for e, p in zip(examples.examples, split.part, strict=True)]
    return hashlib.sha256(json.dumps([spec.model_dump(), base, rows]).encode()).hexdigest()


def _fingerprint(encoder: str) -> str | None:
    """sha256 over the files of an encoder's folder; None for a name on the hub."""
    folder = Path(encoder)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".json", ".txt")):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _provenance(
    context: ComputeContext,
    spec: TrainClassifierSpec,
    examples: Examples,
    split: Split,
    trained: Trained,
    base: str | None,
    threads: int,
    device: str,
) -> dict[str, Any]:
    import torch
    import transformers

    from refusal_tui import __version__

    if not trained.history:
        raise JobError("No epoch was finished, so there is no model to keep.", "Start the run anew.")
    rows: Sequence[Mapping[str, Any]] = [asdict(example) for example in examples.examples]
    return {
        "job": context.job.id,
        "encoder": Path(spec.encoder).name if base else spec.encoder,
        "fingerprint": base,
        "settings": {**spec.model_dump(), "encoder": Path(spec.encoder).name if base else spec.encoder},
        "selection": context.job.selection,
        "data": {
            "rows": {part: len(split.rows(part)) for part in SHARES},
            "groups": len(set(split.group)),
            "classes": counts(rows, "label"),
            "by": counts(rows, "by"),
            "datasets": counts(rows, "dataset"),
            "models": counts(rows, "model"),
            "left_out": dict(examples.left_out),
            "shared_formulas": shared_formulas(examples.examples, split),
        },
        "training": {
            "steps": trained.steps, "best_step": trained.best_step, "stopped_early": trained.stopped_early,
            "epochs": [asdict(found) for found in trained.history], "device": device, "threads": threads,
        },
        "versions": {
            "refusal_tui": __version__, "torch": torch.__version__, "transformers": transformers.__version__
        },
    }  # fmt: skip
