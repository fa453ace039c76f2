"""What does the report of a training run hold? Sections of tables and figures: one source for screen, page and PDF.

Every figure is one of the files that follow from the stored predictions (`report.py`); nothing is computed anew here.
`opens` of a line are the options of `refusal-tui classifiers rows NAME` for the test rows behind it (`behind.py`).
"""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from refusal_tui.classify import report_text as words
from refusal_tui.classify.report import Run, Step, TrialRun
from refusal_tui.text.blocks import (
    Bars,
    Block,
    Cell,
    Curves,
    Matrix,
    Passage,
    Rows,
    Section,
    Series,
    Words,
    filled_steps,
    is_empty,
)  # fmt: skip

Texts = Mapping[int, Mapping[str, str]]  # row -> its `prompt` and `response`
QUOTED = 10  # of the surest mistakes, with their words
_MOST_POINTS = 400
_PARTS = ("train", "validation", "test", "fold")
_WHY = {
    "shapley": "exact shares of a linear model (Shapley values): base and shares add up to the score",
    "occlusion": "how far the score falls without a sentence; such shares do not add up",
    "gradients": "integrated gradients from a row of padding, 32 steps",
    "attention": "attention rollout: where information flows, not why the score is what it is",
}


def sections_of(run: Run, head: str, texts: Texts | None = None) -> list[Section]:
    """All that a finished run has to say of one head. `texts`: of the explained mistakes, where they may be quoted."""
    made: list[tuple[str, str, Iterator[Block]]] = [
        ("summary", "Executive summary", _summary(run, head)),
        ("training", "Performance: training", training(run)),
        *((name, title, make(run, head)) for name, title, make in FIGURES),
        ("mistakes", "Interpretability: the surest mistakes", mistakes(run, head)),
        ("why", "Interpretability: why", _why(run, head, texts or {})),
        ("made", "What it was made of", _made_of(run)),
    ]
    return [Section(name, title, kept) for name, title, blocks in made if (kept := _full(blocks))]


def section_of(run: Run, head: str, name: str) -> Section:
    """One of FIGURES, with a word where there is nothing to show."""
    _, title, make = next(one for one in FIGURES if one[0] == name)
    return Section(name, title, _full(make(run, head)) or [Words("Nothing to show.")])


def _full(blocks: Iterator[Block]) -> list[Block]:
    return [block for block in blocks if not is_empty(block)]


# --- summary ---------------------------------------------------------------------------------------------------------


def _summary(run: Run, head: str) -> Iterator[Block]:
    metrics = run.metrics[head]
    yield Words(f"{head}: {metrics['headline']}.")
    yield Rows("figures of the test rows", ("", "value", "95 %"), list(key_figures(metrics)))
    data = (run.provenance or {}).get("data")
    if data:
        rows = data["rows"]
        yield Words(
            f"{run.name} ({_kind(run)}) has learnt from {rows['train']:,} rows; {rows['validation']:,} chose the epoch and "
            f"{rows['test']:,} measured it. Labels by {_listed(data['heads'][head]['by'])}; data sets "
            f"{_listed(data['datasets'])}; answers by {_listed(data['models'])}."
        )
    weakest = min(
        ((one["f1"]["value"], name) for name, one in metrics["per_class"].items() if one["f1"]["value"] is not None),
        default=None,
    )
    wrong = metrics["confidence"]["wrong"]["rows"]
    if weakest is not None:
        yield Words(
            f"It is wrong on {wrong:,} of {metrics['rows']:,} test rows; weakest class {weakest[1]}, F1 {weakest[0]:.3f}."
        )
    for line in words.most_wrong(metrics):
        yield Words(f"Errors {line}.")
    found = run.validation.get(head)
    if found:
        f1 = found["summary"]["macro_f1"]
        what = f"{found['folds']} folds" if found["folds"] else f"{len(found['models'])} seeds"
        yield Words(f"Over {what} the macro-F1 is {_figure(f1['mean'])}, deviation {_figure(f1['deviation'])}.")
    worst = min(
        ((one["macro_f1_change"]["value"], kind) for kind, one in run.robustness.get(head, {}).items()
         if one["macro_f1_change"]["value"] is not None), default=None,
    )  # fmt: skip
    if worst is not None and worst[0] < 0:
        yield Words(f"Of the other forms of the test rows, {worst[1]} costs most: {worst[0]:+.3f} of macro-F1.")


def key_figures(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Cell, str]]:
    """Name, value, interval."""
    calibration = metrics["calibration"]
    for name, found in (
        ("accuracy", metrics["accuracy"]),
        ("above the commonest class", metrics["above_majority"]),
        ("macro-F1", metrics["macro_f1"]),
        ("Matthews' correlation", metrics["mcc"]),
        ("kappa", metrics["kappa"]),
        ("AUROC, mean of the classes", metrics["auroc"]),
        ("average precision, mean", metrics["average_precision"]),
        ("calibration error, as it is", calibration["raw"]["ece"]),
        ("calibration error, with the temperature", calibration["fitted"]["ece"]),
    ):
        yield name, _figure(found["value"]), words.figure_range(found["low"], found["high"])


# --- training --------------------------------------------------------------------------------------------------------


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
             best.epoch + 1 if best else None, best.macro_f1 if best else None,
             trial.state.value + (", stopped early" if trial.stopped_early else ""))
        )  # fmt: skip
    names = "/".join(part for part in _PARTS if run.trials and any(part in trial.rows for trial in run.trials))
    return Rows("models of this run", ("model", "seed", "rows", "step", "epoch", "macro-F1", ""), lines,
                remark=f"rows: {names}; epoch and macro-F1: the best look at the validation rows")  # fmt: skip


# --- figures ---------------------------------------------------------------------------------------------------------


def _result(run: Run, head: str) -> Iterator[Block]:
    metrics = run.metrics[head]
    per_class = metrics["per_class"].items()
    yield Rows(
        "classes",
        ("class", "rows", "precision", "recall", "F1", "AUROC"),
        [(name, one["support"], *(_short(one[figure]) for figure in ("precision", "recall", "f1", "auroc")))
         for name, one in per_class],
    )  # fmt: skip
    yield confusion(metrics)
    yield Rows(
        "classes, more figures",
        ("class", "said", "specificity", "average precision"),
        [(name, one["predicted"], _short(one["specificity"]), _short(one["average_precision"]))
         for name, one in per_class],
    )  # fmt: skip
    chi = metrics["balance"]
    yield Rows(
        "rows of each class",
        ("part", *metrics["classes"]),
        [(part, *(counts[name] for name in metrics["classes"])) for part, counts in chi["counts"].items()],
        remark=f"chi-squared: classes equally common among the test rows p = {chi['even']['p_value']:.2g}, "
        f"both parts alike p = {chi['parts_alike']['p_value']:.2g}",
    )


def confusion(metrics: Mapping[str, Any]) -> Matrix:
    names = metrics["classes"]
    opens = [[f"--label {shlex.quote(label)} --said {shlex.quote(said)}" for said in names] for label in names]
    title = "confusion of the test rows"
    return Matrix(title, names, names, metrics["confusion"], opens, "a line: the label; a column: what is said")


def _calibration(run: Run, head: str) -> Iterator[Block]:
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
        [(f"{(n - 1) / 10:.1f} to {n / 10:.1f}", one["rows"], _figure(one["confidence"]), _figure(one["accuracy"]),
          f"{one['confidence'] - one['accuracy']:+.3f}") for n, one in bins],
        [f"--bin {n}" for n, _ in bins],
    )  # fmt: skip
    yield Rows(
        "scores",
        ("", "as it is", "with the temperature"),
        [(title, *(_interval(found[which][name]) for which in ("raw", "fitted")))
         for name, title in (("ece", "ECE, equal width"), ("ece_equal", "ECE, equal numbers"),
                             ("log_loss", "log loss"), ("brier", "Brier score"))],
    )  # fmt: skip
    yield Words(words.confidence_line(metrics) + ".")
    for which in ("right", "wrong"):
        counts = metrics["confidence"][which]["counts"]
        steps = [f"{n / 10:.1f}" for n in range(len(counts))]
        yield filled_steps(f"confidence of the rows that are {which}", steps, counts)


def _slices(run: Run, head: str) -> Iterator[Block]:
    metrics = run.metrics[head]
    for line in words.most_wrong(metrics):
        yield Words(f"Errors {line}.")
    by = metrics["errors_by_prompt"]
    yield Words(
        f"{by['with_errors']:,} of {by['groups']:,} prompts have an error; the worst fifth of the prompts holds "
        f"{words.figure_text(by['worst_fifth'])} of the errors."
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


def _robustness(run: Run, head: str) -> Iterator[Block]:
    found = run.validation.get(head)
    if found:
        title = f"{found['folds']} folds, {found['repeats']} time(s)" if found["folds"] else "seeds on the same split"
        names, lines = words.validation_table(found)
        yield Rows(title, names, lines)  # type: ignore[arg-type]
        yield Rows(
            "each model, on the rows that it has not seen",
            ("model", "seed", "rows", "accuracy", "macro-F1", "macro-F1 on the test rows"),
            [(m["name"], m["seed"], m["rows"], _figure(m["measured"]["accuracy"]), _figure(m["measured"]["macro_f1"]),
              _figure(m["test"]["macro_f1"])) for m in found["models"]],
        )  # fmt: skip
        if "pooled" in found:
            pooled = found["pooled"]
            yield Words(
                f"All {pooled['rows']:,} held-out rows together: accuracy {words.figure_text(pooled['accuracy'])}, "
                f"macro-F1 {words.figure_text(pooled['macro_f1'])}."
            )
    forms = run.robustness.get(head, {}).items()
    yield Rows(
        "test rows in another form: macro-F1",
        ("form", "rows", "change", "answers that change"),
        [(kind, one["rows"], _interval(one["macro_f1_change"]), _interval(one["flips"])) for kind, one in forms],
    )
    yield Rows(
        "test rows in another form: accuracy",
        ("form", "rows", "change"),
        [(kind, one["rows"], _interval(one["accuracy_change"])) for kind, one in forms],
    )
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


FIGURES: tuple[tuple[str, str, Callable[[Run, str], Iterator[Block]]], ...] = (
    ("result", "Performance: result", _result),
    ("calibration", "Performance: calibration", _calibration),
    ("slices", "Performance: slices", _slices),
    ("robustness", "Performance: folds, seeds and other forms", _robustness),
)


# --- why -------------------------------------------------------------------------------------------------------------


class Share(NamedTuple):
    """What a word or a finding weighs over all explained mistakes."""

    name: str
    rows: int
    mean: float


def _why(run: Run, head: str, texts: Texts) -> Iterator[Block]:
    explained = [one for one in run.explanations if one["head"] == head]
    if not explained:
        return
    methods = dict.fromkeys(one["method"] for one in explained)
    yield Words(
        f"{len(explained):,} of the surest mistakes are explained. " + "; ".join(map(_WHY.__getitem__, methods)) + "."
    )
    for title, shares in (("findings that weigh most", weights(explained, {})), ("words", weights(explained, texts))):
        if title == "words":
            shares = [one for one in shares if one.name.startswith("“")]
            title = "words that weigh most"
        yield Rows(f"{title} for what is said", ("", "rows", "mean share"),
                   [(one.name, one.rows, f"{one.mean:+.3f}") for one in shares[:12]])  # fmt: skip
    of_row = {one["item_id"]: one for one in run.metrics[head]["mistakes"]}
    for one in explained[:QUOTED]:
        row, mistake = texts.get(one["item_id"], {}), of_row.get(one["item_id"])
        for field in ("prompt", "response"):
            pieces = pieces_of(one, field)
            if row.get(field) and pieces and mistake is not None:
                yield Passage(
                    f"row {one['item_id']}, {field}: said {one['target']}, label {mistake['label']}",
                    row[field],
                    pieces,
                    f"confidence {mistake['confidence']:.3f}; score {one['score']:+.3f}, base {one['base']:+.3f}, "
                    f"shares miss {one['residual']:+.3f} ({one['method']})",
                )


def pieces_of(explained: Mapping[str, Any], field: str) -> list[tuple[int, int, float]]:
    return [(p["start"], p["end"], p["share"]) for p in explained["pieces"] if p["field"] == field]


def weights(explained: Sequence[Mapping[str, Any]], texts: Texts) -> list[Share]:
    """Mean share of every finding and, where there are texts, of every word (in quotes) that several rows have."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in explained:
        for name, share in one["features"].items():
            found[name].append(share)
        summed: dict[str, float] = defaultdict(float)
        for piece in one["pieces"] if one["method"] in ("shapley", "gradients") else ():
            text = texts.get(one["item_id"], {}).get(piece["field"], "")[piece["start"] : piece["end"]].strip().lower()
            if text:
                summed[f"“{text}”"] += piece["share"]
        for name, share in summed.items():
            found[name].append(share)
    shares = [Share(name, len(of), sum(of) / len(explained)) for name, of in found.items() if any(of)]
    return sorted(shares, key=lambda one: (-abs(one.mean), one.name))


def _made_of(run: Run) -> Iterator[Block]:
    facts = run.provenance
    if not facts:
        return
    data = facts["data"]
    yield Rows("", ("", ""), [
        ("kind", _kind(run)), ("device", run.device), ("rows of", facts["selection"] or "all"),
        ("rows left out", _listed(data["left_out"]) or "none"),
        ("test rows with a formula that was trained on", f"{data['shared_formulas']:,}"),
        *((name.replace("_", " "), str(value)) for name, value in run.settings.items() if value not in ("", None)),
        *((f"version of {name}", value) for name, value in facts["versions"].items()),
    ])  # fmt: skip
    yield Bars("data sets", data["datasets"], {})
    yield Bars("models that wrote the answers", data["models"], {})


# --- helpers ---------------------------------------------------------------------------------------------------------


def _kind(run: Run) -> str:
    return run.kind if run.kind == "linear" else f"{run.kind}, {run.encoder}"


def _figure(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.3f}"


def _short(found: Mapping[str, float | None]) -> str:
    """A share with its interval, for a narrow column: 0.917 .76-.97"""
    value, low, high = (found[name] for name in ("value", "low", "high"))
    if value is None:
        return "not defined"
    return f"{value:.3f}" + (
        "" if low is None or high is None else f" {low:.2f}-{high:.2f}".replace(" 0.", " .").replace("-0.", "-.")
    )


def _interval(found: Mapping[str, float | None]) -> str:
    return words.figure_text(found)


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:6]]
    return ", ".join(shown) + (f" and {len(counts) - 6} more" if len(counts) > 6 else "")
