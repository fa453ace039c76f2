"""What is found, and how sure is it? The value object of this room."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class PiiType(StrEnum):
    """Declared in the order in which types win where their spans overlap."""

    API_KEY = "API_KEY"
    IBAN = "IBAN"
    CARD = "CARD"
    EMAIL = "EMAIL"
    SSN = "SSN"
    IP = "IP"
    PHONE = "PHONE"
    NAME = "NAME"


class PiiSpan(NamedTuple):
    """`text[start:end]` is of this type. `check` names what was tested ("Luhn", "mod 97", …), `passed` whether it held:
    a phone number of the right form that no numbering plan knows is reported with False."""

    start: int
    end: int
    type: PiiType
    check: str
    passed: bool
