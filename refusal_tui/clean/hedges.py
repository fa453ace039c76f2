"""Is an answer wrapped in disclaimers? By its phrases; English only, and careful: one stray caveat is not enough.

A remark of the model about itself, or a notice that disowns the answer, is a hedge by itself; of the softer phrases
(reminders, appeals, pointers to professionals) two are needed. Advice that belongs to a subject is often right: what
counts as noise is the user's choice (`--noise hedges`), and rows about a known harm are left alone.
"""

from __future__ import annotations

import re

_PLAIN = str.maketrans({"\u2019": "'", "\u2018": "'", "*": None, "_": None})
_STRONG = re.compile(
    r"""\bas\ an?\ (?:ai|artificial\ intelligence|(?:large\ )?language\ model|assistant)\b
      | \bi(?:'m|\ am)\ (?:just|only)\ an?\ (?:ai|assistant|(?:large\ )?language\ model|computer\ program)\b
      | \bi(?:'m|\ am)\ not\ an?\ (?:doctor|lawyer|attorney|physician|financial\ advis[eo]r|medical\ professional)\b
      | \b(?:is|are)\ (?:not\ intended\ (?:as|to\ be)|no\ substitute\ for|not\ a\ substitute\ for)\b
      | \b(?:not|never)\ (?:constitute|to\ be\ taken\ as|meant\ as)\b.{0,30}\badvice\b
      | \bfor\ (?:educational|informational|entertainment)(?:\ (?:and|or)\ \w+)?\ purposes\ only\b""",
    re.IGNORECASE | re.VERBOSE,
)
_SOFT = re.compile(
    r"""\bit(?:'s|\ is)\ (?:important|crucial|essential|always\ best)\ to\ (?:note|remember|understand|keep)\b
      | \b(?:is|it's)\ worth\ noting\b
      | \bplease\ (?:note|remember|be\ aware|keep\ in\ mind|use\ (?:this|it)\ responsibly)\b
      | \b(?:always|please)\ (?:consult|seek|speak\ (?:to|with)|check\ with)\b
      | \bconsult\ (?:with\ )?(?:a|an|your)\ (?:qualified|licensed|medical|legal|professional|doctor|lawyer)\b
      | \bi\ (?:must|have\ to|should)\ (?:emphasi[sz]e|stress|caution|warn|point\ out)\b
      | \b(?:ethical|legal|moral)\ (?:implications|considerations|concerns)\b
      | \bi\ (?:do\ not|don't|cannot|can't)\ (?:condone|endorse|encourage|promote|guarantee)\b""",
    re.IGNORECASE | re.VERBOSE,
)


def is_hedged(text: str) -> bool:
    """
    >>> is_hedged("As an AI, I have no taste, but dew is sweet."), is_hedged("Please note the blue jar. Then stir.")
    (True, False)
    """
    plain = text.translate(_PLAIN)
    if _STRONG.search(plain):
        return True
    return len({found[0].lower() for found in _SOFT.finditer(plain)}) > 1
