"""What does the loopback server say? An instance of the schema, one of the choices, or a sentence of made-up words."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.support.loopback_faults import uniform

_WORDS = (
    "blorptanium", "frindle", "zibbet", "quonder", "kettle", "lamp",
    "morning", "garden", "recipe", "number", "story", "ritual",
)  # fmt: skip
_GBNF_TERMINAL = re.compile(r'"((?:[^"\\]|\\.)*)"')


def answer_text(body: dict[str, Any], row: str, sample: object, obeys: frozenset[str]) -> str:
    """The answer to one request. `obeys` holds the field kinds that this server does not ignore:
    `json_schema`, `json_mode`, `structured_outputs`, `guided_choice`, `grammar`."""
    form = body.get("response_format") or {}
    if form.get("type") == "json_schema" and "json_schema" in obeys:
        return json.dumps(instance_of(form["json_schema"]["schema"], row, sample))
    choices = choices_of(body, obeys)
    if choices:
        return choices[int(uniform("choice", row, sample) * len(choices))]
    words = " ".join(_WORDS[int(uniform("word", row, sample, n) * len(_WORDS))] for n in range(6))
    if form.get("type") == "json_object" and "json_mode" in obeys:
        return json.dumps({"answer": words})
    return f"About {row}: {words}."


def choices_of(body: dict[str, Any], obeys: frozenset[str]) -> list[str]:
    if "structured_outputs" in obeys and body.get("structured_outputs"):
        return list(body["structured_outputs"].get("choice") or ())
    if "guided_choice" in obeys and body.get("guided_choice"):
        return list(body["guided_choice"])
    if "grammar" in obeys and body.get("grammar"):
        return [json.loads(f'"{text}"') for text in _GBNF_TERMINAL.findall(body["grammar"])]
    return []


def instance_of(schema: dict[str, Any], row: str, sample: object, path: str = "$") -> Any:
    """A value that fits a JSON schema (the part of it that judges use), drawn by row."""
    place = uniform("instance", row, sample, path)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][int(place * len(schema["enum"]))]
    for options in ("anyOf", "oneOf"):
        if options in schema:
            return instance_of(schema[options][int(place * len(schema[options]))], row, sample, path)
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = kind[int(place * len(kind))]
    if kind == "object":
        return {
            name: instance_of(part, row, sample, f"{path}.{name}")
            for name, part in schema.get("properties", {}).items()
        }
    if kind == "array":
        return [instance_of(schema["items"], row, sample, f"{path}[0]")] if "items" in schema else []
    if kind == "boolean":
        return place < 0.5
    low, high = schema.get("minimum", 0), schema.get("maximum", 10)
    if kind == "integer":
        return low + int(place * (high - low + 1))
    if kind == "number":
        return round(low + place * (high - low), 3)
    return None if kind == "null" else _WORDS[int(place * len(_WORDS))]


def logprobs_of(text: str, body: dict[str, Any], obeys: frozenset[str]) -> dict[str, Any]:
    """Token log-probabilities: words are the tokens, the first one's rivals are the other choices."""
    rivals = [choice for choice in choices_of(body, obeys) if choice != text]
    content = []
    for number, token in enumerate(re.findall(r"\s*\S+|\s+$", text) or [""]):
        wanted = int(body.get("top_logprobs") or 0)
        others = rivals if number == 0 and rivals else _WORDS
        top = [(token, -0.1)] + [(other, -2.5 - n) for n, other in enumerate(others)]
        content.append(
            {
                "token": token,
                "logprob": -0.1,
                "bytes": list(token.encode()),
                "top_logprobs": [{"token": t, "logprob": p, "bytes": None} for t, p in top[:wanted]],
            }
        )
    return {"content": content}
