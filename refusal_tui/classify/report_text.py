"""What does a run say in lines? For commands, and for screens that show the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refusal_tui.classify.plain import figure_text
from refusal_tui.classify.report import Run, State, TrialRun

Table = tuple[Sequence[str], Sequence[Sequence[object]]]  # column names, lines


def class_table(metrics: Mapping[str, Any]) -> Table:
    figures = ("precision", "recall", "f1", "auroc")
    lines = [
        [name, one["support"], *(figure_text(one[figure]) for figure in figures)]
        for name, one in metrics["per_class"].items()
    ]
    return ("class", "test rows", "precision", "recall", "F1", "AUROC"), lines


def confusion_table(metrics: Mapping[str, Any]) -> Table:
    names = metrics["classes"]
    lines = [[name, *row] for name, row in zip(names, metrics["confusion"], strict=True)]
    return ("label, then what is said", *names), lines


def slice_table(metrics: Mapping[str, Any], field: str) -> Table:
    """The values of `model`, `dataset`, `category` or `length`, the commonest first."""
    lines = [
        [
            one["name"],
            one["rows"],
            one["errors"],
            figure_text(one["accuracy"]),
            "" if one["macro_f1"] is None else figure_text(one["macro_f1"]),
        ]
        for one in metrics["slices"][field]["values"]
    ]
    return (field, "rows", "wrong", "accuracy", "macro-F1"), lines


def robustness_table(found: Mapping[str, Any]) -> Table:
    lines = [
        [kind, one["rows"], figure_text(one["macro_f1_change"]), figure_text(one["accuracy_change"]),
         figure_text(one["flips"])]
        for kind, one in found.items()
    ]  # fmt: skip
    return (
        "test rows in another form",
        "rows",
        "change of macro-F1",
        "change of accuracy",
        "answers that change",
    ), lines


def validation_table(found: Mapping[str, Any]) -> Table:
    """Mean, deviation and interval of every figure; of folds the corrected interval."""
    lines: list[Sequence[object]] = []
    for name, one in found["summary"].items():
        low, high = (one["corrected_low"], one["corrected_high"]) if found["folds"] else (one["low"], one["high"])
        lines.append([name, _number(one["mean"]), _number(one["deviation"]), figure_range(low, high)])
    return ("figure", "mean", "deviation", "95 %"), lines


def mistake_table(metrics: Mapping[str, Any]) -> Table:
    lines = [
        [one["item_id"], one["label"], one["said"], f"{one['confidence']:.3f}", one["dataset"], one["model"] or ""]
        for one in metrics["mistakes"]
    ]
    return ("row", "label", "said", "confidence", "dataset", "model"), lines


def calibration_line(metrics: Mapping[str, Any]) -> str:
    found = metrics["calibration"]
    return (
        f"expected calibration error {figure_text(found['raw']['ece'])}, with the temperature "
        f"{found['temperature']:.3f}: {figure_text(found['fitted']['ece'])}"
    )


def confidence_line(metrics: Mapping[str, Any]) -> str:
    found = metrics["confidence"]
    means = [
        f"{found[which]['rows']:,} {which} rows" + (f" {found[which]['mean']:.3f}" if found[which]["rows"] else "")
        for which in ("right", "wrong")
    ]
    tells = figure_text(found["tells_right"])
    return f"mean confidence: {', '.join(means)}; AUROC of confidence, right against wrong: {tells}"


def crossing_lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Refusal beside jailbreak: what the labels say, and what the classifier says."""
    for which, title in (("labels", "labels"), ("predicted", "said by the classifier")):
        one = found.get(which)
        if one is None:
            continue
        yield (
            f"{title}: {one['rows']:,} rows with both, Cramér's V {one['cramers_v']:.3f} (p = {one['p_value']:.2g}), "
            f"refused or broken but not both: {figure_text(one['agreement'])}"
        )
        for name, rate in one["success_rate"].items():
            yield f"  broken of {name}: {figure_text(rate)}"


def trial_line(trial: TrialRun) -> str:
    """One model of the run, as far as it is."""
    said = trial.name
    if trial.state is State.WAITING:
        return f"{said}: waiting"
    if trial.steps:
        last = trial.steps[-1]
        said += f": step {last.step} of {last.steps}, loss {last.loss:.4f}"
    best = trial.best
    if best is not None:
        said += f", best macro-F1 on validation rows {best.macro_f1:.3f} (epoch {best.epoch + 1})"
    return said + (", done" if trial.state is State.DONE else "")


def run_lines(run: Run) -> Iterator[str]:
    """The head of a report: what is trained, on what, and how far it is."""
    yield f"{run.name}: {run.kind}" + (f" {run.encoder}" if run.kind != "linear" else "") + f" on {run.device}"
    for head, classes in run.heads.items():
        yield f"  {head}: {', '.join(classes)}"
    for trial in run.trials:
        yield f"  {trial_line(trial)}"


def most_wrong(metrics: Mapping[str, Any]) -> Iterator[str]:
    """For each kind of slice, where its errors are, if they depend on it at all."""
    for field, found in metrics["slices"].items():
        depend, pareto = found["errors_depend"], found["pareto"]
        if len(found["values"]) < 2 or not pareto["errors"]:
            continue
        first = pareto["curve"][0]
        yield (
            f"by {field}: {first['of_errors']:.0%} of the errors in {first['name']} ({first['of_rows']:.0%} of the "
            f"rows), 80 % in {pareto['to_80']} of {len(found['values'])}; p = {depend['p_value']:.2g}"
        )


def figure_range(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
