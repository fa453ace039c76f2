"""allenai/wildguardmix: prompts and responses with harm and refusal labels (Han et al. 2024, arXiv:2406.18495).

Train labels are GPT-4's, test labels people's (only the test rows have the `*_agreement` columns). Responses and both
response labels are null on prompt-only rows: null is not compliance. `response_refusal` says nothing about hard or
soft, so that no three-class label follows from it (taxonomy, section 9).
"""

from __future__ import annotations

from collections.abc import Sequence

from refusal_tui.ingest.adapters.base import Adapter, Shape, answered, per_row, rest, text, text_or_none, word, yes_no
from refusal_tui.ingest.items import Options, Record, SourceItem, SourceVerdict

_READ = frozenset(
    {"prompt", "response", "prompt_harm_label", "response_refusal_label", "response_harm_label", "subcategory"}
)
_TRAIN = {
    "prompt": "text",
    "adversarial": "bool|text",
    "response": "text?",
    "prompt_harm_label": "text?",
    "response_refusal_label": "text?",
    "response_harm_label": "text?",
    "subcategory": "text?",
}


def items_of(record: Record, options: Options) -> Sequence[SourceItem]:
    row = record.data
    labels = [word(row, column) for column in ("prompt_harm_label", "response_refusal_label", "response_harm_label")]
    answers = answered(
        prompt_harmful=yes_no(labels[0], "harmful", "unharmful"),
        response_refusal=yes_no(labels[1], "refusal", "compliance"),
        response_harmful=yes_no(labels[2], "harmful", "unharmful"),
    )
    by_people = "prompt_harm_agreement" in row
    annotator = "human:wildguardtest" if by_people else "judge:gpt-4"
    raw = "/".join(label or "null" for label in labels)
    item = SourceItem(
        None,
        text(row, "prompt"),
        text_or_none(row, "response"),
        None,
        record.origin.split or ("test" if by_people else "train"),
        word(row, "subcategory"),
        rest(row, _READ),
        (SourceVerdict(annotator, answers, "wildguard", raw),) if answers else (),
    )
    return (item,)


ADAPTER = Adapter(
    name="wildguardmix",
    version="1",
    title="WildGuardMix",
    hub_id="allenai/wildguardmix",
    licence="ODC-BY",
    gated=True,
    redistribution="labels-only",
    eval_only=False,
    size="86,759 train, 1,725 test",
    splits=("train", "test"),
    citation="Han et al. 2024, arXiv:2406.18495",
    notes="Configs wildguardtrain (labels by GPT-4) and wildguardtest (labels by people; for evaluation only). "
    "37,976 train rows have a response.",
    shapes=(
        Shape(
            "wildguardtest",
            {
                **_TRAIN,
                "prompt_harm_agreement": "number|int?",
                "response_refusal_agreement": "number|int?",
                "response_harm_agreement": "number|int?",
            },
        ),
        Shape("wildguardtrain", _TRAIN),
    ),
    convert=per_row(items_of),
    configs=("wildguardtrain", "wildguardtest"),
    eval_only_splits=("test",),
)
