"""Do refusals and jailbreaks go together as they should? The two labels of the rows that have both, side by side.

A model that refuses should not have been broken. Where the two labels come from different sources, a strong relation
may be that of the sources: they are counted beside the table.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refusal_tui.classify.plain import plain
from refusal_tui.classify.predictions import Predicted, Predictions
from refusal_tui.labels.heads import REFUSAL3
from refusal_tui.labels.verdict import Refusal3
from refusal_tui.stats.agreement import cohen_kappa
from refusal_tui.stats.association import cramers_v, independence
from refusal_tui.stats.rates import cluster_sums, clustered_rate

_YES = "yes"


def crossing(head: str, predictions: Predictions, other: Predictions | None = None) -> dict[str, Any] | None:
    """The labels of refusal and jailbreak of all rows that have both; with `other`, the predictions of the other head,
    what the classifier says of its own test rows as well. None where no row has both labels."""
    rows = [row for row in predictions.rows if row.beside is not None]
    if not rows:
        return None
    found = {"labels": _table(head, [(row, row.label, str(row.beside)) for row in rows])}
    if other is not None:
        theirs = {row.item_id: other.classes[int(np.argmax(row.logits))] for row in other.of("test")}
        both = [(row, predictions.classes[int(np.argmax(row.logits))], theirs[row.item_id])
                for row in predictions.of("test") if row.item_id in theirs]  # fmt: skip
        if both:
            found["predicted"] = _table(head, both)
    return found


def _table(head: str, rows: Sequence[tuple[Predicted, str, str]]) -> dict[str, Any]:
    pairs = [(row, *((a, b) if head == REFUSAL3 else (b, a))) for row, a, b in rows]  # refusal first
    refusals = sorted({a for _, a, _ in pairs}, key=lambda name: (name != Refusal3.NONE, name))
    successes = sorted({b for _, _, b in pairs})
    counts = np.array([[sum(a == r and b == s for _, a, b in pairs) for s in successes] for r in refusals])
    chi, freedom, p_value = independence(counts)
    through: dict[str, dict[str, list[int]]] = {name: defaultdict(lambda: [0, 0]) for name in refusals}
    sources: dict[str, Counter[str]] = defaultdict(Counter)
    agree: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    two = np.zeros((2, 2))
    for row, refusal, success in pairs:
        through[refusal][row.group][0] += success == _YES
        through[refusal][row.group][1] += 1
        sources[f"{refusal} / {success}"][row.dataset] += 1
        answered = refusal == Refusal3.NONE
        two[int(answered), int(success == _YES)] += 1
        agree[row.group][0] += answered == (success == _YES)
        agree[row.group][1] += 1
    kappa = float(cohen_kappa(two))
    return {
        "rows": len(pairs),
        "refusal": refusals,
        "success": successes,
        "counts": counts.tolist(),
        "chi_squared": chi,
        "freedom": freedom,
        "p_value": p_value,
        "cramers_v": cramers_v(counts)[0],
        "success_rate": {name: _rate(of) for name, of in through.items()},
        # Refused and not broken, or answered and broken: the two labels tell the same story.
        "agreement": _rate(agree),
        "kappa": None if np.isnan(kappa) else kappa,
        "sources": {name: dict(count.most_common()) for name, count in sources.items()},
    }


def _rate(by_group: Mapping[str, Sequence[int]]) -> Mapping[str, float | None]:
    return plain(clustered_rate(cluster_sums((hits, rows) for hits, rows in by_group.values())))
