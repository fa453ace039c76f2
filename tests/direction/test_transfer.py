"""What does a stored direction do on another model?"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.report import read_report
from refusal_tui.direction.report_text import transfer_words
from refusal_tui.errors import InputError
from refusal_tui.jobs.spec import SpecError
from refusal_tui.store.jobs import Job, JobState
from tests.direction.bench import Bench, make_bench
from tests.direction.planted import PLANTED_BLOCK


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("transfer"))


@pytest.fixture(scope="module")
def source(bench: Bench) -> Job:
    return bench.run(fill="none")[0]


def relative_of(bench: Bench, folder: Path) -> Path:
    """A model that was tuned a little further: the planted one with noise on its weights."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(bench.model)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.003 * torch.randn(parameter.shape, generator=generator)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(bench.model).save_pretrained(folder)
    return folder


def test_a_relative_of_the_model_is_turned_by_the_same_direction(bench: Bench, source: Job, tmp_path: Path) -> None:
    job, folder = bench.run(model=str(relative_of(bench, tmp_path / "m")), transfer=str(source.id), fill="none")
    card: dict[str, Any] = json.loads((folder / "direction_metadata.json").read_text())
    found = card["transfer"]
    assert job.state is JobState.DONE, job.note
    assert (found["source"], found["layer"], found["applied_at"]) == (str(source.id), 3, PLANTED_BLOCK + 1)
    assert found["cosine"] > 0.99 and found["closest"]["layer"] > PLANTED_BLOCK
    assert found["ablation"] == pytest.approx(found["own"]["ablation"], abs=0.5)
    assert found["ablation"] < card["baseline"]["harmful"] - 20 and found["steering"] > 18 and found["kl"] < 0.1
    assert found["own"]["layer"] == card["layer"] and found["own"]["norm"] == pytest.approx(found["norm"], rel=0.2)
    transfer = read_report(folder).transfer
    assert transfer is not None and transfer.as_dict() == found
    said = "\n".join(transfer_words(transfer))
    assert said.startswith(f"direction of job {source.id} (model), position {found['position']}, layer 3 of 6")
    assert "own direction: ablated" in said and "cosine +1.00" in said


def test_a_model_of_another_width_is_refused_before_anything_is_measured(
    bench: Bench, source: Job, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(bench.model)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    job, folder = bench.run(model=str(tmp_path), transfer=str(source.id))
    assert job.state is JobState.FAILED
    assert job.note.startswith("The direction has 64 numbers, the residual stream of this model 32.")
    assert sorted(path.name for path in folder.iterdir()) == ["prompts.json", "template.json"]


def test_what_holds_no_direction_is_refused_when_the_job_is_submitted(
    bench: Bench, source: Job, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="There is no job 999"):
        bench.start(bench.spec(transfer="999"))
    with pytest.raises(SpecError, match="--transfer is neither the number of a run nor a folder with a direction"):
        bench.start(bench.spec(transfer=str(tmp_path)))
    waiting = bench.start(bench.spec())
    with pytest.raises(InputError, match=f"Job {waiting} has not ended yet"):
        bench.start(bench.spec(transfer=str(waiting)))
    with closing(bench.workspace.open()) as connection:
        bench.spec(transfer=str(source.id)).check_in(connection)
    bench.spec(transfer=str(bench.folder(source.id))).check()
