"""How do weights get into this process, and why could they not? torch and transformers are imported here, on demand."""

from __future__ import annotations

from typing import Any

from refusal_tui.errors import UnavailableError
from refusal_tui.llm.local import LocalModel, out_of_memory
from refusal_tui.llm.weights import GIB, free_memory, missing_package, size_of


def load_model(
    name: str, *, device: str = "auto", dtype: str = "bfloat16", batch_size: int = 32, revision: str | None = None
) -> LocalModel:
    """Load weights from a folder or the Hugging Face hub. `device`: a `device_map` ("auto", "cpu", "cuda:0").

    Raises UnavailableError when torch or transformers are not installed, the model is not there or does not fit into
    memory, or it has no chat template.
    """
    missing = missing_package()
    if missing is not None:
        raise UnavailableError(
            f"Weights in this process need torch and transformers ({missing} is not installed).",
            "Install them with: pip install 'refusal-tui[ml]'",
        )
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    on_gpu = torch.cuda.is_available() and device != "cpu"
    free = None if on_gpu else free_memory()
    if free is not None and size_of(name) / 2 > free:  # files in 32 bits take half of that in bfloat16
        raise _too_large(name, free)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        if not tokenizer.chat_template:
            raise UnavailableError(
                f"The model {name!r} has no chat template, so that nobody can tell it who says what.",
                "Choose a model that was tuned for chat, or put a chat_template.jinja into its folder.",
            )
        model: Any = AutoModelForCausalLM.from_pretrained(
            name, revision=revision, dtype=getattr(torch, dtype), device_map=device
        )
    except (OSError, ValueError, KeyError, MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError) or out_of_memory(error):
            raise _too_large(name, free) from error
        raise UnavailableError(
            f"The model {name!r} cannot be loaded: {(str(error).splitlines() or [type(error).__name__])[0]}",
            "Give a folder with its weights, or its name on the Hugging Face hub.",
        ) from error
    if on_gpu and {"cpu", "disk"} & {str(place) for place in getattr(model, "hf_device_map", {}).values()}:
        raise _too_large(name, None)  # it would run, a hundred times slower
    model.eval()
    return LocalModel(name, model, tokenizer, batch_size)


def _too_large(name: str, free: int | None) -> UnavailableError:
    size = size_of(name)
    about = f" ({size / GIB:.1f} GiB of weights)" if size else ""
    room = f": {free / GIB:.1f} GiB are free" if free is not None else ""
    return UnavailableError(
        f"The model {name!r}{about} does not fit into memory{room}.",
        "Use a smaller model, free some memory, or serve it on another machine and add that as an end point.",
    )
