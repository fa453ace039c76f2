"""Does the first token of an answer say that it will be a refusal? Which tokens do, and how a score comes of them.

The score of a prompt is the log-odds of the refusal tokens as the first token of the answer, bounded to ±18.42 by the
epsilon of the published procedure. Which tokens these are is read from the model: those that begin its answers to
harmful prompts and not those to harmless ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refusal_tui.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8
_SHOWN = 24
_MOST = 8
_LEAST_CONTRAST = 0.05
_LEAST_RATIO = 3.0
# How refusals begin in English. Where one of them stands out, other words are passed over: what begins the answers to
# one topic also differs between the two sets.
_OPENERS = ("I", "As", "Sorry", "Unfortunately", "Apologies", "My", "No", "It", "This")


@dataclass(frozen=True, slots=True)
class FirstToken:
    """Mean probability of a token as the first one of the answers to harmful and to harmless prompts."""

    id: int
    text: str
    harmful: float
    harmless: float

    @property
    def contrast(self) -> float:
        return self.harmful - self.harmless


def refusal_scores(logits: Tensor, tokens: Sequence[int]) -> Tensor:
    """[..., vocabulary] -> [...], float64 on the CPU: log(P + 1e-8) - log(1 - P + 1e-8), P the refusal tokens' share.

    >>> import torch
    >>> round(float(refusal_scores(torch.tensor([100.0, 0.0]), [0])), 2)
    18.42
    """
    import torch

    rows = logits.reshape(-1, logits.shape[-1])
    shares = [_probabilities(part)[:, list(tokens)].sum(dim=-1).cpu() for part in rows.split(_rows_at_once(rows))]
    share = torch.cat(shares).view(logits.shape[:-1])
    return torch.log(share + EPSILON) - torch.log1p(EPSILON - share)


def kl_divergences(expected: Tensor, found: Tensor, epsilon: float = 1e-6) -> Tensor:
    """Sums of p (log(p + eps) - log(q + eps)), float64 on the CPU, from logits.

    expected: [rows, vocabulary], p. found: [copies * rows, vocabulary], q; the rows repeated as a whole. Returns
    [copies * rows].
    """
    import torch

    rows = len(expected)
    found = found.view(-1, rows, found.shape[-1])
    divergences = []
    at_once = max(1, _rows_at_once(expected) // len(found))
    for start in range(0, rows, at_once):
        part = slice(start, start + at_once)
        p = _probabilities(expected[part])
        own = (p * torch.log(p + epsilon)).sum(dim=-1)
        other = _probabilities(found[:, part]).add_(epsilon).log_()
        divergences.append((own - (p * other).sum(dim=-1)).cpu())
    return torch.cat(divergences, dim=1).flatten()


def _probabilities(logits: Tensor) -> Tensor:
    """Softmax in float64; on the CPU where the device has none (Apple's)."""
    precise = (logits.cpu() if logits.device.type == "mps" else logits).double()
    weights = (precise - precise.amax(dim=-1, keepdim=True)).exp_()
    return weights.div_(weights.sum(dim=-1, keepdim=True))


def _rows_at_once(logits: Tensor) -> int:
    """How many rows in float64 are worked on together: on a CPU what its cache holds."""
    elements = 2**27 if logits.device.type == "cuda" else 2**18
    return max(1, elements // int(logits.shape[-1]))


def contrast_table(tokenizer: Any, harmful: Tensor, harmless: Tensor) -> list[FirstToken]:
    """The tokens that tell the two sets apart most, from the logits of first tokens [prompts, vocabulary]."""
    import torch

    means = [
        torch.stack([torch.softmax(row.double(), dim=-1) for row in part]).mean(dim=0) for part in (harmful, harmless)
    ]
    order = (means[0] - means[1]).topk(min(_SHOWN, means[0].shape[0])).indices.tolist()
    return [FirstToken(i, tokenizer.decode([i]), float(means[0][i]), float(means[1][i])) for i in order]


def find_refusal_tokens(tokenizer: Any, table: Sequence[FirstToken]) -> list[int]:
    """The ids to score with: tokens of the table with a clear contrast, of them the known openers where there are any.

    Without a clear one: the opener "I", so that the scores can say that this model does not refuse these prompts.
    """
    clear = [t for t in table if t.contrast >= _LEAST_CONTRAST and t.harmful >= _LEAST_RATIO * t.harmless]
    openers = {i for word in _OPENERS for i in first_ids(tokenizer, word)}
    chosen = [t for t in clear if t.id in openers] or clear
    return [t.id for t in chosen[:_MOST]] or first_ids(tokenizer, "I")


def first_ids(tokenizer: Any, word: str) -> list[int]:
    """The tokens that `word` may begin with at the beginning of an answer: with and without a blank before it."""
    found = []
    for text in (word, f" {word}"):
        ids = tokenizer.encode(text, add_special_tokens=False)
        start = tokenizer.decode(ids[:1]).strip() if ids else ""
        if start and word.startswith(start) and ids[0] not in found and ids[0] != tokenizer.unk_token_id:
            found.append(ids[0])
    return found


def named_tokens(tokenizer: Any, names: Sequence[str]) -> list[int]:
    """The ids of words that a user has named. Raises InputError for one that the tokenizer does not know."""
    ids: list[int] = []
    for name in names:
        found = first_ids(tokenizer, name)
        if not found:
            raise InputError(
                f"No answer of this model can begin with {name!r}: its tokenizer does not know it.",
                "Look at the table of first tokens (first_tokens.json of the run) and name words from it.",
            )
        ids += [i for i in found if i not in ids]
    return ids
