"""How does a model answer in this process? Batched generation, and labels scored without decoding.

torch and transformers are imported when a model is loaded, in the worker of a job alone. Text of data sets cannot forge
a turn of the dialogue: control tokens inside messages are encoded as ordinary text (`sanitize_control_tokens`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from refusal_tui.errors import UnavailableError
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Usage

_Result = TypeVar("_Result")

LARGEST_BATCH = 256


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
    """A causal language model with a chat template, loaded by `load_model`. `batch_size` adapts to the memory."""

    name: str
    model: Any
    tokenizer: Any
    batch_size: int = 32
    _ceiling: int | None = None  # tokens of a padded batch, known once the memory was full

    @property
    def context_length(self) -> int | None:
        value = getattr(self.model.config, "max_position_embeddings", None)
        return int(value) if isinstance(value, int) else None

    def generate(self, requests: Sequence[ChatRequest]) -> list[Reply | CallFailure]:
        """One answer per request, in the order of the requests. All must share one `sampling`.

        Sorted by length, longest first: little padding, and a batch that does not fit fails at once, not after hours.
        A prompt longer than the context fails alone, as `context_length`.
        """
        if not requests:
            return []
        sampling = requests[0].sampling
        if any(request.sampling != sampling for request in requests):
            raise ValueError("generate takes requests with the same sampling")
        prompts = [self._encode(request) for request in requests]
        room = sampling.max_tokens or 512
        results: list[Reply | CallFailure | None] = [None] * len(requests)
        fitting: list[int] = []
        for number, prompt in enumerate(prompts):
            if self.context_length is not None and len(prompt) + room > self.context_length:
                sentence = f"{len(prompt)} tokens and {room} for the answer do not fit into {self.context_length}"
                results[number] = CallFailure(ErrorClass.CONTEXT_LENGTH, sentence, base_url=self.name)
            else:
                fitting.append(number)
        lengths = [len(prompt) + room for prompt in prompts]
        fitting.sort(key=lambda number: -lengths[number])
        replies = self._batched(fitting, lengths, lambda part: self._generate(requests[0], [prompts[n] for n in part]))
        for number, reply in zip(fitting, replies, strict=True):
            results[number] = reply
        return [result for result in results if result is not None]

    def score_labels(self, requests: Sequence[ChatRequest]) -> list[LabelScore]:
        """The probability of each of the request's `choices` as the answer, in one forward pass and no decoding.

        Softmax over the labels' first tokens at the answer position. Where two labels begin with the same token, the
        whole labels are scored in a second pass: the product of their tokens' probabilities, with the end-of-turn token
        behind the label, so that a label that begins another one is not favoured. All requests must share `choices`.
        Raises ValueError when they do not, or when there are none.
        """
        if not requests:
            return []
        choices = requests[0].choices
        if not choices or any(request.choices != choices for request in requests):
            raise ValueError("score_labels takes requests with the same choices")
        labels = [self.tokenizer.encode(choice, add_special_tokens=False) for choice in choices]
        prompts = [self._encode(request) for request in requests]
        lengths = [len(prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda number: -lengths[number])
        unique = len({label[0] for label in labels}) == len(labels)

        def score(part: Sequence[int]) -> list[LabelScore]:
            chosen = [prompts[number] for number in part]
            return self._score_first(chosen, choices, labels, unique)

        scores: list[LabelScore | None] = [None] * len(requests)
        for number, result in zip(order, self._batched(order, lengths, score), strict=True):
            scores[number] = result
        return [found for found in scores if found is not None]

    # --- inside ------------------------------------------------------------------------------------------------------

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

    def _generate(self, request: ChatRequest, prompts: Sequence[Sequence[int]]) -> list[Reply]:
        import torch

        sampling = request.sampling
        started = time.perf_counter()
        inputs = self._padded(prompts)
        options: dict[str, Any] = {"max_new_tokens": sampling.max_tokens or 512, "pad_token_id": self._pad_token}
        if request.deterministic:
            # Set to nothing: a model's own generation_config often samples, and greedy decoding warns about the rest.
            options |= {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        else:
            options |= {"do_sample": True, "temperature": sampling.temperature or 1.0, "top_p": sampling.top_p or 1.0}
            torch.manual_seed(sampling.seed if sampling.seed is not None else torch.seed() % 2**63)
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": self.tokenizer}
        with torch.inference_mode():
            output = self.model.generate(**inputs, **options)
        width = inputs["input_ids"].shape[1]
        latency = time.perf_counter() - started
        ends = self._end_tokens
        replies = []
        for prompt, tokens in zip(prompts, output[:, width:].tolist(), strict=True):
            length = next((place for place, token in enumerate(tokens) if token in ends), len(tokens))
            text = self.tokenizer.decode(tokens[:length], skip_special_tokens=True)
            stopped = length < len(tokens)
            for stop in sampling.stop:
                if stop in text:
                    text, stopped = text[: text.index(stop)], True
            reason = "stop" if stopped else "length"
            usage = Usage(len(prompt), min(length + 1, len(tokens)))
            replies.append(
                Reply(text.strip(), reason, usage=usage, model_returned=self.name, latency=latency, base_url="local")
            )
        return replies

    def _score_first(
        self,
        prompts: Sequence[Sequence[int]],
        choices: Sequence[str],
        labels: Sequence[Sequence[int]],
        unique: bool,
    ) -> list[LabelScore]:
        import torch

        inputs = self._padded(prompts)
        with torch.inference_mode():
            logits = self.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1].float()
        whole = torch.log_softmax(logits, dim=-1)
        firsts = torch.tensor([label[0] for label in labels], device=whole.device)
        coverage = whole[:, firsts.unique()].exp().sum(dim=-1).tolist()
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
                sums.append(
                    sum(probabilities[number, place, token] for place, token in zip(places, label, strict=True))
                )
            rows.append(torch.stack(sums))
        return torch.stack(rows)

    def _batched(
        self,
        items: Sequence[int],
        lengths: Sequence[int],
        work: Callable[[Sequence[int]], Sequence[_Result]],
    ) -> Iterator[_Result]:
        """Work through items, longest first, in batches that adapt to the memory.

        The batch doubles while all goes well. When the memory is full, half of what did not fit (rows times the longest
        row) becomes the ceiling: shorter rows further on may come in larger batches. Raises UnavailableError when a
        single item does not fit.
        """
        start = 0
        while start < len(items):
            rows = self.batch_size
            if self._ceiling is not None:
                rows = max(1, min(LARGEST_BATCH, self._ceiling // lengths[items[start]]))
            part = items[start : start + rows]
            try:
                done = work(part)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if len(part) == 1:
                    raise UnavailableError(
                        f"The model {self.name} does not have the memory for even one row of this length.",
                        "Use a smaller model, a shorter answer (max_tokens) or a device with more memory.",
                    ) from error
                self._ceiling = len(part) * lengths[part[0]] // 2
                _free_memory()
                continue
            yield from done
            start += len(part)
            if len(part) == self.batch_size:
                self.batch_size = min(LARGEST_BATCH, self.batch_size * 2)


def load_model(
    name: str, *, device: str = "auto", dtype: str = "bfloat16", batch_size: int = 32, revision: str | None = None
) -> LocalModel:
    """Load weights from a folder or the Hugging Face hub. `device`: a `device_map` ("auto", "cpu", "cuda:0").

    Raises UnavailableError when torch or transformers are not installed, the model is not there, or it has no chat
    template.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError as error:
        raise UnavailableError(
            f"Local models need torch and transformers ({error.name} is not installed).",
            "Install them with: pip install 'refusal-tui[ml]'",
        ) from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, revision=revision)
        model = AutoModelForCausalLM.from_pretrained(
            name, revision=revision, dtype=getattr(torch, dtype), device_map=device
        )
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"The model {name!r} cannot be loaded: {str(error).splitlines()[0]}",
            "Give a folder with its weights, or its name on the Hugging Face hub.",
        ) from error
    if not tokenizer.chat_template:
        raise UnavailableError(f"The model {name!r} has no chat template.", "Choose a model that was tuned for chat.")
    model.eval()
    return LocalModel(name, model, tokenizer, batch_size)


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
