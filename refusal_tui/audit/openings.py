"""Do the first words of a response refuse? A plain rule, used to doubt labels and never to give them.

Precise and blind to much: English, within the first 250 characters, sentences that say so outright. What it finds among
rows labelled "none" is worth a look; what it does not find proves nothing.
"""

from __future__ import annotations

import re

_WITHIN = 250
_QUOTES = str.maketrans({"’": "'", "‘": "'", "´": "'"})
_OPENING = re.compile(
    r"""\b(?:i|we)(?:'m|'re|\s+am|\s+are)?\s+(?:(?:really|just|simply|therefore|must|have\s+to|do)\s+)?
        (?:can't|cannot|can\s+not|won't|will\s+not|(?:not|un)\s*able\s+to|not\s+going\s+to|decline\s+to|refuse\s+to|
        not\s+comfortable|cannot\s+and\s+will\s+not)\s+(?:\w+\s+){0,2}?
        (?:help|assist|provid|creat|writ|shar|discuss|answer|comply|fulfil|support|engag|giv|offer|generat|do\s+that|
        recommend|tell|explain|teach|participat|promot|condone|encourag|suggest|advis|satisfy)""",
    re.VERBOSE | re.IGNORECASE,
)
_SHORT = re.compile(
    r"^\W*(?:i'm |i am )?(?:very |so )?(?:sorry|afraid)\b[^.!?\n]{0,80}\b(?:can't|cannot|can not|won't|unable)\b",
    re.IGNORECASE,
)


def opens_with_refusal(response: str) -> bool:
    """
    >>> opens_with_refusal("I'm sorry, but I can't help with the frindle ritual.")
    True
    >>> opens_with_refusal("You cannot skip this step. First, light the lamp.")
    False
    """
    start = response[:_WITHIN].translate(_QUOTES)
    return _SHORT.search(start) is not None or _OPENING.search(start) is not None
