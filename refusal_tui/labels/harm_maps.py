"""Which harms do other data sets' categories stand for?

The tables of the taxonomy, section 10, in `data/harm_maps.toml`. The maps are many to one, so that the source's own
category stays with the row. None is returned for a category that no map knows: null is not "no harm".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from refusal_tui.labels.taxonomy import HARMS, TOPICS

_FILE = Path(__file__).with_name("data") / "harm_maps.toml"
_IMPERSONATION = 12  # only in SORRY-Bench 202406, whose later numbers are one higher than those of 202503


@dataclass(frozen=True, slots=True)
class Harms:
    """`sure` harms follow from the category alone; of `maybe` a judge has to choose any, or none."""

    sure: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()
    topics: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether the category says all: nothing is left to a judge."""
        return not self.maybe


def wildguard_harms(subcategory: str) -> Harms | None:
    """WildGuardMix's subcategory. The long one on misleading information is known by its beginning, too.

    >>> wildguard_harms("cyberattack").sure
    ('cybercrime',)
    """
    key = subcategory.strip().lower()
    if key.startswith("disseminating_false"):
        key = next(name for name in _table("wildguard") if name.startswith("disseminating_false"))
    return _table("wildguard").get(key)


def sorry_harms(number: int, version: str) -> Harms | None:
    """SORRY-Bench's category number; `version` is 202503 or 202406. None for Impersonation, which no harm is said of.

    >>> sorry_harms(12, "202503").sure, sorry_harms(13, "202406").sure, sorry_harms(12, "202406")
    (('cybercrime',), ('cybercrime',), None)
    """
    current = sorry_number(number, version)
    return None if current is None else _table("sorry_bench_202503").get(str(current))


def sorry_number(number: int, version: str) -> int | None:
    """The category's number in 202503. None for Impersonation, for another version and for numbers that are not there.

    >>> sorry_number(11, "202406"), sorry_number(45, "202406")
    (11, 44)
    """
    if version == "202406":
        if number == _IMPERSONATION:
            return None
        number -= number > _IMPERSONATION
    elif version != "202503":
        return None
    return number if 1 <= number <= 44 else None


def do_not_answer_harms(type_of_harm: str) -> Harms | None:
    """Do-Not-Answer's type of harm, by the phrase that makes it out."""
    text = type_of_harm.lower()
    return next((harms for phrase, harms in _table("do_not_answer").items() if phrase in text), None)


def jailbreakbench_harms(category: str) -> Harms | None:
    """JailbreakBench's category."""
    return _table("jailbreakbench").get(category.strip().lower())


def rbr_harms(category: str) -> Harms | None:
    """The category of OpenAI's rule-based-rewards data, such as K-R or SH-C."""
    return _table("openai_rbr").get(category.partition("-")[0].strip().upper())


@cache
def _table(source: str) -> dict[str, Harms]:
    import tomllib

    tables: dict[str, dict[str, dict[str, Any]]] = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    table = {
        name: Harms(**{key: tuple(labels) for key, labels in said.items()}) for name, said in tables[source].items()
    }
    for harms in table.values():
        assert {*harms.sure, *harms.maybe} <= set(HARMS) and set(harms.topics) <= set(TOPICS)
    return table
