"""Does every model that cannot be loaded end in a sentence?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.load import load
from refusal_tui.direction.spec import DirectionSpec
from refusal_tui.direction.tiny.world import make_world
from refusal_tui.errors import UnavailableError
from refusal_tui.jobs.spec import SpecError, build_spec


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as it should be."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder, tokenizer = tmp_path_factory.mktemp("load") / "whole", make_world(0).tokenizer
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        pad_token_id=0, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def configured(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut_off(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])


BROKEN = {
    "cut off": (cut_off, "a file is broken (SafetensorError"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "Error no file named model.safetensors"),
    "no configuration": (lambda f: (f / "config.json").write_text("{"), "not a valid JSON file"),
    "blocks without weights": (lambda f: configured(f, num_hidden_layers=4), "lack 18 of the model's weights"),
    "another width": (lambda f: configured(f, hidden_size=64), "do not have the shapes that its configuration says"),
    "unknown family": (lambda f: configured(f, model_type="zibbet"), "model type `zibbet`"),
    "no decoder": (lambda f: configured(f, model_type="vit", architectures=["ViTModel"]), "vit is no decoder"),
    "code of its own": (
        lambda f: configured(f, model_type="z", auto_map={"AutoConfig": "z.Z", "AutoModelForCausalLM": "z.M"}),
        "contains custom code",
    ),
}


def test_a_whole_model_is_loaded_to_be_looked_at_alone(whole: Path) -> None:
    model, tokenizer = load(str(whole), device="cpu")
    assert len(tokenizer) == model.config.vocab_size
    assert not model.training and not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_cannot_be_loaded_says_why(whole: Path, tmp_path: Path, name: str) -> None:
    """Blocks without weights, of all things: transformers would make them up at random."""
    spoil, reason = BROKEN[name]
    folder = tmp_path / "model"
    shutil.copytree(whole, folder)
    spoil(folder)
    with pytest.raises(UnavailableError) as raised:
        load(str(folder), device="cpu")
    assert reason in str(raised.value) and raised.value.next_step


@pytest.mark.parametrize("device", ["cuda:7", "mps"])
def test_a_device_that_is_not_there_is_told(whole: Path, device: str) -> None:
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("it is there")
    with pytest.raises(UnavailableError, match=f"no device {device} on this machine"):
        load(str(whole), device=device)


def test_a_device_of_no_kind_is_refused_with_the_settings() -> None:
    with pytest.raises(SpecError, match="--device is auto, cpu, mps, cuda or cuda:NUMBER"):
        build_spec(DirectionSpec, {"model": "m", "harmful": "a.txt", "harmless": "b.txt", "device": "blorp"})
