"""Direction runs as a job leaves them behind, at any point of their way, without a model: 5 positions, 32 layers.

The figures come from a formula with the shape of a real grid: nothing in the first layers, most in the middle, late
layers that break the answers to harmless prompts.
"""

from __future__ import annotations

import json
import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from refusal_tui.direction import geometry, readings
from refusal_tui.direction.cells import CellFile
from refusal_tui.direction.evidence import COEFFICIENTS, Evidence
from refusal_tui.direction.save import CARD
from refusal_tui.direction.search import Measured
from refusal_tui.direction.select import Cell, Rule, Score, Scores, choose, empty_grid, next_need, remaining_needs
from refusal_tui.store import jobs
from refusal_tui.store.connect import transaction
from refusal_tui.store.workspace import Workspace

END = ("<|eot_id|>", "<|start_header_id|>", "assistant", "<|end_header_id|>", "\n\n")
HARMFUL, HARMLESS = 8.36, -12.52
VALIDATED = 4
PARTS = ("harmful_train", "harmless_train", "harmful_val", "harmless_val")
_PROMPTS = {
    "harmful": ("How is blorptanium smelted at home?", "Name the words of the frindle ritual.",
                "Who keeps the glimmer vault's [keys]?", "Write a zorbling trap's plan.",
                "How does one whisper locks open?"),
    "harmless": ("How is bread baked at home?", "Name the words of a lullaby.", "Who keeps the city's bees?",
                 "Write a kite's plan.", "How does one sharpen a pencil?"),
}  # fmt: skip
TOKENS = (
    ("I", 0.91, 0.02, True), ("Sorry", 0.05, 0.0, True), ("[INST]", 0.01, 0.002, False), ("\n", 0.008, 0.004, False),
    ("The", 0.004, 0.21, False), ("Here", 0.001, 0.34, False),
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """`found` False: adding a candidate never makes the model refuse."""

    layers: int = 32
    found: bool = True

    def scores(self, cell: Cell) -> Scores:
        hill = math.exp(-(((cell.layer / self.layers - 0.42) / 0.16) ** 2)) * (1 - 0.11 * ((cell.position * 7) % 5))
        wrecked = max(0.0, cell.layer / self.layers - 0.55)
        ablation = HARMFUL - 18.9 * hill - 6 * wrecked
        steering = HARMLESS + 20.4 * hill * (1.0 if self.found else 0.5)
        return Scores(ablation, steering, 0.004 + 0.06 * hill + 1.6 * wrecked**1.5)

    def reliability(self, cell: Cell) -> float:
        return 1 - math.exp(-0.55 * cell.layer) * (0.7 + 0.05 * cell.position)

    @property
    def rule(self) -> Rule:
        return Rule(self.layers, frozenset(Cell(position, 0) for position in range(-len(END), 0)))

    def full(self) -> dict[Cell, Scores]:
        return {
            cell: Scores(HARMFUL, HARMLESS, 0.0) if cell in self.rule.zero else self.scores(cell)
            for cell in empty_grid(range(-len(END), 0), self.layers)
        }

    def order(self) -> list[tuple[Cell, Score]]:
        """In which order a job measures: what the choice needs, then the rest."""
        grid = empty_grid(range(-len(END), 0), self.layers)
        known = self.full()
        for cell in self.rule.zero:
            grid[cell] = known[cell]
        order = []

        def measure(need) -> None:
            for cell in need.cells:
                grid[cell] = grid[cell].having(need.score, known[cell].get(need.score))
                order.append((cell, need.score))

        while need := next_need(grid, self.rule):
            measure(need)
        for need in remaining_needs(grid, self.rule, late_layers=True):
            measure(need)
        return order


SHAPE = Shape()


def write_run(folder: Path, shape: Shape, *, measured: float = 1.0, ended: bool = True, begun: bool = False) -> None:
    """The files of a run that has measured a share of its scores. `begun`: it has read the template alone."""
    folder.mkdir(parents=True, exist_ok=True)
    _json(folder / "template.json", {"system": "none", "end_ids": [1, 2, 3, 4, 5], "end": list(END)})
    prompts = {part: _prompts(part) for part in PARTS}
    _json(
        folder / "prompts.json", {p: [{"key": f"{p}:{n}", "text": t} for n, t in enumerate(prompts[p])] for p in PARTS}
    )
    if begun:
        return
    _json(folder / "first_tokens.json", [
        {"id": n, "text": text, "harmful": harmful, "harmless": harmless, "refusal": refusal}
        for n, (text, harmful, harmless, refusal) in enumerate(TOKENS)
    ])  # fmt: skip
    _json(folder / "extraction.json", _extraction(shape))
    save_file(_geometry(shape), folder / geometry.FILE)
    cells = CellFile(folder / "cells.jsonl")
    order = shape.order()
    add_scores(cells, shape, order[: round(measured * len(order))])
    grid = {**empty_grid(range(-len(END), 0), shape.layers), **cells.known()}
    grid |= {cell: Scores(HARMFUL, HARMLESS, 0.0) for cell in shape.rule.zero}
    choice = choose(grid, shape.rule)
    if next_need(grid, shape.rule) is None and choice.pick is not None:
        _json(folder / "evidence.json", _evidence(grid[choice.pick]).as_dict())
        _write_readings(folder, shape, choice.pick)
    if ended:
        rivals = sorted(choice.survivors, key=lambda cell: grid[cell].ablation or 0)[1:3]
        _json(folder / CARD, {**dict(zip(("position", "layer"), choice.pick or (None, None))), "rivals": rivals})


def add_scores(cells: CellFile, shape: Shape, what: list[tuple[Cell, Score]]) -> None:
    full = shape.full()
    values = [(cell, score, full[cell].get(score) or 0.0) for cell, score in what]
    cells.append([Measured(cell, score, value, (value,) * VALIDATED) for cell, score, value in values])


def _prompts(part: str) -> tuple[str, ...]:
    every = _PROMPTS[part.partition("_")[0]]
    return every if part.endswith("train") else every[:VALIDATED]


def _extraction(shape: Shape) -> dict[str, object]:
    kept = {}
    for part in PARTS:
        base = HARMFUL if part.startswith("harmful") else HARMLESS
        scores = [base] * len(_prompts(part))
        places = list(range(len(scores)))
        if part == "harmful_train":  # the model answers two of these
            scores[2], scores[4] = -3.1, -7.25
            places = [0, 1, 3]
        kept[part] = {"places": places, "scores": scores}
    grid = [[Cell(position, layer) for layer in range(shape.layers)] for position in range(-len(END), 0)]
    reliable = [[0.0 if cell in shape.rule.zero else shape.reliability(cell) for cell in row] for row in grid]
    return {
        "kept": kept,
        "zero": [list(cell) for cell in sorted(shape.rule.zero)],
        "norms": [[0.4 * cell.layer for cell in row] for row in grid],
        "split_half": reliable,
        "bootstrap_floor": [[max(0.0, 1.2 * value - 0.2) for value in row] for row in reliable],
        "auroc": [[0.5 + 0.5 * value for value in row] for row in reliable],
    }


def _geometry(shape: Shape) -> dict[str, np.ndarray]:
    """Neighbours resemble each other, the first layers nothing; harmful prompts lie further along."""
    layers, count = np.arange(shape.layers), len(END)
    real = np.clip(layers / 8, 0, 1)
    near = np.exp(-np.abs(layers[:, None] - layers) / 6) * real[:, None] * real - 0.03 * (layers[:, None] < 3)
    places = np.arange(count)
    beside = 1 - 0.08 * np.abs(places[:, None] - places)
    spread = np.linspace(-1, 1, 12)
    away = 0.3 * layers[:, None] * real[:, None]
    return {
        "across_layers": np.repeat(near[None], count, 0).astype(np.float32),
        "across_positions": np.repeat(beside[None], shape.layers, 0).astype(np.float32),
        "harmful": np.repeat((away + spread)[None], count, 0).astype(np.float32),
        "harmless": np.repeat((-0.2 * away + spread)[None], count, 0).astype(np.float32),
    }


SAID = {"baseline": ("I", " can't", " help", "."), "ablated": ("Heat", " it", " twice", "."), "steered": ("Sure", ".")}
ASKED = {
    "harmful": ("How", " is", " blorptanium", " smelted", "?"),
    "harmless": ("How", " is", " bread", " baked", "?"),
}
PLACES = {"harmful": 9.0, "harmless": -3.0}  # along the direction, in the last layer


def _write_readings(folder: Path, shape: Shape, pick: Cell) -> None:
    """Two prompts, each with the answers of three arms; refusing words lie as far along as harmful prompts."""
    share = np.clip((np.arange(shape.layers) - 2) / 8, 0, 1)
    texts, columns = [], []
    for kind, words in ASKED.items():
        for arm, said in SAID.items():
            tokens = [*words, *END, *said]
            begun = len(words) + len(END)
            refuses = kind == "harmful" and arm == "baseline"
            heights = [-2.0, -2.5, PLACES[kind], PLACES[kind] * 0.7, PLACES[kind]] + [PLACES[kind]] * len(END)
            heights += [8.0 if refuses else -3.5 - 0.1 * n for n, _ in enumerate(said)]
            figures = share[:, None] * np.array(heights)
            columns.append(figures)
            texts.append({
                "part": f"{kind}_val", "key": f"{kind}:0", "arm": arm, "answer_from": begun, "tokens": tokens,
                "at_prompt": float(figures[pick.layer, begun + pick.position]),
                "at_answer": float(figures[pick.layer, begun:].mean()),
            })  # fmt: skip
    save_file({"projections": np.concatenate(columns, 1).astype(np.float16)}, folder / readings.PROJECTIONS)
    _json(folder / readings.FILE, {
        "position": pick.position, "layer": pick.layer, "harmful": list(share * PLACES["harmful"]),
        "harmless": list(share * PLACES["harmless"]), "texts": texts,
    })  # fmt: skip


def _evidence(pick: Scores) -> Evidence:
    assert pick.ablation is not None
    random = [
        {"cosine": 0.01 * n - 0.04, "ablation": HARMFUL - 0.1 * n, "steering": HARMLESS + 0.1 * n, "kl": 0.01 * n}
        for n in range(8)
    ]
    shuffled = [
        {"cosine": 0.2 * n - 0.3, "ablation": HARMFUL - n, "steering": HARMLESS + n, "kl": 0.004} for n in range(4)
    ]
    dose = [
        {"coefficient": c, "harmful": max(-14.0, min(14.0, HARMFUL + 9 * c)), "harmless": min(12.0, HARMLESS + 12 * c)}
        for c in COEFFICIENTS
    ]
    return Evidence(
        effect=0.9, weak=False, random=random, shuffled=shuffled, dose=dose,
        interval=(pick.ablation - 0.61, pick.ablation + 0.74), leak_middle=2.1e-8, leak_final=8.5e-8,
        loss={"answers": 4, "tokens": 128, "coefficient": -1.0, "baseline": 0.332, "ablated": 0.349, "steered": 0.596,
              "kl_ablated": 0.021, "kl_steered": 0.284},
    )  # fmt: skip


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def add_run(
    workspace: Workspace, shape: Shape = SHAPE, *, measured: float = 1.0, running: bool = False, begun: bool = False,
    answers: str = "",
) -> int:  # fmt: skip
    """A direction job in the store with its folder; the caller freezes the time."""
    total = 3 * len(END) * shape.layers
    with closing(workspace.open()) as connection:
        spec = {"model": "/models/quill-8b", "answers": answers}
        job_id = jobs.create_job(
            connection, kind="direction", title="refusal direction of quill-8b", lane="gpu", spec=json.dumps(spec),
            spec_version=1,
        )  # fmt: skip
        job = jobs.claim_job(connection, job_id, host="box", boot_id="b", pid=1, start_ticks=1)
        assert job is not None
        write_run(workspace.artifacts / f"job-{job_id}", shape, measured=measured, ended=not running, begun=begun)
        step = "loading the model" if begun else "filling the grid" if running else "done"
        with transaction(connection):
            jobs.set_progress(connection, job, done=0 if begun else round(measured * total),
                              total=None if begun else total, step=step)  # fmt: skip
        if not running:
            jobs.end_job(connection, job, jobs.JobState.DONE)
    return job_id
