"""How does a model get into this process? Weights from a folder or the hub, spread over what devices there are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from refusal_tui.errors import UnavailableError

DTYPES = ("auto", "float32", "bfloat16", "float16")
_SAMPLE = 1 << 20


def load(name: str, *, dtype: str = "auto", device: str = "auto") -> tuple[Any, Any]:
    """Model and tokenizer. device: "auto" (GPUs first, then offload to CPU and disk), "cpu", "cuda", "cuda:1", "mps".

    Raises UnavailableError when torch or transformers are not installed, or the model cannot be loaded.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
    except ImportError as error:
        raise UnavailableError(
            f"Refusal directions need torch and transformers ({error.name} is not installed).",
            "Install them with: pip install 'refusal-tui[ml]'",
        ) from error
    if device == "auto" and not torch.cuda.is_available():
        device = "mps" if torch.backends.mps.is_available() else "cpu"
    settings = {"dtype": dtype if dtype == "auto" else getattr(torch, dtype), "device_map": device}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
        try:
            model = AutoModelForCausalLM.from_pretrained(name, **settings)
        except ValueError:  # a vision-language model: only its text is used
            model = AutoModelForImageTextToText.from_pretrained(name, **settings)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnavailableError(
            f"The model {name!r} cannot be loaded: {first}",
            "Give a folder with its weights and tokenizer, or its name on the Hugging Face hub.",
        ) from error
    model.train(False)
    model.requires_grad_(False)
    return model, tokenizer


def fingerprint(name: str) -> str | None:
    """sha256 over the configuration and, of every weight file, its name, size, beginning and end; None for a hub name.

    The beginning of a safetensors file holds every tensor's name, shape and place. Reading 15 GB would take longer than
    the run.
    """
    folder = Path(name)
    if not folder.is_dir():
        return None
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".safetensors", ".bin", ".json")):
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            digest.update(file.read(_SAMPLE))
            if size > 2 * _SAMPLE:
                file.seek(size - _SAMPLE)
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()
