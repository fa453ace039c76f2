"""Agreement as the store's labels give it: pairs, groups, parts, blind and assisted, repeats, audits of a judge."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, Verdict
from refusal_tui.review.agreement import agreement
from refusal_tui.review.agreement_report import Asked, HeadAgreement, Pair
from refusal_tui.review.agreement_text import report_json
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.review_queues import Purpose, Queue, QueueItem, QueueSettings, create_queue
from refusal_tui.store.review_work import Place, Said, decide
from refusal_tui.store.workspace import create_workspace
from tests.store.building import NewRow, add, judge

ADA, BOB, CLEO, LEXICAL = "human:ada", "human:bob", "human:cleo", "judge:lexical"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(create_workspace(tmp_path / "w").open()) as connection:
        yield connection


def rows(
    connection: sqlite3.Connection, count: int, *, model: str | None = None, dataset: str = "demo"
) -> list[ItemId]:
    made = (NewRow(f"What is frindle {dataset} {n}?", f"Frindle {n} is a ritual.", model) for n in range(count))
    return add(connection, *made, dataset=dataset)


def label(connection: sqlite3.Connection, who: str, items: Sequence[int], values: str, **more: bool) -> None:
    """`values`: one letter per row: h, s, n, or - for no label."""
    words = {"h": "hard", "s": "soft", "n": "none"}
    said = [
        Verdict(ItemId(i), who, "refusal3", "1", {"refusal3": Answer(words[letter])}, **more)
        for i, letter in zip(items, values, strict=True)
        if letter != "-"
    ]
    judge(connection, *said)


def queue_of(connection: sqlite3.Connection, items: Sequence[QueueItem], name: str = "audit", **more: object) -> Queue:
    with transaction(connection):
        return create_queue(connection, name, QueueSettings(**more), items)  # type: ignore[arg-type]


def decides(connection: sqlite3.Connection, queue: Queue, position: int, who: str, value: str, **more: bool) -> None:
    with transaction(connection):
        decide(connection, Place(queue, position, who), Said({"refusal3": Answer(value)}), **more)


def of_refusal3(connection: sqlite3.Connection, **asked: object) -> HeadAgreement:
    (found,) = agreement(connection, Asked(head="refusal3", **asked))  # type: ignore[arg-type]
    return found


def pair_of(connection: sqlite3.Connection, **asked: object) -> Pair:
    (pair,) = of_refusal3(connection, **asked).pairs
    return pair


def part(pair: Pair, by: str, value: str):
    return next(p.figures for p in pair.parts if (p.by, p.value) == (by, value))


# --- pairs ---------------------------------------------------------------------------------------------------------


def test_only_rows_that_both_have_labelled_count(connection) -> None:
    items = rows(connection, 6)
    label(connection, ADA, items, "hhnns-")
    label(connection, BOB, items, "hnnn-s")
    pair = pair_of(connection)
    assert (pair.one, pair.other, pair.figures.rows) == (ADA, BOB, 4)
    assert pair.figures["percent"].value == 0.75
    assert pair.figures["kappa"].value == pytest.approx(0.5)


def test_the_matrix_has_the_first_annotators_classes_as_lines(connection) -> None:
    items = rows(connection, 4)
    label(connection, ADA, items, "hhsn")
    label(connection, BOB, items, "hsss")
    assert of_refusal3(connection).labels == ("none", "soft", "hard")
    assert pair_of(connection).matrix == ((0, 1, 0), (0, 1, 0), (0, 1, 1))
    assert pair_of(connection).disagreements == 2


def test_every_cell_opens_exactly_its_rows(connection) -> None:
    items = rows(connection, 9)
    label(connection, ADA, items, "hhsnnnhs-")
    label(connection, BOB, items, "hsssnnh-h")
    pair = pair_of(connection, selection="-key:k2")
    for i, line in enumerate(pair.matrix):
        for j, count in enumerate(line):
            chosen = pair.filters[i][j]
            assert (chosen is None) == (count == 0)
            assert chosen is None or len(select_ids(connection, chosen)) == count
    assert pair.filters[0][0] == "-key:k2 gold.ada:none gold.bob:none"


def test_a_name_that_no_filter_can_spell_is_opened_by_its_rows_numbers(connection) -> None:
    items = rows(connection, 4)
    label(connection, "human:ada & co", items, "hhhn")
    label(connection, BOB, items, "hhhh")
    assert pair_of(connection).filters[2][2] == "id:1-3"


def test_classes_are_told_apart(connection) -> None:
    items = rows(connection, 8)
    label(connection, ADA, items, "hhhhnnss")
    label(connection, BOB, items, "hhhhnnnn")
    classes = {c.name: c for c in pair_of(connection).classes}
    assert (classes["soft"].one, classes["soft"].other, classes["soft"].both) == (2, 0, 0)
    assert classes["hard"].shared.value == 1 and classes["soft"].shared.value == 0
    assert classes["none"].shared.value == pytest.approx(2 * 2 / (2 + 4))


def test_sources_and_models_are_told_apart(connection) -> None:
    one = rows(connection, 4, model="quill-7b", dataset="first")
    other = rows(connection, 4, model="marrow-13b", dataset="second")
    label(connection, ADA, [*one, *other], "hnhn" + "hnhn")
    label(connection, BOB, [*one, *other], "hnhn" + "nhnh")
    pair = pair_of(connection)
    assert part(pair, "source", "first")["percent"].value == 1
    assert part(pair, "source", "second")["percent"].value == 0
    assert part(pair, "model", "marrow-13b").rows == 4


def test_labels_given_after_a_judges_was_seen_are_told_apart(connection) -> None:
    items = rows(connection, 6)
    label(connection, LEXICAL, items, "hhhnnn")
    label(connection, ADA, items[:3], "nhn")
    label(connection, ADA, items[3:], "nnn", seen_judge=True)
    pair = pair_of(connection)
    assert (part(pair, "labels", "blind").rows, part(pair, "labels", "assisted").rows) == (3, 3)
    assert part(pair, "labels", "blind")["percent"].value == pytest.approx(1 / 3)
    assert part(pair, "labels", "assisted")["percent"].value == 1


def test_rows_of_one_prompt_make_the_interval_wider(connection) -> None:
    own = [NewRow(f"What is frindle {n}?", f"It is {n}.", f"m{n % 5}") for n in range(60)]
    shared = [NewRow(f"What is frindle {n // 5}?", f"It is {n}.", f"m{n % 5}") for n in range(60)]
    values, others = "hn" * 30, "hn" * 25 + "nh" * 5
    label(connection, ADA, add(connection, *own, dataset="own"), values)
    label(connection, BOB, select_ids(connection, "dataset:own"), others)
    label(connection, ADA, add(connection, *shared, dataset="shared"), values)
    label(connection, BOB, select_ids(connection, "dataset:shared"), others)
    apart = pair_of(connection, selection="dataset:own").figures
    together = pair_of(connection, selection="dataset:shared").figures
    assert (apart.prompts, together.prompts) == (60, 12)
    assert apart["kappa"].value == together["kappa"].value
    assert together["kappa"].high - together["kappa"].low > apart["kappa"].high - apart["kappa"].low


def test_perfect_agreement_on_few_rows_is_not_certain(connection) -> None:
    items = rows(connection, 10)
    label(connection, ADA, items, "hhhhhnnnnn")
    label(connection, BOB, items, "hhhhhnnnnn")
    figures = pair_of(connection).figures
    assert figures["kappa"].value == 1 and 0.3 < figures["kappa"].low < 0.75
    assert figures["percent"].low == pytest.approx(0.72, abs=0.01)  # as Wilson's of 10 of 10


def test_under_ten_prompts_no_interval_is_pretended(connection) -> None:
    items = rows(connection, 9)
    label(connection, ADA, items, "hhhhhnnnn")
    label(connection, BOB, items, "hhhhhnnnh")
    kappa = pair_of(connection).figures["kappa"]
    assert 0.7 < kappa.value < 0.8 and math.isnan(kappa.low)


def test_ordered_classes_forgive_a_neighbour_half(connection) -> None:
    items = rows(connection, 12)
    label(connection, ADA, items, "hhhhssssnnnn")
    label(connection, BOB, items, "hhhsssssnnns")
    figures = pair_of(connection).figures
    assert figures["weighted_kappa"].value > figures["kappa"].value
    assert figures["ordinal_alpha"].value > figures["alpha"].value


# --- who and what --------------------------------------------------------------------------------------------------


def test_people_are_compared_with_everybody_and_judges_with_judges_only_when_named(connection) -> None:
    items = rows(connection, 4)
    for who in (ADA, BOB, LEXICAL, "judge:other"):
        label(connection, who, items, "hnhn")
    pairs = [(p.one, p.other) for p in of_refusal3(connection).pairs]
    assert len(pairs) == 5 and (LEXICAL, "judge:other") not in pairs and pairs[0] == (ADA, BOB)
    named = of_refusal3(connection, annotators=("lexical", "judge:other")).pairs
    assert [(p.one, p.other) for p in named] == [(LEXICAL, "judge:other")]


def test_many_people_have_figures_together_with_labels_missing(connection) -> None:
    items = rows(connection, 6)
    label(connection, ADA, items, "hhnns-")
    label(connection, BOB, items, "hhnn-s")
    label(connection, CLEO, items, "hn--ss")
    found = of_refusal3(connection)
    assert found.people is not None and found.people.rows == 6
    assert found.everybody is None  # nobody else has labelled them


def test_heads_are_reported_one_by_one(connection) -> None:
    items = rows(connection, 3)
    for who in (ADA, BOB):
        label(connection, who, items, "hnh")
        judge(connection, *(Verdict(i, who, "harm", "1", {"prompt_harmful": Answer(True)}) for i in items))
    heads = agreement(connection, Asked())
    assert [one.head for one in heads] == ["refusal3", "prompt_harmful"]
    assert heads[1].labels == ("no", "yes")


def test_labels_of_which_a_row_has_several_are_compared_as_sets_and_one_by_one(connection) -> None:
    items = rows(connection, 4)
    harms = {ADA: ["weapons", "weapons,fraud", "fraud", "none"], BOB: ["weapons", "weapons", "fraud", "none"]}
    for who, values in harms.items():
        judge(
            connection,
            *(Verdict(i, who, "harms", "1", {"head_c_a": Answer(v)}) for i, v in zip(items, values, strict=True)),
        )
    (found,) = agreement(connection, Asked(head="head_c_a"))
    (pair,) = found.pairs
    assert pair.figures["percent"].value == 0.75
    assert 0.7 < pair.figures["alpha"].value < 1
    assert {c.name: (c.one, c.other, c.both) for c in pair.classes} == {"weapons": (2, 2, 2), "fraud": (2, 1, 1)}


def test_nothing_in_common_is_no_report(connection) -> None:
    items = rows(connection, 4)
    label(connection, ADA, items, "hh--")
    label(connection, BOB, items, "--hh")
    assert agreement(connection, Asked()) == []


def test_an_unknown_annotator_is_told_with_those_there_are(connection) -> None:
    label(connection, ADA, rows(connection, 1), "h")
    with pytest.raises(InputError, match="'eve' has labelled nothing") as error:
        agreement(connection, Asked(annotators=("eve",)))
    assert ADA in error.value.next_step


# --- queues --------------------------------------------------------------------------------------------------------


def test_a_silent_repeat_tells_how_well_a_person_agrees_with_itself(connection) -> None:
    items = rows(connection, 3)
    cards = [QueueItem(n, i, "random", 0.5) for n, i in enumerate(items)]
    queue = queue_of(connection, [*cards, QueueItem(3, items[0], "random", 0.5, 1, 0)])
    for position, value in enumerate(["hard", "none", "none", "soft"]):
        decides(connection, queue, position, ADA, value)
    (alone,) = of_refusal3(connection).alone
    assert (alone.annotator, alone.figures.rows) == (ADA, 1)
    assert alone.matrix == ((0, 0, 0), (0, 0, 0), (0, 1, 0))  # hard first, soft the second time


def test_a_correction_is_no_repeat(connection) -> None:
    items = rows(connection, 2)
    label(connection, ADA, items, "hh")
    label(connection, ADA, items, "nn")
    label(connection, BOB, items, "nn")
    assert of_refusal3(connection).alone == ()
    assert pair_of(connection).figures["percent"].value == 1


def test_settling_a_disagreement_does_not_make_two_people_agree(connection) -> None:
    items = rows(connection, 3)
    label(connection, ADA, items, "hnn")
    label(connection, BOB, items, "nnn")
    queue = queue_of(connection, [QueueItem(0, items[0], "split")], "settle", purpose=Purpose.ADJUDICATE)
    decides(connection, queue, 0, ADA, "none", seen_judge=True)
    pair = pair_of(connection)
    assert pair.matrix == ((2, 0, 0), (0, 0, 0), (1, 0, 0))
    assert pair.filters[2][0] == "id:1"
    assert pair.parts == ()


def test_a_queue_chooses_the_rows(connection) -> None:
    items = rows(connection, 4)
    for who in (ADA, BOB):
        label(connection, who, items, "hnhn")
    queue_of(connection, [QueueItem(0, items[1], "random", 0.5), QueueItem(1, items[3], "random", 0.5)])
    assert pair_of(connection, queue="audit").figures.rows == 2
    with pytest.raises(InputError, match="no review queue 'other'"):
        agreement(connection, Asked(queue="other"))


def audited(connection: sqlite3.Connection) -> Queue:
    """100 rows; the judge calls 40 a refusal. Ten rows each of what it says are looked at; of the refusals one is
    none, of the others two are."""
    items = rows(connection, 100)
    label(connection, LEXICAL, items, "h" * 40 + "n" * 60)
    drawn = [*items[:10], *items[40:50]]
    chance = [10 / 40] * 10 + [10 / 60] * 10
    cards = [QueueItem(n, i, "judge", p) for n, (i, p) in enumerate(zip(drawn, chance, strict=True))]
    queue = queue_of(connection, cards, selection="dataset:demo", population=100)
    truth = ["hard"] * 9 + ["none"] + ["hard"] * 2 + ["none"] * 8
    for position, value in enumerate(truth):
        decides(connection, queue, position, ADA, value)
    return queue


def test_the_errors_of_a_judge_are_those_of_all_rows_and_not_of_the_sample(connection) -> None:
    audited(connection)
    (errors,) = of_refusal3(connection).errors
    assert (errors.judge, errors.queue, errors.rows, errors.population) == (LEXICAL, "audit", 20, 100)
    # 4 false alarms among 40, 12 misses among 60
    assert errors.wrong.interval.value == pytest.approx((4 + 12) / 100)
    refusal = errors.classes[0]
    assert refusal.name == "refusal"
    assert refusal.found.interval.value == pytest.approx(36 / (36 + 12))
    assert refusal.right.interval.value == pytest.approx(0.9)
    assert refusal.people.interval.value == pytest.approx(0.48)


def test_what_the_judge_counts_is_corrected_by_its_errors(connection) -> None:
    audited(connection)
    (errors,) = of_refusal3(connection).errors
    refusal = errors.classes[0]
    assert refusal.called == pytest.approx(0.4)
    value, low, high = refusal.corrected
    assert value == pytest.approx(0.48) and low < 0.42 and high > 0.52


def test_half_a_queue_is_not_taken_for_the_whole(connection) -> None:
    """All 40 rows are in the queue. After the first 20, half wrong, nobody knows about the other 20."""
    items = rows(connection, 40)
    label(connection, LEXICAL, items, "hn" * 20)
    queue = queue_of(connection, [QueueItem(n, i, "all", 1.0) for n, i in enumerate(items)], population=40)
    for position in range(20):
        decides(connection, queue, position, ADA, "hard")
    (errors,) = of_refusal3(connection).errors
    value, low, high = errors.wrong.interval
    assert value == 0.5 and low < 0.4 and high > 0.6
    for position in range(20, 40):
        decides(connection, queue, position, ADA, "hard")
    (errors,) = of_refusal3(connection).errors
    assert errors.wrong.interval == pytest.approx((0.5, 0.5, 0.5))


def test_rows_on_which_people_are_split_are_open_until_somebody_settles_them(connection) -> None:
    queue = audited(connection)
    connection.execute("UPDATE queue_item SET wanted = 2")
    decides(connection, queue, 0, BOB, "none")
    (errors,) = of_refusal3(connection).errors
    assert (errors.rows, errors.open) == (19, 1)
    settle = queue_of(connection, [QueueItem(0, ItemId(1), "split")], "settle", purpose=Purpose.ADJUDICATE)
    decides(connection, settle, 0, CLEO, "hard")
    (errors,) = of_refusal3(connection).errors
    assert (errors.rows, errors.open) == (20, 0)
    assert errors.wrong.interval.value == pytest.approx(0.16)


def test_rows_chosen_by_hand_say_nothing_about_the_others(connection) -> None:
    items = rows(connection, 20)
    label(connection, LEXICAL, items, "h" * 20)
    queue = queue_of(connection, [QueueItem(n, i, "by hand") for n, i in enumerate(items)])
    for position in range(20):
        decides(connection, queue, position, ADA, "hard")
    assert of_refusal3(connection).errors == ()


def test_json_holds_everything_and_no_nan(connection) -> None:
    import json

    audited(connection)
    label(connection, BOB, [1, 2], "hh")
    written = json.loads(json.dumps(report_json(agreement(connection, Asked())), allow_nan=False))
    (head,) = written["heads"]
    assert head["pairs"][0]["one"] == ADA and head["judge_errors"][0]["classes"][0]["class"] == "refusal"
