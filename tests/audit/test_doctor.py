"""The label doctor: every planted fault is raised, and on clean data there is no alarm and no warning."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from refusal_tui.audit.doctor import (
    association,
    confidence_scales,
    judge_against_people,
    position_bias,
    refusing_openings,
    source_findings,
    split_leaks,
)
from refusal_tui.audit.probes import source_finding, source_probe, suspected_labels
from refusal_tui.audit.report import Finding, Level
from refusal_tui.audit.table import coded
from refusal_tui.stats.association import cramers_v, crosstab
from tests.audit.planted import Rows, clean, openings_of, prompts_of, sample_of, table_of, with_source


def examine(rows: Rows, seed: int = 1) -> dict[str, Finding]:
    """Every check of the doctor, as the job runs them."""
    return {finding.check: finding for finding in _all(rows, seed)}


def _all(rows: Rows, seed: int) -> Iterator[Finding]:
    table, sample = table_of(rows), sample_of(rows)
    yield from source_findings(table)
    yield from refusing_openings(table, openings_of(rows))
    area = source_probe(sample, seed)
    label = table.label()
    counts = crosstab(table.source.codes, label.codes, len(table.source.names), len(label.names))
    judge, people = coded(rows.label), coded(rows.human)
    found = [
        source_finding(area, cramers_v(counts)[0]) if area is not None else None,
        suspected_labels(sample, label.names, seed)[0],
        judge_against_people(table, judge, people),
        confidence_scales(table, np.array([np.nan if c is None else c for c in rows.confidence])),
        position_bias(table, coded(rows.order)),
        split_leaks(table, prompts_of(rows.prompt)),
    ]
    yield from filter(None, found)


def alarms(found: dict[str, Finding]) -> list[str]:
    return [check for check, finding in found.items() if finding.level is not Level.NOTE]


@pytest.mark.parametrize("seed", range(20))
def test_clean_data_raises_nothing(seed: int) -> None:
    assert alarms(examine(clean(seed), seed)) == []


# --- planted faults, each on its own ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_published_case_is_raised_with_its_rows_where_confident_learning_sees_next_to_none(seed: int) -> None:
    rows = with_source(clean(seed), 0.35, seed, style=True)
    wild = {place + 1 for place, name in enumerate(rows.source) if name == "wild"}
    found = examine(rows, seed)
    assert {"single-class-source", "detector-by-source"} <= set(alarms(found))
    assert set(found["single-class-source"].item_ids) == wild
    assert set(found["detector-by-source"].item_ids) == wild
    suspected = found.get("suspected-labels")
    assert suspected is None or len(wild & set(suspected.item_ids)) < 0.1 * len(wild)


def test_a_source_that_tells_the_label_is_raised() -> None:
    rows = clean(3)
    chance = random.Random(3)
    source = tuple(f"of-{label}" if chance.random() < 0.9 else "of-none" for label in rows.label)
    found = examine(replace(rows, source=source))["source-label"]
    assert found.level is Level.ALARM
    assert found.statistic is not None and found.statistic.value > 0.6 and (found.statistic.p_value or 0) < 1e-6


def test_a_label_that_leans_to_a_source_is_a_warning() -> None:
    rows = clean(4, 900)
    chance = random.Random(4)
    source = tuple("a" if chance.random() < (0.75 if label == "hard" else 0.25) else "b" for label in rows.label)
    found = association(table_of(replace(rows, source=source)), "refusal3")
    assert found is not None and found.level is Level.WARNING


def test_a_source_of_one_class_is_raised_with_its_rows() -> None:
    found = examine(with_source(clean(5), 0.15, 5, inverted=False))
    assert found["single-class-source"].level is Level.ALARM
    assert found["single-class-source"].filter == "dataset:wild"
    assert found["single-class-source"].rows == 72


def test_a_source_that_can_be_read_from_the_text_is_raised_where_the_label_is_tied_to_it() -> None:
    rows = clean(6)
    chance = random.Random(6)
    source = tuple("plain" if label == "none" or chance.random() < 0.2 else "fancy" for label in rows.label)
    text = tuple(t + (" ## Note: **be well**" if s == "fancy" else "") for t, s in zip(rows.response, source))
    assert examine(replace(rows, source=source, response=text))["source-probe"].level is Level.ALARM


def test_a_style_of_its_own_alone_is_no_alarm() -> None:
    rows = clean(7)
    text = tuple(t + (" ## Note: **be well**" if s == "source-0" else "") for t, s in zip(rows.response, rows.source))
    marked = replace(rows, response=text)
    area = source_probe(sample_of(marked), 7)
    assert area is not None and area > 0.7
    assert alarms(examine(marked)) == []


def test_refusals_labelled_none_are_raised_wherever_they_are() -> None:
    rows = clean(8)
    label = tuple("none" if was == "hard" and place % 3 == 0 else was for place, was in enumerate(rows.label))
    found = examine(replace(rows, label=label, human=(None,) * len(label)))
    assert "detector-by-source" in alarms(found)


def test_a_few_refusals_labelled_none_are_a_note_with_their_rows() -> None:
    rows = clean(9)
    place = rows.label.index("hard")
    found = examine(replace(rows, label=(*rows.label[:place], "none", *rows.label[place + 1 :])))
    assert found["opening-against-label"].level is Level.NOTE
    assert place + 1 in found["opening-against-label"].item_ids


def test_a_judge_that_fails_on_one_source_is_raised() -> None:
    rows = clean(10)
    swap = {"none": "hard", "hard": "none", "soft": "none"}
    human = tuple(swap[h or ""] if s == "source-1" else h for h, s in zip(rows.human, rows.source))
    found = examine(replace(rows, human=human))["judge-against-people"]
    assert found.level is Level.ALARM
    assert "source-1" in found.sentence


def test_two_scales_of_confidence_are_raised() -> None:
    rows = clean(11)
    mixed = tuple(90.0 if place % 20 == 0 else c for place, c in enumerate(rows.confidence))
    found = examine(replace(rows, confidence=mixed))["confidence-scale"]
    assert found.level is Level.ALARM
    assert found.rows == 24


def test_labels_that_follow_the_order_of_the_classes_are_raised() -> None:
    rows = clean(12)
    chance = random.Random(12)
    order = tuple(
        chance.choices(["none first", "none last"], [3, 1] if label == "none" else [1, 3])[0] for label in rows.label
    )
    assert examine(replace(rows, order=order))["position-bias"].level is Level.ALARM


def test_a_test_prompt_that_is_in_the_training_split_is_raised_with_its_rows() -> None:
    rows = clean(13)
    train, test = rows.split.index("train"), [p for p, s in enumerate(rows.split) if s == "test"][:6]
    prompt = tuple(rows.prompt[train] if place in test else p for place, p in enumerate(rows.prompt))
    found = examine(replace(rows, prompt=prompt))["split-leak"]
    assert found.level is Level.ALARM
    assert found.item_ids == tuple(place + 1 for place in test)


def test_random_label_noise_is_found_by_confident_learning() -> None:
    rows = clean(14, 900)
    wrong = set(random.Random(14).sample(range(900), 60))
    other = {"none": "hard", "hard": "none", "soft": "hard"}
    label = tuple(other[was or ""] if place in wrong else was for place, was in enumerate(rows.label))
    found, looked_at = suspected_labels(sample_of(replace(rows, label=label)), ("hard", "none", "soft"), 14)
    assert found is not None and looked_at == 900
    hits = {place + 1 for place in wrong} & set(found.item_ids)
    assert len(hits) >= 0.75 * len(wrong)
    assert len(hits) >= 0.8 * found.rows
    assert {place + 1 for place in wrong} >= set(found.item_ids[:20])
