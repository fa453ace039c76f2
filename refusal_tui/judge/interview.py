"""What is one judge asked about one row, and what does its answer say? Pure: sending is `jobs/asking.py`'s work."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from refusal_tui.errors import InputError
from refusal_tui.jobs.judging_asks import JSON_TOKENS, LETTER_TOKENS
from refusal_tui.judge.confidence import choice_probabilities, mean_mass, value_probability, without_leaning
from refusal_tui.judge.lexical import classify
from refusal_tui.labels.constitution import DEFAULT, Constitution
from refusal_tui.labels.question_sets import PROFILES, question_set
from refusal_tui.labels.questions import RATIONALE, Answers, Form, QuestionSet, UnreadableAnswer, together
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass, Profile, Refusal3, RowError, Verdict
from refusal_tui.llm.ladder import ANSWER, Capabilities
from refusal_tui.llm.parse import parse_object, without_thinking
from refusal_tui.llm.request import CallFailure, ChatRequest, Reply, Sampling

_NONCE_HEX = 16
_MOST_DRAWS = 12
_BARE_LETTER = re.compile(r"[\W_]*(?:answer\W*)?([A-Z])[\W_]*", re.IGNORECASE)


def questions_of(judge: str, beside: str = "") -> QuestionSet:
    """The question set of a judge; `beside` names further sets, comma-separated, asked in the same request.

    Raises InputError for an unknown set, and for sets that cannot be asked together.
    """
    names = list(dict.fromkeys([judge, *(name.strip() for name in beside.split(",") if name.strip())]))
    sets = [question_set(name) for name in names]
    return sets[0] if len(sets) == 1 else together(*sets)


def nonce_of(row: Row, secret: bytes) -> str:
    """The code of the row's fences: the same for the same text, so that the same request is the same; not to be guessed
    without the secret, and not part of the text."""
    number = 0
    while True:
        text = f"{number}\0{row.prompt}\0{row.response or ''}".encode("utf-8", "surrogatepass")
        nonce = hmac.new(secret, text, hashlib.sha256).hexdigest()[:_NONCE_HEX]
        if nonce not in row.prompt and nonce not in (row.response or ""):
            return nonce
        number += 1


@dataclass(frozen=True, slots=True)
class Interview:
    """One judge: its questions, under a constitution, put to one end point.

    `permute`: the order of the choices is drawn anew per row. `turn` tells another interview about the same row from
    the `first` one: it draws another order.
    """

    questions: QuestionSet
    annotator: str
    capabilities: Capabilities
    secret: bytes
    constitution: Constitution = DEFAULT
    permute: bool = False
    turn: str = ""
    first: Interview | None = None
    _forms: dict[str | None, Form] = field(default_factory=dict)

    @property
    def one_token(self) -> bool:
        """One question with one answer is answered by a letter where the end point tells probabilities."""
        asked = self.questions.questions
        return bool(self.capabilities.logprobs) and len(asked) == 1 and not asked[0].several

    @property
    def version(self) -> str:
        """Version and hash of the wording: which questions an old verdict has answered."""
        return self._form(None).template.partition("/")[2]

    def form(self, row: Row) -> Form:
        if not self.permute:
            return self._form(None)
        name = f"{row.dataset}/{row.key or row.item_id}/{self.turn}"
        form = self._form(name)
        if self.first is not None:
            taken = self.first.form(row).questions
            # Two choices have two orders only: draw until it is another one, or nothing is learnt about the order.
            draws = (self._form(f"{name}{n or ''}") for n in range(_MOST_DRAWS))
            form = next((one for one in draws if one.questions != taken), form)
        return form

    def _form(self, order_key: str | None) -> Form:
        form = self._forms.get(order_key)
        if form is None:
            form = self.questions.form(self.constitution, order_key=order_key, one_token=self.one_token)
            if order_key is None:
                self._forms[order_key] = form
        return form

    def request(self, row: Row, form: Form | None = None) -> ChatRequest | RowError:
        """What is sent; an error of class `no_response` for a row that there is nothing to judge of. `form`: the
        questions in the order of another row."""
        form = form or self.form(row)
        try:
            messages = form.render(row, nonce_of(row, self.secret))
        except InputError as error:
            return RowError(row.item_id, ErrorClass.NO_RESPONSE, str(error))
        return ChatRequest(
            messages,
            Sampling(temperature=0.0, max_tokens=LETTER_TOKENS if self.one_token else JSON_TOKENS),
            choices=form.choices,
            schema=None if self.one_token else form.schema,
            top_logprobs=self._top_logprobs(form),
            template=form.template,
        )

    def _top_logprobs(self, form: Form) -> int:
        if not self.capabilities.logprobs:
            return 0
        most = self.capabilities.top_logprobs or 1
        return min(most, max(5, len(form.choices))) if self.one_token else 1

    def leaning(self, form: Form, replies: Sequence[Reply]) -> dict[str, float]:
        """How the judge's answers to texts without content fall on the choices of a one-token form: what it leans to
        before it has read anything."""
        said = [(_letter(reply.text), reply) for reply in replies]
        found = [choice_probabilities(reply.logprobs, letter) or {letter: 1.0} for letter, reply in said]
        return mean_mass(found, form.choices)

    def verdict(
        self, row: Row, reply: Reply | CallFailure, leaning: Mapping[str, float] | None = None
    ) -> Verdict | RowError:  # fmt: skip
        """What a final answer says of the row. A judge that refuses to judge, and one that cannot be understood, are
        errors of their own classes; the raw answer is kept with both. `leaning` corrects a one-token answer."""
        if isinstance(reply, CallFailure):
            return RowError(row.item_id, reply.error_class, reply.message, raw=reply.raw)
        refused = reply.judging_error
        if refused is not None:
            said = reply.refusal or reply.text
            return RowError(row.item_id, refused, said[:300] or "the provider's filter stopped the answer", raw=said)
        return self.read(row, reply.text, reply, leaning)

    def read(
        self, row: Row, text: str, reply: Reply | None = None, leaning: Mapping[str, float] | None = None
    ) -> Verdict | RowError:  # fmt: skip
        """The verdict in an answer's text, with the probabilities of `reply` where it has some. Asks nobody."""
        form = self.form(row)
        rationale = None
        try:
            if form.one_token:
                answers = _letter_answers(form, text, reply, leaning)
            else:
                parsed = parse_object(text, required=[question.name for question in form.questions])
                if not parsed.ok:
                    raise UnreadableAnswer(f"The judge's answer cannot be read: {parsed.reason}.")
                answers = _with_probabilities(form.answers_from(parsed.value), form, reply)
                said = parsed.value.get(RATIONALE)
                rationale = said if isinstance(said, str) else None
        except InputError as error:
            if _refuses(text):
                return RowError(row.item_id, ErrorClass.JUDGE_REFUSAL, "The judge refused to judge.", raw=text)
            return RowError(row.item_id, ErrorClass.PARSE, str(error), raw=text)
        return Verdict(
            item_id=row.item_id,
            annotator=self.annotator,
            question_set=self.questions.name,
            version=form.template.partition("/")[2] + ("/contextual" if leaning is not None else ""),
            answers=answers,
            raw=text,
            rationale=rationale,
            profile=PROFILES.get(self.questions.name, Profile.XSTEST),
        )

    def again(self, annotator: str, turn: str) -> Interview:
        """The same questions about the same row, their choices in another order."""
        return replace(self, annotator=annotator, permute=True, turn=turn, first=self, _forms={})


def _letter_answers(
    form: Form, text: str, reply: Reply | None, leaning: Mapping[str, float] | None = None
) -> Answers:  # fmt: skip
    """The letter may stand alone, decorated, or as the "answer" of a JSON object: never as a word within a sentence.
    With a `leaning` the likeliest choice after its correction takes the letter's place."""
    letter = _letter(text)
    probabilities = choice_probabilities(reply.logprobs, letter) if reply is not None and reply.logprobs else None
    if leaning is not None and probabilities is not None and letter in form.choices:
        probabilities = without_leaning(probabilities, leaning)
        letter = max(form.choices, key=lambda choice: probabilities[choice])
    return form.answers_from_token(letter, probabilities)


def _letter(text: str) -> str:
    plain = without_thinking(text)
    match = _BARE_LETTER.fullmatch(plain)
    if match:
        return match[1].upper()
    parsed = parse_object(plain, required=[ANSWER])
    return str(parsed.value[ANSWER]).strip().upper() if parsed.ok else plain[:80]


def _with_probabilities(answers: Answers, form: Form, reply: Reply | None) -> Answers:
    if reply is None or not reply.logprobs:
        return answers
    found: Mapping[str, float | None] = {q.name: value_probability(reply.logprobs, q.name) for q in form.questions}
    return {name: replace(a, probability=found[name]) if name in found else a for name, a in answers.items()}


def _refuses(text: str) -> bool:
    """Whether words that are no answer are a refusal to judge."""
    return bool(text.strip()) and classify("", without_thinking(text)).label is Refusal3.HARD
