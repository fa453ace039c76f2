"""Which directions does an experiment keep? Those of a refusal adapter, or of the model and what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.finetune.direction_files import load_directions, read_card
from refusal_tui.finetune.directions import Directions, directions_of_difference
from refusal_tui.finetune.files import DIRECTIONS
from refusal_tui.finetune.spec import RobustnessSpec
from refusal_tui.finetune.subject import Subject, digest_of, shown_name
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.llm.loading import load_model
from refusal_tui.llm.weights import fingerprint
from refusal_tui.store.artifacts import sha256_of


@dataclass(frozen=True, slots=True)
class Source:
    """`folder`: of the refusal adapter. `before`: the model as it was, "" where the adapter is the source."""

    context: ComputeContext
    folder: Path
    adapter: str
    card: Mapping[str, Any]
    before: str

    def directions(self, subject: Subject, rank: int) -> dict[str, Directions]:
        """By the name of the matrix. Raises InputError where the two models do not match."""
        if self.card["base"] != subject.fingerprint:
            self.context.event(
                "warning", "other_base", f"the refusal adapter {self.adapter} was trained on other weights than these"
            )
        found = load_directions(self.folder)
        return found if not self.before else self._difference(subject, tuple(found), rank)

    def _difference(self, subject: Subject, names: tuple[str, ...], rank: int) -> dict[str, Directions]:
        self.context.report(0, None, "comparing with the model as it was before", now=True)
        earlier = dict(load_model(self.before, device="cpu", dtype="float32").model.named_parameters())
        now = dict(subject.model.named_parameters())
        found = {}
        for name in names:
            self.context.check()
            one, other = now.get(f"{name}.weight"), earlier.get(f"{name}.weight")
            if one is None or other is None or one.shape != other.shape:
                raise InputError(
                    f"Width mismatch at {name}: the model and --before do not have the same matrices.",
                    "Name an earlier version of the same model.",
                )
            found[name] = directions_of_difference((one.detach().cpu().float() - other.detach().float())[None], rank)
        if not any(float(of.norms) for of in found.values()):
            raise InputError("The model and --before have the same weights.", "Name an earlier version of the model.")
        return found

    def about(self) -> dict[str, Any]:
        """Where they come from, for a reader."""
        agreement = self.card.get("agreement", {}).get("mean")
        return {
            "from": "difference" if self.before else "adapter", "adapter": self.adapter,
            "before": shown_name(self.before) if self.before else "", "agreement": agreement,
        }  # fmt: skip

    def digest(self) -> str:
        return digest_of(sha256_of(self.folder / DIRECTIONS), fingerprint(self.before) if self.before else "")


def source_of(context: ComputeContext, spec: RobustnessSpec, folder: Path) -> Source:
    return Source(context, folder, spec.adapter, read_card(folder), spec.before)
