"""How is a run said in words and tables? The same for the screen and for `refusal-tui direction`."""

from __future__ import annotations

import csv
import io
import math
from pathlib import PurePath
from typing import Any

from refusal_tui.direction.evidence import Evidence
from refusal_tui.direction.report import Report
from refusal_tui.direction.select import Cell, Reason
from refusal_tui.direction.transfer import Transfer

REASONS = {
    Reason.PICKED: "selected",
    Reason.BEATEN: "pass, but are beaten",
    Reason.STEERING: "adding them does not make it refuse",
    Reason.KL: "taking them out changes harmless answers",
    Reason.LAYER: "lie in the last fifth of the layers",
    Reason.ZERO: "nothing differs there",
    Reason.NAN: "a score is no number",
    Reason.UNKNOWN: "not measured",
}
CELL_NAMES = (
    "position", "layer", "ablation", "steering", "kl", "effect", "split_half", "bootstrap_floor", "auroc", "norm",
    "reason",
)  # fmt: skip
_NO_NUMBER = "—"


def signed(value: float | None, digits: int = 2) -> str:
    """
    >>> signed(-5.623), signed(0.0), signed(None)
    ('-5.62', '+0.00', '—')
    """
    return _NO_NUMBER if value is None else "nan" if math.isnan(value) else f"{value:+.{digits}f}"


def plain(value: float | None, digits: int = 3) -> str:
    """
    >>> plain(0.0712), plain(1.0, 2), plain(None)
    ('0.071', '1.00', '—')
    """
    return _NO_NUMBER if value is None else f"{value:.{digits}f}"


def share(value: float | None) -> str:
    """
    >>> share(0.613), share(1.1), share(None)
    ('61 %', '110 %', '—')
    """
    return _NO_NUMBER if value is None or math.isnan(value) else f"{value * 100:.0f} %"


def place(cell: Cell) -> str:
    """
    >>> place(Cell(-1, 14))
    'position -1, layer 14'
    """
    return f"position {cell.position}, layer {cell.layer}"


def outcome(report: Report) -> str:
    """The result in one sentence, as far as it is known."""
    if report.rule is None:
        return "Nothing is measured yet."
    pick = report.choice.pick
    if not report.decided:
        return "Choosing: what could still win is being measured."
    if pick is None:
        told = f"No direction found: none of {len(report.grid)} candidates passes"
        refuses = report.baseline is None or report.baseline[0] > 0
        return f"{told}." if refuses else f"{told}; it refuses neither set."
    return f"Direction at {place(pick)} of {report.n_layers}."


def reason_words(report: Report) -> str:
    """How many candidates fell for what, in the order of REASONS."""
    return "; ".join(f"{count} {words}" for reason, words in REASONS.items() if (count := report.reasons[reason]))


def why(report: Report, cell: Cell) -> str:
    """Why a cell was chosen or not."""
    rule, scores = report.rule, report.grid[cell]
    reason = report.choice.reasons[cell]
    if rule is None or reason is Reason.UNKNOWN:
        return "not all is measured yet" if not report.decided else "not measured: the choice did not need it"
    match reason:
        case Reason.PICKED if not report.decided:
            return "the best so far"
        case Reason.PICKED:
            others = len(report.choice.survivors)
            return f"selected: the lowest of the {others} that pass" if others > 1 else "selected: it alone passes"
        case Reason.BEATEN:
            pick = report.choice.pick
            assert pick is not None and scores.ablation is not None
            ahead = scores.ablation - (report.grid[pick].ablation or 0.0)
            return f"passes; the pick is lower by {ahead:.2f}" + (", within noise" if cell in report.rivals else "")
        case Reason.STEERING:
            return f"rejected: added, it refuses too little ({signed(scores.steering)} < {rule.steering_threshold:g})"
        case Reason.KL:
            return f"rejected: changes harmless answers (KL {plain(scores.kl)} > {rule.kl_threshold:g})"
        case Reason.LAYER:
            return f"rejected: in the last fifth of the layers ({rule.first_late_layer} on)"
        case Reason.ZERO:
            return "rejected: a template token, nothing differs here yet"
        case _:
            return "rejected: a score is no number"


def loss_words(evidence: Evidence) -> str:
    """What the interventions cost on harmless answers; empty where it was not measured.

    >>> from types import SimpleNamespace
    >>> loss_words(SimpleNamespace(loss=None))
    ''
    """
    loss = evidence.loss
    if loss is None:
        return ""
    return (
        f"{loss['answers']:.0f} harmless answers, {loss['tokens']:.0f} tokens: loss {loss['baseline']:.3f} as it is, "
        f"{loss['ablated']:.3f} ablated (KL {loss['kl_ablated']:.3f}), {loss['steered']:.3f} with "
        f"{loss['coefficient']:+g} of it added (KL {loss['kl_steered']:.3f})"
    )


def transfer_words(transfer: Transfer) -> list[str]:
    """How a direction of another run does here, beside this model's own."""
    source = f"job {transfer.source}" if transfer.source.isdigit() else transfer.source
    from_model = f" ({PurePath(transfer.model).name})" if transfer.model else ""
    closest = Cell(int(transfer.closest["position"]), int(transfer.closest["layer"]))
    told = [
        f"direction of {source}{from_model}, position {transfer.position}, layer {transfer.layer} of "
        f"{transfer.layers}, tried at layer {transfer.applied_at}:",
        f"ablated {signed(transfer.ablation)}, added {signed(transfer.steering)}, KL {plain(transfer.kl)}, "
        f"length {plain(transfer.norm, 2)}",
    ]
    if transfer.own is not None:
        own = transfer.own
        told.append(
            f"own direction: ablated {signed(own['ablation'])}, added {signed(own['steering'])}, "
            f"KL {plain(own['kl'])}, length {plain(own['norm'], 2)}; cosine {signed(transfer.cosine)}"
        )
    told.append(f"closest candidate here: {place(closest)}, cosine {signed(transfer.closest['cosine'])}")
    return told


def cell_rows(report: Report) -> list[list[Any]]:
    """A row per candidate, with the columns CELL_NAMES; None: not known."""
    return [
        [
            cell.position, cell.layer, scores.ablation, scores.steering, scores.kl, report.effect(cell),
            *(report.reliability(cell, f) for f in (report.split_half, report.bootstrap_floor, report.auroc,
                                                    report.norms)),
            report.choice.reasons[cell].value,
        ]
        for cell, scores in sorted(report.grid.items())
    ]  # fmt: skip


def report_json(report: Report) -> dict[str, Any]:
    """Everything that is known, for programs; the cells are `direction cells --json`."""
    pick = report.choice.pick
    return {
        "decided": report.decided,
        "pick": None if pick is None else dict(zip(CELL_NAMES, _row(report, pick), strict=True)),
        "positions": list(report.positions),
        "layers": report.n_layers,
        "measured": report.measured,
        "scores": 3 * len(report.grid),
        "reasons": {reason.value: count for reason, count in report.reasons.items()},
        "baseline": report.baseline and dict(zip(("harmful", "harmless"), report.baseline, strict=True)),
        "template_end": list(report.end),
        "system": report.system,
        "first_tokens": [
            {"id": t.id, "text": t.text, "harmful": t.harmful, "harmless": t.harmless,
             "refusal": t.id in report.refusal_ids}
            for t in report.tokens
        ],
        "kept": {part: {"kept": kept, "drawn": drawn} for part, (kept, drawn) in report.kept.items()},
        "dropped": [{"part": d.part, "score": d.score, "prompt": d.text} for d in report.dropped],
        "evidence": None if report.evidence is None else report.evidence.as_dict(),
        "transfer": None if report.transfer is None else report.transfer.as_dict(),
        "rivals": [cell._asdict() for cell in report.rivals],
        "at_kl_thresholds": [
            {"kl_threshold": None if math.isinf(bound) else bound, "pick": None if cell is None else cell._asdict()}
            for bound, cell in report.at_thresholds()
        ],
    }  # fmt: skip


def _row(report: Report, cell: Cell) -> list[Any]:
    return next(row for row in cell_rows(report) if (row[0], row[1]) == cell)


def cells_csv(report: Report) -> str:
    """The table of all candidates; an empty field is a figure that is not known."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CELL_NAMES)
    writer.writerows(cell_rows(report))
    return text.getvalue()
