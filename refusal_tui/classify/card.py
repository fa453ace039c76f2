"""What does the model card say? What it was trained on, how good it is, and what limits that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refusal_tui.classify.classifier import ClassifierSettings

_TEXTS = {"pair": "prompt and response as a pair", "response": "the response alone", "prompt": "the prompt alone"}


def model_card(settings: ClassifierSettings, metrics: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """Markdown with the header that the Hugging Face hub reads."""
    data = provenance["data"]
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-classification",
        "tags: [refusal, refusal-tui]",
        "---",
        "",
        f"# {_plain(settings.name)}",
        "",
        f"Classes of `{settings.head}`: {', '.join(map(_plain, settings.classes))}. Reads {_TEXTS[settings.text]}, "
        f"at most {settings.max_tokens} tokens; the middle of a longer row is left out.",
        "",
        f"**{_plain(metrics['headline'])}.**",
        "",
        "Intervals: 95 %, bootstrap over groups of rows that share a prompt or are nearly alike. Such rows never cross "
        "the split. `predictions.jsonl` has the test and validation rows' logits: every figure follows from it.",
        "",
        "| class | test rows | precision | recall | F1 |",
        "|---|---|---|---|---|",
    ]
    for name, found in metrics["per_class"].items():
        figures = " | ".join(_number(found[figure]) for figure in ("precision", "recall", "f1"))
        lines.append(f"| {_plain(name)} | {found['support']} | {figures} |")
    calibration = metrics["calibration"]
    lines += [
        "",
        f"MCC {_number(metrics['mcc'])}, kappa {_number(metrics['kappa'])}. Expected calibration error "
        f"{calibration['raw']['ece']:.3f}; {calibration['fitted']['ece']:.3f} with the temperature "
        f"{calibration['temperature']:.3f} (fitted on the validation rows, in `classifier.json`).",
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


def _number(found: Mapping[str, float | None]) -> str:
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return "not defined"
    return f"{value:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")


def _list(counts: Mapping[str, int]) -> str:
    shown = [f"{_plain(name)} {count:,}" for name, count in list(counts.items())[:8]]
    return ", ".join(shown) + (f" and {len(counts) - 8} more" if len(counts) > 8 else "")


def _plain(text: object) -> str:
    """Names come from data: no line of the card begins or ends within one."""
    return "".join(c for c in " ".join(str(text).split()) if c.isprintable() and c not in "`|<>*")
