"""Anthropic/hh-rlhf: pairs of whole dialogues that share a prefix (Bai et al. 2022, arXiv:2204.05862).

Columns `chosen` and `rejected` hold text of the form "\\n\\nHuman: ...\\n\\nAssistant: ...": they are dialogues, not an
instruction and its response. A pair becomes two items with the same `meta["pair"]`. The set holds no refusal labels.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from refusal_tui.ingest.adapters.base import Adapter, Shape, per_row, rest, text
from refusal_tui.ingest.items import BadRow, Options, Record, SourceItem
from refusal_tui.labels.rows import Message

_HUMAN = "\n\nHuman:"
_ASSISTANT = "\n\nAssistant:"
_CUT = re.compile(r"\n\n(Human|Assistant): ?").split
_ROLES = {"Human": "user", "Assistant": "assistant"}
_SUBSETS = ("harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled", "red-team-attempts")


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    if "transcript" in row and "chosen" not in row:
        return (_red_team_item(record, options),)
    origin = record.origin
    pair = f"{origin.name}:{record.line}" if origin.name else record.line
    prefix, prompt, response = split_dialogue(text(row, "chosen"), "chosen")
    other_prompt: str | tuple[Message, ...]
    other_response: str | None
    rejected = text(row, "rejected")
    tail = rejected[len(prefix) :] if response is not None and rejected.startswith(prefix) else None
    if tail is not None and _HUMAN not in tail and _ASSISTANT not in tail:
        # The usual case: the sides differ in the last reply alone, so the shared turns are cut once.
        other_prompt, other_response = prompt, tail.removeprefix(" ")
    else:
        _, other_prompt, other_response = split_dialogue(rejected, "rejected")
    if options.get("turns") == "last":
        prompt, other_prompt = _last_turn(prompt), _last_turn(other_prompt)
    meta, other_meta = {"pair": pair, "side": "chosen"}, {"pair": pair, "side": "rejected"}
    if subset := _subset(origin.path):
        meta["subset"] = other_meta["subset"] = subset
    return (
        SourceItem(None, prompt, response, None, origin.split, None, meta),
        SourceItem(None, other_prompt, other_response, None, origin.split, None, other_meta),
    )


def split_dialogue(dialogue: str, column: str) -> tuple[str, str | tuple[Message, ...], str | None]:
    """The text up to the last reply, the turns of that text, and the reply (None where the human speaks last).

    Raises BadRow for a text that does not begin with a human turn.

    >>> split_dialogue("\\n\\nHuman: Hi\\n\\nAssistant: Hello", "chosen")[1:]
    ('Hi', 'Hello')
    """
    if not dialogue.startswith(_HUMAN):
        raise BadRow(f"column {column} does not begin with {_HUMAN!r}")
    cut = dialogue.rfind(_ASSISTANT)
    if cut < 0 or dialogue.find(_HUMAN, cut) >= 0:
        return dialogue, _turns(dialogue), None
    end = cut + len(_ASSISTANT)
    return dialogue[:end], _turns(dialogue[:cut]), dialogue[end:].removeprefix(" ")


def _turns(dialogue: str) -> str | tuple[Message, ...]:
    parts = _CUT(dialogue)  # "", speaker, text, speaker, text, ...
    if len(parts) == 3:
        return parts[2]
    return tuple(map(Message, map(_ROLES.__getitem__, parts[1::2]), parts[2::2]))


def _last_turn(prompt: str | tuple[Message, ...]) -> str | tuple[Message, ...]:
    """The last thing the human said."""
    if isinstance(prompt, str):
        return prompt
    return next((turn.content for turn in reversed(prompt) if turn.role == "user"), prompt)


@lru_cache(maxsize=64)
def _subset(path: str) -> str | None:
    """The data dir that a file or Hub address names."""
    return next((subset for subset in _SUBSETS if subset in path), None)


def _red_team_item(record: Record, options: Options) -> SourceItem:
    """One transcript of the red-team data; its ratings stay in `meta`, because they rate harm, not refusal."""
    _, prompt, response = split_dialogue(text(record.data, "transcript"), "transcript")
    if options.get("turns") == "last":
        prompt = _last_turn(prompt)
    meta = rest(record.data, frozenset({"transcript", "model_type"}))
    model = record.data.get("model_type")
    return SourceItem(
        None, prompt, response, model if isinstance(model, str) else None, record.origin.split, None, meta
    )


ADAPTER = Adapter(
    name="hh-rlhf",
    version="1",
    title="Anthropic helpful and harmless preferences",
    hub_id="Anthropic/hh-rlhf",
    licence="MIT",
    gated=False,
    redistribution="full",
    eval_only=False,
    size="160,800 + 8,552 pairs",
    splits=("train", "test"),
    citation="Bai et al. 2022, arXiv:2204.05862",
    notes="No refusal labels. Data dirs harmless-base, helpful-base, helpful-online, helpful-rejection-sampled, "
    "red-team-attempts.",
    shapes=(
        Shape("pairs", {"chosen": "text", "rejected": "text"}),
        Shape("red-team", {"transcript": "text", "min_harmlessness_score_transcript": "number|int", "rating": "any"}),
    ),
    looks_right=lambda record: str(record.data.get("chosen", record.data.get("transcript"))).startswith(_HUMAN),
    options={"turns": ("sides", "last")},
    convert=per_row(items_of),
)
