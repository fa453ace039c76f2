"""What does a refusal adapter's job write down about what it learns from?"""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path

from refusal_tui.finetune.data import Dialogue, read_dialogues
from refusal_tui.finetune.provenance import sources_of, weights_of
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset
from refusal_tui.store.items import add_items
from refusal_tui.store.workspace import create_workspace
from tests.store.building import NewRow, add

GATED = Provenance(
    "wildguardmix", "1", "hf:allenai/wildguardmix:wildguardtrain", revision="c0ffee", licence="ODC-BY",
    redistribution="labels-only", sha256="12" * 32,
)  # fmt: skip


def test_a_selection_of_several_datasets_is_counted_by_dataset_with_its_terms(tmp_path: Path) -> None:
    with closing(create_workspace(tmp_path / "w").open()) as connection:
        add(connection, *(NewRow(f"zorp {n} ?", "I cannot .") for n in range(3)), dataset="mine")
        with transaction(connection):
            gated = begin_dataset(connection, "guarded", GATED)
            add_items(connection, gated.id, [(str(n), NewRow(f"frindle {n} ?", "No .")) for n in range(4)])
        read = read_dialogues(connection, "", answers=True)
        refusing = {dialogue.key for dialogue in read[1:]}
        learnt = [dialogue for dialogue in read if dialogue.key in refusing]
        one, other = sources_of(connection, "refusals", "dataset:mine OR dataset:guarded", read, learnt, refusing)
        asked_nobody = sources_of(connection, "harmless", "dataset:mine", read[:3], read[:3], None)
    assert (one["name"], one["found"], one["refusals"], one["rows"], one["gated"]) == ("guarded", 4, 4, 4, True)
    assert (one["source"], one["revision"], one["licence"]) == (GATED.source, "c0ffee", "ODC-BY")
    assert (other["name"], other["found"], other["refusals"], other["rows"], other["gated"]) == ("mine", 3, 2, 2, False)
    assert (asked_nobody[0]["rows"], asked_nobody[0]["refusals"]) == (3, None)


def test_a_file_is_named_without_its_folder_and_with_its_hash(tmp_path: Path) -> None:
    path = tmp_path / "secret-folder" / "mine.jsonl"
    path.parent.mkdir()
    path.write_text('{"prompt": "zorp ?", "response": "I cannot ."}\n')
    with closing(create_workspace(tmp_path / "w").open()) as connection:
        read = read_dialogues(connection, str(path), answers=True)
        (found,) = sources_of(connection, "refusals", str(path), read, read, {read[0].key})
        assert sources_of(connection, "harmless", "", [], [], None) == []
    assert (found["name"], found["source"], found["rows"]) == ("mine.jsonl", "a file", 1)
    assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert "secret-folder" not in str(found) and isinstance(read[0], Dialogue)


def test_the_base_is_told_by_the_hash_of_its_weights_or_its_commit_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    class Config:
        _commit_hash = "c1d2"

    of_folder, of_hub = weights_of(str(tmp_path), Config()), weights_of("owner/model", Config())
    assert of_folder == {"sha256": {"model.safetensors": hashlib.sha256(b"weights").hexdigest()}, "revision": None}
    assert of_hub == {"sha256": {}, "revision": "c1d2"}
