"""Does a number hold what its kind promises? Check digits, ranges and entropy."""

from __future__ import annotations

from collections import Counter
from math import log2

# Length of an IBAN by country (SWIFT IBAN registry).
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28,
    "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
    "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22,
    "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
    "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19,
    "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
# Printed in wallets and advertisements, so they are nobody's (SSA).
_PUBLIC_SSNS = {"078051120", "219099999", "123456789", "987654321", "111111111"}


def luhn(digits: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1, annex B).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    total = 0
    for place, char in enumerate(reversed(digits)):
        value = int(char) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def card(digits: str) -> bool:
    """A number that an issuer gives out: its first digits, its length, and its check digit."""
    size, first2, first3, first4 = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    issued = (
        (digits[0] == "4" and size in (13, 16, 19))
        or ((51 <= first2 <= 55 or 2221 <= first4 <= 2720) and size == 16)
        or (first2 in (34, 37) and size == 15)
        or ((first4 == 6011 or first2 == 65 or 644 <= first3 <= 649) and size == 16)
        or ((first2 in (36, 38) or 300 <= first3 <= 305) and size == 14)
        or (first2 == 35 and size == 16)
        or (first2 == 62 and 16 <= size <= 19)
    )
    return issued and len(set(digits)) > 1 and luhn(digits)


def iban(text: str) -> bool:
    """Length of its country and remainder 1 (ISO 13616); `text` without blanks, in capitals.

    >>> iban("GB82WEST12345698765432"), iban("GB82WEST12345698765431")
    (True, False)
    """
    if len(text) != IBAN_LENGTHS.get(text[:2]):
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def ssn(digits: str) -> bool:
    """Nine digits in the ranges that are given out (SSA, since 2011).

    >>> ssn("536221234"), ssn("666221234")
    (True, False)
    """
    area, group, serial = int(digits[:3]), int(digits[3:5]), int(digits[5:])
    return 0 < area < 900 and area != 666 and group > 0 and serial > 0 and digits not in _PUBLIC_SSNS


def entropy(text: str) -> float:
    """Bits per character of the characters' own frequencies (Shannon): 0 for "xxxx", about 4 for a random key of 20.

    >>> entropy("abab")
    1.0
    """
    counts = Counter(text)
    return -sum(n / len(text) * log2(n / len(text)) for n in counts.values()) if text else 0.0
