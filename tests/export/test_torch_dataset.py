"""What a PyTorch training loop gets from a final dataset: every head as a tensor, missing labels to be ignored."""

from __future__ import annotations

import pickle
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.errors import InputError
from refusal_tui.export.final_job import FinalExportJob
from refusal_tui.export.final_spec import FinalExportSpec
from refusal_tui.ingest.items import SourceItem
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import Provenance, begin_dataset
from refusal_tui.store.items import add_items
from refusal_tui.store.labels import add_verdicts
from refusal_tui.store.workspace import create_workspace
from tests.support.imports import claimed

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five rows in one part: the first has every head, the second three classes alone, the last one no text."""
    root = tmp_path_factory.mktemp("torch")
    workspace, spec = create_workspace(root / "ws"), FinalExportSpec(out=str(root / "out"), validation=0, test=0)
    every = {
        "head_a": "REFUSAL.OVER", "head_b": "STYLE.EXPLAIN", "head_c_a": "weapons,other", "head_c_b": "none",
        "prompt_harmful": False, "response_refusal": True,
    }  # fmt: skip
    with closing(workspace.open()) as connection:
        with transaction(connection):
            into = begin_dataset(connection, "open", Provenance("generic", "1", "x", redistribution="full"))
            add_items(connection, into.id, [(str(n), SourceItem(None, f"frindle {n}", f"tovel {n}")) for n in range(4)])
            closed = begin_dataset(connection, "vault", Provenance("generic", "1", "y", redistribution="none"))
            add_items(connection, closed.id, [("v", SourceItem(None, "vault", "vault"))])
            for item, said in enumerate([every, *[{"refusal3": "soft"}] * 4], 1):
                answers = {head: Answer(value) for head, value in said.items()}  # type: ignore[attr-defined]
                add_verdicts(connection, [Verdict(ItemId(item), "human:ann", "q", "1", answers)])
        FinalExportJob(spec, workspace).run(claimed(workspace, connection, "export-final", spec, ""))
    return root / "out"


def test_batches_of_a_data_loader_expose_the_labels_of_every_head(folder: Path) -> None:
    from refusal_tui.export.torch_dataset import CLASSES, IGNORE, FinalDataset

    (batch,) = torch.utils.data.DataLoader(FinalDataset(folder), batch_size=4)
    labels = batch["labels"]
    assert {head: (tuple(tensor.shape), tensor.dtype) for head, tensor in labels.items()} == {
        "refusal3": ((4,), torch.int64), "head_a": ((4,), torch.int64), "head_b": ((4,), torch.int64),
        "head_c_a": ((4, 27), torch.float32), "head_c_b": ((4, 20), torch.float32), "head_d": ((4, 3), torch.float32),
    }  # fmt: skip
    assert batch["prompt"] == [f"frindle {n}" for n in range(4)], "the row whose text was held back is left out"
    assert labels["head_a"].tolist() == [CLASSES["head_a"].index("REFUSAL.OVER"), *[IGNORE] * 3]
    assert CLASSES["head_b"][labels["head_b"][0]] == "STYLE.EXPLAIN"
    assert [CLASSES["head_c_a"][n] for n in labels["head_c_a"][0].nonzero().flatten()] == ["weapons", "other"]
    assert labels["head_c_b"][0].sum() == 0 and set(labels["head_c_b"][1].tolist()) == {IGNORE}
    assert labels["head_d"].tolist() == [[0, IGNORE, 1], *[[IGNORE] * 3] * 3]
    assert labels["refusal3"].tolist()[1:] == [2, 2, 2]
    logits = torch.zeros(4, 12)
    assert torch.nn.functional.cross_entropy(logits, labels["head_a"], ignore_index=IGNORE).isfinite()


def test_a_tokenizer_adds_its_tensors_and_workers_open_the_file_themselves(folder: Path) -> None:
    from refusal_tui.export.torch_dataset import FinalDataset

    data: Any = pickle.loads(pickle.dumps(FinalDataset(folder, "train", lengths)))
    (batch,) = torch.utils.data.DataLoader(data, batch_size=4)
    assert batch["lengths"].tolist() == [[9, 7]] * 4 and len(data) == 4


def lengths(prompt: str, response: str) -> dict[str, Any]:
    return {"lengths": torch.tensor([len(prompt), len(response)])}


def test_another_folder_and_another_part_are_refused_in_a_sentence(folder: Path) -> None:
    from refusal_tui.export.torch_dataset import FinalDataset

    with pytest.raises(InputError, match="is no final dataset"):
        FinalDataset(folder.parent)
    with pytest.raises(InputError, match="has no part 'test'") as error:
        FinalDataset(folder, "test")
    assert error.value.next_step == "Choose one of: train."
