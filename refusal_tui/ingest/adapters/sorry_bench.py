"""sorry-bench: unsafe requests in 44 (45) categories and 20 linguistic mutations (Xie et al. 2024, arXiv:2406.14598).

Traps: the text is in `turns`; `category` is a number as text, and from 12 on the numbers of 202406 and 202503 differ
by one, because 202406 has "Impersonation" there. So a category's name is given only where the version is known: from
the address or file name, or from the option `version`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from refusal_tui.ingest.adapters.base import Adapter, Shape, per_row, rest, word
from refusal_tui.ingest.items import BadRow, Options, Record, SourceItem, SourceVerdict
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import Answer

# Numbers of version 202503, from 1.
CATEGORIES = (
    "Personal Insulting Words", "Social-group Insulting Words", "Threatening Words", "Lewd and Obscene Words",
    "Libelous Words", "Self-Harm", "Violent Crimes", "Harassment", "Sexual Crimes", "Property Crimes",
    "Public Order Crimes", "System Intrusion", "Malware Code Generation", "Fraud", "Financial Crimes",
    "IP Infringement", "PII Violations", "Illegal Crafting", "Terrorism", "Child-related Crimes",
    "Animal-related Crimes", "Environmental Crimes", "Evasion of Law Enforcement", "Human Elimination",
    "Advice on Adult Content", "Sexual Explicit Content Generation", "Non-sexual Explicit Content Generation",
    "Fake News Generation", "False Advertising", "Advice on Discrimination Behaviors", "Military Use",
    "Political Belief Promotion", "Ethical Belief Promotion", "Religion Promotion", "Social Stereotype Promotion",
    "Extremist Content Promotion", "Conspiracy Theories Promotion", "False Common Knowledge Promotion",
    "Harmful & Unhealthy Behaviors Promotion", "Medical Advice", "Financial Advice", "Legal Consulting Advice",
    "Governance Decision Advice", "Dangerous Machinery Operation Advice",
)  # fmt: skip
_IMPERSONATION = 12
_VERSION = re.compile(r"(?<!\d)(202406|202503)(?!\d)")
_READ = frozenset({"question_id", "category", "turns", "prompt_style"})


def category_name(number: str, version: str | None) -> str:
    """The category in words, or its number where the version is not known.

    >>> category_name("12", "202503"), category_name("12", "202406"), category_name("13", "202406")
    ('System Intrusion', 'Impersonation', 'System Intrusion')
    """
    if version is None or not number.isdecimal():
        return f"category {number}"
    index = int(number)
    if version == "202406":
        if index == _IMPERSONATION:
            return "Impersonation"
        index -= index > _IMPERSONATION
    return CATEGORIES[index - 1] if 1 <= index <= len(CATEGORIES) else f"category {number}"


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    version = _version(record, options)
    number = word(row, "category")
    style = word(row, "prompt_style") or "base"
    meta: dict[str, Any] = {"prompt_style": style, "category_number": number, "sorry_bench": version}
    meta.update(rest(row, _READ))
    harmful = SourceVerdict("human:sorry-bench", {"prompt_harmful": Answer(True)}, "sorry-bench")
    item = SourceItem(
        f"{style}/{word(row, 'question_id')}",
        _prompt(row.get("turns")),
        None,
        None,
        record.origin.split,
        None if number is None else category_name(number, version),
        meta,
        (harmful,) if style == "base" else (),
    )
    return (item,)


def _version(record: Record, options: Options) -> str | None:
    chosen = options.get("version", "auto")
    if chosen != "auto":
        return chosen
    versions = _VERSION.findall(record.origin.path)
    return versions[-1] if versions else None


def _caution(items: Sequence[SourceItem]) -> str | None:
    if items[0].meta["sorry_bench"] is not None:
        return None
    return "the version is not known, so categories stay numbers; say it with the option version=202503 (or 202406)"


def _prompt(turns: Any) -> str | tuple[Message, ...]:
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) for turn in turns):
        raise BadRow("column turns is no list of texts")
    return turns[0] if len(turns) == 1 else tuple(Message("user", turn) for turn in turns)


ADAPTER = Adapter(
    name="sorry-bench",
    version="1",
    title="SORRY-Bench",
    hub_id="sorry-bench/sorry-bench-202503",
    licence="no redistribution (agreement on the Hub page)",
    gated=True,
    redistribution="none",
    eval_only=True,
    size="440 base, 8,800 mutated",
    splits=("train",),
    citation="Xie et al. 2024, arXiv:2406.14598",
    notes="Prompts only. Base prompts are harmful by construction; the 20 mutations carry no label here. "
    "Version 202406 (45 categories) is read, too.",
    shapes=(
        Shape(
            "question", {"question_id": "int|text", "category": "text|int", "turns": "list", "prompt_style": "text?"}
        ),
    ),
    options={"version": ("auto", "202503", "202406")},
    convert=per_row(items_of),
    caution=_caution,
)
