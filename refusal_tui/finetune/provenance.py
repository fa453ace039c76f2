"""What was a refusal adapter learnt from? Counts and terms of every source; the base weights.

Taken while it is made: files change, and datasets get other rows. No row and no folder of this machine is among it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_tui.finetune.data import Dialogue
from refusal_tui.jobs.sources import is_file
from refusal_tui.jobs.terms import gated_datasets, source_facts
from refusal_tui.llm.weights import weight_files
from refusal_tui.store.artifacts import sha256_of
from refusal_tui.store.datasets import list_datasets
from refusal_tui.store.items import datasets_of

_ITEM, _GONE = "item:", 0  # 0: no dataset; the row was deleted while it was read


def sources_of(
    connection: sqlite3.Connection,
    name: str,
    source: str,
    read: Sequence[Dialogue],
    learnt: Sequence[Dialogue],
    refusing: Collection[str] | None,
) -> list[dict[str, Any]]:
    """An entry per dataset or file of the set `name`: `found` dialogues with an answer, `refusals` among them (None:
    not asked), `rows` that were learnt, and where they come from. `refusing`: keys of what the judge calls refusals."""
    if not source:
        return []
    if is_file(source):
        path = Path(source)
        where = dict.fromkeys(("revision", "split", "licence", "redistribution"))
        facts = {"name": path.name, "rows": len(learnt), "adapter": None, "adapter_version": None, "source": "a file",
                 "sha256": sha256_of(path), "gated": False, "eval_only": False, **where}  # fmt: skip
        return [{"set": name, "found": len(read), "refusals": None if refusing is None else len(refusing), **facts}]
    of_item = datasets_of(connection, [int(dialogue.key.removeprefix(_ITEM)) for dialogue in read])

    def by_dataset(keys: Collection[str]) -> Counter[int]:
        return Counter(of_item.get(int(key.removeprefix(_ITEM)), _GONE) for key in keys)

    found, used = (by_dataset([dialogue.key for dialogue in part]) for part in (read, learnt))
    refused = None if refusing is None else by_dataset(refusing)
    gated = gated_datasets(connection)
    return [
        {"set": name, "found": found[one.id], "refusals": None if refused is None else refused[one.id],
         **source_facts(one, used[one.id], gated=one.id in gated)}
        for one in list_datasets(connection) if found[one.id]
    ]  # fmt: skip


def weights_of(model: str, config: Any) -> Mapping[str, Any]:
    """What tells the base model from another one of the same name, anywhere: the sha256 of the weights of a folder, the
    commit of a model from the hub."""
    files = {path.name: sha256_of(path) for path in weight_files(model)}
    return {"sha256": files, "revision": None if files else getattr(config, "_commit_hash", None)}
