"""Which rows go another way because of what they are about? By kind of harm, whatever the strategy of the job is.

A prompt about hurting oneself is never turned into a question about the matter: it becomes one about help, or waits for
a person. Kinds come from the source's own category, from a judge where one is asked, and for self-harm from the words
of the prompt as well, because a row without a category must not slip through; too many rows that ask for help are the
better mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from refusal_tui.clean.strategies import names, read_strategy
from refusal_tui.errors import InputError
from refusal_tui.labels.harm_maps import do_not_answer_harms, jailbreakbench_harms, rbr_harms, wildguard_harms
from refusal_tui.labels.taxonomy import HARMS, harm_named

SELF_HARM, CHILDREN = "self_harm", "child_safety"
DEFAULT_ROUTES = f"{SELF_HARM}=support,{CHILDREN}=review"
NONE = "none"
# What a way may be beside a strategy.
KEEP, REVIEW, DROP = "keep", "review", "drop"
ENDS = (KEEP, REVIEW, DROP)

_CATEGORY_WORDS = (
    (re.compile(r"self[\s_-]*(harm|injur)|suicid|eating disorder|anorexi", re.IGNORECASE), SELF_HARM),
    (re.compile(r"\b(child|minor)s?\b.*\b(abus|sex|exploit|safety|crime)|child[\s_-]*(related|safety)|csam",
                re.IGNORECASE), CHILDREN),
)  # fmt: skip
_SELF_WORDS = re.compile(
    r"""\bsuicid(?:e|al)\b (?!\s+squad)
      | \b(?:kill|hang|harm|hurt|cutt?|injur\w*|poison|starv\w*|drown)(?:ing)?\s+(?:my|your|one|our)sel(?:f|ves)\b
      | \bself[\s-]?(?:harm|injury|injuring|mutilat\w+)\b
      | \b(?:end|ending|take|taking)\s+(?:my|your|one['’]?s)\s+(?:own\s+)?life\b
      | \b(?:want|wish|going|ready|plan\w*)\s+(?:\w+\s+){0,2}(?:die|be\s+dead)\b
      | \bno\s+reason\s+to\s+live\b | \bdon['’]?t\s+want\s+to\s+(?:live|be\s+alive)\b
      | \boverdos(?:e|ing)\s+on\b | \b(?:pro[\s-]?ana|thinspo)\b""",
    re.IGNORECASE | re.VERBOSE,
)

_HELP = re.compile(
    r"\b(?:help|support|talk|speak|reach|listen|cop(?:e|ing)|comfort|friend|hope|safe|crisis|hot-?line|help-?line|"
    r"therap\w*|counsel\w*|recover\w*|get(?:ting)? through|feel(?:ing)? better|hard time|not alone)\b",
    re.IGNORECASE,
)
_MEANS = re.compile(
    r"\b(?:method|painless|lethal|fatal|dose|dosage|technique|quick(?:est)?|effective|die|dying|death|history|"
    r"histor\w+|statistic\w*|kill\w*|hang\w*|poison\w*|overdos\w*|cutt?ing)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Route:
    """`way` is a strategy's name or one of ENDS; `harm` is why."""

    harm: str
    way: str

    def __str__(self) -> str:
        return f"{self.harm}={self.way}"


def read_routes(text: str) -> dict[str, str]:
    """harm -> way, in the order of their weight: the first that a row has counts. Raises InputError for others.

    >>> read_routes("self_harm=support, cybercrime=defensive-security")
    {'self_harm': 'support', 'cybercrime': 'defensive-security'}
    """
    routes: dict[str, str] = {}
    for part in (one.strip() for one in text.split(",")):
        if not part or part == NONE:
            continue
        name, separator, way = (piece.strip() for piece in part.partition("="))
        if not separator or not way:
            raise InputError(f"{part!r} is no route.", f"Write HARM=WAY, such as {DEFAULT_ROUTES}.")
        if way not in ENDS:
            read_strategy(way)
        routes[harm_named(name)] = way
    return routes


def harms_of(category: str | None, prompt: str, judged: Iterable[str] = ()) -> tuple[str, ...]:
    """The kinds of harm that a row is known to be about, in the taxonomy's order.

    >>> harms_of("Self-Harm", "…"), harms_of("cyberattack", "…"), harms_of(None, "I want to end my life")
    (('self_harm',), ('cybercrime',), ('self_harm',))
    """
    found = {*judged, *_of_category(category or "")}
    if _SELF_WORDS.search(prompt):
        found.add(SELF_HARM)
    return tuple(name for name in HARMS if name in found)


def _of_category(category: str) -> set[str]:
    found = {name for pattern, name in _CATEGORY_WORDS if pattern.search(category)}
    with suppress(InputError):  # a category of another source's making
        found.add(harm_named(category))
    maps = [wildguard_harms, jailbreakbench_harms]
    if re.fullmatch(r"[A-Z]{1,3}-[A-Z]+", category):
        maps.append(rbr_harms)
    elif len(category.split()) > 1:
        maps.append(do_not_answer_harms)
    for said in (known(category) for known in maps if category):
        found |= set(said.sure) if said is not None else set()
    return found


def route_of(routes: Mapping[str, str], harms: Iterable[str]) -> Route | None:
    """The way that a row goes for what it is about; None: that of all others."""
    known = set(harms)
    return next((Route(name, way) for name, way in routes.items() if name in known), None)


def asks_for_help(question: str) -> bool:
    """Whether a question about somebody in pain is one about help, and about nothing else. English: what is asked in
    other words is left for a person to look at.

    >>> asks_for_help("Who can I talk to when it is too much?"), asks_for_help("What helped people in history to die?")
    (True, False)
    """
    return bool(_HELP.search(question)) and not _MEANS.search(question)


def ways() -> str:
    """What a way may be, for people."""
    return ", ".join((*names(), *ENDS))
