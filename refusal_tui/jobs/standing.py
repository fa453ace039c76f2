"""What has a job spent, what will it have spent at its end, and how is that said? The same words in both faces.

A price that is not known is said to be unknown; it is never 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from refusal_tui.store.jobs import Job, JobState
from refusal_tui.store.requests import Live, Usage


@dataclass(frozen=True, slots=True)
class Standing:
    """A job and the language models it asks. `budget_usd`, `budget_tokens`: where it pauses, None for no limit."""

    job: Job
    usage: Usage
    live: Live

    @property
    def asks(self) -> bool:
        """Whether it has asked anybody yet, or was told something by others before it."""
        return bool(self.usage.servers or self.live.places or self.live.cached)

    @property
    def share(self) -> float | None:
        """How much of the whole job is done (of a pilot's job, too: money is asked for all rows)."""
        return self.job.finished_rows / self.job.total if self.job.total and self.job.finished_rows else None

    @property
    def projected_usd(self) -> float | None:
        """US dollars at the end of the job when it goes on as so far; None while it is not known."""
        return None if self.usage.without_price or not self.share else self.usage.usd / self.share

    @property
    def projected_tokens(self) -> int | None:
        return round(self.usage.tokens / self.share) if self.share else None

    @property
    def budget_usd(self) -> float | None:
        return _setting(self.job, "max_cost")

    @property
    def budget_tokens(self) -> int | None:
        found = _setting(self.job, "max_tokens")
        return None if found is None else int(found)


def _setting(job: Job, name: str) -> float | None:
    found = json.loads(job.spec).get(name)
    return float(found) if isinstance(found, int | float) else None


def money(usd: float) -> str:
    """US dollars, with enough digits to see small ones.

    >>> money(12.345), money(0.0004217), money(0.0)
    ('12.35 USD', '0.00042 USD', '0.00 USD')
    """
    if 0 < usd < 0.01:
        return f"{usd:.2g} USD" if usd >= 0.0001 else f"{usd:.1e} USD"
    return f"{usd:,.2f} USD"


def cost_words(standing: Standing) -> str:
    """What it has cost and will have cost: `1.23 USD so far, about 2.21 USD at the end, budget 5.00 USD`."""
    usage, nameless = standing.usage, standing.usage.without_price
    budget = [f"budget {money(standing.budget_usd)}"] if standing.budget_usd is not None else []
    if not usage.answered:
        return ", ".join(["nothing yet", *budget])
    if nameless:
        said = [f"unknown: {', '.join(nameless)} {'has' if len(nameless) == 1 else 'have'} no price"]
        return ", ".join([f"{money(usage.usd)} so far"] * bool(usage.usd) + said + budget)
    said = [money(usage.usd)]
    if standing.job.finished_rows < (standing.job.total or 0):
        said = [f"{money(usage.usd)} so far"]
        said += [f"about {money(standing.projected_usd)} at the end"] if standing.projected_usd is not None else []
    answers = f"{usage.unpriced:,} answer{'' if usage.unpriced == 1 else 's'}"
    unknown = [f"{answers} of unknown cost"] if usage.unpriced else []
    return ", ".join(said + budget + unknown)


def raise_command(job: Job) -> str:
    """How a job goes on that a budget has stopped, `refusal-tui jobs resume 5 --set max-cost=…`; "" for any other."""
    if job.state is not JobState.PAUSED or "budget" not in job.note:
        return ""
    name = "max-minutes" if "time budget" in job.note else "max-tokens" if " tokens" in job.note else "max-cost"
    return f"refusal-tui jobs resume {job.id} --set {name}=…"


def requests_words(standing: Standing) -> str:
    """`5,700 sent, 40 from memory; tries failed: 9 rate limit, 3 server`."""
    usage, cached = standing.usage, standing.live.cached
    said = f"{usage.sent:,} sent" + (f", {cached:,} from memory" if cached else "")
    errors = usage.errors
    if not errors:
        return said
    classes = ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in errors.items())
    return f"{said}; tries failed: {classes}"


def tokens_words(standing: Standing, per_second: float | None) -> str:
    """`1,234,567 in, 234,567 out, 18,400/s, 0.42 s an answer`."""
    usage = standing.usage
    said = f"{usage.prompt_tokens:,} in, {usage.completion_tokens:,} out"
    said += f", {per_second:,.0f}/s" if per_second else ""
    seconds = usage.seconds_an_answer
    said += f", {seconds:.2g} s an answer" if seconds else ""
    if standing.budget_tokens is not None:
        said += f", budget {standing.budget_tokens:,}"
    return said


def places_words(live: Live) -> str:
    """How many requests are under way: `42 of 64 in use`, and what holds them back."""
    said = f"{live.in_flight:,} of {live.limit:,} in use"
    dead = sum(1 for places in live.places if not places.alive)
    if dead:
        said += f"; {dead} of {len(live.places)} servers {'does' if dead == 1 else 'do'} not answer"
    return said
