"""How does a model answer in this process? Batched generation, and labels scored without decoding.

torch and transformers are imported when a model is loaded, in the worker of a job alone. Text of data sets cannot forge
a turn of the dialogue: control tokens inside messages are encoded as ordinary text (`sanitize_control_tokens`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from refusal_tui.errors import UnavailableError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.drawing import Draw, row_seed
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Rung, TokenLogprob, Usage

_Result = TypeVar("_Result")

LARGEST_BATCH = 256
MAX_TOKENS = 512  # of an answer to a request that sets no limit
_LEAST_PROBABILITY = 1e-30


class Interrupted(Exception):
    """Somebody asked the model to stop; what it was working on is not answered."""


@dataclass(frozen=True, slots=True)
class LabelScore:
    """`label` is the most probable one; `probabilities` sum to 1 over the labels.

    `coverage`: the share of the model's whole next-token probability that falls on the labels' first tokens. Near 0
    the model wanted to say something else, and the label means little. `passes`: forward passes per row (1, or 2 where
    labels begin alike and had to be read in full).
    """

    label: str
    probabilities: tuple[tuple[str, float], ...]
    coverage: float
    passes: int = 1


@dataclass(slots=True)
class LocalModel:
    """A causal language model with a chat template, loaded by `loading.py`. `batch_size` adapts to the memory.

    `interrupted` is asked after every token and every batch: once it says yes, `Interrupted` is raised.
    """

    name: str
    model: Any
    tokenizer: Any
    batch_size: int = 32
    interrupted: Callable[[], bool] = lambda: False
    _ceiling: int | None = None  # tokens of a padded batch, known once the memory was full

    @property
    def context_length(self) -> int | None:
        value = getattr(self.model.config, "max_position_embeddings", None)
        return int(value) if isinstance(value, int) else None

    def answer(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply | CallFailure]]:
        """(place in `requests`, answer), batch by batch, longest first: a batch that does not fit fails at once, not
        after hours, and there is little padding. All must share `sampling` and `choices`.

        Closed `choices` are scored in one forward pass, with the probability of each as log-probabilities of the
        answer; everything else is generated. A request that does not fit into the context, or alone not into the
        memory, fails on its own, as `context_length`. Raises Interrupted.
        """
        if not requests:
            return
        first = requests[0]
        if any((r.sampling, r.choices) != (first.sampling, first.choices) for r in requests):
            raise ValueError("answer takes requests with the same sampling and the same choices")
        room = 1 if first.choices else first.sampling.max_tokens or MAX_TOKENS
        prompts: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            encoded = self._encoded(request, room)
            if isinstance(encoded, CallFailure):
                yield place, encoded
            else:
                prompts[place] = encoded
        lengths = {place: len(prompt) + room for place, prompt in prompts.items()}
        order = sorted(prompts, key=lambda place: -lengths[place])

        def work(part: Sequence[int]) -> list[Reply]:
            chosen = [prompts[place] for place in part]
            return self._scored(first, chosen) if first.choices else self._generate(first, chosen)

        yield from self._batched(order, lengths, work)

    def generate(self, requests: Sequence[ChatRequest]) -> list[Reply | CallFailure]:
        """What `answer` brings, in the order of the requests."""
        found = dict(self.answer(requests))
        return [found[place] for place in range(len(requests))]

    def score_labels(self, requests: Sequence[ChatRequest]) -> list[LabelScore]:
        """The probability of each of the request's `choices` as the answer, in one forward pass and no decoding.

        Softmax over the labels' first tokens at the answer position. Where two labels begin with the same token, the
        whole labels are scored in a second pass: the product of their tokens' probabilities, with the end-of-turn token
        behind the label, so that a label that begins another one is not favoured. All requests must share `choices`.
        Raises ValueError when they do not, or when there are none, and UnavailableError when one does not fit.
        """
        if not requests:
            return []
        choices = requests[0].choices
        if not choices or any(request.choices != choices for request in requests):
            raise ValueError("score_labels takes requests with the same choices")
        prompts = dict(enumerate(self._encode(request) for request in requests))
        lengths = {place: len(prompt) for place, prompt in prompts.items()}
        order = sorted(prompts, key=lambda place: -lengths[place])
        found = dict(self._batched(order, lengths, lambda part: self._scores(choices, [prompts[n] for n in part])))
        scores: list[LabelScore] = []
        for place in range(len(requests)):
            score = found[place]
            if isinstance(score, CallFailure):
                raise UnavailableError(score.message, "Use a smaller model or a device with more memory.")
            scores.append(score)
        return scores

    # --- inside ------------------------------------------------------------------------------------------------------

    def _encoded(self, request: ChatRequest, room: int) -> list[int] | CallFailure:
        """The tokens of a prompt, or why it cannot be asked."""
        from jinja2 import TemplateError

        try:
            prompt = self._encode(request)
        except TemplateError as error:  # such as: this model has no system role
            return CallFailure(ErrorClass.BAD_REQUEST, f"the chat template refuses this: {error}", base_url=self.name)
        if self.context_length is not None and len(prompt) + room > self.context_length:
            sentence = f"{len(prompt)} tokens and {room} for the answer do not fit into {self.context_length}"
            return CallFailure(ErrorClass.CONTEXT_LENGTH, sentence, base_url=self.name)
        return prompt

    def _encode(self, request: ChatRequest) -> list[int]:
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        encoded = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, sanitize_control_tokens=True
        )
        return list(encoded["input_ids"])

    def _padded(self, sequences: Sequence[Sequence[int]]) -> dict[str, Any]:
        """Left-padded ids and mask: every sequence ends at the last position, where the answer begins."""
        import torch

        longest = max(map(len, sequences))
        pad = self._pad_token
        ids = [[pad] * (longest - len(sequence)) + list(sequence) for sequence in sequences]
        mask = [[0] * (longest - len(sequence)) + [1] * len(sequence) for sequence in sequences]
        device = self.model.device
        return {
            "input_ids": torch.tensor(ids, device=device),
            "attention_mask": torch.tensor(mask, device=device),
        }

    @property
    def _pad_token(self) -> int:
        """Masked out wherever it stands, so that any token will do when a tokenizer has none for padding."""
        for token in (self.tokenizer.pad_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0

    @property
    def _end_tokens(self) -> set[int]:
        ends = self.model.generation_config.eos_token_id
        tokens = ends if isinstance(ends, list) else [ends]
        return {int(t) for t in (*tokens, self.tokenizer.eos_token_id) if t is not None}

    def _wish_to_stop(self, ids: Any, scores: Any, **_: Any) -> Any:
        """transformers asks after every token whether each row is done."""
        import torch

        return torch.full((len(ids),), self.interrupted(), device=ids.device)

    def _generate(self, request: ChatRequest, prompts: Sequence[Sequence[int]]) -> list[Reply]:
        import torch

        sampling = request.sampling
        started = time.perf_counter()
        inputs = self._padded(prompts)
        tells = _TokenProbabilities()
        # Greedy in every case; a sample is drawn by `Draw`. What is None here is often set by a model's own
        # generation_config, which no request has asked for.
        options: dict[str, Any] = {
            "max_new_tokens": sampling.max_tokens or MAX_TOKENS,
            "pad_token_id": self._pad_token,
            "stopping_criteria": [self._wish_to_stop],
            "logits_processor": [*([tells] if request.top_logprobs else []), *_drawing(request, prompts)],
            "do_sample": False, "temperature": None, "top_p": None, "top_k": None,
        }  # fmt: skip
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": self.tokenizer}
        with torch.inference_mode():
            output = self.model.generate(**inputs, **options)
        if self.interrupted():
            raise Interrupted
        width = inputs["input_ids"].shape[1]
        latency = time.perf_counter() - started
        ends = self._end_tokens
        logprobs = tells.of(output)
        replies = []
        for number, (prompt, tokens) in enumerate(zip(prompts, output[:, width:].tolist(), strict=True)):
            length = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
            text = self.tokenizer.decode(tokens[:length], skip_special_tokens=True)
            stopped = length < len(tokens)
            for stop in sampling.stop:
                if stop in text:
                    text, stopped = text[: text.index(stop)], True
            said = [
                TokenLogprob(self.tokenizer.decode([token]), logprob)
                for token, logprob in zip(tokens[:length], logprobs[number] if logprobs else ())
            ]
            reason = "stop" if stopped else "length"
            usage = Usage(len(prompt), min(length + 1, len(tokens)))
            replies.append(
                Reply(
                    text.strip(), reason, logprobs=tuple(said), usage=usage, model_returned=self.name, latency=latency,
                    base_url="local",
                )
            )  # fmt: skip
        return replies

    def _scored(self, request: ChatRequest, prompts: Sequence[Sequence[int]]) -> list[Reply]:
        """The likeliest choice as the answer; its log-probabilities are the model's own, over all that it could say."""
        started = time.perf_counter()
        scores = self._scores(request.choices, prompts)
        latency = time.perf_counter() - started
        replies = []
        for prompt, score in zip(prompts, scores, strict=True):
            top = tuple((c, math.log(max(p * score.coverage, _LEAST_PROBABILITY))) for c, p in score.probabilities)
            token = TokenLogprob(score.label, dict(top)[score.label], top)
            replies.append(
                Reply(
                    score.label, logprobs=(token,), usage=Usage(len(prompt), 0), model_returned=self.name,
                    latency=latency, base_url="local", rung=Rung.CHOICE,
                )
            )  # fmt: skip
        return replies

    def _scores(self, choices: Sequence[str], prompts: Sequence[Sequence[int]]) -> list[LabelScore]:
        import torch

        labels = [self.tokenizer.encode(choice, add_special_tokens=False) for choice in choices]
        unique = len({label[0] for label in labels}) == len(labels)
        inputs = self._padded(prompts)
        with torch.inference_mode():
            logits = self.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1].float()
        whole = torch.log_softmax(logits, dim=-1)
        firsts = torch.tensor([label[0] for label in labels], device=whole.device)
        coverage = whole[:, sorted({label[0] for label in labels})].exp().sum(dim=-1).tolist()
        picked = whole[:, firsts] if unique else self._whole_labels(prompts, labels)
        shares = torch.softmax(picked, dim=-1).tolist()
        return [
            LabelScore(
                choices[max(range(len(row)), key=row.__getitem__)],
                tuple(zip(choices, row, strict=True)),
                covered,
                1 if unique else 2,
            )
            for row, covered in zip(shares, coverage, strict=True)
        ]

    def _whole_labels(self, prompts: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> Any:
        """[prompts, labels]: log-probability of each whole label and the end-of-turn token behind it."""
        import torch

        end = self.tokenizer.eos_token_id
        closed = [[*label, end] if end is not None else list(label) for label in labels]
        rows = []
        for prompt in prompts:  # one prompt with all its labels at a time: the memory of a small batch
            inputs = self._padded([[*prompt, *label] for label in closed])
            longest = max(map(len, closed))
            with torch.inference_mode():
                logits = self.model(**inputs, logits_to_keep=longest + 1, use_cache=False).logits.float()
            probabilities = torch.log_softmax(logits, dim=-1)
            sums = []
            for number, label in enumerate(closed):
                # The logits of the position before a token are its prediction; sequences end at the right edge.
                places = range(probabilities.shape[1] - len(label) - 1, probabilities.shape[1] - 1)
                sums.append(probabilities[number, list(places), list(label)].sum())
            rows.append(torch.stack(sums))
        return torch.stack(rows)

    def _batched(
        self, order: Sequence[int], lengths: Mapping[int, int], work: Callable[[Sequence[int]], Sequence[_Result]]
    ) -> Iterator[tuple[int, _Result | CallFailure]]:
        """Work through places, longest first, in batches that adapt to the memory; a place that does not fit alone
        fails.

        The batch doubles while all goes well. When the memory is full, half of what did not fit (rows times the longest
        row) becomes the ceiling: shorter rows further on may come in larger batches.
        """
        start = 0
        while start < len(order):
            if self.interrupted():
                raise Interrupted
            rows = self.batch_size
            if self._ceiling is not None:
                rows = max(1, min(LARGEST_BATCH, self._ceiling // lengths[order[start]]))
            part = order[start : start + rows]
            try:
                done: Sequence[_Result | CallFailure] = work(part)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                _free_memory()
                self._ceiling = max(1, len(part) * lengths[part[0]] // 2)
                if len(part) > 1:
                    continue
                sentence = f"The model {self.name} does not have the memory for a row of {lengths[part[0]]} tokens."
                done = [CallFailure(ErrorClass.CONTEXT_LENGTH, sentence, base_url=self.name)]
            yield from zip(part, done, strict=True)
            start += len(part)
            if len(part) == self.batch_size:
                self.batch_size = min(LARGEST_BATCH, self.batch_size * 2)


def _drawing(request: ChatRequest, prompts: Sequence[Sequence[int]]) -> list[Any]:
    """What turns scores into a draw at the request's temperature; nothing for the likeliest answer."""
    if request.deterministic:
        return []
    from transformers import TemperatureLogitsWarper, TopPLogitsWarper

    sampling = request.sampling
    temperature = 1.0 if sampling.temperature is None else sampling.temperature
    warm = [TemperatureLogitsWarper(temperature)] if temperature != 1.0 else []
    nucleus = [TopPLogitsWarper(sampling.top_p)] if sampling.top_p is not None and sampling.top_p < 1.0 else []
    return [*warm, *nucleus, Draw([row_seed(prompt, sampling.seed) for prompt in prompts])]


class _TokenProbabilities:
    """Hears every step of a generation and keeps the log-probability of each token that was chosen: one step's scores
    in memory at a time, where `output_scores` would keep the whole vocabulary for every token of every row."""

    def __init__(self) -> None:
        self._last: Any = None
        self._chosen: list[Any] = []

    def __call__(self, ids: Any, scores: Any) -> Any:
        self._settle(ids)
        self._last = scores.float().log_softmax(dim=-1)
        return scores

    def of(self, output: Any) -> list[list[float]]:
        """[rows][tokens], [] when nothing was heard."""
        self._settle(output)
        return [list(row) for row in zip(*(column.tolist() for column in self._chosen))]

    def _settle(self, ids: Any) -> None:
        if self._last is not None:
            self._chosen.append(self._last.gather(1, ids[:, -1:])[:, 0])


def out_of_memory(error: Exception) -> bool:
    """Whether torch ran out of memory, on any device (the CPU's allocator raises a plain RuntimeError)."""
    import torch

    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def _free_memory() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
