"""How is a constitution written down, so that its file says the same again? TOML, with everything that it holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from refusal_tui.labels.constitution import DEFAULT, Constitution
from refusal_tui.labels.taxonomy import HEAD_B, HEAD_C_A

_PHRASES = ("refusal_indicators", "compliance_indicators", "transform_indicators")


def as_toml(it: Constitution) -> str:
    """A file that `load` reads as a constitution of the same hash. Its characters are all printable.

    A label's meaning is "" where the taxonomy's holds; notes on what its first file had beside it are left out.
    """
    styles = {label: text for (head, label), text in it.meanings.items() if head == HEAD_B}
    harms = {harm: it.meanings.get((HEAD_C_A, harm), "") for harm in it.harms}
    lines = [f"# What a file leaves out is built in. This one says all of it; its meaning is {it.hash}."]
    lines += [f"name = {_text(it.name)}"] if it.name != DEFAULT.name else []
    lines += [
        f"profile = {_text(it.profile)}",
        f"response_refusal = {_text(str(it.response_refusal))}",
        *_list("precedence", map(str, it.precedence)),
        *([] if any(harms.values()) else _list("harm_categories", harms)),
    ]
    for key in _PHRASES:
        lines += _list(key, getattr(it, key))
    lines += _table("labeling_rules.outcome_determination", {str(o): str(it.rules[o]) for o in it.precedence})
    lines += _table("harm_categories", harms) if any(harms.values()) else []
    lines += _table("refusal_styles", styles) if styles else []
    lines += _table("atoms", it.wording)
    return "\n".join(lines) + "\n"


def _list(key: str, texts: Iterable[str]) -> list[str]:
    return [f"{key} = [", *(f"    {_text(text)}," for text in texts), "]"]


def _table(name: str, values: Mapping[str, str]) -> list[str]:
    return ["", f"[{name}]", *(f"{_text(key)} = {_text(value)}" for key, value in values.items())]


def _text(text: str) -> str:
    return '"' + "".join(map(_char, text)) + '"'


def _char(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    half = "\ud800" <= char <= "\udfff"  # of a pair: JSON may hold it alone, TOML cannot
    return "\\n" if char == "\n" else "\\ufffd" if half else f"\\U{ord(char):08x}"
