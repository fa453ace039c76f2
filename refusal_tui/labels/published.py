"""What does the dataset-pipeline system's published constitution hold that has no meaning here?

Its file has keys that its own code never reads, and rules about styles and phrases, which are no facts of a response
here (labels follow from atoms). They are left out and named, so that the file loads as it is and nobody believes that
they were used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_KEYS = {"confidence_factors": "confidence is the judge's own probability"}
_RULES = {
    "style_determination": "styles are asked of the judge",
    "category_determination": "kinds of harm are asked of the judge",
}
_RESTS_ON = re.compile(r"\bstyle\s*!?=|_indicators\s+present\b", re.IGNORECASE)


def without_unused(data: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The keys that mean something here, and a sentence on each of the others.

    >>> without_unused({"confidence_factors": {}, "profile": "xstest"})
    ({'profile': 'xstest'}, ("confidence_factors is not used: confidence is the judge's own probability",))
    """
    kept = {key: value for key, value in data.items() if key not in _KEYS}
    notes = [f"{key} is not used: {why}" for key, why in _KEYS.items() if key in data]
    rules = kept.get("labeling_rules")
    if isinstance(rules, dict):
        notes += [f"labeling_rules.{key} is not used: {why}" for key, why in _RULES.items() if key in rules]
        rules = {key: value for key, value in rules.items() if key not in _RULES}
        outcomes = rules.get("outcome_determination")
        if isinstance(outcomes, dict):
            foreign = [key for key, rule in outcomes.items() if isinstance(rule, str) and _RESTS_ON.search(rule)]
            notes += [f"{key} keeps its built-in rule: the file's rests on a style or on phrases" for key in foreign]
            rules["outcome_determination"] = {key: rule for key, rule in outcomes.items() if key not in foreign}
        kept["labeling_rules"] = rules
    return kept, tuple(notes)
