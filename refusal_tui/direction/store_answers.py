"""Where do the answers of the three arms go? Into an ordinary dataset, so that judges and people can read them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.answers import Arm, answer_in_arms
from refusal_tui.direction.passes import Passes
from refusal_tui.direction.prompts import Prompt
from refusal_tui.direction.select import Cell
from refusal_tui.direction.spec import DirectionSpec
from refusal_tui.jobs.compute import ComputeContext
from refusal_tui.store.datasets import begin_made, find_dataset, record_progress
from refusal_tui.store.items import add_items
from refusal_tui.store.jobs import Job
from refusal_tui.store.outcomes import MadeItem

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER = "direction"
# As published: taken away from what is refused, added to what is answered.
COEFFICIENTS = {"harmful_val": -1.0, "harmless_val": 1.0}


def store_answers(
    context: ComputeContext,
    spec: DirectionSpec,
    passes: Passes,
    tokenizer: Any,
    asked: Mapping[str, Sequence[tuple[Prompt, Sequence[int]]]],
    pick: Cell,
    vector: Tensor,
) -> dict[str, list[dict[Arm, str]]]:
    """`asked`: by validation part, prompts with their token ids. All rows are stored in one transaction; doing it again
    adds none. Returns the answers, in the same order."""
    name = Path(spec.model).name
    rows = []
    answered = {}
    for part, prompts in asked.items():
        answers = answer_in_arms(
            passes, tokenizer, [ids for _, ids in prompts], vector, pick.layer, coefficient=COEFFICIENTS[part],
            max_new_tokens=spec.answer_tokens,
        )  # fmt: skip
        answered[part] = answers
        for (prompt, _), texts in zip(prompts, answers, strict=True):
            for arm, text in texts.items():
                meta: dict[str, object] = {"arm": arm.value, "job": context.job.id, "source": prompt.key}
                if arm is not Arm.BASELINE:
                    meta |= {"layer": pick.layer, "position": pick.position}
                if arm is Arm.STEERED:
                    meta["coefficient"] = COEFFICIENTS[part]
                item = MadeItem(
                    prompt.text, text, model=name if arm is Arm.BASELINE else f"{name}+{arm.value}", split="val",
                    category=part.removesuffix("_val"), meta=meta,
                )  # fmt: skip
                rows.append((f"{part}/{arm.value}/{prompt.key}", item))
    with context.commit() as connection:
        dataset = begin_made(connection, spec.answers, context.job.id, ADAPTER)
        added = add_items(connection, dataset.id, rows)
        record_progress(connection, dataset.id, records_read=len(rows), added=added.count, rejected=0, done=True)
    return answered


def answers_of(connection: sqlite3.Connection, job: Job) -> str:
    """The dataset with the answers of a run's arms, when it is there; "" else."""
    wanted = str(json.loads(job.spec).get("answers", ""))
    return wanted if wanted and find_dataset(connection, wanted) is not None else ""
