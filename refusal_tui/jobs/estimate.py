"""How many requests, tokens and dollars will a job take? Estimated from lengths, before anything is sent.

A spec says which requests it makes per row (`JobSpec.asks`), the store how long the rows are (`store/lengths.py`), the
price table what a token costs. The arithmetic is here and pure. An unknown price makes an unknown cost, never 0.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from refusal_tui.jobs.standing import money
from refusal_tui.llm.limits import TOKENS_PER_CHAR
from refusal_tui.llm.presets import Price, price_of
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.lengths import Lengths, lengths_of

if TYPE_CHECKING:
    from refusal_tui.jobs.spec import JobSpec

_TOKENS_A_REQUEST = 8  # a chat's own markup


class Which(StrEnum):
    """Which rows a request is made for."""

    ALL = "all"
    ANSWERED = "answered"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True)
class Asks:
    """One kind of request that a job makes for every row of `which`.

    `times`: how often per row, as a rule, and `at_most` so often; `once`: requests beside the rows. The request holds
    `fixed_chars` and so many copies of the row's prompt and response. `answer_tokens` None: as long as the rows'
    responses are. `assumes` says in words what the expected number rests on. `batch`: at the Batch API's price.
    """

    endpoint: str
    fixed_chars: int
    most_tokens: int
    answer_tokens: float | None = None
    times: float = 1.0
    at_most: float = 1.0
    once: int = 0
    prompts: float = 1.0
    responses: float = 0.0
    which: Which = Which.ALL
    assumes: str = ""
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a job will take. `usd` and `most_usd` are None where the price of one of `unpriced` is unknown."""

    rows: int
    requests: int
    most_requests: int
    prompt_tokens: int
    answer_tokens: int
    usd: float | None
    most_usd: float | None
    unpriced: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    assumes: tuple[str, ...] = ()


def estimate(asks: Sequence[Asks], lengths: Lengths, prices: Mapping[str, Price | None], rows: int) -> Estimate:
    """What `rows` rows of these lengths take (a pilot's rows, or all of `lengths.rows`)."""
    requests = most_requests = prompt = answer = usd = most_usd = 0.0
    for one in asks:
        asked = rows * _share(one.which, lengths)
        number, most = asked * one.times + one.once, asked * one.at_most + one.once
        chars = one.fixed_chars + one.prompts * lengths.prompt_chars + one.responses * lengths.response_chars
        tokens_in = chars * TOKENS_PER_CHAR + _TOKENS_A_REQUEST
        tokens_out = _answer_tokens(one, lengths)
        requests, most_requests = requests + number, most_requests + most
        prompt, answer = prompt + number * tokens_in, answer + number * tokens_out
        price = _price(one, prices)
        if price is not None:
            usd += number * (tokens_in * price[0] + tokens_out * price[1]) / 1e6
            most_usd += most * (tokens_in * price[0] + one.most_tokens * price[1]) / 1e6
    unpriced = tuple(dict.fromkeys(one.endpoint for one in asks if _price(one, prices) is None))
    known = [prices[one.endpoint] for one in asks if one.endpoint not in unpriced]
    return Estimate(
        rows, round(requests), round(most_requests), round(prompt), round(answer),
        None if unpriced else usd, None if unpriced else most_usd, unpriced,
        tuple(dict.fromkeys(price.source for price in known if price is not None)),
        tuple(dict.fromkeys(one.assumes for one in asks if one.assumes)),
    )  # fmt: skip


def _price(one: Asks, prices: Mapping[str, Price | None]) -> tuple[float, float] | None:
    """USD per million tokens in and out, None where it is unknown."""
    price = prices.get(one.endpoint)
    if price is None:
        return None
    found = (price.batch_input, price.batch_output) if one.batch else (price.input, price.output)
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _share(which: Which, lengths: Lengths) -> float:
    if which is Which.ALL:
        return 1.0
    return lengths.answered if which is Which.ANSWERED else 1.0 - lengths.answered


def _answer_tokens(one: Asks, lengths: Lengths) -> float:
    """Without responses to go by, half of what is allowed."""
    expected = one.answer_tokens
    if expected is None:
        expected = lengths.response_chars * TOKENS_PER_CHAR if lengths.response_chars else one.most_tokens / 2
    return min(expected, one.most_tokens)


def estimate_job(
    connection: sqlite3.Connection,
    spec: JobSpec,
    selection: str = "",
    *,
    rows: int | None = None,
    lengths: Lengths | None = None,
) -> Estimate | None:
    """What a job with these settings takes; None for one that asks no model. `rows`: a pilot's.

    Looks at a few thousand rows at most. Raises InputError for a selection or an end point that is wrong.
    """
    asks = spec.asks(connection)
    if not asks:
        return None
    found = spec.own_rows() or lengths or lengths_of(connection, selection)
    prices: dict[str, Price | None] = {}
    for name in dict.fromkeys(one.endpoint for one in asks):
        endpoint = get_endpoint(connection, name)
        prices[name] = price_of(endpoint.preset, endpoint.model, endpoint.options)
    return estimate(asks, found, prices, found.rows if rows is None else min(rows, found.rows))


def estimate_words(found: Estimate) -> str:
    """One sentence: `about 9,700 requests, 14.2M tokens in, 1.1M out, 8.12 USD (at most 12.50 USD)`."""
    if not found.requests:
        return "no request is needed: no row of the selection is asked about"
    used = f"{tokens(found.prompt_tokens)} tokens in, {tokens(found.answer_tokens)} out"
    return f"about {found.requests:,} requests, {used}, {_cost(found)}"


def brief_words(found: Estimate) -> str:
    """`about 19 requests, 0.03 USD (at most 0.05 USD)`."""
    return f"about {found.requests:,} requests, {_cost(found)}"


def _cost(found: Estimate) -> str:
    if found.usd is None or found.most_usd is None:
        names = ", ".join(found.unpriced)
        return f"cost unknown ({names} {'has' if len(found.unpriced) == 1 else 'have'} no price)"
    most = f" (at most {money(found.most_usd)})" if found.most_usd > 1.05 * found.usd else ""
    return f"{money(found.usd)}{most}"


def tokens(number: int) -> str:
    """
    >>> tokens(950), tokens(12_345), tokens(4_230_000)
    ('950', '12k', '4.2M')
    """
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:.0f}k" if number < 1_000_000 else f"{number / 1e6:.1f}M"
