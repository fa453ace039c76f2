"""From a verdict to its labels: a pure function, so that labels can be rebuilt whenever the rules change."""

from __future__ import annotations

from refusal_tui.labels.verdict import Label, Refusal3, Verdict

# Part of a derived row's identity: raise it whenever `derive` changes its mind about an unchanged verdict.
DERIVATION = "1"

REFUSAL3 = "refusal3"
BOOLEAN_HEADS = ("prompt_harmful", "response_harmful", "response_refusal")


def derive(verdict: Verdict) -> list[Label]:
    """The labels that follow from `verdict`. An open answer (None) gives no label: null is not none.

    >>> from refusal_tui.labels.rows import ItemId
    >>> from refusal_tui.labels.verdict import Answer
    >>> v = Verdict(ItemId(1), "judge:lexical", "refusal3", "1", {"refusal3": Answer("hard", 0.9)})
    >>> [(label.head, label.value) for label in derive(v)]
    [('refusal3', 'hard')]
    """
    labels: list[Label] = []
    three = verdict.answers.get(REFUSAL3)
    if three is not None and three.value is not None:
        value = Refusal3(str(three.value))
        labels.append(Label(REFUSAL3, value.value, three.probability, verdict.profile))
    for head in BOOLEAN_HEADS:
        answer = verdict.answers.get(head)
        if answer is not None and answer.value is not None:
            labels.append(Label(head, "yes" if answer.value is True else "no", answer.probability))
    return labels
