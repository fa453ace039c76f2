"""How does a model get into this process? Weights from a folder or the hub, spread over what devices there are."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from refusal_tui.errors import UnavailableError
from refusal_tui.llm.local import out_of_memory

DTYPES = ("auto", "float32", "bfloat16", "float16")
_SAMPLE = 1 << 20
_NEXT = "Give a folder with its weights and tokenizer, or its name on the Hugging Face hub."


def load(name: str, *, dtype: str = "auto", device: str = "auto") -> tuple[Any, Any]:
    """Model and tokenizer. device: "auto" (GPUs first, then offload to CPU and disk), "cpu", "cuda", "cuda:1", "mps".

    Raises UnavailableError when torch or transformers are not installed, or the model cannot be loaded: also where its
    files lack weights, which transformers would make up at random.
    """
    try:
        import torch
        from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
        from transformers.models.auto import modeling_auto
    except ImportError as error:
        raise not_installed(error) from error
    settings = {"dtype": dtype if dtype == "auto" else getattr(torch, dtype), "device_map": _device(device)}
    own_code = {"trust_remote_code": False}  # else transformers asks on the terminal
    try:
        config = AutoConfig.from_pretrained(name, **own_code)
        tokenizer = AutoTokenizer.from_pretrained(name, **own_code)
        if type(config) in modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING:
            family = AutoModelForCausalLM
        elif type(config) in modeling_auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            family = AutoModelForImageTextToText  # of which only the text is used
        else:
            raise ValueError(f"{config.model_type} is no decoder, which writes on from a prompt")
        model, report = family.from_pretrained(name, output_loading_info=True, **own_code, **settings)
    except Exception as error:  # broken files raise what they like: SafetensorError, UnpicklingError, KeyError, ...
        if out_of_memory(error) or isinstance(error, MemoryError):
            raise UnavailableError(
                f"The model {name!r} does not fit the memory.",
                "Use --dtype bfloat16, --device auto or a smaller model.",
            ) from error
        raise UnavailableError(f"The model {name!r} cannot be loaded: {_told(error)}", _NEXT) from error
    if missing := sorted(report["missing_keys"]):
        raise UnavailableError(
            f"The files of {name!r} lack {len(missing)} of the model's weights ({missing[0]}, say).", _NEXT
        )
    model.train(False)
    model.requires_grad_(False)
    return model, tokenizer


def _device(wanted: str) -> str:
    """Raises UnavailableError for a device that this machine has not."""
    import torch

    cuda, mps = torch.cuda.device_count() if torch.cuda.is_available() else 0, torch.backends.mps.is_available()
    kind, _, number = wanted.partition(":")
    if kind == "auto":
        return "auto" if cuda else "mps" if mps else "cpu"
    if (kind == "cuda" and int(number or 0) >= cuda) or (kind == "mps" and not mps):
        raise UnavailableError(f"torch finds no device {wanted} on this machine.", "Use --device auto or --device cpu.")
    return wanted


def _told(error: Exception) -> str:
    first = (str(error).strip() or "no reason given").splitlines()[0]
    if "ignore_mismatched_sizes" in first:
        return "its weights do not have the shapes that its configuration says"
    plain = isinstance(error, OSError | ValueError | RuntimeError | ImportError)
    return first if plain else f"a file is broken ({type(error).__name__}: {first})"


def padding_token(tokenizer: Any) -> int:
    """What stands behind the end of an answer; special, so that it is not read as a part of it (Llama 3 has no padding
    token)."""
    return next((token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0)


def not_installed(error: ImportError) -> UnavailableError:
    """What it means that something cannot be imported."""
    return UnavailableError(
        f"Refusal directions need torch and transformers ({error.name} is not installed).",
        "Install them with: pip install 'refusal-tui[ml]'",
    )


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
