"""How is the shape of an answer forced on an end point that obeys only some of the usual fields?

json_schema -> choice -> JSON mode -> tolerant parsing (judging.md, section 5). What an end point obeys is found out by
`llm/probe.py`; a server may accept a field and ignore it (`transformers serve` does), so accepting proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from refusal_tui.llm.request import ChatRequest, Rung

ANSWER = "answer"  # the property that carries a choice where choices have to be asked for as a JSON schema


class ChoiceField(StrEnum):
    """The field that makes a server choose from a list: vLLM's new and old name, llama.cpp's GBNF grammar.

    SCORED is none: weights in this process read the probability of every choice without writing an answer.
    """

    STRUCTURED_OUTPUTS = "structured_outputs"
    GUIDED_CHOICE = "guided_choice"
    GRAMMAR = "grammar"
    SCORED = "scored"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an end point obeys. None: not found out. `concurrency`: requests side by side that still paid off.

    `seed`: the same seed gave the same sample and another seed another one. `notes`: sentences for the user.
    """

    json_schema: bool | None = None
    choice: ChoiceField | None = None
    json_mode: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int = 0
    seed: bool | None = None
    system_role: bool | None = None
    context_length: int | None = None
    concurrency: int | None = None
    batch: bool | None = None
    models: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any] | None) -> Capabilities:
        """What was stored; unknown fields of another version are left out."""
        known = {key: item for key, item in (value or {}).items() if key in Capabilities.__slots__}
        known["choice"] = ChoiceField(known["choice"]) if known.get("choice") else None
        for name in ("models", "notes"):
            known[name] = tuple(known.get(name) or ())
        return Capabilities(**known)


# What weights in this process do, whichever they are. All choices are scored at once: as many as there are letters.
IN_PROCESS = Capabilities(
    json_schema=False, json_mode=False, choice=ChoiceField.SCORED, logprobs=True, top_logprobs=26, batch=False
)


def rung_for(request: ChatRequest, capabilities: Capabilities) -> Rung:
    """The strongest rung that the end point obeys and that fits the request.

    With log-probabilities wanted, a choice goes before a schema: the label is then the first token of the answer and
    its probability can be read. A request without a shape is plain text.
    """
    wants_choice, wants_schema = bool(request.choices), request.schema is not None
    if not wants_choice and not wants_schema:
        return Rung.TEXT
    can_choose = wants_choice and capabilities.choice is not None
    if can_choose and request.top_logprobs:
        return Rung.CHOICE
    if capabilities.json_schema:
        return Rung.JSON_SCHEMA
    if can_choose:
        return Rung.CHOICE
    return Rung.JSON_MODE if capabilities.json_mode else Rung.TEXT


def wire_body(
    request: ChatRequest,
    *,
    model: str,
    rung: Rung = Rung.TEXT,
    choice: ChoiceField | None = None,
    max_tokens_field: str = "max_tokens",
) -> dict[str, Any]:
    """The JSON body of a chat completion. Fields that are not set are not sent: some servers refuse nulls."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
    }
    optional = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        max_tokens_field: sampling.max_tokens,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
    }
    body.update({key: value for key, value in optional.items() if value is not None})
    if request.top_logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = request.top_logprobs
    body.update(_shape(request, rung, choice))
    body.update(request.extra)
    return body


def choice_schema(choices: tuple[str, ...]) -> dict[str, Any]:
    """A choice as a strict JSON schema."""
    return {
        "type": "object",
        "properties": {ANSWER: {"type": "string", "enum": list(choices)}},
        "required": [ANSWER],
        "additionalProperties": False,
    }


def _shape(request: ChatRequest, rung: Rung, choice: ChoiceField | None) -> dict[str, Any]:
    if rung is Rung.JSON_SCHEMA:
        schema = request.schema if request.schema is not None else choice_schema(request.choices)
        return {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": ANSWER, "strict": True, "schema": schema},
            }
        }
    if rung is Rung.JSON_MODE:
        return {"response_format": {"type": "json_object"}}
    if rung is Rung.CHOICE:
        if choice is ChoiceField.GRAMMAR:
            return {"grammar": "root ::= " + " | ".join(_gbnf(text) for text in request.choices)}
        if choice is ChoiceField.GUIDED_CHOICE:
            return {"guided_choice": list(request.choices)}
        return {"structured_outputs": {"choice": list(request.choices)}}
    return {}


def _gbnf(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
