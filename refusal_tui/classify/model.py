"""How does a pretrained encoder become a classifier that can be trained?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from refusal_tui.errors import InputError, UnavailableError
from refusal_tui.jobs.schedule import stable_seed

WHOLE_ENCODER = -1  # of --freeze: only the head learns
ALL_BUT_TWO = -2  # of a quick run: the last two blocks and the head learn
_LONGEST = 512  # tokens, where nothing says how many a model takes


def load_encoder(name: str, classes: Sequence[str], *, seed: int, freeze: int = 0) -> tuple[Any, Any]:
    """(model with a fresh head, tokenizer). `name`: a folder or a Hugging Face name. `freeze`: so many blocks from the
    bottom, and the embeddings, stay as they are; -1: the whole encoder; -2:
    all blocks but the last two.

    The same seed gives the same head. Raises UnavailableError when torch or transformers are missing or the encoder
    cannot be loaded, InputError when it has fewer blocks than are to be frozen.
    """
    torch, transformers = libraries()
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
    torch, transformers = libraries()
    with _clear_errors(folder):
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    return model, tokenizer


def load_embedder(name: str) -> tuple[Any, Any]:
    """(encoder whose `logits` are the means of its last states over a row's tokens, tokenizer), to be used as it is.

    Raises UnavailableError as `load_encoder`, InputError for a tokenizer without padding.
    """
    torch, transformers = libraries()
    with _clear_errors(name):
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        encoder = transformers.AutoModel.from_pretrained(name, dtype=torch.float32)
    if tokenizer.pad_token_id is None:
        raise InputError(f"The tokenizer of {name!r} has no padding token.", "Use an encoder, not a chat model.")
    return pooled(encoder), tokenizer


def pooled(encoder: Any) -> Any:
    """A module around `encoder` that gives the mean state of each row as its `logits`."""
    from types import SimpleNamespace

    from torch import nn

    class Pooled(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder
            self.config = encoder.config

        def forward(self, attention_mask: Any, **batch: Any) -> Any:
            found = self.encoder(attention_mask=attention_mask, **batch)
            mask = attention_mask[..., None].to(found.last_hidden_state.dtype)
            means = (found.last_hidden_state * mask).sum(dim=1) / mask.sum(dim=1)
            return SimpleNamespace(logits=means, attentions=getattr(found, "attentions", None))

    return Pooled()


def libraries() -> tuple[Any, Any]:
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


def compute_twice(model: Any) -> None:
    """Gradient checkpointing: activations are computed again on the way back, for less memory."""
    # The name since transformers 5.23; before, it was gradient_checkpointing_enable.
    getattr(model, "activation_checkpointing_enable", model.gradient_checkpointing_enable)()


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
    from torch import nn

    encoder = model.base_model
    total = getattr(model.config, "num_hidden_layers", 0)
    lists = [m for m in encoder.modules() if isinstance(m, nn.ModuleList) and len(m) == total and total]
    if blocks == ALL_BUT_TWO:
        blocks = max(total - 2, 1) if lists else WHOLE_ENCODER
    if blocks == WHOLE_ENCODER:
        encoder.requires_grad_(False)
        return
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
