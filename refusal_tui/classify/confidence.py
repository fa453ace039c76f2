"""How sure is a classifier where it is right and where it is wrong, and which are its most confident mistakes?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refusal_tui.classify.calibration import BINS
from refusal_tui.classify.plain import plain
from refusal_tui.classify.predictions import Predicted
from refusal_tui.stats.bootstrap import row_bootstrap
from refusal_tui.stats.ranking import auroc

MISTAKES = 50
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def confidence_of(
    rows: Sequence[Predicted], shares: NDArray[np.float64], codes: NDArray[np.int64], draws: int
) -> dict[str, Any]:
    """Of right and of wrong rows: how many, mean, quantiles, counts in ten bins; `tells_right`: that a right row has
    more confidence than a wrong one (area under the ROC curve), with its interval."""
    sure, right = shares.max(axis=1), shares.argmax(axis=1) == codes
    tells = row_bootstrap({"auroc": auroc(sure, right)}, [row.group for row in rows], draws)["auroc"]
    return {"right": _spread(sure[right]), "wrong": _spread(sure[~right]), "tells_right": plain(tells)}


def _spread(values: NDArray[np.float64]) -> dict[str, Any]:
    counts = np.histogram(values, BINS, (0.0, 1.0))[0].tolist()
    if not len(values):
        return {"rows": 0, "mean": None, "quantiles": None, "counts": counts}
    quantiles = dict(zip(map(str, _QUANTILES), np.quantile(values, _QUANTILES).tolist(), strict=True))
    return {"rows": len(values), "mean": float(values.mean()), "quantiles": quantiles, "counts": counts}


def mistakes_of(
    rows: Sequence[Predicted], shares: NDArray[np.float64], codes: NDArray[np.int64], classes: Sequence[str]
) -> list[dict[str, Any]]:
    """The 50 wrong rows that the classifier is surest of, the surest first."""
    said = shares.argmax(axis=1)
    wrong = [n for n in range(len(rows)) if said[n] != codes[n]]
    wrong.sort(key=lambda n: (-shares[n, said[n]], rows[n].hash))
    return [
        {
            "item_id": rows[n].item_id,
            "hash": rows[n].hash,
            "label": rows[n].label,
            "by": rows[n].by,
            "said": classes[int(said[n])],
            "confidence": float(shares[n, said[n]]),
            "of_label": float(shares[n, codes[n]]),
            "dataset": rows[n].dataset,
            "model": rows[n].model,
        }
        for n in wrong[:MISTAKES]
    ]
