"""What does the report of a training run hold? Sections of tables and figures: one source for screen, page and PDF.

Every figure is one of the files that follow from the stored predictions (`report.py`); nothing is computed anew here.
`opens` of a line are the options of `refusal-tui classifiers rows NAME` for the test rows behind it (`behind.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from refusal_tui.classify import report_text as words
from refusal_tui.classify.report import Run
from refusal_tui.classify.sections_figures import (
    calibration,
    figure,
    mistakes,
    result,
    robustness,
    slices,
    training,
)
from refusal_tui.classify.sections_why import Texts, why
from refusal_tui.text.blocks import Bars, Block, Cell, Rows, Section, Words, is_empty


def sections_of(run: Run, head: str, texts: Texts | None = None) -> list[Section]:
    """All that a finished run has to say of one head. `texts`: of the explained mistakes, where they may be quoted."""
    made: list[tuple[str, str, Iterator[Block]]] = [
        ("summary", "Executive summary", _summary(run, head)),
        ("training", "Performance: training", training(run)),
        *((name, title, make(run, head)) for name, title, make in FIGURES),
        ("mistakes", "Interpretability: the surest mistakes", mistakes(run, head)),
        ("why", "Interpretability: why", why(run, head, texts or {})),
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
            f"{run.name} ({_kind(run)}) has learnt from {rows['train']:,} rows; {rows['validation']:,} chose the epoch "
            f"and {rows['test']:,} measured it. Labels by {_listed(data['heads'][head]['by'])}; data sets "
            f"{_listed(data['datasets'])}; answers by {_listed(data['models'])}."
        )
    weakest = min(
        ((one["f1"]["value"], name) for name, one in metrics["per_class"].items() if one["f1"]["value"] is not None),
        default=None,
    )
    wrong = metrics["confidence"]["wrong"]["rows"]
    if weakest is not None:
        yield Words(
            f"It is wrong on {wrong:,} of {metrics['rows']:,} test rows. Weakest class: {weakest[1]}, "
            f"F1 {weakest[0]:.3f}."
        )
    for line in words.most_wrong(metrics):
        yield Words(f"Errors {line}.")
    found = run.validation.get(head)
    if found:
        f1 = found["summary"]["macro_f1"]
        what = f"{found['folds']} folds" if found["folds"] else f"{len(found['models'])} seeds"
        yield Words(f"Over {what} the macro-F1 is {figure(f1['mean'])}, deviation {figure(f1['deviation'])}.")
    worst = min(
        ((one["macro_f1_change"]["value"], kind) for kind, one in run.robustness.get(head, {}).items()
         if one["macro_f1_change"]["value"] is not None), default=None,
    )  # fmt: skip
    if worst is not None and worst[0] < 0:
        yield Words(f"Of the other forms of the test rows, {worst[1]} costs most: {worst[0]:+.3f} of macro-F1.")


def key_figures(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Cell, str]]:
    """Name, value, interval."""
    sure = metrics["calibration"]
    for name, found in (
        ("accuracy", metrics["accuracy"]),
        ("above the commonest class", metrics["above_majority"]),
        ("macro-F1", metrics["macro_f1"]),
        ("Matthews' correlation", metrics["mcc"]),
        ("kappa", metrics["kappa"]),
        ("AUROC, mean of the classes", metrics["auroc"]),
        ("average precision, mean", metrics["average_precision"]),
        ("calibration error, as it is", sure["raw"]["ece"]),
        ("calibration error, with the temperature", sure["fitted"]["ece"]),
    ):
        yield name, figure(found["value"]), words.figure_range(found["low"], found["high"])


FIGURES: tuple[tuple[str, str, Callable[[Run, str], Iterator[Block]]], ...] = (
    ("result", "Performance: result", result),
    ("calibration", "Performance: calibration", calibration),
    ("slices", "Performance: slices", slices),
    ("robustness", "Performance: folds, seeds and other forms", robustness),
)


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


def _kind(run: Run) -> str:
    return run.kind if run.kind == "linear" else f"{run.kind}, {run.encoder}"


def _listed(counts: Mapping[str, int]) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:6]]
    return ", ".join(shown) + (f" and {len(counts) - 6} more" if len(counts) > 6 else "")
