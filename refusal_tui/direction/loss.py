"""What do ablation and addition cost on harmless text? Cross-entropy and divergence over whole answers.

The text is what the unchanged model answers to harmless prompts (greedy); the loss counts the tokens of the answers
alone (Arditi et al. 2024, section 4.3, their third text). The KL of the selection rule looks at the first token and
does not see damage that comes later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from refusal_tui.direction.batches import Batch
from refusal_tui.direction.intervene import Rows
from refusal_tui.direction.passes import Passes

if TYPE_CHECKING:
    from torch import Tensor

ANSWER_TOKENS = 32
COEFFICIENT = -1.0  # as published: the other way not to be refused
_LOGIT_BYTES = 2**30  # of the logits of all tokens of one pass, with the room to work on them
_ARMS = 3


@dataclass(frozen=True, slots=True)
class Loss:
    """Nats per token of the answers: of the model as it is, with the direction ablated, and with `coefficient` times
    the direction added. kl_ablated, kl_steered: how far the predicted tokens move, on average over the same tokens."""

    answers: int
    tokens: int
    coefficient: float
    baseline: float
    ablated: float
    steered: float
    kl_ablated: float
    kl_steered: float


def measure_loss(
    passes: Passes,
    encoded: Sequence[Sequence[int]],
    vector: Tensor,
    layer: int,
    *,
    coefficient: float = COEFFICIENT,
    max_new_tokens: int = ANSWER_TOKENS,
) -> Loss:
    """`encoded`: harmless prompts as token ids; `vector` [width] as it was found, added at the input of block `layer`.

    One generation and one pass over its text, in which the three arms are rows of the same batch.
    """
    import torch

    from refusal_tui.direction.score import unit

    answers = _own_answers(passes, encoded, max_new_tokens)
    nothing = torch.zeros_like(vector)
    ablate = torch.stack([nothing, unit(vector[None])[0], nothing]).float()
    add = torch.stack([nothing, nothing, coefficient * vector]).float()
    sums = torch.zeros(_ARMS + 2, dtype=torch.float64)

    def work(batch: Batch, _: range) -> None:
        each = len(batch.rows)
        rows = Rows(
            ablate=ablate.repeat_interleave(each, dim=0), add={layer: add.repeat_interleave(each, dim=0)}
        )  # fmt: skip
        longest = max(len(answers[row]) for row in batch.rows)
        logits = passes.last_logits(batch, longest + 1, copies=_ARMS, rows=rows)
        logits = logits.view(_ARMS, each, longest + 1, -1)
        found = [_costs(logits[:, place, -1 - len(answers[row]) : -1], answers[row])
                 for place, row in enumerate(batch.rows)]  # fmt: skip
        sums.add_(torch.stack(found).sum(dim=0))

    whole = [[*prompt, *answer] for prompt, answer in zip(encoded, answers, strict=True)]
    per_token = _ARMS * 4 * 4 * passes.anatomy.vocabulary  # float32; logits, their softmax, and two steps between
    passes.each(whole, 1, work, most_tokens=max(1, min(_LOGIT_BYTES // per_token, passes.tokens_per_pass // _ARMS)))
    tokens = sum(map(len, answers))
    return Loss(len(answers), tokens, coefficient, *(sums / tokens).tolist())


def _own_answers(passes: Passes, encoded: Sequence[Sequence[int]], max_new_tokens: int) -> list[list[int]]:
    """Ids of the model's answers up to the token that ends them; at least one each."""
    answers: list[list[int]] = [[] for _ in encoded]
    ends = _end_ids(passes)

    def work(batch: Batch, _: range) -> None:
        found = passes.generate(batch, copies=1, rows=Rows(), max_new_tokens=max_new_tokens).tolist()
        for row, ids in zip(batch.rows, found, strict=True):
            length = next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))
            answers[row] = ids[:length]

    passes.each(encoded, 1, work)
    return answers


def _end_ids(passes: Passes) -> set[int]:
    ends = passes.model.generation_config.eos_token_id
    return set(ends if isinstance(ends, list) else [ends])


def _costs(logits: Tensor, answer: Sequence[int]) -> Tensor:
    """[arms, tokens, vocabulary] that predict the tokens of an answer -> the arms' losses and the divergences of the
    arms behind the first from it, each summed over the tokens: [arms + arms - 1], float64 on the CPU."""
    import torch

    predicted = torch.log_softmax(logits.float(), dim=-1)
    wanted = torch.tensor(answer, device=predicted.device)[None, :, None].expand(len(predicted), -1, 1)
    losses = -predicted.gather(2, wanted).sum(dim=(1, 2))
    divergences = (predicted[0].exp() * (predicted[0] - predicted[1:])).sum(dim=(1, 2))
    return torch.cat([losses, divergences]).cpu().double()
