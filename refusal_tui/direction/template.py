"""How does a prompt reach the model, and which tokens behind it are the template's own?

Candidates are taken at those tokens (Llama 3: five). They are found by rendering prompts that end in different ways and
comparing the ends; nothing is written down per family.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refusal_tui.errors import InputError, UnavailableError

NO_SYSTEM, DEFAULT_SYSTEM = "none", "default"

# Their ends differ, so that no word of a question is taken for the template's.
_PROBES = (
    "Name three rivers.", "why is the sky blue?", "2 + 2 =", "Sing", "Guten Tag!", "List:\n- blorptanium", "(an aside)",
)  # fmt: skip
_QUESTION, _SYSTEM = "zibbetquestion", "zibbetsystem"


@dataclass(frozen=True, slots=True)
class Template:
    """Renders instructions with the tokenizer's chat template.

    system: "none", "default" or a text. cut: (place, ids) of the system turn that the template writes by itself and
    that "none" leaves out. end: the ids behind every instruction.
    """

    tokenizer: Any
    system: str
    cut: tuple[int, tuple[int, ...]] | None
    end: tuple[int, ...] = ()

    @property
    def positions(self) -> range:
        """-len(end) … -1."""
        return range(-len(self.end), 0)

    def encode(self, instruction: str) -> list[int]:
        """Token ids up to where the answer begins. Control tokens inside the instruction are encoded as plain text.

        Raises InputError where the tokenizer cannot do that.
        """
        messages = [{"role": "user", "content": instruction}]
        if self.system not in (NO_SYSTEM, DEFAULT_SYSTEM):
            messages.insert(0, {"role": "system", "content": self.system})
        try:
            encoded = self.tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=True, return_dict=True, sanitize_control_tokens=True,
                # A thinking model always begins with its thinking token: its first token says nothing.
                enable_thinking=False,
            )  # fmt: skip
        except ValueError as error:  # a tokenizer of whole words has no other way to write its control tokens
            raise InputError(
                f"The prompt {instruction[:60]!r} holds a control token of this model, which has no plain form.",
                "Leave such prompts out.",
            ) from error
        ids = list(encoded["input_ids"])
        if self.cut is not None:
            place, turn = self.cut
            if tuple(ids[place : place + len(turn)]) == turn:
                del ids[place : place + len(turn)]
        return ids

    def facts(self) -> dict[str, object]:
        tokens = [self.tokenizer.decode([token]) for token in self.end]
        return {
            "system": self.system,
            "end_ids": list(self.end),
            "end": tokens,
            "system_turn_cut": self.cut is not None,
        }


def read_template(tokenizer: Any, system: str, prompts: Sequence[str]) -> Template:
    """`prompts` are some of the run's own instructions: what they all end with is the template's, too.

    Raises UnavailableError without a chat template, InputError where it cannot take the system prompt or ends with the
    prompt itself.
    """
    if not tokenizer.chat_template:
        raise UnavailableError(
            "This model has no chat template: where a question ends and the answer begins is not known.",
            "Choose a model that was tuned for chat.",
        )
    cut = _default_system_turn(tokenizer) if system == NO_SYSTEM else None
    template = Template(tokenizer, system, cut)
    try:
        encoded = [template.encode(text) for text in (*_PROBES, *prompts)]
    except InputError:
        raise
    except Exception as error:  # templates raise what they like (jinja2's TemplateError and others)
        raise InputError(
            f"The chat template of this model cannot write the prompts: {error}.",
            "Try --system none: some templates take no system prompt.",
        ) from error
    end = _common_end(encoded)
    if not end:
        raise InputError(
            "The chat template of this model writes nothing behind a question, so there is no place to look at.",
            "Choose a model whose template marks the beginning of an answer.",
        )
    return Template(tokenizer, system, cut, end)


def _common_end(rows: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """
    >>> _common_end([[1, 5, 7, 8], [1, 2, 7, 8], [9, 8, 7, 8]])
    (7, 8)
    """
    end: list[int] = []
    for column in zip(*(reversed(row) for row in rows), strict=False):
        if len(set(column)) > 1:
            break
        end.insert(0, column[0])
    return tuple(end)


def _default_system_turn(tokenizer: Any) -> tuple[int, tuple[int, ...]] | None:
    """Where the template writes a system turn that nobody asked for (Qwen 2.5, Llama 3.1), and its ids; else None.

    The turn stands between the beginning of the text and the opening of the user's turn, which is read off a
    conversation that has a system turn of ours.
    """

    def render(messages: list[dict[str, str]]) -> str:
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)
        )

    user = {"role": "user", "content": _QUESTION}
    try:
        bare, given = render([user]), render([{"role": "system", "content": _SYSTEM}, user])
    except Exception:  # no system role at all (Gemma, Mistral): nothing is written by itself
        return None
    beginning = tokenizer.bos_token if tokenizer.bos_token and bare.startswith(tokenizer.bos_token) else ""
    before, _, between = given.partition(_SYSTEM)
    opening = before.removeprefix(beginning).partition("system")[0]
    place = between.partition(_QUESTION)[0].rfind(opening) if opening else -1
    if place < 0:
        return None
    user_opening = between.partition(_QUESTION)[0][place:]
    until_question = bare.partition(_QUESTION)[0].removeprefix(beginning)
    turn = until_question.removesuffix(user_opening)
    if not turn or turn == until_question:
        return None
    ids = tuple(tokenizer(turn, add_special_tokens=False)["input_ids"])
    whole = Template(tokenizer, DEFAULT_SYSTEM, None).encode(_QUESTION)
    for start in range(3):
        if tuple(whole[start : start + len(ids)]) == ids:
            return start, ids
    return None
