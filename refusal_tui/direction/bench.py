"""Who answers a typed prompt with and without a direction? A process of its own: no face loads a model.

    python -m refusal_tui.direction.bench FOLDER [POSITION LAYER]

It loads the model of the run in FOLDER, says that it is ready, and then does what each line of its standard input asks
for (`bench_wire.py`); a newer line stops what the one before is still doing. It ends when its standard input does, so
also when whoever started it is killed.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.direction.bench_wire import Ask, candidate, not_ended, told
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.select import Cell
from refusal_tui.direction.template import Template
from refusal_tui.errors import InputError, RefusalTuiError, UnavailableError
from refusal_tui.llm.local import out_of_memory

_TELL_SECONDS = 0.5  # between two looks at an answer that is being written
Tell = Callable[[Mapping[str, object]], None]


class _Superseded(Exception):
    """Something newer is asked for."""


class _Bench:
    """The model of a run, loaded, and one of its candidates."""

    def __init__(self, folder: Path, cell: Cell | None) -> None:
        import torch

        from refusal_tui.direction.anatomy import study
        from refusal_tui.direction.load import fingerprint, load, padding_token
        from refusal_tui.direction.template import read_template

        card = _card(folder)
        settings = card["settings"]
        self.cell, self.vector, self.selected = _candidates(folder, card, cell)
        model, tokenizer = load(settings["model"], dtype=settings["dtype"], device=settings["device"])
        self.template: Template = read_template(tokenizer, settings["system"], [])
        anatomy = study(model, torch.tensor(self.template.encode("Name three rivers.")))
        if anatomy.width != len(self.vector) or self.cell.layer >= anatomy.n_layers:
            raise InputError(
                f"The model {settings['model']!r} is another one than this run has measured.",
                "Put the model back, or start the run again.",
            )
        self.passes = Passes(model, anatomy, card["mode"], pad_token=padding_token(tokenizer))
        known = card.get("model_fingerprint")
        self.ready: dict[str, object] = {
            "ready": True, "model": Path(settings["model"]).name, "layers": anatomy.n_layers,
            "position": self.cell.position, "layer": self.cell.layer, "device": str(self.passes.device),
            "changed": known is not None and known != fingerprint(settings["model"]),
        }  # fmt: skip

    def answer(self, ask: Ask, tell: Tell, wanted: Callable[[], bool]) -> None:
        """Greedy answers of the arms that are asked for, rows of one `generate`, told as they grow."""
        import torch

        from refusal_tui.direction.batches import make_batch
        from refusal_tui.direction.intervene import Rows
        from refusal_tui.direction.score import unit

        vector, nothing = self.vector, torch.zeros_like(self.vector)
        arms = [arm for arm in ARMS if arm in ask.arms]
        ids = self.template.encode(ask.prompt)
        batch = make_batch([ids], [0], 0)
        ablate = torch.stack([unit(vector[None])[0] if arm is Arm.ABLATED else nothing for arm in arms]).float()
        add = torch.stack([ask.coefficient * vector if arm is Arm.STEERED else nothing for arm in arms]).float()
        rows = Rows(
            ablate=ablate if Arm.ABLATED in arms else None,
            add={self.cell.layer: add} if Arm.STEERED in arms else {},
            tokens=batch.mask.bool().repeat(len(arms), 1) if ask.at_prompt_only else None,
        )
        stream = _Stream(self.template.tokenizer, arms, tell, wanted)
        self.passes.generate(batch, copies=len(arms), rows=rows, max_new_tokens=ask.most_tokens, streamer=stream)
        stream.tell()

    def read(self, ask: Ask, tell: Tell) -> None:
        """Along the selected direction, whichever candidate answers: its scale is what the run has kept."""
        from refusal_tui.direction.readings import read_text

        if self.selected is None:
            raise InputError("This run found no direction to project on.", "Look at the answers instead.")
        tokens, begun, figures = read_text(self.passes, self.template, ask.prompt, ask.response, self.selected)
        tell(
            {
                "tokens": tokens,
                "answer_from": begun,
                "projections": [[round(v, 5) for v in r] for r in figures.tolist()],
            }
        )


class _Stream:
    """What `generate` calls with every new token of all rows."""

    def __init__(self, tokenizer: Any, arms: Sequence[Arm], tell: Tell, wanted: Callable[[], bool]) -> None:
        self._tokenizer, self._arms, self._tell, self._wanted = tokenizer, arms, tell, wanted
        self._ids: list[list[int]] | None = None  # the prompt comes first and is not part of the answers
        self._told = 0.0

    def put(self, value: Any) -> None:
        if not self._wanted():
            raise _Superseded
        if self._ids is None:
            self._ids = [[] for _ in self._arms]
            return
        for ids, token in zip(self._ids, value.reshape(-1).tolist(), strict=True):
            ids.append(token)
        if time.monotonic() - self._told >= _TELL_SECONDS:
            self.tell()

    def end(self) -> None:
        """Part of what a streamer has to have."""

    def tell(self) -> None:
        self._told = time.monotonic()
        texts = self._tokenizer.batch_decode(self._ids or [[] for _ in self._arms], skip_special_tokens=True)
        self._tell({"texts": {arm.value: text.strip() for arm, text in zip(self._arms, texts, strict=True)}})


def _card(folder: Path) -> dict[str, Any]:
    from refusal_tui.direction.save import CARD

    try:
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise not_ended() from error
    return card


def _candidates(folder: Path, card: Mapping[str, Any], cell: Cell | None) -> tuple[Cell, Any, Any]:
    """The cell that answers: the selected one, or the one that is named; its vector [width] float64; and that of the
    selected one, None where nothing was found."""
    from safetensors.torch import load_file

    from refusal_tui.direction.save import CANDIDATES

    candidates = load_file(folder / f"{CANDIDATES}.safetensors")[CANDIDATES].double()
    wanted = candidate(card, cell, *candidates.shape[:2])
    selected = None if card["position"] is None else candidates[card["position"], card["layer"]]
    return wanted, candidates[wanted.position, wanted.layer], selected


def serve(folder: Path, cell: Cell | None, lines: TextIO, out: TextIO) -> int:
    """Until `lines` end. The exit code is that of the error, when the model could not be loaded."""

    def tell(what: Mapping[str, object]) -> None:
        out.write(json.dumps(what) + "\n")
        out.flush()

    asked: queue.Queue[Ask] = queue.Queue()
    newest = 0

    def listen() -> None:  # from the start: whoever asked may be gone before the model is loaded
        nonlocal newest
        for line in lines:
            ask = Ask.from_line(line)
            newest = ask.id
            asked.put(ask)
        os._exit(0)  # nothing is written here that could be left half done

    def is_newest(number: int) -> bool:
        return number == newest

    threading.Thread(target=listen, daemon=True).start()
    try:
        bench = _loaded(folder, cell)
    except RefusalTuiError as error:
        tell(told(error))
        return int(error.exit_code)
    tell(bench.ready)
    while True:
        ask = asked.get()
        number = ask.id
        if is_newest(number):
            own = partial(_tell_of, tell, number)
            own(_done(bench, ask, own, partial(is_newest, number)))


def _loaded(folder: Path, cell: Cell | None) -> _Bench:
    """Raises UnavailableError also where the `ml` extra is not installed."""
    try:
        return _Bench(folder, cell)
    except ImportError as error:
        from refusal_tui.direction.load import not_installed

        raise not_installed(error) from error


def _tell_of(tell: Tell, number: int, what: Mapping[str, object]) -> None:
    tell({"id": number, **what})


def _done(bench: _Bench, ask: Ask, tell: Tell, wanted: Callable[[], bool]) -> Mapping[str, object]:
    """Do one thing; what is said at its end."""
    began = time.monotonic()
    try:
        if ask.arms:
            bench.answer(ask, tell, wanted)
        else:
            bench.read(ask, tell)
    except _Superseded:
        return {"stopped": True}
    except RefusalTuiError as error:
        return told(error)
    except Exception as error:
        if not out_of_memory(error):
            raise
        known = UnavailableError(
            "The device does not have the memory for this prompt.", "Ask for a shorter answer, or use a shorter prompt."
        )
        return told(known)
    return {"done": True, "seconds": round(time.monotonic() - began, 2)}


def main(folder: str, *cell: str) -> int:
    """Standard output is the wire alone: what libraries print goes where errors go."""
    wire = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    return serve(Path(folder), Cell(int(cell[0]), int(cell[1])) if cell else None, sys.stdin, wire)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
