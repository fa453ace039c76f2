"""What is known once every prompt went through the unchanged model? Candidates, who counts, how reliable they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.evidence import SHUFFLED_ARMS
from refusal_tui.direction.extract import (
    Kept,
    keep,
    mean_differences,
    require_enough,
    require_numbers,
    shuffled_differences,
    zero_cells,
)
from refusal_tui.direction.passes import Baseline, Passes
from refusal_tui.direction.refusal_tokens import (
    FirstToken,
    contrast_table,
    find_refusal_tokens,
    named_tokens,
    refusal_scores,
)
from refusal_tui.direction.reliability import auroc, bootstrap_floor, split_half
from refusal_tui.direction.score import unit
from refusal_tui.jobs.compute import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

PARTS = ("harmful_train", "harmless_train", "harmful_val", "harmless_val")
_JSON, _TENSORS = "extraction.json", "extraction.safetensors"


@dataclass(frozen=True, slots=True)
class Extraction:
    """candidates [positions, blocks, width] float64; shuffled [arms, positions, blocks, width] float32. kept: by part,
    which prompts count and the refusal score of all. Grids of figures are [positions][blocks], the earliest position
    first: norms of the candidates, split_half and bootstrap_floor cosines, auroc of the validation prompts.
    """

    candidates: Tensor
    shuffled: Tensor
    refusal_tokens: list[int]
    kept: dict[str, Kept]
    zero: list[tuple[int, int]]
    norms: list[list[float]]
    split_half: list[list[float]]
    bootstrap_floor: list[list[float]]
    auroc: list[list[float]]

    @property
    def positions(self) -> range:
        return range(-self.candidates.shape[0], 0)

    def save(self, folder: Path) -> None:
        """Tensors first: the JSON file says that the step is done."""
        from safetensors.torch import save

        tensors = {"candidates": self.candidates.contiguous(), "shuffled": self.shuffled.contiguous()}
        write_atomically(folder / _TENSORS, save(tensors))
        values = {name: getattr(self, name) for name in self.__slots__ if name not in tensors and name != "kept"}
        values["kept"] = {part: asdict(kept) for part, kept in self.kept.items()}
        write_atomically(folder / _JSON, json.dumps(values).encode())

    @classmethod
    def load(cls, folder: Path) -> Extraction | None:
        """What an earlier run has saved."""
        from safetensors.torch import load_file

        try:
            values = json.loads((folder / _JSON).read_text())
        except FileNotFoundError:
            return None
        tensors = load_file(folder / _TENSORS)
        values["kept"] = {
            part: Kept(tuple(kept["places"]), tuple(kept["scores"])) for part, kept in values["kept"].items()
        }
        values["zero"] = [(position, layer) for position, layer in values["zero"]]
        return cls(tensors["candidates"], tensors["shuffled"], **values)


def extract(
    passes: Passes,
    tokenizer: Any,
    encoded: Mapping[str, Sequence[Sequence[int]]],
    validation: Mapping[str, Baseline],
    *,
    positions: int,
    words: Sequence[str],
    skip_filter: bool,
    seed: int,
    show: Callable[[list[FirstToken], list[int]], None],
) -> Extraction:
    """One pass over the training prompts, and everything that follows from activations alone.

    `validation`: baselines of the validation parts, with their ends. `show` gets the table of first tokens and the
    refusal tokens, before anything can fail on them. Raises InputError when the filter leaves too few prompts.
    """
    train = {part: passes.baseline(encoded[part], positions=positions) for part in PARTS[:2]}
    for baseline in train.values():
        require_numbers(not bool(baseline.logits.isnan().any()))
    table = contrast_table(tokenizer, train["harmful_train"].logits, train["harmless_train"].logits)
    tokens = named_tokens(tokenizer, words) if words else find_refusal_tokens(tokenizer, table)
    show(table, tokens)
    every = {**train, **validation}
    kept = {}
    for part in PARTS:
        refused = part.startswith("harmful")
        kept[part] = keep(refusal_scores(every[part].logits, tokens), refused=refused, skip=skip_filter)
        require_enough(kept[part], refused=refused, which="train" if part.endswith("train") else "validate")
    harmful, harmless, harmful_val, harmless_val = (_ends(every[part].only(kept[part].places)) for part in PARTS)
    candidates = mean_differences(harmful, harmless)
    return Extraction(
        candidates=candidates,
        shuffled=shuffled_differences(harmful, harmless, times=SHUFFLED_ARMS, seed=seed),
        refusal_tokens=tokens,
        kept=kept,
        zero=zero_cells(candidates, harmful),
        norms=candidates.norm(dim=-1).tolist(),
        split_half=split_half(harmful, harmless, seed=seed).tolist(),
        bootstrap_floor=bootstrap_floor(harmful, harmless, seed=seed).tolist(),
        auroc=_separation(candidates, harmful_val, harmless_val),
    )


def _ends(baseline: Baseline) -> Tensor:
    assert baseline.ends is not None
    return baseline.ends


def _separation(candidates: Tensor, harmful: Tensor, harmless: Tensor) -> list[list[float]]:
    units = unit(candidates)
    projections = [(part.double() * units).sum(dim=-1) for part in (harmful, harmless)]  # [prompts, positions, blocks]
    positions, blocks = units.shape[:2]
    return [[auroc(*(part[:, p, b] for part in projections)) for b in range(blocks)] for p in range(positions)]
