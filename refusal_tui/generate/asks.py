"""Which requests do generating jobs send per row? For their estimates."""

from __future__ import annotations

from refusal_tui.generate import mix
from refusal_tui.generate.prompts_spec import PromptsSpec
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.generate.wording import brief_of, evaluate_request, write_request
from refusal_tui.jobs.estimate import Asks, Which
from refusal_tui.store.lengths import Lengths

_WRITES = 1.3  # how often a prompt is written, as a rule
_JSON_TOKENS = 6
_EVALUATION_TOKENS = 90
_CHARS_PER_TOKEN = 4


def generate_asks(spec: GenerateSpec) -> list[Asks]:
    """One per end point and system prompt."""
    which = Which.UNANSWERED if spec.missing_only else Which.ALL
    return [
        Asks(name, len(text or ""), spec.answer_tokens, times=spec.samples, at_most=spec.samples, which=which)
        for name in spec.models
        for text in spec.system_texts().values()
    ]


def prompts_asks(spec: PromptsSpec) -> list[Asks]:
    """Writing and evaluating. The row's prompt is the brief; a written prompt is as long as the mix wants it."""
    write, evaluate = write_request("", None, (), "", spec.temperature, 0), evaluate_request("", "")
    written = _written_tokens(spec)
    most = 1 + spec.retries
    assumes = "three of ten prompts are written again" if spec.retries else ""
    times = min(_WRITES, most)
    return [
        Asks(spec.endpoint, write.chars, write.sampling.max_tokens or 0, written + _JSON_TOKENS, times, most,
             assumes=assumes),
        Asks(spec.evaluated_by, evaluate.chars + round(written * _CHARS_PER_TOKEN),
             evaluate.sampling.max_tokens or 0, _EVALUATION_TOKENS, times, most),
    ]  # fmt: skip


def prompts_lengths(spec: PromptsSpec) -> Lengths:
    """The rows that the job makes for itself: briefs."""
    few = PromptsSpec.model_validate(spec.model_dump() | {"number": min(spec.number, 50)}).slots()
    return Lengths(spec.number, sum(len(brief_of(slot)) for slot in few) / len(few), answered=0.0)


def _written_tokens(spec: PromptsSpec) -> float:
    shares = mix.read_shares(spec.lengths, "lengths")
    return sum(share * sum(mix.read_length(length)) / 2 for length, share in shares.items())
