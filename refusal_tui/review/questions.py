"""What is a person asked about a row, and which key is which answer?

The same questions, wording and meanings as the judges' (`labels/question_sets.py`, the constitution), so that answers
of people and judges are comparable. A queue names what it asks, comma-separated: `refusal3`, `atoms` (all twelve, or
one by its name), `head_a`, `head_b`, `head_c_a`, `head_c_b`, `head_d` (or one of its three).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits

from refusal_tui.errors import InputError
from refusal_tui.labels.atoms import ATOMS
from refusal_tui.labels.constitution import DEFAULT, Constitution
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.labels.question_sets import ATOM_QUESTIONS, HARM, ROBERTA, STYLE, TOPIC, WILDGUARD, XSTEST
from refusal_tui.labels.questions import Choice, Question, QuestionSet
from refusal_tui.labels.taxonomy import HEAD_A, HEAD_B, HEAD_C_A, HEAD_C_B, HEAD_D, NOTHING, joined, split_labels
from refusal_tui.labels.verdict import Answer, Profile, Refusal3

ATOM_SET = "atoms"
ASKABLE = (REFUSAL3, ATOM_SET, HEAD_A, HEAD_B, HEAD_C_A, HEAD_C_B, HEAD_D)
# The card's own keys: evidence, undo, back, flag, note, judges, guidelines, blur, view, moving, going; 0 explains.
CARD_KEYS = frozenset("nNubfmrizZvjkgGqT0")
ANSWER_KEYS = tuple(key for key in ascii_lowercase + ascii_uppercase + digits if key not in CARD_KEYS)
_OUTCOME = QuestionSet("outcome", "1", "Name what the model did.", (Question(HEAD_A),))
_FIRST = {"yes": "y", "no": "x", "none": "o", "general": "e"}  # n is evidence, g leads elsewhere
_SHOWN_ORDER = (Refusal3.HARD, Refusal3.SOFT, Refusal3.NONE)


@dataclass(frozen=True, slots=True)
class Option:
    """One answer: the key, the word on the screen, what it means, and the value that is stored."""

    key: str
    word: str
    meaning: str
    value: str | bool


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as it is put to a person. `several`: any number of options, also none."""

    name: str
    text: str
    options: tuple[Option, ...]
    several: bool = False

    def option(self, key: str) -> Option | None:
        """The option of a key; where there are nine or fewer, their numbers are keys, too."""
        for option in self.options:
            if option.key == key:
                return option
        few = len(self.options) <= 9 and key in digits[1:] and int(key) <= len(self.options)
        return self.options[int(key) - 1] if few else None

    def chosen(self, value: str | bool | None) -> tuple[str, ...]:
        """The keys of a stored value."""
        if value is None:
            return ()
        values = split_labels(str(value)) if self.several else (value,)
        return tuple(option.key for option in self.options if option.value in values)

    def value_of(self, keys: Iterable[str]) -> str | bool:
        """What is stored for the options of these keys: one value, or several labels in the taxonomy's order."""
        wanted = set(keys)
        values = [option.value for option in self.options if option.key in wanted]
        return joined(self.name, map(str, values)) if self.several else values[0]

    def read(self, text: str) -> Answer:
        """The answer in a word, a key or a number of an option; several with commas. Raises InputError."""
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if self.several and [part.lower() for part in parts] in ([], [NOTHING]):
            return Answer(NOTHING)
        found = [self._option_said(part) for part in parts]
        if len(found) != 1 and not self.several:
            raise InputError(f"{self.name} takes one answer.", self._words())
        return Answer(self.value_of(option.key for option in found))

    def _option_said(self, said: str) -> Option:
        for option in self.options:
            if said.lower() in (option.word.lower(), str(option.value).lower()):
                return option
        option_of_key = self.option(said)
        if option_of_key is None:
            raise InputError(f"{self.name} cannot be {said!r}.", self._words())
        return option_of_key

    def _words(self) -> str:
        return "Say one of: " + ", ".join(option.word for option in self.options) + "."


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that is asked about one row. `question_set` and `version` are stored with each answer."""

    question_set: str
    asked: tuple[Asked, ...]
    needs_response: bool

    @property
    def version(self) -> str:
        """Eight digits that change with the wording."""
        wording = repr([(a.name, a.text, [(o.word, o.meaning) for o in a.options]) for a in self.asked])
        return hashlib.sha256(wording.encode()).hexdigest()[:8]

    def read(self, texts: Sequence[str]) -> dict[str, Answer]:
        """Answers from `value` (a sheet of one question) or `question=value` texts; what is left out stays open.

        Raises InputError.
        """
        found: dict[str, Answer] = {}
        known = {asked.name: asked for asked in self.asked}
        for text in texts:
            name, sign, value = text.partition("=")
            if not sign and len(self.asked) == 1:
                name, value = self.asked[0].name, text
            if name not in known:
                raise InputError(f"{text!r} answers none of the questions.", f"Write one of {', '.join(known)}=VALUE.")
            found[name] = known[name].read(value)
        if not found:
            raise InputError("There is no answer.", f"Write one of {', '.join(known)}=VALUE.")
        return {name: found.get(name, Answer(None)) for name in known}


def sheet(names: str, profile: Profile = Profile.XSTEST, constitution: Constitution = DEFAULT) -> Sheet:
    """What a queue asks, under the constitution in force. Raises InputError for a question that there is not.

    >>> [(option.key, option.word) for option in sheet("refusal3").asked[0].options]
    [('h', 'hard'), ('s', 'soft'), ('o', 'none')]
    """
    wanted = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not wanted:
        raise InputError("A queue asks at least one question.", f"Choose from {', '.join(ASKABLE)}.")
    asked: list[Asked] = []
    needs_response = False
    for name in wanted:
        question_set = _set_of(name, profile)
        needs_response |= question_set.needs_response and name != "prompt_harmful"
        form = question_set.form(constitution)
        asked += [_asked(question) for question in form.questions if question.name not in {a.name for a in asked}]
    return Sheet("+".join(wanted), tuple(asked), needs_response)


def _set_of(name: str, profile: Profile) -> QuestionSet:
    if name == REFUSAL3:
        return XSTEST if profile is Profile.XSTEST else ROBERTA
    sets = {
        ATOM_SET: ATOM_QUESTIONS, HEAD_A: _OUTCOME, HEAD_B: STYLE, HEAD_C_A: HARM, HEAD_C_B: TOPIC, HEAD_D: WILDGUARD
    }  # fmt: skip
    if name in sets:
        return sets[name]
    if name in {question.name for question in WILDGUARD.questions}:
        return WILDGUARD.only(name)
    if name in ATOMS:
        return ATOM_QUESTIONS.only(name)
    raise InputError(
        f"Nobody can be asked about {name!r}.", f"Choose from {', '.join(ASKABLE)}, or one atom: {', '.join(ATOMS)}."
    )


def _asked(question: Question) -> Asked:
    choices = list(question.choices)
    if question.name == REFUSAL3:  # shown as everywhere else: hard, soft, none
        choices = [Choice(v.value, c.meaning, v.value) for v in _SHOWN_ORDER for c in choices if c.stored == v.value]
    options = tuple(
        Option(key, choice.word, choice.meaning, choice.stored)
        for key, choice in zip(_keys([choice.word for choice in choices]), choices, strict=True)
    )
    return Asked(question.name, question.text or "", options, question.several)


def _keys(words: Sequence[str]) -> list[str]:
    """A key for every word: a letter of its own where one is left, small before capital, else any key.

    >>> _keys(["weapons", "fraud", "yes", "no"]), _keys(["REFUSAL.DIRECT", "REFUSAL.DULL"])
    (['w', 'a', 'y', 'x'], ['d', 'l'])
    """
    taken: list[str] = []
    for word in words:
        bare = word.rpartition(".")[2].lower()
        own = [*_FIRST.get(bare, ""), *bare, *bare.upper(), *ANSWER_KEYS]
        taken.append(next(key for key in own if key in ANSWER_KEYS and key not in taken))
    return taken
