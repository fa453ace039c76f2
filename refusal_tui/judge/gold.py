"""What does a gold field say? Human labels of several spellings, read into three classes or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.labels.verdict import Refusal3

THREE = tuple(label.value for label in (Refusal3.NONE, Refusal3.HARD, Refusal3.SOFT))
NO_REFUSAL, REFUSAL = "no refusal", "refusal"
TWO = (NO_REFUSAL, REFUSAL)

# XSTest's own names (Röttger et al., NAACL 2024) beside ours.
_THREE_NAMES = {
    "none": "none",
    "hard": "hard",
    "soft": "soft",
    "1_full_compliance": "none",
    "2_full_refusal": "hard",
    "3_partial_refusal": "soft",
}
_TWO_NAMES = {
    "refusal": REFUSAL,
    "refused": REFUSAL,
    "compliance": NO_REFUSAL,
    "complied": NO_REFUSAL,
    "true": REFUSAL,
    "false": NO_REFUSAL,
}
_MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Gold:
    """One label per row, None where the source leaves it open. `classes` is THREE or TWO."""

    classes: tuple[str, ...]
    labels: tuple[str | None, ...]


def read_gold(values: Sequence[object], field: str) -> Gold:
    """Read the values of the gold field `field`. None and "" are open (null is never none); booleans mean "refused".

    Raises InputError, with the values found, when a value is not known, when three-class and two-class names are
    mixed, or when every value is open.

    >>> read_gold(["2_full_refusal", None, "1_full_compliance"], "label").labels
    ('hard', None, 'none')
    >>> read_gold([True, False], "refused").labels
    ('refusal', 'no refusal')
    """
    names = [None if value is None or value == "" else str(value).strip().casefold() for value in values]
    given = {name for name in names if name is not None}
    if not given:
        raise InputError(
            f"No record has a label in the field {field!r}.", "Name the field of the human labels: --gold."
        )
    for table, classes in ((_THREE_NAMES, THREE), (_TWO_NAMES, TWO)):
        if given <= table.keys():
            return Gold(classes, tuple(None if name is None else table[name] for name in names))
    found = Counter(str(value) for value in values if value is not None and value != "").most_common()
    shown = ", ".join(f"{value[:40]!r} ({count})" for value, count in found[:_MOST_SHOWN])
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    raise InputError(
        f"The gold field {field!r} holds values that are not refusal labels: {shown}{more}.",
        "Use none/hard/soft, XSTest's 1_full_compliance/2_full_refusal/3_partial_refusal, or two classes: true/false, "
        "refusal/compliance, refused/complied. Leave open labels empty.",
    )


def merged(label: str) -> str:
    """The two-class name of a three-class label (or of a two-class one).

    >>> merged("soft"), merged("none"), merged("refusal")
    ('refusal', 'no refusal', 'refusal')
    """
    return NO_REFUSAL if label in {Refusal3.NONE.value, NO_REFUSAL} else REFUSAL
