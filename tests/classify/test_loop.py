"""Does training go on where it was killed, weigh what it should, and stop when it should?"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.classify import loop
from refusal_tui.classify.encode import Encoder
from refusal_tui.classify.loop import LoopSettings, Measured, Part, train
from refusal_tui.classify.model import compute_twice, load_encoder
from refusal_tui.classify.passes import make_accelerator, predict
from refusal_tui.classify.predictions import log_likelihoods
from refusal_tui.errors import JobError
from refusal_tui.jobs import checkpoints
from refusal_tui.jobs.compute import Stopped
from refusal_tui.jobs.stop import StopReason
from tests.classify.tiny import texts

CLASSES = ("none", "hard", "soft")
SETTINGS = LoopSettings(seed=3, epochs=3, learning_rate=2e-3, batch_tokens=400, accumulate=2, save_every=3, patience=2)


@dataclass
class Notes:
    """A watch that keeps what it is told; `durable` is what had been flushed."""

    losses: dict[int, float] = field(default_factory=dict)
    measured_: list[Measured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    stop_at: int = 0

    def step(self, step: int, steps: int, loss: float, learning_rate: float, rows: int, epoch: int) -> None:
        self.losses[step] = loss
        if step == self.stop_at:
            raise Stopped(StopReason.PAUSE)

    def measured(self, found: Measured) -> None:
        self.measured_.append(found)

    def note(self, code: str, text: str) -> None:
        self.notes.append(f"{code}: {text}")

    def flush(self) -> None:
        pass


def parts(tokenizer: Any, rows: int = 120, seed: int = 0) -> tuple[Part, Part]:
    encode = Encoder(tokenizer, "pair", 48)
    found = []
    for some in (texts(rows, seed), texts(rows // 3, seed + 1)):
        encoded = encode([p for p, _, _ in some], [r for _, r, _ in some])
        labels = np.array([CLASSES.index(label) for _, _, label in some], np.int64)
        found.append(Part(encoded, labels[:, None], np.ones((len(some), 1), np.float32)))
    return found[0], found[1]


def run(encoder: Path, folder: Path, watch: Any, settings: LoopSettings = SETTINGS, **more: Any) -> tuple[Any, str]:
    """(what train gives, sha256 of the weights in the end)."""
    model, tokenizer = load_encoder(str(encoder), CLASSES, seed=settings.seed, freeze=more.pop("freeze", 0))
    first, second = parts(tokenizer)
    pad = tokenizer.pad_token_id
    trained = train(model, first, second, [[1.0, 1.0, 1.0]], settings, folder, watch, pad=pad, **more)
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return trained, digest.hexdigest()


class Clock:
    """Dies by SIGKILL at the given moment: an optimiser step or a file being synced, whichever comes."""

    def __init__(self, die_at: int | None) -> None:
        self.ticks, self.die_at = 0, die_at

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(encoder: Path, folder: Path, curve: Path, die_at: int | None) -> dict[str, Any] | None:
    """Train in a forked child that appends every loss to `curve`; None when it was killed."""
    answer = curve.with_suffix(".end")
    answer.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            clock, sync = Clock(die_at), os.fsync

            def fsync(descriptor: int) -> None:
                clock.tick()
                sync(descriptor)

            os.fsync = fsync  # type: ignore[assignment]
            torch.manual_seed(random.randrange(1 << 30))  # nothing may depend on the global generators
            np.random.seed(random.randrange(1 << 30))

            class Curve(Notes):
                def step(self, step: int, steps: int, loss: float, *rest: Any) -> None:
                    with curve.open("a") as file:
                        file.write(f"{step} {loss.hex()}\n")
                    clock.tick()

            trained, digest = run(encoder, folder, Curve())
            history = [(m.step, m.loss.hex(), m.macro_f1) for m in trained.history]
            answer.write_text(json.dumps({"weights": digest, "ticks": clock.ticks, "history": history}))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.WEXITSTATUS(status) == 0
    return json.loads(answer.read_text())


def curve_of(path: Path) -> dict[int, str]:
    """step -> loss; a step that was done twice must have had the same loss twice."""
    found: dict[int, str] = {}
    for line in path.read_text().splitlines():
        step, loss = line.split()
        assert found.setdefault(int(step), loss) == loss
    return found


@pytest.mark.kill
def test_a_killed_run_goes_on_bit_for_bit_whenever_it_was_killed(encoder: Path, tmp_path: Path) -> None:
    """Killed several times, between steps and inside the writing of a checkpoint."""
    whole = in_a_process(encoder, tmp_path / "whole", tmp_path / "whole.txt", None)
    assert whole is not None
    chance = random.Random()
    for trial in range(3):
        folder, curve = tmp_path / f"run{trial}", tmp_path / f"run{trial}.txt"
        moments = [chance.randrange(1, whole["ticks"]) for _ in range(2)]
        ends = [in_a_process(encoder, folder, curve, moment) for moment in moments]
        end = in_a_process(encoder, folder, curve, None)
        assert end is not None, moments
        assert end["weights"] == whole["weights"], (moments, ends)
        assert end["history"] == whole["history"], moments
        assert curve_of(curve) == curve_of(tmp_path / "whole.txt"), moments
        assert not list(folder.glob("*.tmp"))


def test_it_learns_to_tell_the_classes_apart(encoder: Path, tmp_path: Path) -> None:
    watch = Notes()
    trained, _ = run(encoder, tmp_path, watch, replace(SETTINGS, epochs=4, learning_rate=4e-3, accumulate=1))
    assert max(m.accuracy for m in trained.history) > 0.95
    assert list(watch.losses) == list(range(1, trained.steps + 1))


def test_a_paused_run_keeps_the_step_it_has_done(encoder: Path, tmp_path: Path) -> None:
    first, second = Notes(stop_at=2), Notes()
    with pytest.raises(Stopped):
        run(encoder, tmp_path, first)
    run(encoder, tmp_path, second)
    assert min(second.losses) == 3


def test_a_damaged_checkpoint_is_told_and_an_older_one_taken(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(encoder, tmp_path, Notes(stop_at=7))
    newest = max(tmp_path.glob("step-*"))
    content = bytearray((newest / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (newest / "model.safetensors").write_bytes(content)
    watch = Notes()
    run(encoder, tmp_path, watch)
    assert watch.notes == [f"damaged_checkpoint: {newest.name} cannot be used; training goes on from step 6"]
    assert min(watch.losses) == 7


def test_checkpoints_of_another_run_are_not_gone_on_with(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(encoder, tmp_path, Notes(stop_at=3), fingerprint="one")
    with pytest.raises(JobError, match="of another run"):
        run(encoder, tmp_path, Notes(), fingerprint="other")


def test_training_stops_when_nothing_gets_better_and_keeps_the_best(encoder: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, epochs=9, learning_rate=1e-12, patience=2, schedule="constant")
    trained, _ = run(encoder, tmp_path, Notes(), settings)
    measured = [(m.macro_f1, -m.loss) for m in trained.history]
    best = measured.index(max(measured))
    assert trained.stopped_early
    assert len(measured) == best + 1 + 2
    assert trained.best_step == trained.history[best].step


def test_frozen_blocks_keep_their_weights_and_are_not_in_the_checkpoint(encoder: Path, tmp_path: Path) -> None:
    run(encoder, tmp_path, Notes(), freeze=1)
    found, _ = checkpoints.newest(tmp_path)
    assert found is not None
    assert any(".layer.1." in name for name in found.model)
    assert not any(".layer.0." in name or "embeddings" in name for name in found.model)


@dataclass
class Still:
    """The encoder without dropout, its loop, and twelve rows of different weights."""

    model: Any
    step: Any
    part: Part
    watch: Notes

    @classmethod
    def of(cls, encoder: Path, precision: str = "no") -> Still:
        model, tokenizer = load_encoder(str(encoder), CLASSES, seed=0)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        part, _ = parts(tokenizer, 12)
        part = Part(part.texts, part.labels, np.linspace(0.1, 1, 12, dtype=np.float32)[:, None])
        watch = Notes()
        weights, pad = [[1.0, 2.0, 4.0]], tokenizer.pad_token_id
        run = loop._Run(model, make_accelerator("cpu", precision), LoopSettings(), weights, pad, watch)
        return cls(model, run.optimise, part, watch)


def test_the_loss_is_the_mean_weighted_by_row_and_class(encoder: Path) -> None:
    still = Still.of(encoder)
    accelerator = make_accelerator("cpu")
    logits = predict(still.model, still.part.texts, 10_000, accelerator=accelerator, pad=0).astype(np.float64)
    likelihood = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    labels = still.part.labels[:, 0]
    weights = still.part.weights[:, 0] * np.array([1.0, 2.0, 4.0])[labels]
    by_hand = -(weights * likelihood[np.arange(12), labels]).sum() / weights.sum()
    assert still.step(still.part, [list(range(5)), list(range(5, 12))], 0, 0.0) == pytest.approx(by_hand, abs=1e-6)


def test_rows_that_do_not_fit_go_in_halves_with_the_same_loss(encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that holds four rows at a time: an error as torch raises it."""
    whole, still = Still.of(encoder), Still.of(encoder)
    made = loop.inputs

    def small(texts_: Any, rows: Any, *rest: Any) -> Any:
        if len(rows) > 4:
            raise torch.OutOfMemoryError("no memory")
        return made(texts_, rows, *rest)

    loss = whole.step(whole.part, [list(range(12))], 0, 1e-3)
    monkeypatch.setattr(loop, "inputs", small)
    assert still.step(still.part, [list(range(12))], 0, 1e-3) == pytest.approx(loss, abs=1e-6)
    assert still.watch.notes[0].startswith("memory: a batch of 12 rows did not fit")
    pairs = zip(whole.model.parameters(), still.model.parameters(), strict=True)
    assert all(torch.allclose(one.grad, other.grad, atol=1e-5) for one, other in pairs if one.grad is not None)


def test_a_row_that_does_not_fit_alone_is_a_clear_end(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> Any:
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(loop, "inputs", none)
    with pytest.raises(JobError, match="One row alone does not fit"):
        run(encoder, tmp_path, Notes())


def test_a_loss_that_is_no_number_ends_the_run_before_it_is_saved(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no number"):
        run(encoder, tmp_path, Notes(), replace(SETTINGS, learning_rate=1e30, warmup=0.0))


def test_two_heads_add_their_losses_and_rows_without_a_label_have_no_part(encoder: Path) -> None:
    """Five outputs: three classes and two. The second head knows four rows."""
    model, tokenizer = load_encoder(str(encoder), ["none", "hard", "soft", "no", "yes"], seed=0)
    model.eval()
    first, _ = parts(tokenizer, 12)
    known = np.array([0, 1, 1, 0] + [-1] * 8)
    part = Part(first.texts, np.stack([first.labels[:, 0], known], axis=1), np.ones((12, 2), np.float32))
    accelerator = make_accelerator("cpu")
    logits = predict(model, part.texts, 10_000, accelerator=accelerator, pad=0)
    by_hand = -log_likelihoods(logits[:, :3], part.labels[:, 0]).mean()
    by_hand -= log_likelihoods(logits[:4, 3:], known[:4]).mean()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    run = loop._Run(model, accelerator, LoopSettings(), [[1.0] * 3, [1.0] * 2], tokenizer.pad_token_id, Notes())
    assert run.optimise(part, [list(range(12))], 0, 0.0) == pytest.approx(by_hand, abs=1e-5)
    only_first = loop.measured_of(logits, part.labels, loop.spans_of([3, 2]), 0, 1)
    assert only_first.loss == pytest.approx(by_hand / 2, abs=1e-6)


def test_a_batch_that_memory_does_not_hold_goes_in_parts_of_the_same_step(encoder: Path) -> None:
    _, tokenizer = load_encoder(str(encoder), CLASSES, seed=0)
    part, _ = parts(tokenizer)
    lengths = part.texts.lengths
    whole = loop._steps(LoopSettings(batch_tokens=900), part, 0)
    halves = loop._steps(LoopSettings(batch_tokens=900, pass_tokens=200), part, 0)
    assert [sorted(chain(*step)) for step in whole] == [sorted(chain(*step)) for step in halves]
    assert max(max(lengths[row] for row in rows) * len(rows) for step in halves for rows in step) <= 200
    assert max(map(len, halves)) > 1 == max(map(len, whole))


@pytest.mark.parametrize("how", ["gradient checkpointing", "bf16"])
def test_less_memory_or_precision_gives_the_same_gradient_or_nearly(encoder: Path, how: str) -> None:
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state()  # a process has one precision, as a rule
    plain = Still.of(encoder)
    AcceleratorState._reset_state()
    other = Still.of(encoder, "bf16" if how == "bf16" else "no")
    if how == "gradient checkpointing":
        compute_twice(other.model)
    near = 0.05 if how == "bf16" else 1e-6
    losses = [still.step(still.part, [list(range(12))], 0, 1e-3) for still in (plain, other)]
    assert losses[0] == pytest.approx(losses[1], abs=near)
    pairs = zip(plain.model.parameters(), other.model.parameters(), strict=True)
    assert all(torch.allclose(a.grad, b.grad, atol=near) for a, b in pairs if a.grad is not None)
    AcceleratorState._reset_state()
