"""What is measured when the models are trained? Figures, perturbations, folds, refusal beside jailbreak, mistakes.

Every file follows from stored predictions; what needs the model (perturbed rows, explanations) is kept when it is done.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.classify.crossing import crossing
from refusal_tui.classify.data import Example, Text
from refusal_tui.classify.evaluate import evaluate
from refusal_tui.classify.explain import explain_mistakes
from refusal_tui.classify.files import (
    CROSSING,
    EXPLANATIONS,
    METRICS,
    PARAPHRASES,
    PERTURBED,
    PREDICTIONS,
    ROBUSTNESS,
    TRIALS,
    VALIDATION,
    mistakes_selection,
    of_head,
)
from refusal_tui.classify.folder import json_text
from refusal_tui.classify.frozen import Frozen
from refusal_tui.classify.loop import spans_of
from refusal_tui.classify.paraphrase import KIND as PARAPHRASE
from refusal_tui.classify.paraphrase import paraphrase
from refusal_tui.classify.perturb import PERTURBATIONS, perturbed
from refusal_tui.classify.predictions import read_predictions, write_predictions
from refusal_tui.classify.robustness import Perturbed, read_perturbed, robustness, write_perturbed
from refusal_tui.classify.scorer import Scorer
from refusal_tui.classify.splits import TEST, TRAIN
from refusal_tui.classify.trials import FINAL
from refusal_tui.classify.validation import Measurement, cross_validation
from refusal_tui.jobs.compute import ComputeContext, write_atomically
from refusal_tui.store.id_ranges import id_ranges
from refusal_tui.store.query import save_selection

MOST_PERTURBED = 300  # test rows, the first by hash: each goes through the model eight times more


@dataclass(frozen=True, slots=True)
class Analysis:
    """Figures by head; `files`: what goes with the classifier beside `metrics.json`."""

    metrics: Mapping[str, Mapping[str, Any]]
    robustness: Mapping[str, Mapping[str, Any]]
    validation: Mapping[str, Mapping[str, Any]]
    files: Sequence[Path]


def analyse(
    context: ComputeContext,
    found: Frozen,
    scorer: Scorer,
    *,
    text: Text,
    draws: int,
    explained: int,
    perturbed_rows: int,
    paraphraser: str,
    paraphrases: int,
) -> Analysis:
    """`draws`: of the bootstrap; `explained`: of the surest mistakes; `perturbed_rows` and `paraphrases`: of the test
    rows, at most; `paraphraser`: the end point that makes these, "" for none."""
    folder, heads = context.folder, found.examples.heads
    final = folder / TRIALS / FINAL
    spans = spans_of([len(head.classes) for head in heads])
    predictions, metrics, files = [], {}, []
    for number, head in enumerate(heads):
        context.report(number, None, "measuring", now=True)
        name = of_head(PREDICTIONS, number, head.head)
        predictions.append(read_predictions(final / name))
        write_predictions(folder / name, predictions[-1])
        metrics[head.head] = evaluate(predictions[-1], draws)
        _put(folder / of_head(METRICS, number, head.head), metrics[head.head])
        _save_mistakes(context, number, head.head, metrics[head.head])
        files.append(folder / name)
    changed = _changed(context, found, scorer, text, perturbed_rows, paraphraser, paraphrases)
    robust = {
        head.head: robustness(of, changed, span, draws)
        for head, of, span in zip(heads, predictions, spans, strict=True)
    }
    _put(folder / ROBUSTNESS, robust)
    validated = _validate(context, found, draws)
    if validated:
        _put(folder / VALIDATION, validated)
        files.append(folder / VALIDATION)
    crossed = crossing(heads[0].head, predictions[0], predictions[1] if len(heads) > 1 else None)
    if crossed is not None:
        _put(folder / CROSSING, crossed)
        files.append(folder / CROSSING)
    files += [folder / PERTURBED, folder / ROBUSTNESS, folder / PARAPHRASES]
    if explained:
        explain_mistakes(context, found, scorer, metrics[heads[0].head]["mistakes"][:explained], text)
        files.append(folder / EXPLANATIONS)
    return Analysis(metrics, robust, validated, [path for path in files if path.exists()])


def _put(path: Path, value: object) -> None:
    write_atomically(path, json_text(value).encode())


def _save_mistakes(context: ComputeContext, number: int, head: str, metrics: Mapping[str, Any]) -> None:
    """As a saved selection, for Browse and for `review new`."""
    ids = [mistake["item_id"] for mistake in metrics["mistakes"]]
    if ids:
        with context.commit() as connection:
            save_selection(connection, mistakes_selection(context.job.id, number, head), f"id:{id_ranges(ids)}")


def _changed(
    context: ComputeContext, found: Frozen, scorer: Scorer, text: Text, most: int, paraphraser: str, paraphrases: int
) -> list[Perturbed]:
    """What the kept model says of the test rows in other forms; the prompt is changed where it reads nothing else."""
    path = context.folder / PERTURBED
    if path.exists():
        return read_perturbed(path)
    examples = found.examples.examples
    rows = sorted((examples[i] for i in found.final.split.rows(TEST)), key=lambda e: e.hash)
    said: list[Perturbed] = []
    for number, kind in enumerate(PERTURBATIONS):
        context.report(number, len(PERTURBATIONS), f"other forms of the test rows: {kind}", now=True)
        forms = [(e, perturbed(kind, _read(e, text), e.hash)) for e in rows[:most]]
        said += _score(context, scorer, text, kind, [(e, form) for e, form in forms if form != _read(e, text)])
    if paraphraser:
        asked = [(e.item_id, e.hash, _read(e, text)) for e in rows[:paraphrases]]
        made = {
            one.item_id: one.text
            for one in paraphrase(context, context.folder / PARAPHRASES, paraphraser, asked)
            if one.text is not None
        }
        forms = [(e, made[e.item_id]) for e in rows if e.item_id in made]
        said += _score(context, scorer, text, PARAPHRASE, forms)
    write_perturbed(path, said)
    return said


def _read(example: Example, text: Text) -> str:
    return example.prompt if text == "prompt" else example.response


def _score(
    context: ComputeContext, scorer: Scorer, text: Text, kind: str, forms: Sequence[tuple[Example, str]]
) -> list[Perturbed]:
    prompts = [form if text == "prompt" else e.prompt for e, form in forms]
    responses = [e.response if text == "prompt" else form for e, form in forms]
    logits = scorer.logits(prompts, responses, context.check)
    return [Perturbed(kind, e.item_id, tuple(of)) for (e, _), of in zip(forms, logits.tolist(), strict=True)]


def _validate(context: ComputeContext, found: Frozen, draws: int) -> dict[str, Any]:
    """By head: the folds, or the seeds with the kept model among them; {} where there is one model only."""
    trials = [t for t in found.trials if t.fold is not None] or list(found.trials)
    if len(trials) < 2:
        return {}
    validated = {}
    for number, head in enumerate(found.examples.heads):
        measured = [
            Measurement(t.name, t.seed, t.repeat, t.fold, t.measured_on, len(t.split.rows(TRAIN)),
                        read_predictions(context.folder / TRIALS / t.name / of_head(PREDICTIONS, number, head.head)))
            for t in trials
        ]  # fmt: skip
        validated[head.head] = cross_validation(measured, draws)
    return validated
