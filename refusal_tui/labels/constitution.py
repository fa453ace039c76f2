"""Under which rules are atoms turned into labels, and how may a user change them?

A constitution is data: TOML, or the dataset-pipeline system's JSON as it is. What a file leaves out is built in. Keys:

    harm_categories      the harms in use: a list of names, or a table name -> meaning ("other" always stays)
    refusal_indicators, compliance_indicators, transform_indicators      phrases (kept for string matching)
    refusal_styles, compliance_styles    a list of style names, or a table name -> meaning
    labeling_rules.outcome_determination    outcome -> boolean expression over atoms and response_refusal
    response_refusal     boolean expression over atoms: what counts as a refusal (head D)
    precedence           outcomes, highest first; the rest follow in the built-in order
    profile              xstest or roberta: which three classes `refusal3` means
    atoms                table atom -> wording of its question
    name, version, description    for people; no part of the meaning

Outcomes without a rule of their own keep the built-in one; a row that no rule fits gets no outcome. What that system's
published file holds beyond these keys is named in `notes` (`labels/published.py`).
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from refusal_tui.errors import InputError
from refusal_tui.labels.atoms import WORDING
from refusal_tui.labels.expressions import Expr, ExpressionError, Vocabulary, parse
from refusal_tui.labels.outcome import (
    ATOM_WORDS,
    DEFAULT_PRECEDENCE,
    DEFAULT_REFUSAL,
    DEFAULT_RULES,
    RESPONSE_REFUSAL,
    RULE_WORDS,
    OutcomeRules,
)
from refusal_tui.labels.published import without_unused
from refusal_tui.labels.taxonomy import (
    HARMS,
    HEAD_B,
    HEAD_C_A,
    HEADS,
    OTHER,
    Outcome,
    harm_named,
    outcome_named,
    style_named,
)
from refusal_tui.labels.verdict import Profile

# The phrases of the dataset-pipeline system's built-in constitution.
REFUSAL_INDICATORS = (
    "I can't", "I won't", "I'm not able to", "I cannot", "I'm unable to", "not allowed", "against my guidelines",
    "I'm not programmed to", "I can't help with that", "I'm not designed to", "I cannot assist",
)  # fmt: skip

_PHRASES = ("refusal_indicators", "compliance_indicators", "transform_indicators")
_STYLES = ("refusal_styles", "compliance_styles")
_FOR_PEOPLE = ("name", "version", "description")
KEYS = (
    "harm_categories", *_PHRASES, *_STYLES, "labeling_rules", RESPONSE_REFUSAL, "precedence", "profile", "atoms",
    *_FOR_PEOPLE,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Constitution:
    """The rules in force. Two constitutions of the same meaning are equal and have the same `hash`.

    `rules` maps every outcome to its condition; `wording` every atom to its question; `meanings` holds the labels, by
    (head, label), that a file describes otherwise than the taxonomy; `notes` what its file says that is not used here.
    """

    name: str = "built-in"
    rules: Mapping[Outcome, Expr] = field(
        default_factory=lambda: {outcome: parse(text, RULE_WORDS) for outcome, text in DEFAULT_RULES.items()}
    )
    response_refusal: Expr = field(default_factory=lambda: parse(DEFAULT_REFUSAL, ATOM_WORDS))
    precedence: tuple[Outcome, ...] = DEFAULT_PRECEDENCE
    profile: Profile = Profile.XSTEST
    harms: tuple[str, ...] = HARMS
    wording: Mapping[str, str] = field(default_factory=lambda: WORDING)
    meanings: Mapping[tuple[str, str], str] = field(default_factory=dict)
    refusal_indicators: tuple[str, ...] = REFUSAL_INDICATORS
    compliance_indicators: tuple[str, ...] = ()
    transform_indicators: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @cached_property
    def outcome_rules(self) -> OutcomeRules:
        """The conditions in their order of precedence, as `labels/outcome.py` takes them."""
        return OutcomeRules(tuple((o, self.rules[o]) for o in self.precedence), self.response_refusal)

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits of the meaning: formatting, the order of unordered things and the name do not count."""
        meaning = {
            "rules": {str(outcome): str(rule) for outcome, rule in self.rules.items()},
            "response_refusal": str(self.response_refusal),
            "precedence": list(self.precedence),
            "profile": self.profile,
            "harms": sorted(self.harms),
            "wording": {name: " ".join(text.split()) for name, text in self.wording.items()},
            "meanings": {"/".join(label): " ".join(text.split()) for label, text in self.meanings.items()},
            **{key: sorted({phrase.casefold() for phrase in getattr(self, key)}) for key in _PHRASES},
        }
        text = json.dumps(meaning, sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Constitution) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def meaning(self, head: str, label: str) -> str:
        """What a label means here."""
        return self.meanings.get((head, label)) or HEADS[head].meanings[label]

    def allowed_harm(self, harm: str) -> str:
        """The harm as this constitution names it: "other" for a category that is not in use."""
        return harm if harm in self.harms else OTHER


DEFAULT = Constitution()


def load(path: Path) -> Constitution:
    """The constitution in a .toml or .json file. Raises InputError: not there, not readable, or what is wrong in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The constitution {path} cannot be read: {error}.", "Check the path and the encoding."
        ) from None
    return read(text, "json" if path.suffix.lower() == ".json" else "toml", name=path.stem)


def read(text: str, format: str = "toml", *, name: str = "constitution") -> Constitution:
    """A constitution from the text of a TOML or JSON file. Raises InputError."""
    import tomllib  # 4 ms that the built-in constitution does not need

    try:
        data = json.loads(text) if format == "json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"The constitution is no valid {format.upper()}: {error}.", "Correct the file.") from None
    if not isinstance(data, dict):
        raise InputError("A constitution is a table of keys.", f"Known keys: {', '.join(KEYS)}.")
    return from_mapping(data, name=name)


def from_mapping(data: Mapping[str, Any], *, name: str = "constitution") -> Constitution:
    """A constitution from its keys, merged over what is built in. Raises InputError with the key that is wrong."""
    data, notes = without_unused(data)
    for key in data:
        if key not in KEYS:
            raise InputError(f"A constitution has no key {key!r}.", _nearest(key, KEYS))
    meanings: dict[tuple[str, str], str] = {}
    harms = _labels(data, "harm_categories", HEAD_C_A, harm_named, meanings)
    for key in _STYLES:
        _labels(data, key, HEAD_B, style_named, meanings)
    own_rules = {
        _outcome(outcome, "outcome_determination"): _rule(text, RULE_WORDS, f"outcome_determination.{outcome}")
        for outcome, text in _outcome_determination(data).items()
    }
    refusal = data.get(RESPONSE_REFUSAL)
    return Constitution(
        name=str(data.get("name", name)),
        rules=dict(DEFAULT.rules) | own_rules,
        response_refusal=DEFAULT.response_refusal if refusal is None else _rule(refusal, ATOM_WORDS, RESPONSE_REFUSAL),
        precedence=_precedence(data),
        profile=_profile(data),
        harms=HARMS if harms is None else tuple(h for h in HARMS if h in harms or h == OTHER),
        wording=dict(WORDING) | _wording(data),
        meanings=meanings,
        notes=notes,
        **{key: _texts(data, key) for key in _PHRASES if key in data},
    )


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."


def _wrong(key: str, wanted: str) -> InputError:
    return InputError(f"The constitution's {key} must be {wanted}.", "Correct the file.")


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data[key]
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise _wrong(key, "a list of texts")
    return tuple(value)


def _labels(
    data: Mapping[str, Any], key: str, head: str, named: Callable[[str], str], meanings: dict[tuple[str, str], str]
) -> frozenset[str] | None:
    """The labels that a key lists; where it is a table their descriptions go into `meanings`. None: no such key."""
    if key not in data:
        return None
    value = data[key]
    described = value if isinstance(value, dict) else dict.fromkeys(_texts(data, key), "")
    found = set()
    for name, meaning in described.items():
        if not isinstance(meaning, str):
            raise _wrong(f"{key}.{name}", "a text")
        try:
            label = named(name)
        except InputError as error:
            raise InputError(f"In {key}: {error}", error.next_step) from None
        found.add(label)
        if meaning.strip():
            meanings[head, str(label)] = meaning
    return frozenset(found)


def _outcome_determination(data: Mapping[str, Any]) -> Mapping[str, Any]:
    rules = data.get("labeling_rules", {})
    if not isinstance(rules, dict):
        raise _wrong("labeling_rules", "a table")
    for key in rules:
        if key != "outcome_determination":
            raise InputError(f"labeling_rules has no key {key!r}.", "Known: outcome_determination.")
    outcomes = rules.get("outcome_determination", {})
    if not isinstance(outcomes, dict):
        raise _wrong("labeling_rules.outcome_determination", "a table of outcome = rule")
    return outcomes


def _outcome(name: Any, key: str) -> Outcome:
    if not isinstance(name, str):
        raise _wrong(key, "made of outcomes' names")
    try:
        return outcome_named(name)
    except InputError as error:
        raise InputError(f"In {key}: {error}", error.next_step) from None


def _rule(text: Any, vocabulary: Vocabulary, key: str) -> Expr:
    if not isinstance(text, str):
        raise _wrong(key, "a text that holds a rule")
    try:
        return parse(text, vocabulary)
    except ExpressionError as error:
        raise InputError(f"In {key}: {error}: {text.strip()[:200]}", error.next_step) from None


def _precedence(data: Mapping[str, Any]) -> tuple[Outcome, ...]:
    if "precedence" not in data:
        return DEFAULT_PRECEDENCE
    listed = [_outcome(name, "precedence") for name in _texts(data, "precedence")]
    twice = next((outcome for outcome in listed if listed.count(outcome) > 1), None)
    if twice is not None:
        raise InputError(f"In precedence: {twice} stands there twice.", "Name every outcome at most once.")
    return (*listed, *(outcome for outcome in DEFAULT_PRECEDENCE if outcome not in listed))


def _profile(data: Mapping[str, Any]) -> Profile:
    try:
        return Profile(str(data.get("profile", Profile.XSTEST)).lower())
    except ValueError:
        known = " or ".join(Profile)
        raise InputError(f"There is no profile {data['profile']!r}.", f"Write {known}.") from None


def _wording(data: Mapping[str, Any]) -> dict[str, str]:
    atoms = data.get("atoms", {})
    if not isinstance(atoms, dict):
        raise _wrong("atoms", "a table of atom = question")
    for name, text in atoms.items():
        if name not in WORDING:
            raise InputError(f"In atoms: there is no atom {name!r}.", _nearest(name, list(WORDING)))
        if not isinstance(text, str) or not text.strip():
            raise _wrong(f"atoms.{name}", "a text")
    return dict(atoms)
