"""Training runs as a job leaves them behind, at any point of their way, without training: 150 rows, three classes.

What the classifier says comes from a formula with its own random numbers; every figure is computed from the predictions
by the functions that a job uses.
"""

from __future__ import annotations

import json
import math
import random
from contextlib import closing
from pathlib import Path

from refusal_tui.classify.crossing import crossing
from refusal_tui.classify.evaluate import evaluate
from refusal_tui.classify.files import (
    CROSSING,
    DONE,
    EPOCHS,
    EXPLANATIONS,
    FOLDER,
    LOG,
    METRICS,
    PERTURBED,
    PREDICTIONS,
    PROVENANCE,
    ROBUSTNESS,
    RUN,
    STEPS,
    TRIALS,
    VALIDATION,
    mistakes_selection,
)  # fmt: skip
from refusal_tui.classify.folder import json_text
from refusal_tui.classify.predictions import Predicted, Predictions, write_predictions
from refusal_tui.classify.robustness import Perturbed, robustness, write_perturbed
from refusal_tui.classify.splits import FOLD, TEST
from refusal_tui.classify.splits import VALIDATION as CHOOSES
from refusal_tui.classify.validation import Measurement, cross_validation
from refusal_tui.store import jobs
from refusal_tui.store.connect import transaction
from refusal_tui.store.id_ranges import id_filter
from refusal_tui.store.query import save_selection
from refusal_tui.store.workspace import Workspace
from tests.classify.tiny import texts
from tests.store.building import NewRow, add

CLASSES = ("none", "hard", "soft")
ROWS, DRAWS, STEP_COUNT = 150, 100, 120
MODELS = ("quill-7b", "marrow-13b", "[b]odd\x1b[31m")
BEGAN = 1_790_000_000.0


def add_rows(workspace: Workspace) -> list[int]:
    with closing(workspace.open()) as connection:
        return add(connection, *(NewRow(prompt, answer, MODELS[n % 3], category=f"c{n % 4}")
                                 for n, (prompt, answer, _) in enumerate(texts(ROWS))))  # fmt: skip


def predictions(ids: list[int], *, seed: int = 7, held_out: int | None = None) -> Predictions:
    """`held_out`: the fold (1 or 2) whose rows are measured beside the test rows."""
    chance, rows = random.Random(seed), []
    for n, (item_id, (prompt, answer, label)) in enumerate(zip(ids, texts(ROWS), strict=True)):
        part = TEST if n % 2 else CHOOSES if n % 10 == 0 else None
        if held_out is not None and part != TEST:
            part = FOLD if n % 4 == 2 * held_out - 2 else None
        shown = [2.2 * (name == label) + chance.gauss(0, 0.9) for name in CLASSES]
        if part is None:
            continue
        rows.append(
            Predicted(item_id, f"{n:04}", part, f"g{n // 2}", label, "human" if n % 9 else "judge:linear", "demo",
                      MODELS[n % 3], tuple(round(x, 4) for x in shown), f"c{n % 4}", len(prompt), len(answer),
                      None if n % 3 == 0 else "yes" if label == "none" else "no")
        )  # fmt: skip
    return Predictions(CLASSES, tuple(rows))


def write_trial(folder: Path, share: float, *, done: bool) -> None:
    """Steps and epochs as far as they are."""
    folder.mkdir(parents=True)
    steps = [
        {"step": n, "steps": STEP_COUNT, "epoch": (n - 1) // 30,
         "loss": 0.05 + 1.1 * math.exp(-n / 40) * (1 + 0.1 * math.sin(n)),
         "learning_rate": 2e-4 * min(n / 12, (STEP_COUNT - n) / 108),
         "rows_per_second": 212.5 if n % 20 == 0 else None, "memory": 734_003_200 if n % 20 == 0 else None,
         "time": BEGAN + n / 4}
        for n in range(1, round(share * STEP_COUNT) + 1)
    ]  # fmt: skip
    epochs = [
        {"epoch": n, "step": 30 * n + 30, "loss": 0.9 - 0.15 * n, "accuracy": 0.7 + 0.06 * n,
         "macro_f1": 0.62 + 0.08 * n}
        for n in range(len(steps) // 30)
    ]  # fmt: skip
    for name, lines in ((STEPS, steps), (EPOCHS, epochs)):
        (folder / name).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    if done:
        (folder / DONE).write_text(json.dumps({"best_step": 120, "stopped_early": False}))


def write_run(
    folder: Path, ids: list[int], job_id: int, *, name: str = "mine", seed: int = 7, share: float = 1.0
) -> None:
    """`share` below 1: the last of three models is being trained."""
    folder.mkdir(parents=True, exist_ok=True)
    trials: list[dict[str, object]] = [
        {"name": f"repeat-1-fold-{k}", "seed": 0, "repeat": 1, "fold": k, "rows": {"train": 37, "test": 75, "fold": 38}}
        for k in (1, 2)
    ]
    last = {"train": 60, "validation": 15, "test": 75}
    trials.append({"name": "final", "seed": 0, "repeat": 1, "fold": None, "rows": last})
    settings = {"name": name, "epochs": 4, "batch_tokens": 1600, "learning_rate": 2e-4}
    about = {
        "name": name, "kind": "encoder", "encoder": "quill-mini", "device": "cpu", "settings": settings, "facts": {},
        "heads": [{"head": "refusal3", "classes": CLASSES}], "trials": trials,
    }  # fmt: skip
    (folder / RUN).write_text(json.dumps(about))
    log = [("info", "data", "150 rows to learn from"), ("warning", "memory", "a batch went in two parts [/INST]")]
    (folder / LOG).write_text("".join(
        json.dumps({"time": BEGAN + n, "level": level, "code": code, "text": text}) + "\n"
        for n, (level, code, text) in enumerate(log)
    ))  # fmt: skip
    for trial in trials:
        last = trial["name"] == "final"
        write_trial(folder / TRIALS / str(trial["name"]), share if last else 1.0, done=share == 1.0 or not last)
    if share == 1.0:
        write_figures(folder, ids, name, seed)


def write_figures(folder: Path, ids: list[int], name: str, seed: int) -> None:
    found = predictions(ids, seed=seed)
    write_predictions(folder / PREDICTIONS, found)
    metrics = evaluate(found, DRAWS)
    _put(folder / METRICS, metrics)
    chance = random.Random(seed)
    changed = [Perturbed(kind, row.item_id, tuple(x + chance.gauss(0, much) for x in row.logits))
               for kind, much in (("lower case", 0.3), ("cut off", 1.2)) for row in found.of(TEST)]  # fmt: skip
    write_perturbed(folder / PERTURBED, changed)
    _put(folder / ROBUSTNESS, {"refusal3": robustness(found, changed, slice(0, 3), DRAWS)})
    measured = []
    for fold in (1, 2):
        of = predictions(ids, seed=seed + fold, held_out=fold)
        write_predictions(folder / TRIALS / f"repeat-1-fold-{fold}" / PREDICTIONS, of)
        measured.append(Measurement(f"repeat-1-fold-{fold}", 0, 1, fold, FOLD, 37, of))
    _put(folder / VALIDATION, {"refusal3": cross_validation(measured, DRAWS)})
    _put(folder / CROSSING, crossing("refusal3", found))
    rows = dict(zip(ids, texts(ROWS), strict=True))
    lines = [explained(mistake, rows[mistake["item_id"]][1]) for mistake in metrics["mistakes"]]
    (folder / EXPLANATIONS).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    (folder / FOLDER).mkdir()
    _put(folder / FOLDER / PROVENANCE, {
        "selection": "dataset:demo", "versions": {"refusal_tui": "0.1.0"},
        "data": {"rows": {"train": 60, "validation": 15, "test": 75}, "datasets": {"demo": 150}, "left_out": {},
                 "models": dict.fromkeys(MODELS, 50), "shared_formulas": 3,
                 "heads": {"refusal3": {"by": {"human": 134, "judge:linear": 16}}}},
    })  # fmt: skip


def explained(mistake: dict, answer: str) -> dict:
    """Words in the order of the answer, their shares from their length."""
    pieces, place = [], 0
    for word in answer.split(" "):
        pieces.append({"field": "response", "start": place, "end": place + len(word), "share": (len(word) - 4) / 5})
        place += len(word) + 1
    return {
        "item_id": mistake["item_id"], "method": "shapley", "head": "refusal3", "target": mistake["said"], "score": 1.5,
        "base": 0.25, "residual": 0.0, "pieces": pieces,
        "features": {"response: apology": 0.4, "response: length": -0.2},
    }  # fmt: skip


def _put(path: Path, value: object) -> None:
    path.write_text(json_text(value))


def add_run(workspace: Workspace, ids: list[int], *, name: str = "mine", seed: int = 7, share: float = 1.0) -> int:
    """A job in the store with its folder; the caller freezes the time."""
    with closing(workspace.open()) as connection:
        job_id = jobs.create_job(
            connection, kind="train-classifier", title=f"train {name}", lane="gpu", spec="{}", spec_version=1,
            selection="dataset:demo",
        )  # fmt: skip
        job = jobs.claim_job(connection, job_id, host="box", boot_id="b", pid=1, start_ticks=1)
        assert job is not None
        folder = workspace.artifacts / f"job-{job_id}"
        write_run(folder, ids, job_id, name=name, seed=seed, share=share)
        done = round((2 + share) * STEP_COUNT)
        with transaction(connection):
            jobs.set_progress(
                connection, job, done=done, total=3 * STEP_COUNT, step="done" if share == 1.0 else "epoch 3"
            )
            if share == 1.0:
                mistakes = json.loads((folder / METRICS).read_text())["mistakes"]
                save_selection(connection, mistakes_selection(job_id, 0, "refusal3"),
                               id_filter(one["item_id"] for one in mistakes))  # fmt: skip
        if share == 1.0:
            jobs.end_job(connection, job, jobs.JobState.DONE)
    return job_id
