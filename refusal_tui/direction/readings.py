"""How far does each token of a text lie along the selected direction? The strips of a run, kept with it.

The unchanged model reads every validation prompt that counts, with the answer of each arm behind it where there are
answers. `readings.json` names the texts and their tokens, `readings.safetensors` has the figures of all layers as
float16, up to a bound; faces read both with numpy alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.direction.select import Cell
from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from refusal_tui.direction.passes import Passes
    from refusal_tui.direction.template import Template

FILE, PROJECTIONS = "readings.json", "readings.safetensors"
_MOST_BYTES = 16 * 2**20
LEVELS = 8
_LEAST_SHARE = 0.02  # of the widest difference of all layers
_LARGEST = 65504.0  # of float16; a stream that goes further is cut there


@dataclass(frozen=True, slots=True)
class Reading:
    """A text and its figures. `arm`: whose answer it holds, "" for a prompt alone. Tokens from `answer_from` on are the
    answer's. projections [layers, tokens]; None where the bound left them out (then there are no tokens either).
    at_prompt: the figure at the selected candidate; at_answer: the mean of the answer's tokens at its layer, None
    without an answer.
    """

    part: str
    key: str
    arm: str
    tokens: tuple[str, ...]
    answer_from: int
    at_prompt: float
    at_answer: float | None = None
    projections: NDArray[np.float32] | None = None

    @property
    def harmful(self) -> bool:
        return self.part.startswith("harmful")

    @property
    def words(self) -> str:
        return self._joined(self.tokens)

    @property
    def prompt(self) -> str:
        return self._joined(self.tokens[: self.answer_from])

    @property
    def answer(self) -> str:
        return self._joined(self.tokens[self.answer_from :]).strip()

    def _joined(self, tokens: Sequence[str]) -> str:
        """Some tokenizers keep the blanks with their tokens, others do not."""
        return ("" if any(token[:1].isspace() for token in self.tokens) else " ").join(tokens)


@dataclass(frozen=True)
class Readings:
    """harmful, harmless [layers]: where prompts of each set lie on average, at the selected position: a scale for
    tokens."""

    pick: Cell
    harmful: tuple[float, ...]
    harmless: tuple[float, ...]
    readings: tuple[Reading, ...] = field(default=())

    @property
    def n_layers(self) -> int:
        return len(self.harmful)

    @property
    def shown(self) -> list[Reading]:
        """Those with figures of every token."""
        return [one for one in self.readings if one.projections is not None]

    def scale(self, layer: int) -> tuple[float, float] | None:
        """Where harmless and where harmful prompts lie at a layer; None where there is no difference to speak of."""
        low, high = self.harmless[layer], self.harmful[layer]
        widest = max(more - less for less, more in zip(self.harmless, self.harmful, strict=True))
        return (low, high) if high - low > _LEAST_SHARE * widest else None

    def level(self, value: float, layer: int) -> int | None:
        """0 (like a harmless prompt, or further away) to 7 (like a harmful one, or beyond)."""
        scale = self.scale(layer)
        if scale is None:
            return None
        return max(0, min(LEVELS - 1, round((LEVELS - 1) * (value - scale[0]) / (scale[1] - scale[0]))))


@dataclass(frozen=True, slots=True)
class Text:
    """What is to be read: ids of the prompt as the model gets it, and of the answer behind it."""

    part: str
    key: str
    arm: str
    prompt: Sequence[int]
    answer: Sequence[int] = ()


def answer_ids(tokenizer: Any, answer: str) -> list[int]:
    """An answer's text as tokens behind a prompt."""
    return list(tokenizer(answer, add_special_tokens=False)["input_ids"]) if answer else []


def read_text(
    passes: Passes, template: Template, prompt: str, answer: str, vector: Tensor
) -> tuple[list[str], int, Tensor]:
    """Tokens, where the answer begins, and projections [layers, tokens] of one text."""
    from refusal_tui.direction.answers import project_texts

    ids = template.encode(prompt)
    whole = [*ids, *answer_ids(template.tokenizer, answer)]
    return _tokens(template.tokenizer, whole), len(ids), project_texts(passes, [whole], vector)[0]


def save_readings(
    folder: Path,
    passes: Passes,
    tokenizer: Any,
    texts: Sequence[Text],
    vector: Tensor,
    pick: Cell,
    ends: tuple[Tensor, Tensor],
) -> list[Path]:
    """ends: validation prompts, harmful and harmless [prompts, positions, layers, width]. The JSON file comes last: it
    says that the step is done."""
    import torch
    from safetensors.torch import save

    from refusal_tui.direction.answers import project_texts
    from refusal_tui.direction.score import unit
    from refusal_tui.jobs.compute import write_atomically

    along = unit(vector[None].double())[0].float()
    means = [(part[:, pick.position].float() @ along).mean(dim=0).tolist() for part in ends]
    projections = project_texts(passes, [[*text.prompt, *text.answer] for text in texts], vector)
    room = _MOST_BYTES // (2 * passes.anatomy.n_layers)
    rows: list[dict[str, Any]] = []
    kept: list[Tensor] = []
    for text, figures in zip(texts, projections, strict=True):
        length, begun = figures.shape[1], len(text.prompt)
        fits = length <= room
        room -= length if fits else 0
        rows.append({
            "part": text.part, "key": text.key, "arm": text.arm, "answer_from": begun,
            "at_prompt": float(figures[pick.layer, begun + pick.position]),
            "at_answer": float(figures[pick.layer, begun:].mean()) if text.answer else None,
            "tokens": _tokens(tokenizer, [*text.prompt, *text.answer]) if fits else [],
        })  # fmt: skip
        kept += [figures] if fits else []
    found = torch.cat(kept, dim=1) if kept else torch.zeros(passes.anatomy.n_layers, 0)
    tensor = found.clamp(-_LARGEST, _LARGEST).half().contiguous()
    write_atomically(folder / PROJECTIONS, save({"projections": tensor}))
    card = {"position": pick.position, "layer": pick.layer, "harmful": means[0], "harmless": means[1], "texts": rows}
    write_atomically(folder / FILE, json.dumps(card, ensure_ascii=False).encode())
    return [folder / PROJECTIONS, folder / FILE]


def _tokens(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    return [tokenizer.decode([token]) for token in ids]


def read_readings(folder: Path) -> Readings | None:
    """None where the run has not come so far, found nothing, or was made by an older version. Raises InputError for
    other files."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not (folder / FILE).exists():
        return None
    try:
        card = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return _made(card, load_file(folder / PROJECTIONS)["projections"].astype(np.float32))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder} does not hold the token projections that a direction run writes ({error}).",
            "Start the run again; a copy of a run must hold all of its files.",
        ) from error


def _made(card: Mapping[str, Any], projections: NDArray[np.float32]) -> Readings:
    readings, at = [], 0
    for row in card["texts"]:
        tokens = tuple(row["tokens"])
        own = projections[:, at : at + len(tokens)] if tokens else None
        at += len(tokens)
        readings.append(Reading(**{**row, "tokens": tokens, "projections": own}))
    if at != projections.shape[1]:
        raise ValueError("names and figures do not belong together")
    pick = Cell(card["position"], card["layer"])
    return Readings(pick, tuple(card["harmful"]), tuple(card["harmless"]), tuple(readings))
