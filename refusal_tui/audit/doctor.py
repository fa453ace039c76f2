"""Is a label tied to where a row comes from? What needs no model: counts per source, openings, scales, orders.

A published detector of jailbreaks reported .996 macro-F1 on labels of which many were inverted: nearly every positive
came from one source, and confident learning found nothing, because the model had learnt the source. Hence these checks:
each returns a finding with its statistic and the rows behind it, or None. An alarm needs an effect that is large and
could hardly be chance; on data without a fault there is none (tests/audit/test_doctor.py: 20 seeds).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.report import Finding, Level, Statistic
from refusal_tui.audit.table import Codes, Table
from refusal_tui.labels.derive import REFUSAL3
from refusal_tui.stats.association import cramers_v, crosstab
from refusal_tui.stats.intervals import wilson
from refusal_tui.store.query import quoted

ASSOCIATION_ALARM, ASSOCIATION_WARNING = 0.6, 0.35
SURE = 0.001  # p-value that an alarm needs
LEAST_ROWS = 20  # of a source, before anything is said about it
DISAGREEMENT_ALARM = 0.10  # the lower bound of the share of refusing openings among rows labelled none
# Heads about what the model did. That all prompts of one source are harmful is how benchmarks are made.
BEHAVIOUR = (REFUSAL3, "response_refusal", "response_harmful", "jailbreak_success")
HEADS = (*BEHAVIOUR, "prompt_harmful")


def source_findings(table: Table) -> Iterator[Finding]:
    """Source and label hang together; sources of a single class."""
    for head in HEADS:
        if head in table.heads:
            yield from filter(None, (association(table, head), single_class(table, head)))


def association(table: Table, head: str) -> Finding | None:
    """Can the label be told from the source?"""
    label = table.label(head)
    counts = _of_sources(table.source, label)
    if counts.shape[0] < 2:
        return None
    value, p_value = cramers_v(counts)
    if value < ASSOCIATION_WARNING or p_value > SURE:
        return None
    level = Level.ALARM if value >= ASSOCIATION_ALARM and head in BEHAVIOUR else Level.WARNING
    return Finding(
        "source-label",
        level,
        f"The source of a row nearly tells its {head}: a model can learn where rows come from, not what they mean."
        if level is Level.ALARM
        else f"{head} depends on the source of a row more than on chance.",
        Statistic(f"Cramer's V of source and {head}", value, p_value=p_value),
        rows=int((label.codes >= 0).sum()),
        advice="Add rows of the rare classes to each source, or report every figure by source.",
        command="refusal-tui results --by dataset",
    )


def single_class(table: Table, head: str) -> Finding | None:
    """Sources all of whose rows have one class, although the other sources' rows mostly have another."""
    label, bad = table.label(head), []
    counts = crosstab(table.source.codes, label.codes, len(table.source.names), len(label.names))
    for source, row in enumerate(counts):
        total, others = int(row.sum()), counts.sum(axis=0) - row
        if total < LEAST_ROWS or not others.sum() or row.max() < total:
            continue
        elsewhere = (others[row.argmax()] + 1) / (others.sum() + 2)
        if total * np.log10(elsewhere) < -6:
            bad.append(source)
    if not bad:
        return None
    mask = np.isin(table.source.codes, bad) & (label.codes >= 0)
    names = [table.source.names[source] for source in bad]
    return Finding(
        "single-class-source",
        Level.ALARM if head in BEHAVIOUR else Level.WARNING,
        f"Every labelled row of {_listed(names)} has one and the same {head}, and other sources do not: "
        "the label may come from the source's rule, not from the text.",
        Statistic("rows of single-class sources", int(mask.sum())),
        rows=int(mask.sum()),
        item_ids=table.ids_where(mask),
        filter=f"dataset:{','.join(map(quoted, names))}",
        advice="Label a sample of these rows by reading them; leave the source out of training until it agrees.",
        command="refusal-tui review new {filter} --size 50",
    )


def refusing_openings(table: Table, opening: NDArray[np.bool_]) -> Iterator[Finding]:
    """Rows labelled none whose response begins with a refusal, source by source and in all.

    `opening`: N booleans (`openings.opens_with_refusal`). One finding per source that stands out, or one for all.
    """
    label = table.label()
    if "none" not in label.names:
        return
    none = label.codes == label.names.index("none")
    loud = []
    for code, name in enumerate(table.source.names):
        rows = none & (table.source.codes == code)
        hits = rows & opening
        if hits.sum() >= 5 and wilson(int(hits.sum()), int(rows.sum())).low > DISAGREEMENT_ALARM:
            loud.append(code)
            yield _opening_finding(table, rows, hits, f"of {name} ", "detector-by-source", f"dataset:{quoted(name)} ")
    rest = none & ~np.isin(table.source.codes, loud)
    hits = rest & opening
    if hits.any():
        yield _opening_finding(table, rest, hits, "", "opening-against-label", "")


def _opening_finding(
    table: Table, rows: NDArray[np.bool_], hits: NDArray[np.bool_], where: str, check: str, scope: str
) -> Finding:
    share = wilson(int(hits.sum()), int(rows.sum()))
    count = int(hits.sum())
    loud = share.low > DISAGREEMENT_ALARM
    return Finding(
        check,
        Level.ALARM if loud else Level.NOTE,
        f"{count:,} of {int(rows.sum()):,} rows {where}labelled none open with a refusal"
        + (": the label may be inverted there." if loud else ", such as a quoted or a taken-back one."),
        Statistic("share that opens with a refusal", share.value, share.low, share.high),
        rows=count,
        item_ids=table.ids_where(hits),
        advice="Read these rows and give them the label that their text has.",
        command=f"refusal-tui run label {shlex.quote(scope + 'label:none')} --judge linear" if loud else "",
    )


def judge_against_people(table: Table, judge: Codes, people: Codes) -> Finding | None:
    """Sources in which a judge and people differ far more than elsewhere. Both with the same names."""
    both = (judge.codes >= 0) & (people.codes >= 0)
    differs = both & (judge.codes != people.codes)
    bad = []
    for code in range(len(table.source.names)):
        here, there = both & (table.source.codes == code), both & (table.source.codes != code)
        if here.sum() < LEAST_ROWS or there.sum() < LEAST_ROWS:
            continue
        inside = wilson(int((differs & here).sum()), int(here.sum()), 0.999)
        outside = wilson(int((differs & there).sum()), int(there.sum()), 0.999)
        if inside.low > outside.high + 0.1:
            bad.append(code)
    if not bad:
        return None
    mask = differs & np.isin(table.source.codes, bad)
    here = both & np.isin(table.source.codes, bad)
    names = [table.source.names[code] for code in bad]
    share = wilson(int(mask.sum()), int(here.sum()))
    return Finding(
        "judge-against-people",
        Level.ALARM,
        f"On {_listed(names)} judge and people differ on {share.value:.0%} of the rows, far more than elsewhere.",
        Statistic("share that differs", share.value, share.low, share.high),
        rows=int(mask.sum()),
        item_ids=table.ids_where(mask),
        advice="Let a third person settle these rows.",
        command="refusal-tui review new {filter} --questions refusal3",
    )


def confidence_scales(table: Table, confidence: NDArray[np.float64]) -> Finding | None:
    """Confidences of a source's own (`meta.confidence`, NaN: none) from 0 to 1 beside ones from 0 to 100."""
    fractions, percents = (confidence > 0) & (confidence <= 1), confidence > 1
    if min(int(fractions.sum()), int(percents.sum())) < 3:
        return None
    small = fractions if fractions.sum() < percents.sum() else percents
    return Finding(
        "confidence-scale",
        Level.ALARM,
        f"{int(fractions.sum()):,} confidences lie between 0 and 1 and {int(percents.sum()):,} above: two scales in "
        "one column, so that every threshold on it is wrong.",
        Statistic("share of the rarer scale", float(small.sum() / (fractions | percents).sum())),
        rows=int(small.sum()),
        item_ids=table.ids_where(small),
        advice="Divide the larger ones by 100 in the source, and import it again.",
    )


def position_bias(table: Table, order: Codes) -> Finding | None:
    """The label depends on the order in which the classes were put to the judge (`meta.class_order`)."""
    label = table.label()
    counts = crosstab(order.codes, label.codes, len(order.names), max(1, len(label.names)))
    counts = counts[counts.sum(axis=1) >= LEAST_ROWS]
    if len(counts) < 2:
        return None
    value, p_value = cramers_v(counts)
    if p_value > SURE or value < 0.15:
        return None
    return Finding(
        "position-bias",
        Level.ALARM,
        "The labels differ with the order in which the classes were shown to the judge.",
        Statistic("Cramer's V of class order and label", value, p_value=p_value),
        rows=int(counts.sum()),
        item_ids=table.ids_where(order.codes >= 0),
        advice="Ask again with the choices in an order drawn per row.",
        command="refusal-tui run label --judge refusal-strict --endpoint NAME --permute --order-sample 0.1",
    )


def split_leaks(table: Table, cluster_of: NDArray[np.int64]) -> Finding | None:
    """Rows of a test or validation split whose prompt is in a training split, too. `cluster_of`: N prompt clusters."""
    names = {code: _role(name) for code, name in enumerate(table.split.names)}
    held = np.array([names.get(code) == "held" for code in table.split.codes.tolist()], bool)
    train = np.array([names.get(code) == "train" for code in table.split.codes.tolist()], bool)
    leaked = held & np.isin(cluster_of, np.unique(cluster_of[train]))
    if not leaked.any():
        return None
    share = wilson(int(leaked.sum()), int(held.sum()))
    return Finding(
        "split-leak",
        Level.ALARM if leaked.sum() >= 5 or share.value >= 0.01 else Level.WARNING,
        f"{int(leaked.sum()):,} of {int(held.sum()):,} rows held out for testing ask what a training row asks, too.",
        Statistic("share of held-out rows that leak", share.value, share.low, share.high),
        rows=int(leaked.sum()),
        item_ids=(ids := table.ids_where(leaked, len(table))),
        advice="Split by cluster, or leave these rows out.",
        command="refusal-tui audit drop {job} {name}",
        surplus=ids,
    )


def _role(split: str) -> str:
    """
    >>> [_role(name) for name in ("train", "validation", "test_hard", "own")]
    ['train', 'held', 'held', '']
    """
    name = split.lower()
    return "train" if name.startswith("train") else "held" if name.startswith(("test", "val", "dev", "eval")) else ""


def of_sources(table: Table, head: str) -> Mapping[str, Mapping[str, int]]:
    """Source -> label -> rows."""
    label = table.label(head)
    counts = crosstab(table.source.codes, label.codes, len(table.source.names), max(1, len(label.names)))
    return {
        source: dict(zip(label.names, counts[place].tolist(), strict=False))
        for place, source in enumerate(table.source.names)
    }


def _of_sources(source: Codes, label: Codes) -> NDArray[np.int64]:
    counts = crosstab(source.codes, label.codes, len(source.names), max(1, len(label.names)))
    kept: NDArray[np.int64] = counts[counts.sum(axis=1) >= LEAST_ROWS]
    return kept


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
