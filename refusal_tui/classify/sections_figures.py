"""Which tables and pictures show how a run has learnt and how good it is? Each from the files of `report.py` alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from refusal_tui.classify import report_text as words
from refusal_tui.classify.plain import figure_text
from refusal_tui.classify.report import Run, Step, TrialRun
from refusal_tui.text.blocks import Block, Curves, Matrix, Rows, Series, Words, filled_steps

_MOST_POINTS = 400
_PARTS = ("train", "validation", "test", "fold")


def training(run: Run) -> Iterator[Block]:
    """How the kept model (or the one that is being trained) has learnt, and all models of the run."""
    trial = run.now or run.final
    if trial is not None:
        yield from (loss_curves(trial), metric_curves(trial))
        rates = [step for step in trial.steps if step.learning_rate is not None]
        yield Curves(
            "learning rate",
            "step",
            [Series("learning rate", [(s.step, float(s.learning_rate or 0)) for s in thinned(rates)])],
        )
    yield trial_table(run)


def loss_curves(trial: TrialRun) -> Curves:
    title = f"loss, {trial.name}"
    seen = Series("validation rows", [(one.step, one.loss) for one in trial.epochs], dots=True)
    return Curves(title, "step", [Series("training", [(s.step, s.loss) for s in thinned(trial.steps)]), seen])


def metric_curves(trial: TrialRun) -> Curves:
    """Of the validation rows after every epoch."""
    f1, right = ([(one.step, figure) for one, figure in zip(trial.epochs, of, strict=True)]
                 for of in ([e.macro_f1 for e in trial.epochs], [e.accuracy for e in trial.epochs]))  # fmt: skip
    least = min((y for _, y in [*f1, *right]), default=0.0)
    dots = [Series("macro-F1", f1, dots=True), Series("accuracy", right, dots=True)]
    return Curves(f"validation rows, {trial.name}", "step", dots, bounds=(min(0.5, least), 1.0))


def thinned(steps: Sequence[Step], most: int = _MOST_POINTS) -> list[Step]:
    """At most `most` steps and the last one: a picture has no more points."""
    every = max(1, -(-len(steps) // most))
    return [*steps[:-1:every], *steps[-1:]]


def trial_table(run: Run) -> Rows:
    lines = []
    for trial in run.trials:
        best, last = trial.best, trial.steps[-1] if trial.steps else None
        rows = "/".join(f"{trial.rows[part]:,}" for part in _PARTS if part in trial.rows)
        lines.append(
            (trial.name, trial.seed, rows, f"{last.step:,} of {last.steps:,}" if last else "",
             best.epoch + 1 if best else None, figure(best.macro_f1) if best else "",
             trial.state.value + (", stopped early" if trial.stopped_early else ""))
        )  # fmt: skip
    names = "/".join(part for part in _PARTS if run.trials and any(part in trial.rows for trial in run.trials))
    return Rows("models of this run", ("model", "seed", "rows", "step", "epoch", "macro-F1", ""), lines,
                remark=f"rows: {names}; each at its best")  # fmt: skip


def result(run: Run, head: str) -> Iterator[Block]:
    metrics = run.metrics[head]
    per_class = metrics["per_class"].items()
    yield Rows(
        "classes",
        ("class", "rows", "precision", "recall", "F1", "AUROC"),
        [(name, one["support"], *(short(one[figure]) for figure in ("precision", "recall", "f1", "auroc")))
         for name, one in per_class],
    )  # fmt: skip
    yield confusion(metrics)
    yield Rows(
        "classes, more figures",
        ("class", "said", "specificity", "average precision"),
        [(name, one["predicted"], short(one["specificity"]), short(one["average_precision"]))
         for name, one in per_class],
    )  # fmt: skip
    chi = metrics["balance"]
    yield Rows(
        "rows of each class",
        ("class", *chi["counts"]),
        [(name, *(counts[name] for counts in chi["counts"].values())) for name in metrics["classes"]],
        remark=f"chi-squared: classes equally common among the test rows p = {chi['even']['p_value']:.2g}, "
        f"both parts alike p = {chi['parts_alike']['p_value']:.2g}",
    )


def confusion(metrics: Mapping[str, Any]) -> Matrix:
    names = metrics["classes"]
    opens = [[f"--label {shlex.quote(label)} --said {shlex.quote(said)}" for said in names] for label in names]
    title = "confusion of the test rows"
    return Matrix(title, names, names, metrics["confusion"], opens, "a line: the label; a column: what is said")


def calibration(run: Run, head: str) -> Iterator[Block]:
    metrics = run.metrics[head]
    found = metrics["calibration"]
    yield Words(words.calibration_line(metrics) + ".")
    yield Curves(
        "reliability: how often right, by confidence",
        "confidence",
        [Series("as sure as right", [(0.0, 0.0), (1.0, 1.0)]),
         *(Series(name, [(b["confidence"], b["accuracy"]) for b in found[which]["bins"] if b["rows"]], dots=True)
           for name, which in (("with the temperature", "fitted"), ("as it is", "raw")))],
        bounds=(0.0, 1.0),
    )  # fmt: skip
    bins = [(n, one) for n, one in enumerate(found["fitted"]["bins"], 1) if one["rows"]]
    yield Rows(
        "bins, with the temperature",
        ("confidence", "rows", "mean", "right", "gap"),
        [(f"{(n - 1) / 10:.1f} to {n / 10:.1f}", one["rows"], figure(one["confidence"]), figure(one["accuracy"]),
          f"{one['confidence'] - one['accuracy']:+.3f}") for n, one in bins],
        [f"--bin {n}" for n, _ in bins],
    )  # fmt: skip
    yield Rows(
        "scores",
        ("", "as it is", "with the temperature"),
        [(title, *(figure_text(found[which][name]) for which in ("raw", "fitted")))
         for name, title in (("ece", "ECE, equal width"), ("ece_equal", "ECE, equal numbers"),
                             ("log_loss", "log loss"), ("brier", "Brier score"))],
    )  # fmt: skip
    yield Words(words.confidence_line(metrics) + ".")
    for which in ("right", "wrong"):
        counts = metrics["confidence"][which]["counts"]
        steps = [f"{n / 10:.1f}" for n in range(len(counts))]
        yield filled_steps(f"confidence of the rows that are {which}", steps, counts)


def slices(run: Run, head: str) -> Iterator[Block]:
    metrics = run.metrics[head]
    for line in words.most_wrong(metrics):
        yield Words(f"Errors {line}.")
    by = metrics["errors_by_prompt"]
    yield Words(
        f"{by['with_errors']:,} of {by['groups']:,} prompts have an error; the worst fifth of the prompts holds "
        f"{figure_text(by['worst_fifth'])} of the errors."
    )
    for field, found in metrics["slices"].items():
        names, lines = words.slice_table(metrics, field)
        chi = found["errors_depend"]
        opens = ["--slice " + shlex.quote(f"{field}={one['name']}") for one in found["values"]]
        remark = f"do errors depend on it? p = {chi['p_value']:.2g}, Cramér's V {chi['cramers_v']:.2f}"
        yield Rows(f"by {field}", names, lines, opens, remark=remark if len(lines) > 1 else "")  # type: ignore[arg-type]
    pareto = [
        Series(field, [(0.0, 0.0), *((point["of_rows"], point["of_errors"]) for point in found["pareto"]["curve"])])
        for field, found in metrics["slices"].items()
        if found["pareto"]["errors"] and len(found["values"]) > 1
    ]
    if pareto:
        yield Curves("Pareto: share of the errors, worst groups first", "share of the rows", pareto, bounds=(0.0, 1.0))


def robustness(run: Run, head: str) -> Iterator[Block]:
    found = run.validation.get(head)
    if found:
        title = f"{found['folds']} folds, {found['repeats']} time(s)" if found["folds"] else "seeds on the same split"
        names, lines = words.validation_table(found)
        yield Rows(title, names, lines)  # type: ignore[arg-type]
        yield Rows(
            "each model, on the rows that it has not seen",
            ("model", "seed", "rows", "accuracy", "macro-F1", "macro-F1 on the test rows"),
            [(m["name"], m["seed"], m["rows"], figure(m["measured"]["accuracy"]), figure(m["measured"]["macro_f1"]),
              figure(m["test"]["macro_f1"])) for m in found["models"]],
        )  # fmt: skip
        if "pooled" in found:
            pooled = found["pooled"]
            yield Words(
                f"All {pooled['rows']:,} held-out rows together: accuracy {figure_text(pooled['accuracy'])}, "
                f"macro-F1 {figure_text(pooled['macro_f1'])}."
            )
    forms = run.robustness.get(head, {}).items()
    yield Rows(
        "test rows in another form: macro-F1",
        ("form", "rows", "change", "answers that change"),
        [(kind, one["rows"], figure_text(one["macro_f1_change"]), figure_text(one["flips"])) for kind, one in forms],
    )
    yield Rows(
        "test rows in another form: accuracy",
        ("form", "rows", "change"),
        [(kind, one["rows"], figure_text(one["accuracy_change"])) for kind, one in forms],
    )
    if head == next(iter(run.heads)):
        yield from _crossing(run.crossing or {})


def _crossing(found: Mapping[str, Any]) -> Iterator[Block]:
    for which, title in (("labels", "labels"), ("predicted", "said by the classifier")):
        one = found.get(which)
        if one is not None:
            yield Matrix(f"refusal and jailbreak: {title}", one["refusal"], [f"broken: {s}" for s in one["success"]],
                         one["counts"])  # fmt: skip
    for line in words.crossing_lines(found):
        yield Words(line.strip() + ".")


def mistakes(run: Run, head: str) -> Iterator[Block]:
    names, lines = words.mistake_table(run.metrics[head])
    yield Rows(
        f"the surest {len(lines)} of {run.metrics[head]['confidence']['wrong']['rows']:,} mistakes",
        names,
        [(str(line[0]), *line[1:]) for line in lines],  # type: ignore[arg-type]
    )


def figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def short(found: Mapping[str, float | None]) -> str:
    """A share with its interval, for a narrow column: 0.917 .76-.97"""
    value, low, high = (found[name] for name in ("value", "low", "high"))
    if value is None:
        return "not defined"
    return f"{value:.3f}" + (
        "" if low is None or high is None else f" {low:.2f}-{high:.2f}".replace(" 0.", " .").replace("-0.", "-.")
    )
