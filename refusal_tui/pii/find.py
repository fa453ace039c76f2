"""Where is personal data in a text? Recognisers with validators, one per type; names only with `names.py`.

A pattern proposes, a check decides: a card number fulfils Luhn and an issuer's form, an IBAN its country's length and
mod 97, an address is global, a phone number is one of a numbering plan (libphonenumber). Addresses of reserved names
(RFC 2606) and of private networks belong to nobody and are not reported. docs/audit.md has precision and recall.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator

from refusal_tui.pii.checks import IBAN_LENGTHS, card, entropy, iban, ssn
from refusal_tui.pii.spans import PiiSpan, PiiType

_LONGEST = 1_000_000  # characters of one text that are read
_CUE_REACH = 32  # characters before a number in which a word may say what it is
_LEAST_KEY_BITS = 3.0

_EMAIL = re.compile(
    r"(?<![\w.+/-])[A-Za-z0-9_][A-Za-z0-9_.%+'-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})\.){1,8}[A-Za-z]{2,24}(?![\w@])"
)
_SPOKEN_EMAIL = re.compile(
    r"\b[a-z0-9][a-z0-9._-]{1,40} ?(?:\[at\]|\(at\)|\{at\}| at ) ?[a-z0-9-]{2,40} ?(?:\[dot\]|\(dot\)|\{dot\}| dot ) ?"
    r"(?:com|net|org|edu|gov|io|de|fr|uk|nl|es|it|info)\b",
    re.IGNORECASE,
)
_RESERVED = re.compile(
    r"(?:^|[.@])(?:example\.(?:com|net|org|edu)|[\w-]+\.(?:example|test|invalid|localhost|local))$", re.I
)
_FILE_ENDS = frozenset(
    {"png", "jpg", "jpeg", "gif", "svg", "webp", "py", "js", "css", "html", "json", "service", "txt"}
)
_CARD = re.compile(r"(?<![\w.,-])\d(?:[ -]?\d){12,18}(?![\w-]|[.,]\d)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_SSN = re.compile(r"(?<![\w.-])\d{3}([ -])\d{2}\1\d{4}(?![\w-]|\.\d)")
_BARE_SSN = re.compile(r"(?<![\w.-])\d{9}(?![\w-]|\.\d)")
_SSN_CUE = re.compile(r"\b(?:ssn|social security|soc\.? sec)", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.-])(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")
_VERSION_CUE = re.compile(r"(?:\bv|version|release|build|section|chapter|§|python|firmware) ?:?$", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w.,$€£#/=-])(?:\+|\(|\b00)?\d(?:[ .()/-]{0,2}\d){6,16}(?![\w%]|[.,]\d)")
# What an American number looks like when it is not just digits.
_NANP_FORM = re.compile(r"(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[ .-]\d{4}")
_PHONE_CUE = re.compile(
    r"\b(?:tel|telephone|phone|mobile|cell|call|fax|whatsapp|sms|text|ring|reach|dial|contact|number is|handy|telefon|"
    r"hotline)\b",
    re.IGNORECASE,
)
_REGIONS = ("US", "GB")  # of numbers without a country code; others are not told from any digits
_KEYS = re.compile(
    r"""(?<![A-Za-z0-9_-])(?:
        sk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,200} | gh[pousr]_[A-Za-z0-9]{30,255} | github_pat_[A-Za-z0-9_]{30,255}
        | glpat-[A-Za-z0-9_-]{20,64} | xox[abprs]-[A-Za-z0-9-]{10,200} | (?:AKIA|ASIA)[0-9A-Z]{16}
        | AIza[0-9A-Za-z_-]{35} | hf_[A-Za-z0-9]{30,64} | npm_[A-Za-z0-9]{36} | pypi-[A-Za-z0-9_-]{40,250}
        | SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64} | [sr]k_(?:live|test)_[A-Za-z0-9]{16,128}
        | eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,2000}
    )(?![A-Za-z0-9])""",
    re.VERBOSE,
)
_KEY_STARTS = (
    "sk-", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA", "AIza", "hf_",
    "npm_", "pypi-", "SG.", "k_live_", "k_test_", "eyJ", "-----BEGIN",
)  # fmt: skip
_KEY_WORDS = ("key", "secret", "token", "passw", "bearer")
_PEM = re.compile(r"-----BEGIN (?:[A-Z]{2,9} ){0,2}PRIVATE KEY-----(?:[^-]{20,10000}-----END [A-Z ]{3,30}-----)?")
_NAMED_KEY = re.compile(
    r"""(?:api[ _-]?key|secret(?:[ _-]?key)?|access[ _-]?(?:key|token)|auth[ _-]?token|token|passwd|password|bearer)
        (?:\s{0,3}(?::|=|is)\s{0,3}|\s)["'`]?(?P<key>[A-Za-z0-9_+/=.~-]{20,200})""",
    re.VERBOSE | re.IGNORECASE,
)


def find_pii(text: str) -> list[PiiSpan]:
    """The spans of personal data in order, none of which overlap.

    >>> [(s.type.value, s.check, s.passed) for s in find_pii("Pay GB82 WEST 1234 5698 7654 32, please.")]
    [('IBAN', 'mod 97', True)]
    >>> find_pii("Order 4111111111111112 of 2024-01-02")
    []
    """
    text = text[:_LONGEST]
    found = [span for find in _finders(text) for span in find(text)]
    taken: list[PiiSpan] = []
    for span in sorted(found, key=lambda s: (_RANK[s.type], s.start)):
        if all(span.end <= other.start or span.start >= other.end for other in taken):
            taken.append(span)
    return sorted(taken)


_RANK = {kind: place for place, kind in enumerate(PiiType)}


def _finders(text: str) -> Iterator[Callable[[str], Iterator[PiiSpan]]]:
    """Only what can succeed: most texts hold neither an at sign nor a long number."""
    if any(map(text.__contains__, _KEY_STARTS)):
        yield _keys
    lower = text.lower()
    if any(map(lower.__contains__, _KEY_WORDS)):
        yield _named_keys
    if "@" in text:
        yield _emails
    if "dot" in lower:
        yield _spoken_emails
    digits = sum(map(text.count, "0123456789"))
    if (digits >= 4 and "." in text) or text.count(":") > 1:
        yield _addresses
    if digits >= 7:
        yield _phones
    if digits >= 8:
        yield from (_ibans, _ssns, _cards)


def _emails(text: str) -> Iterator[PiiSpan]:
    for match in _EMAIL.finditer(text):
        address = match[0]
        is_remote = address.startswith("git@") and text[match.end() : match.end() + 1] == ":"
        if address.rpartition(".")[2].lower() in _FILE_ENDS or _RESERVED.search(address) or is_remote:
            continue
        yield PiiSpan(match.start(), match.end(), PiiType.EMAIL, "form", True)


def _spoken_emails(text: str) -> Iterator[PiiSpan]:
    for match in _SPOKEN_EMAIL.finditer(text):
        yield PiiSpan(match.start(), match.end(), PiiType.EMAIL, "spelled out", False)


def _ibans(text: str) -> Iterator[PiiSpan]:
    for match in _IBAN.finditer(text):
        wanted = IBAN_LENGTHS.get(match[0][:2].upper())
        if wanted is None:
            continue
        kept, end = [], match.start()
        for place, char in enumerate(match[0], match.start() + 1):  # the pattern may run into the next word
            if char.isalnum():
                kept.append(char.upper())
                end = place
            if len(kept) == wanted:
                break
        if iban("".join(kept)) and not text[end : end + 1].isalnum():
            yield PiiSpan(match.start(), end, PiiType.IBAN, "mod 97", True)


def _cards(text: str) -> Iterator[PiiSpan]:
    for match in _CARD.finditer(text):
        if card(re.sub(r"\D", "", match[0])):
            yield PiiSpan(match.start(), match.end(), PiiType.CARD, "Luhn", True)


def _ssns(text: str) -> Iterator[PiiSpan]:
    for match in _SSN.finditer(text):
        if ssn(re.sub(r"\D", "", match[0])):
            yield PiiSpan(match.start(), match.end(), PiiType.SSN, "ranges", True)
    for match in _BARE_SSN.finditer(text):
        if ssn(match[0]) and _SSN_CUE.search(text, max(0, match.start() - _CUE_REACH), match.start()):
            yield PiiSpan(match.start(), match.end(), PiiType.SSN, "ranges", True)


def _addresses(text: str) -> Iterator[PiiSpan]:
    for pattern in (_IPV4, _IPV6):
        for match in pattern.finditer(text):
            if pattern is _IPV4 and _VERSION_CUE.search(text, max(0, match.start() - 12), match.start()):
                continue
            try:
                address = ipaddress.ip_address(match[0])
            except ValueError:
                continue
            if address.is_global and not address.is_multicast:
                yield PiiSpan(match.start(), match.end(), PiiType.IP, "global address", True)


def _phones(text: str) -> Iterator[PiiSpan]:
    candidates = [match for match in _PHONE.finditer(text) if 7 <= sum(map(str.isdigit, match[0])) <= 17]
    if not candidates:
        return
    import phonenumbers  # 30 ms, and most texts hold no number

    for match in candidates:
        number = match[0].rstrip(" .()/-")
        abroad = number.startswith(("+", "00"))
        cue = _PHONE_CUE.search(text, max(0, match.start() - _CUE_REACH), match.start()) is not None
        if not abroad and not cue and _NANP_FORM.fullmatch(number) is None:
            continue
        known = "+" + number.lstrip("+0") if abroad else number
        try:
            readings = [phonenumbers.parse(known, None if abroad else region) for region in _REGIONS]
        except phonenumbers.NumberParseException:
            continue
        if any(map(phonenumbers.is_valid_number, readings)):
            yield PiiSpan(match.start(), match.start() + len(number), PiiType.PHONE, "numbering plan", True)
        elif (cue or number.startswith("+")) and any(map(phonenumbers.is_possible_number, readings)):
            yield PiiSpan(match.start(), match.start() + len(number), PiiType.PHONE, "numbering plan", False)


def _keys(text: str) -> Iterator[PiiSpan]:
    for match in _KEYS.finditer(text):
        if entropy(match[0]) >= _LEAST_KEY_BITS and (re.search(r"\d", match[0]) or len(set(match[0])) > 16):
            yield PiiSpan(match.start(), match.end(), PiiType.API_KEY, "form and entropy", True)
    for match in _PEM.finditer(text):
        yield PiiSpan(match.start(), match.end(), PiiType.API_KEY, "form", True)


def _named_keys(text: str) -> Iterator[PiiSpan]:
    for match in _NAMED_KEY.finditer(text):
        key = match["key"].rstrip(".")
        mixed = re.search(r"\d", key) and re.search(r"[A-Za-z]", key)
        if len(key) >= 20 and mixed and entropy(key) > _LEAST_KEY_BITS + 0.3 and key.count(".") < 3:
            start = match.start("key")
            yield PiiSpan(start, start + len(key), PiiType.API_KEY, "named, entropy", True)
