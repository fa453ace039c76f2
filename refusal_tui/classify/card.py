"""What does the model card say? What it was trained on, how good it is, and what limits that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from refusal_tui.classify.plain import figure_text

if TYPE_CHECKING:
    from refusal_tui.classify.aftermath import Analysis
    from refusal_tui.classify.classifier import ClassifierSettings, HeadSettings

_TEXTS = {"pair": "prompt and response as a pair", "response": "the response alone", "prompt": "the prompt alone"}
_LIBRARIES = {"encoder": "transformers", "embeddings": "transformers", "linear": "safetensors"}
_LOADS = {
    "encoder": "`AutoModelForSequenceClassification.from_pretrained(folder)` reads it",
    "embeddings": "An encoder with a linear head on the mean of its last states (`head.safetensors`): "
    "`refusal_tui.classify.classifier.Classifier.load(folder)` reads it",
    "linear": "A linear model on hashed n-grams, scored with numpy alone: "
    "`refusal_tui.classify.classifier.Classifier.load(folder)` reads it",
}


def model_card(settings: ClassifierSettings, found: Analysis, provenance: Mapping[str, Any]) -> str:
    """Markdown with the header that the Hugging Face hub reads."""
    data = provenance["data"]
    longest = f", at most {settings.max_tokens} tokens; the middle of a longer row is left out"
    lines = [
        "---",
        f"library_name: {_LIBRARIES[settings.kind]}",
        "pipeline_tag: text-classification",
        "tags: [refusal, refusal-tui]",
        "---",
        "",
        f"# {_plain(settings.name)}",
        "",
        f"Reads {_TEXTS[settings.text]}{longest if settings.max_tokens else ''}. {_LOADS[settings.kind]}.",
        "",
        "Intervals: 95 %, bootstrap over groups of rows that share a prompt or are nearly alike. Such rows never cross "
        "the split. `predictions.jsonl` has the logits of every row that was not trained on: the figures follow from "
        "it.",
    ]
    for head in settings.heads:
        lines += ["", *_head(head, found)]
    lines += [
        "",
        "## Training",
        "",
        f"Base model `{_plain(provenance['encoder'])}`"
        + (f" (fingerprint {provenance['fingerprint'][:16]})" if provenance["fingerprint"] else "")
        + f"; {data['rows']['train']:,} rows to train on, {data['rows']['validation']:,} to choose the epoch, "
        f"{data['rows']['test']:,} to measure.",
        f"Labels by: {_list(data['by'])}. Datasets: {_list(data['datasets'])}. "
        f"Models that wrote the responses: {_list(data['models'])}.",
    ]
    if data["shared_formulas"]:
        lines.append(
            f"{data['shared_formulas']:,} test rows have a short answer that, word for word, was trained on as well."
        )
    lines += ["", "Settings, versions and counts: `provenance.json`.", ""]
    return "\n".join(lines)


def _head(head: HeadSettings, found: Analysis) -> Iterator[str]:
    metrics = found.metrics[head.head]
    yield f"## {_plain(head.head)}: {', '.join(map(_plain, head.classes))}"
    yield ""
    yield f"**{_plain(metrics['headline'])}.**"
    yield ""
    yield "| class | test rows | precision | recall | F1 | AUROC |"
    yield "|---|---|---|---|---|---|"
    for name, one in metrics["per_class"].items():
        figures = " | ".join(figure_text(one[figure]) for figure in ("precision", "recall", "f1", "auroc"))
        yield f"| {_plain(name)} | {one['support']} | {figures} |"
    calibration = metrics["calibration"]
    yield ""
    yield (
        f"MCC {figure_text(metrics['mcc'])}, kappa {figure_text(metrics['kappa'])}. Expected calibration error "
        f"{figure_text(calibration['raw']['ece'])}; {figure_text(calibration['fitted']['ece'])} with the temperature "
        f"{calibration['temperature']:.3f} (fitted on the validation rows, in `classifier.json`)."
    )
    validated = found.validation.get(head.head)
    if validated:
        yield ""
        yield _validated(validated)
    changes = [(kind, one) for kind, one in found.robustness[head.head].items() if one["rows"]]
    if changes:
        yield ""
        yield "| test rows in another form | rows | change of macro-F1 | answers that change |"
        yield "|---|---|---|---|"
        for kind, one in changes:
            yield f"| {kind} | {one['rows']} | {figure_text(one['macro_f1_change'])} | {figure_text(one['flips'])} |"


def _validated(found: Mapping[str, Any]) -> str:
    summary = found["summary"]["macro_f1"]
    figure = f"macro-F1 {_mean(summary)}, accuracy {_mean(found['summary']['accuracy'])}"
    if found["folds"]:
        return f"Cross-validation, {found['folds']} folds, {found['repeats']} time(s), test rows in none: {figure}."
    return f"{len(found['models'])} seeds on the same split: {figure}."


def _mean(summary: Mapping[str, Any]) -> str:
    if summary["mean"] is None:
        return "not defined"
    return f"{summary['mean']:.3f}" + (f" ± {summary['deviation']:.3f}" if summary["deviation"] is not None else "")


def _list(counts: Mapping[str, int]) -> str:
    shown = [f"{_plain(name)} {count:,}" for name, count in list(counts.items())[:8]]
    return ", ".join(shown) + (f" and {len(counts) - 8} more" if len(counts) > 8 else "")


def _plain(text: object) -> str:
    """Names come from data: no line of the card begins or ends within one."""
    return "".join(c for c in " ".join(str(text).split()) if c.isprintable() and c not in "`|<>*")
