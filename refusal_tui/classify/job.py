"""How does a training run go? Freeze the rows, train each model, predict, measure, explain, write the folder.

Each step is kept when it is done: a trial in `trials/NAME/`, the figures of the kept model in the job's folder, and in
the end `classifier/`. After kill -9 the run goes on with the newest checkpoint of the trial that it was at.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_tui.classify.aftermath import MOST_PERTURBED, analyse
from refusal_tui.classify.card import model_card
from refusal_tui.classify.classifier import ClassifierSettings, HeadSettings
from refusal_tui.classify.document import KIND as REPORT
from refusal_tui.classify.document import write_report
from refusal_tui.classify.evaluate import DRAWS
from refusal_tui.classify.files import DATA, DONE, FOLDER, PREDICTIONS, RUN, TRIALS, of_head
from refusal_tui.classify.folder import KIND, write_folder
from refusal_tui.classify.frozen import Frozen, encoder_fingerprint, frozen, run_fingerprint
from refusal_tui.classify.learner import Learner, make_learner
from refusal_tui.classify.loop import Measured, Trained, spans_of
from refusal_tui.classify.predictions import Predicted, Predictions, write_predictions
from refusal_tui.classify.provenance import provenance_of
from refusal_tui.classify.recorder import Recorder, tell
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.classify.splits import TRAIN
from refusal_tui.classify.trials import FINAL, Trial
from refusal_tui.errors import JobError
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.store.metrics import put_gauges

QUICK_DRAWS, QUICK_EXPLAINED, QUICK_PERTURBED = 200, 2, 10


class TrainClassifierJob:
    """A ComputeJob."""

    def __init__(self, spec: TrainClassifierSpec, workspace: object) -> None:
        self._spec = spec

    def run(self, context: ComputeContext) -> str:
        spec = self._spec
        found = frozen(context, spec)
        context.report(0, None, "reading the texts" if spec.kind == "linear" else "loading the encoder", now=True)
        base = encoder_fingerprint(spec.encoder)
        learner = make_learner(context, spec, found, run_fingerprint(spec, found, base))
        _describe(context, spec, found, learner)
        trained = None
        for place, trial in enumerate(found.trials):
            trained = _train(context, found, trial, place, learner)
        assert trained is not None
        return self._conclude(context, found, learner, trained, base)

    def _conclude(
        self, context: ComputeContext, found: Frozen, learner: Learner, trained: Trained, base: str | None
    ) -> str:
        spec = self._spec
        if not trained.history:
            raise JobError("No epoch was finished, so there is no model to keep.", "Start the run anew.")
        scorer = learner.scorer
        done = analyse(
            context, found, scorer, draws=QUICK_DRAWS if spec.quick else DRAWS, text=spec.text,
            explained=min(spec.explain, QUICK_EXPLAINED) if spec.quick else spec.explain,
            perturbed_rows=QUICK_PERTURBED if spec.quick else MOST_PERTURBED, paraphraser=spec.paraphraser,
            paraphrases=min(spec.paraphrases, QUICK_PERTURBED) if spec.quick else spec.paraphrases,
        )  # fmt: skip
        heads = tuple(
            HeadSettings(head.head, head.classes, done.metrics[head.head]["calibration"]["temperature"])
            for head in found.examples.heads
        )
        known = ClassifierSettings(spec.name, spec.kind, heads, spec.text, learner.max_tokens, scorer.version)
        facts = provenance_of(context, spec, found, trained, base, learner)
        card = model_card(known, done, facts)
        files = write_folder(context.folder / FOLDER, scorer, known, done.metrics, facts, card, done.files)
        for path in files:
            context.artifact(path, KIND, {"name": spec.name, "head": spec.head, "encoder": facts["encoder"]})
        context.artifact(context.folder / DATA, "split", {"name": spec.name, "seed": spec.seed})
        first = done.metrics[heads[0].head]
        _keep_figures(context, first, trained.steps)
        context.report(trained.steps, trained.steps, "writing the report", now=True)
        for path in write_report(context.folder, context.job.id, context.connection):
            context.artifact(path, REPORT, {"name": spec.name})
        context.report(trained.steps, trained.steps, "done", now=True)
        return f"{spec.name}: {first['headline']}"


def _describe(context: ComputeContext, spec: TrainClassifierSpec, found: Frozen, learner: Learner) -> None:
    """What the run is, for whoever looks at it (`report.py`)."""
    trials = [
        {"name": t.name, "seed": t.seed, "repeat": t.repeat, "fold": t.fold,
         "rows": {part: len(t.split.rows(part)) for part in dict.fromkeys(t.split.part)}}
        for t in found.trials
    ]  # fmt: skip
    about = {
        "name": spec.name,
        "kind": spec.kind,
        "encoder": Path(spec.encoder).name,
        "device": learner.device,
        "heads": [{"head": head.head, "classes": head.classes} for head in found.examples.heads],
        "settings": {**spec.model_dump(), "encoder": Path(spec.encoder).name},
        "facts": {**learner.facts, "threads": found.threads, "rows": len(found.examples.examples)},
        "trials": trials,
    }
    again = (context.folder / RUN).exists()
    write_atomically(context.folder / RUN, json.dumps(about).encode())
    if learner.cut and not again:
        rows = len(found.examples.examples)
        tell(context, "info", "cut", f"{learner.cut:,} rows of {rows:,} have over {learner.max_tokens} tokens")


def _train(context: ComputeContext, found: Frozen, trial: Trial, place: int, learner: Learner) -> Trained:
    """One model; one that is done is not trained again, but the kept one is fetched from its last checkpoint."""
    folder = context.folder / TRIALS / trial.name
    done = _done(folder / DONE)
    if done is not None and trial.name != FINAL:
        return done
    folder.mkdir(parents=True, exist_ok=True)
    watch = Recorder(context, folder, trial.name, place, len(found.trials), learner.torch_device)
    trained = learner.train(trial, folder, watch, context.check)
    if done is None:
        context.report(place + 1, None, f"{trial.name}: predicting", now=True)
        _predict(context, found, trial, folder, learner)
        history = [[m.epoch, m.step, m.loss, m.accuracy, m.macro_f1] for m in trained.history]
        ended = {"steps": trained.steps, "best_step": trained.best_step, "stopped_early": trained.stopped_early}
        write_atomically(folder / DONE, json.dumps({**ended, "history": history}).encode())
        if trial.name != FINAL:
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return trained


def _done(path: Path) -> Trained | None:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    history = [Measured(*row) for row in data["history"]]
    return Trained(data["steps"], data["best_step"], data["stopped_early"], history)


def _predict(context: ComputeContext, found: Frozen, trial: Trial, folder: Path, learner: Learner) -> None:
    """The logits of every row that the model has not learnt from; a file per head, with the rows that it has a label
    for."""
    examples, split = found.examples, trial.split
    rows = [index for index, part in enumerate(split.part) if part and part != TRAIN]
    logits = learner.logits_of(rows, context.check)
    spans = spans_of([len(head.classes) for head in examples.heads])
    for number, (head, span) in enumerate(zip(examples.heads, spans, strict=True)):
        predicted = []
        for index, said in zip(rows, logits[:, span].tolist(), strict=True):
            e = examples.examples[index]
            label = e.said[number]
            if label is not None:
                predicted.append(
                    Predicted(
                        e.item_id, e.hash, split.part[index], split.group[index], label.label, label.by, e.dataset,
                        e.model, tuple(said), e.category, len(e.prompt), len(e.response), e.beside_of(number),
                    )
                )  # fmt: skip
        write_predictions(folder / of_head(PREDICTIONS, number, head.head), Predictions(head.classes, tuple(predicted)))


def _keep_figures(context: ComputeContext, metrics: Mapping[str, Any], steps: int) -> None:
    names: Sequence[str] = ("accuracy", "macro_f1", "mcc", "kappa")
    values = {f"test/{name}": metrics[name]["value"] for name in names}
    values["test/ece"] = metrics["calibration"]["fitted"]["ece"]["value"]
    with context.commit() as connection:
        put_gauges(connection, context.job.id, steps, {k: v for k, v in values.items() if v is not None})
