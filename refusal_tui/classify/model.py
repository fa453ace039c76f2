"""How does a pretrained encoder become a classifier that can be trained?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from refusal_tui.classify.plan import stable_seed
from refusal_tui.errors import InputError, UnavailableError

WHOLE_ENCODER = -1  # of --freeze: only the head learns
_LONGEST = 512  # tokens, where nothing says how many a model takes


def load_encoder(name: str, classes: Sequence[str], *, seed: int, freeze: int = 0) -> tuple[Any, Any]:
    """(model with a fresh head, tokenizer). `name`: a folder or a Hugging Face name. `freeze`: so many blocks from the
    bottom, and the embeddings, stay as they are; -1: the whole encoder.

    The same seed gives the same head. Raises UnavailableError when torch or transformers are missing or the encoder
    cannot be loaded, InputError when it has fewer blocks than are to be frozen.
    """
    torch, transformers = _libraries()
    numbers = {label: number for number, label in enumerate(classes)}
    with _clear_errors(name), torch.random.fork_rng(devices=[]):
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        torch.manual_seed(stable_seed(seed, "head"))
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            name, num_labels=len(classes), label2id=numbers, id2label={n: c for c, n in numbers.items()},
            problem_type="single_label_classification", dtype=torch.float32, ignore_mismatched_sizes=True,
        )  # fmt: skip
    if tokenizer.pad_token_id is None:
        raise InputError(f"The tokenizer of {name!r} has no padding token.", "Use an encoder, not a chat model.")
    _freeze(model, freeze, name)
    return model, tokenizer


def load_trained(folder: str) -> tuple[Any, Any]:
    """(model, tokenizer) of a folder that holds a classifier. Raises UnavailableError as `load_encoder`."""
    torch, transformers = _libraries()
    with _clear_errors(folder):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return model, tokenizer


def _libraries() -> tuple[Any, Any]:
    try:
        import accelerate  # noqa: F401
        import torch
        import transformers
        from transformers.utils import logging
    except ImportError as error:
        raise UnavailableError(
            f"Classifiers need torch, transformers and accelerate ({error.name} is not installed).",
            "Install them with: pip install 'refusal-tui[ml]'",
        ) from error
    logging.disable_progress_bar()
    # It would print a table of the new head's tensors, which are meant to be new.
    logging.set_verbosity_error()
    return torch, transformers


@contextmanager
def _clear_errors(name: str) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UnavailableError(
            f"The encoder {name!r} cannot be loaded: {first}",
            "Give a folder with its weights and tokenizer, or its name on the Hugging Face hub.",
        ) from error


def longest_input(model: Any, tokenizer: Any) -> int:
    """How many tokens the encoder takes at most."""
    limits = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    known = [int(limit) for limit in limits if limit is not None and 0 < limit < 1_000_000]
    # RoBERTa counts positions from behind its padding number.
    offset = (model.config.pad_token_id or 0) + 1 if model.config.model_type in ("roberta", "xlm-roberta") else 0
    return min(known[0] - offset, *known[1:]) if known else _LONGEST


def _freeze(model: Any, blocks: int, name: str) -> None:
    if blocks == 0:
        return
    encoder = model.base_model
    if blocks == WHOLE_ENCODER:
        encoder.requires_grad_(False)
        return
    from torch import nn

    total = getattr(model.config, "num_hidden_layers", 0)
    lists = [m for m in encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == total and total]
    if not lists or blocks > total:
        raise InputError(
            f"{name!r} has {total} blocks; {blocks} of them cannot be frozen.",
            f"Freeze at most {total} (--freeze), or -1 for the whole encoder.",
        )
    encoder.get_input_embeddings().requires_grad_(False)
    for part_name, part in encoder.named_children():
        if "embed" in part_name:
            part.requires_grad_(False)
    for block in lists[0][:blocks]:
        block.requires_grad_(False)
