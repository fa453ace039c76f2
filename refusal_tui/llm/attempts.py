"""What does the ledger say of one try? The same words for every way of asking."""

from __future__ import annotations

from refusal_tui.llm.request import CallFailure, Reply
from refusal_tui.store.ledger import Attempt, RowKey


def attempt_of(
    result: Reply | CallFailure,
    *,
    key: RowKey,
    n: int,
    endpoint: str,
    base_url: str,
    model: str,
    started: float,
    ended: float,
    request_hash: bytes,
    cost_usd: float | None,
) -> Attempt:
    """`n` counts the tries of this request from 1; `cost_usd` is what an answer costs, None where that is unknown."""
    if isinstance(result, Reply):
        usage = result.usage
        return Attempt(
            key, n, endpoint, base_url, model, started, ended, 200, prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens, cost_usd=cost_usd, request_hash=request_hash,
        )  # fmt: skip
    return Attempt(
        key, n, endpoint, base_url, model, started, ended, result.status_code, result.error_class, result.retry_after,
        request_hash=request_hash, raw=result.raw,
    )  # fmt: skip
