"""How do prompts go through the model? In padded batches that fit the memory, many candidates per forward pass."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refusal_tui.direction.anatomy import Anatomy, Mode, padded_inputs
from refusal_tui.direction.batches import Batch, make_batch, plan
from refusal_tui.direction.blocks import device_of
from refusal_tui.direction.intervene import Rows, intervene, last_tokens_alone, recorded, start_from
from refusal_tui.errors import UnavailableError
from refusal_tui.llm.local import out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

_TOKENS = {"cpu": 2048, "mps": 8192}  # on CPUs larger passes only fall out of the cache (measured)
_MOST_TOKENS = 65_536
# Of one token: activations of a block, and its share of the last token's logits in float64. Generous guesses.
_BYTES_PER_WIDTH, _BYTES_PER_WORD = 48, 2
_OVERHEAD_SECONDS = 250e-6  # of one block, in a pass of any size
_GROUP_SECONDS = 10
_FLOPS = {"cpu": 5e10, "mps": 3e12, "cuda": 3e14}
_READING = {"cpu": 60, "mps": 100, "cuda": 200}  # tokens computed in the time in which the weights are read
_CACHE_BYTES = 4 * 2**30


@dataclass(slots=True)
class Baseline:
    """A set of prompts and what the unchanged model makes of it.

    logits: [prompts, vocabulary] of the first token of the answer, float32 on the CPU. streams: for each prompt the
    input of every block [blocks, tokens, width]; None where they are not kept. ends: the same at the last tokens
    [prompts, positions, blocks, width]; None where they are not wanted.
    """

    encoded: Sequence[Sequence[int]]
    logits: Tensor
    streams: list[Tensor] | None = None
    ends: Tensor | None = None

    def only(self, places: Sequence[int]) -> Baseline:
        """The same for some of the prompts, in that order."""
        rows = list(places)
        return Baseline(
            [self.encoded[row] for row in rows],
            self.logits[rows],
            None if self.streams is None else [self.streams[row] for row in rows],
            None if self.ends is None else self.ends[rows],
        )


class Passes:
    """Runs one model. `tokens_per_pass` shrinks when the memory is full; `count`, `tokens` and `flops` (of the
    matrix products) say what was spent."""

    def __init__(
        self,
        model: Any,
        anatomy: Anatomy,
        mode: Mode = "exact",
        *,
        pad_token: int = 0,
        tokens_per_pass: int | None = None,
    ) -> None:
        self.model, self.anatomy = model, anatomy
        self.points = anatomy.points(mode)
        self.device = device_of(model)
        self.tokens_per_pass = tokens_per_pass or _fitting_tokens(self.device, anatomy)
        self.count = 0
        self.tokens = 0
        self.flops = 0.0
        self._pad_token = pad_token
        self._weights = [_matrix_weights(block) for block in anatomy.blocks.modules]
        self._last_weights = 0 if anatomy.last_part is None else _matrix_weights(anatomy.last_part)
        self._pass_cost = _pass_cost(anatomy, self.device.type)
        self._tokens_per_second = _FLOPS.get(self.device.type, 1e13) / (2 * max(1, sum(self._weights)))

    def logits(
        self, batch: Batch, *, copies: int = 1, rows: Rows | None = None, start: tuple[int, Tensor] | None = None
    ) -> Tensor:
        """[copies * rows, vocabulary] of the first token of the answers; the batch is repeated as a whole.

        start: (block, its input [rows of the batch, tokens, width]): the blocks below are not run.
        """
        return self.last_logits(batch, 1, copies=copies, rows=rows, start=start)[:, -1]

    def last_logits(
        self,
        batch: Batch,
        last: int,
        *,
        copies: int = 1,
        rows: Rows | None = None,
        start: tuple[int, Tensor] | None = None,
    ) -> Tensor:
        """[copies * rows, last, vocabulary]: the same at the last tokens of a batch."""
        import torch

        ids, mask = (part.repeat(copies, 1).to(self.device) for part in (batch.ids, batch.mask))
        inputs: dict[str, Any] = padded_inputs(self.anatomy.padding, ids, mask)
        if self.anatomy.keeps_last:
            inputs["logits_to_keep"] = last  # all logits of all tokens would be most of the memory
        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            if start is not None:
                layer, hidden = start
                hidden = hidden.repeat(copies, 1, 1)
                stack.enter_context(start_from(self.points.blocks, self.anatomy.returns, layer, hidden))
            if rows is not None:
                stack.enter_context(intervene(self.points, rows))
            if self.anatomy.last_part is not None:
                stack.enter_context(last_tokens_alone(self.anatomy.last_part, last))
            logits: Tensor = self.model(**inputs, use_cache=False).logits[:, -last:]
        self.count += 1
        self.tokens += ids.numel()
        self.flops += self._flops(ids.numel(), ids.shape[0] * min(last, ids.shape[1]), start[0] if start else 0)
        return logits

    def _flops(self, tokens: int, answered: int, first_block: int) -> float:
        """Of matrix products: of all tokens in the blocks, of those whose logits are wanted in the rest."""
        in_blocks = sum(self._weights[first_block:]) - self._last_weights
        return 2.0 * (
            tokens * in_blocks + answered * (self._last_weights + self.anatomy.width * self.anatomy.vocabulary)
        )

    def generate(self, batch: Batch, *, copies: int, rows: Rows, max_new_tokens: int, streamer: Any = None) -> Tensor:
        """[copies * rows, new tokens] ids of greedy answers; what follows the end of an answer is padding. `streamer`:
        as in transformers, but it gets the new token of all rows at once."""
        import torch

        ids, mask = (part.repeat(copies, 1).to(self.device) for part in (batch.ids, batch.mask))
        greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        with torch.inference_mode(), intervene(self.points, rows):
            found = self.model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                pad_token_id=self._pad_token,
                streamer=streamer,
                **greedy,
            )
        answers: Tensor = found[:, ids.shape[1] :]
        return answers

    def baseline(
        self, encoded: Sequence[Sequence[int]], *, positions: int | None = None, streams: bool = False
    ) -> Baseline:
        """One pass over every prompt that gives the first token's logits and, as asked, what enters the blocks."""
        import torch

        logits = torch.empty(len(encoded), self.anatomy.vocabulary)
        kept: list[Any] = [None] * len(encoded)
        ends: Tensor | None = None
        if streams:
            streams = self._fit_into_cache(encoded)

        def work(batch: Batch, _: range) -> None:
            nonlocal ends
            with recorded(self.points.blocks, None if streams else positions or 1) as inputs:
                found = self.logits(batch)
            logits[list(batch.rows)] = found.float().cpu()
            stack = torch.stack([inputs[layer].cpu() for layer in range(self.anatomy.n_layers)], dim=1)
            if positions is not None:  # [rows, blocks, tokens, width] -> [rows, positions, blocks, width]
                if ends is None:
                    shape = (len(encoded), positions, self.anatomy.n_layers, self.anatomy.width)
                    ends = torch.empty(shape, dtype=stack.dtype)
                ends[list(batch.rows)] = stack[:, :, -positions:].transpose(1, 2)
            if streams:
                for place, row in enumerate(batch.rows):
                    kept[row] = stack[place, :, -len(encoded[row]) :].clone()

        self.each(encoded, 1, work)
        return Baseline(encoded, logits, kept if streams else None, ends)

    def each(
        self,
        encoded: Sequence[Sequence[int]],
        count: int,
        work: Callable[[Batch, range], None],
        *,
        most_tokens: int | None = None,
    ) -> None:
        """Call `work(batch, candidates)` until all `count` candidates have seen all prompts.

        most_tokens: of one call, where it needs more memory per token than usual. A call that does not fit the memory
        is made again in halves, and so are the following ones. Raises UnavailableError when one prompt with one
        candidate does not fit.
        """
        lengths = [len(row) for row in encoded]
        pad = self.anatomy.padding != "none"
        most = min(self.tokens_per_pass, most_tokens or self.tokens_per_pass)
        batches = plan(lengths, pass_cost=self._pass_cost, most_tokens=most, copies=count, pad=pad)
        todo = [(make_batch(encoded, rows, self._pad_token), range(count)) for rows in reversed(batches)]
        while todo:
            batch, part = todo.pop()
            fitting = max(1, min(most, self.tokens_per_pass) // batch.tokens)
            if len(part) > fitting:
                todo.append((batch, part[fitting:]))
                part = part[:fitting]
            try:
                work(batch, part)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if len(part) == len(batch.rows) == 1:
                    raise UnavailableError(
                        "The device does not have the memory for one prompt of this model.",
                        "Use a smaller model or --dtype bfloat16, leave out very long prompts, or use --device cpu.",
                    ) from error
                self.tokens_per_pass = max(1, batch.tokens * len(part) // 2)
                _free_memory()
                if len(part) > 1:
                    middle = len(part) // 2
                    todo += [(batch, part[middle:]), (batch, part[:middle])]
                else:
                    todo += [(half, part) for half in reversed(batch.halves())]

    def candidates_at_once(self, encoded: Sequence[Sequence[int]]) -> int:
        """How many candidates are measured together over a set of prompts: some seconds' work, so that passes are full
        and little padded, while a run that is stopped loses no more than that."""
        tokens = max(self.tokens_per_pass, int(_GROUP_SECONDS * self._tokens_per_second))
        return max(1, tokens // max(1, sum(map(len, encoded))))

    def _fit_into_cache(self, encoded: Sequence[Sequence[int]]) -> bool:
        tokens = sum(map(len, encoded))
        size = next(self.model.parameters()).element_size()
        needed = tokens * self.anatomy.n_layers * self.anatomy.width * size
        return self.anatomy.starts_midway and needed <= _CACHE_BYTES


def _matrix_weights(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.dim() > 1)


def _pass_cost(anatomy: Anatomy, device: str) -> float:
    """What one more pass costs, in tokens: launching every block, reading all weights and the output layer again."""
    weights = max(1, sum(map(_matrix_weights, anatomy.blocks.modules)))
    launching = _OVERHEAD_SECONDS * anatomy.n_layers * _FLOPS.get(device, 1e13) / (2 * weights)
    return float(launching + _READING.get(device, 100) * (1 + anatomy.vocabulary * anatomy.width / weights))


def _fitting_tokens(device: Any, anatomy: Anatomy) -> int:
    """How many tokens one pass may hold, from the device's free memory; wrong guesses are halved as they fail."""
    import torch

    if device.type != "cuda":
        return _TOKENS.get(device.type, _TOKENS["cpu"])
    free, _ = torch.cuda.mem_get_info(device)
    per_token = anatomy.width * _BYTES_PER_WIDTH + anatomy.vocabulary * _BYTES_PER_WORD
    return int(max(512, min(_MOST_TOKENS, free / 2 / per_token)))


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
