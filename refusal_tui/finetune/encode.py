"""Which tokens does a model learn an answer from? Its own chat template before it, its own end-of-turn token behind it.

The template is the one that answers are asked with later (`llm/local.py`): trained and evaluated on the same text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from refusal_tui.errors import InputError
from refusal_tui.finetune.data import Dialogue
from refusal_tui.jobs.schedule import stable_seed

if TYPE_CHECKING:
    from torch import Tensor

NOT_LEARNT = -100  # the label that cross-entropy leaves out


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids. Only `answer`, with the end of the turn, is learnt."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


def encode(tokenizer: Any, dialogues: Sequence[Dialogue], end: int, max_tokens: int) -> list[Example]:
    """A long context loses its beginning, never the answer; an answer that is too long alone loses its end.

    Raises InputError for a dialogue that the chat template refuses.
    """
    return [_encode(tokenizer, dialogue, end, max_tokens) for dialogue in dialogues]


def _encode(tokenizer: Any, dialogue: Dialogue, end: int, max_tokens: int) -> Example:
    from jinja2 import TemplateError

    try:
        prompt = _templated(tokenizer, [{"role": m.role, "content": m.content} for m in dialogue.messages])
    # Such as: this model has no system role; a mark of the template in a text that the tokenizer cannot spell.
    except (TemplateError, ValueError) as error:
        sentence = f"The model's chat template refuses {dialogue.key}: {error}."
        raise InputError(sentence, "Leave that row out.") from error
    answer = list(tokenizer(dialogue.answer, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    target = [*answer, end] if len(answer) < max_tokens else answer[: max_tokens - 1]
    room = max_tokens - len(target)
    return Example(tuple(prompt[-room:] if room else ()), tuple(target))


def _templated(tokenizer: Any, messages: Sequence[dict[str, str]], *, asked: bool = True) -> list[int]:
    found = tokenizer.apply_chat_template(
        list(messages), add_generation_prompt=asked, tokenize=True, return_dict=True, sanitize_control_tokens=True
    )
    return list(found["input_ids"])


def end_of_turn(model: Any, tokenizer: Any) -> int:
    """The token that ends an answer: the one of the model's end tokens that its template writes behind one.

    Raises InputError for a tokenizer without any.
    """
    known = model.generation_config.eos_token_id
    ends = {int(t) for t in (*(known if isinstance(known, list) else [known]), tokenizer.eos_token_id) if t is not None}
    if not ends:
        raise InputError("This tokenizer has no token that ends an answer.", "Choose a model that was tuned for chat.")
    question = {"role": "user", "content": "a"}
    whole = _templated(tokenizer, [question, {"role": "assistant", "content": "b"}], asked=False)
    behind = whole[len(_templated(tokenizer, [question])) :]
    return next((token for token in behind if token in ends), min(ends))


def batch_of(examples: Sequence[Example], pad: int, device: Any) -> dict[str, Tensor]:
    """Padded on the right, with the labels of the answers alone."""
    import torch

    width = max(len(e.prompt) + len(e.answer) for e in examples)
    ids = torch.full((len(examples), width), pad, dtype=torch.long)
    mask = torch.zeros((len(examples), width), dtype=torch.long)
    labels = torch.full((len(examples), width), NOT_LEARNT, dtype=torch.long)
    for place, e in enumerate(examples):
        begin, length = len(e.prompt), len(e.prompt) + len(e.answer)
        ids[place, :length] = torch.tensor(e.prompt + e.answer)
        mask[place, :length] = 1
        labels[place, begin:length] = torch.tensor(e.answer)
    return {"input_ids": ids.to(device), "attention_mask": mask.to(device), "labels": labels.to(device)}


def rows_of_step(seed: int, step: int, rows: int, size: int) -> list[int]:
    """The rows of a step: every row once in an order of its own per epoch, epoch after epoch.

    >>> sorted(rows_of_step(0, 0, 5, 3) + rows_of_step(0, 1, 5, 3)[:2])
    [0, 1, 2, 3, 4]
    """
    return [_order(seed, place // rows, rows)[place % rows] for place in range(step * size, (step + 1) * size)]


@lru_cache(maxsize=8)
def _order(seed: int, epoch: int, rows: int) -> tuple[int, ...]:
    return tuple(np.random.default_rng(stable_seed(seed, "order", epoch)).permutation(rows).tolist())
