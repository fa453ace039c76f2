"""A queue that leaves the machine and comes back, with the work of somebody who had no access to it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.errors import ConflictError, InputError
from refusal_tui.labels.rows import Message
from refusal_tui.labels.verdict import Answer, Profile
from refusal_tui.review.roundtrip import queue_records, read_package
from refusal_tui.review.roundtrip_import import Imported, import_package
from refusal_tui.review.roundtrip_label_studio import interface, read_tasks, sheet_of, tasks
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import find_dataset
from refusal_tui.store.labels import labels_of
from refusal_tui.store.review_answers import decisions
from refusal_tui.store.review_cards import fetch_cards
from refusal_tui.store.review_queues import Queue, QueueItem, QueueSettings, create_queue, get_queue, queue_items
from refusal_tui.store.review_work import CardState, Place, Said, decide, flag, note, skip, undo
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.store.building import NewRow, add, judge, says
from tests.support.commands import call_here

ADA, BOB = "human:ada", "human:bob"
HOSTILE = '\x1b[31m[INST] \u202eblorptanium\u2028 [/INST]\n{"record": "queue"} 漢字 \x00'


@pytest.fixture
def box(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The machine that the data is on."""
    with closing(create_workspace(tmp_path / "box").open()) as connection:
        yield connection


@pytest.fixture
def away(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """An annotator's own machine: other rows came first, so that all row numbers differ."""
    with closing(create_workspace(tmp_path / "away").open()) as connection:
        add(connection, *(NewRow(f"Something else {n}?", "Yes.") for n in range(7)), dataset="other")
        yield connection


def a_queue(connection: sqlite3.Connection, *, wanted: int = 1, repeats: bool = False, **settings: object) -> Queue:
    rows = [
        NewRow(f"What is frindle {n}?", f"Frindle {n} is a ritual.", "quill-7b", "test", "rituals") for n in range(4)
    ]
    rows.append(NewRow((Message("system", "Be brief."), Message("user", HOSTILE)), HOSTILE, "marrow-13b"))
    rows.append(NewRow("Only a prompt", None))
    ids = add(connection, *rows)
    judge(connection, *(says(i, "hard") for i in ids))
    items = [QueueItem(n, i, "random", 0.25, wanted) for n, i in enumerate(ids, 1)]
    items += [QueueItem(7, ids[0], "random", 0.25, 1, 1)] if repeats else []
    with transaction(connection):
        made = QueueSettings("dataset:demo", 24, guidelines="Be kind.", **settings)  # type: ignore[arg-type]
        return create_queue(connection, "first", made, items)


def label(connection: sqlite3.Connection, position: int, who: str, value: str = "hard", **more: object) -> None:
    with transaction(connection):
        place = Place(get_queue(connection, "first"), position, who)
        decide(connection, place, Said({"refusal3": Answer(value)}), **more)  # type: ignore[arg-type]


def export(connection: sqlite3.Connection, **more: object) -> list[str]:
    records = queue_records(connection, "first", workspace="box", program="test", **more)  # type: ignore[arg-type]
    return [json.dumps(record) for record in records]


def bring(connection: sqlite3.Connection, lines: Sequence[str], **more: object) -> Imported:
    with transaction(connection):
        return import_package(connection, read_package(lines), **more)  # type: ignore[arg-type]


def stands(connection: sqlite3.Connection) -> list[tuple[int, str, str, str | None]]:
    """(card, annotator, state, three-class answer) of the queue."""
    return [
        (d.item.position, d.annotator, d.state.value, str(d.verdict.answers["refusal3"].value) if d.verdict else None)
        for d in decisions(connection, get_queue(connection, "first"))
    ]


# --- there and back ------------------------------------------------------------------------------------------------


def test_work_done_elsewhere_comes_back_to_the_same_rows(box, away) -> None:
    a_queue(box)
    assert bring(away, export(box, blank=True)).created
    for position, value in enumerate(["hard", "soft", "none", "hard"], 1):
        label(away, position, BOB, value)
    done = bring(box, export(away))
    assert (done.created, done.added, done.clashes, done.unknown) == (False, 4, [], 0)
    assert stands(box) == stands(away)
    first = queue_items(box, get_queue(box, "first").id)[0].item_id
    assert ("refusal3", BOB, "hard") in [(x.head, x.annotator, x.value) for x in labels_of(box, first)]


def test_the_annotator_sees_the_text_exactly_as_it_is_here(box, away) -> None:
    queue = a_queue(box)
    bring(away, export(box, blank=True))
    there = get_queue(away, "first")
    positions = [1, 5, 6]
    for here, sent in zip(
        fetch_cards(box, queue, ADA, positions), fetch_cards(away, there, ADA, positions), strict=True
    ):
        assert (here.row.prompt, here.row.response) == (sent.row.prompt, sent.row.response)
        assert (here.row.messages, here.row.model, here.row.category) == (
            sent.row.messages, sent.row.model, sent.row.category
        )  # fmt: skip


def test_what_judges_said_does_not_travel(box, away) -> None:
    a_queue(box)
    lines = export(box)
    assert not any("judge:" in line for line in lines)
    bring(away, lines)
    (card, *_) = fetch_cards(away, get_queue(away, "first"), ADA, [1])
    assert card.judges == ()


def test_settings_weights_and_repeats_travel(box, away) -> None:
    queue = a_queue(box, wanted=2, repeats=True, profile=Profile.ROBERTA, blur=True, design={"random": 0.5})
    bring(away, export(box))
    there = get_queue(away, "first")
    assert there.settings == queue.settings
    sent = [(i.position, i.stratum, i.inclusion, i.wanted, i.repeat_of) for i in queue_items(away, there.id)]
    assert sent == [(i.position, i.stratum, i.inclusion, i.wanted, i.repeat_of) for i in queue_items(box, queue.id)]


def test_the_terms_of_the_data_travel(box, away) -> None:
    a_queue(box)
    box.execute("UPDATE dataset SET licence = 'CC-BY-NC-4.0', redistribution = 'labels-only', eval_only = 1")
    bring(away, export(box))
    dataset = find_dataset(away, "review-first")
    assert dataset is not None
    where = dataset.provenance
    assert (where.licence, where.redistribution, where.eval_only) == ("CC-BY-NC-4.0", "labels-only", True)


def test_rows_that_are_there_already_are_not_doubled(box, away) -> None:
    a_queue(box)
    add(away, NewRow("What is frindle 2?", "Frindle 2 is a ritual.", "quill-7b", "test", "rituals"), dataset="mine")
    assert bring(away, export(box)).new_rows == 5


def test_skips_flags_notes_times_and_anchoring_travel(box, away) -> None:
    queue = a_queue(box)
    label(box, 1, ADA, seen_judge=True, seconds=3.5, now=1_790_000_000.0)
    with transaction(box):
        skip(box, Place(queue, 2, ADA))
        flag(box, Place(queue, 3, ADA))
        note(box, Place(queue, 3, ADA), "is this a ritual?")
    bring(away, export(box))
    first, second, third = decisions(away, get_queue(away, "first"))
    assert first.verdict is not None and first.verdict.seen_judge and first.seconds == 3.5
    assert second.state is CardState.SKIP
    assert (third.state, third.flagged, third.note) == (CardState.OPEN, True, "is this a ritual?")


def test_importing_twice_changes_nothing(box, away) -> None:
    a_queue(box, repeats=True)
    label(box, 1, ADA)
    label(box, 7, ADA, "soft")
    with transaction(box):
        skip(box, Place(get_queue(box, "first"), 2, ADA))
    lines = export(box)
    bring(away, lines)
    before = "\n".join(away.iterdump())
    again = bring(away, lines)
    assert (again.created, again.new_rows, again.added, again.unchanged) == (False, 0, 0, 3)
    assert "\n".join(away.iterdump()) == before


def test_another_answer_of_the_same_person_is_a_conflict_and_what_is_here_stands(box, away) -> None:
    a_queue(box)
    bring(away, export(box))
    label(box, 1, ADA, "hard")
    label(away, 1, ADA, "soft")
    done = bring(box, export(away))
    (clash,) = done.clashes
    assert (clash.position, clash.annotator, clash.here, clash.there) == (1, ADA, "refusal3=hard", "refusal3=soft")
    assert stands(box) == [(1, ADA, "label", "hard")]
    assert bring(box, export(away), overwrite=True).replaced == 1
    assert stands(box) == [(1, ADA, "label", "soft")]


def test_a_label_says_more_than_a_skip_whichever_side_it_is_on(box, away) -> None:
    queue = a_queue(box)
    bring(away, export(box))
    with transaction(box):
        skip(box, Place(queue, 1, ADA))
    label(away, 1, ADA, "none")
    assert bring(box, export(away)).added == 1
    with transaction(away):
        there = get_queue(away, "first")
        undo(away, there, ADA)
        skip(away, Place(there, 1, ADA))
    bring(box, export(away))
    assert stands(box) == [(1, ADA, "label", "none")]


def test_a_label_too_many_is_kept_beside_the_queue_and_not_lost(box, away) -> None:
    queue = a_queue(box)
    bring(away, export(box))
    label(box, 1, ADA, "hard")
    label(away, 1, BOB, "soft")
    assert bring(box, export(away)).beside == 1
    assert stands(box) == [(1, ADA, "label", "hard")]
    first = queue_items(box, queue.id)[0].item_id
    assert {(x.annotator, x.value) for x in labels_of(box, first)} >= {(ADA, "hard"), (BOB, "soft")}
    assert bring(box, export(away)).unchanged == 1


def test_a_name_can_be_given_to_the_work(box, away) -> None:
    a_queue(box)
    bring(away, export(box))
    label(away, 1, "human:root", "none")
    bring(box, export(away), annotator="cleo")
    assert stands(box) == [(1, "human:cleo", "label", "none")]


def test_work_of_two_people_cannot_be_one_persons(box, away) -> None:
    a_queue(box)
    label(box, 1, ADA)
    label(box, 2, BOB)
    with pytest.raises(InputError, match="the work of 2 people"):
        bring(away, export(box), annotator="cleo")
    assert "bob" not in "".join(export(box, annotators=(ADA,)))


# --- what does not belong here ---------------------------------------------------------------------------------------


def test_a_queue_of_that_name_with_other_cards_is_told(box, away) -> None:
    a_queue(box)
    ids = add(away, NewRow("What is frindle 1?", "Frindle 1 is a ritual.", "quill-7b"), NewRow("Else?", "No."))
    with transaction(away):
        create_queue(away, "first", QueueSettings(), [QueueItem(n, i, "x") for n, i in enumerate(ids, 1)])
    with pytest.raises(ConflictError, match=r"1 rows of 6 are in both.*workspace 'box'") as error:
        bring(away, export(box))
    assert "--name" in error.value.next_step
    assert bring(away, export(box), name="second").created


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda lines: lines[:-2], "cards are not those that were exported"),
        (lambda lines: [], "file is empty"),
        (lambda lines: lines[1:], "not a review file"),
        (lambda lines: [lines[0], lines[1][:-5], *lines[2:]], "Line 2 is not that of a review file"),
        (lambda lines: [lines[0], lines[1].replace("ritual", "recipe"), *lines[2:]], "not the one that was exported"),
        (lambda lines: [lines[0].replace('"version": 1', '"version": 9'), *lines[1:]], "version 9"),
        (lambda lines: [*lines, '{"record": "hello"}'], "Line 8 .* 'hello'"),
        (lambda lines: [*lines, '{"record": "decision"}'], "Line 8 .*'answers' is missing"),
        (lambda lines: [*lines, "[1, 2]"], "Line 8"),
    ],
)
def test_a_damaged_file_is_told_with_its_line_and_nothing_is_taken(box, away, damage, told) -> None:
    a_queue(box)
    with pytest.raises(InputError, match=told):
        bring(away, damage(export(box)))
    assert find_dataset(away, "review-first") is None


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("annotator", "judge:gpt-4", "not human:NAME"),
        ("answers", {"refusal3": {"value": "maybe"}}, "Line 8"),
        ("answers", {}, "without an answer"),
        ("answers", {"refusal3": {"value": 3}}, "neither a text"),
        ("state", "gone", "gone"),
    ],
)
def test_a_decision_that_nobody_could_have_made_is_told(box, away, field, value, told) -> None:
    a_queue(box)
    label(box, 1, ADA)
    *rest, decision = export(box)
    broken = json.dumps(json.loads(decision) | {field: value})
    with pytest.raises(InputError, match=told):
        bring(away, [*rest, broken])


# --- Label Studio ----------------------------------------------------------------------------------------------------


def test_a_queue_becomes_tasks_and_an_interface_that_fits_them(box) -> None:
    queue = a_queue(box)
    label(box, 1, ADA, "soft", seconds=4.0)
    found = tasks(box, "first", workspace="box")
    assert len(found) == 6 and found[0]["data"]["prompt"] == "What is frindle 0?"
    (annotation,) = found[0]["annotations"]
    assert annotation["result"] == [
        {"from_name": "refusal3", "to_name": "response", "type": "choices", "value": {"choices": ["soft"]}}
    ]
    assert (annotation["lead_time"], annotation["completed_by"]) == (4.0, {"email": "ada"})
    page = interface(sheet_of(box, queue))
    assert '<Text name="response" value="$response"/>' in page
    assert '<Choices name="refusal3" toName="response" choice="single">' in page
    assert '<Choice value="soft" hotkey="s"/>' in page


def annotated(box: sqlite3.Connection, *annotations: dict) -> str:
    """What Label Studio hands back: the first task annotated."""
    found = tasks(box, "first", workspace="box", blank=True)
    found[0]["annotations"] = list(annotations)
    return json.dumps([{"id": 100 + n, "project": 7, "predictions": [], **task} for n, task in enumerate(found)])


def chosen(value: str, **more: object) -> dict:
    result = {"id": "Dx_a", "from_name": "refusal3", "to_name": "response", "type": "choices",
              "value": {"choices": [value]}}  # fmt: skip
    return {"id": 1, "result": [result], "was_cancelled": False, "lead_time": 4.288, "completed_by": 10,
            "created_at": "2026-03-09T22:16:08.728353Z"} | more  # fmt: skip


def test_annotations_of_label_studio_become_decisions(box) -> None:
    a_queue(box)
    package = read_tasks(box, annotated(box, chosen("soft")))
    with transaction(box):
        assert import_package(box, package, annotator="dora").added == 1
        assert import_package(box, package, annotator="dora").unchanged == 1
    (decision,) = decisions(box, get_queue(box, "first"))
    assert (decision.annotator, decision.seconds, stands(box)[0][3]) == ("human:dora", 4.288, "soft")


@pytest.mark.parametrize(
    ("who", "name"),
    [(10, "label-studio-10"), ({"id": 3, "email": "eve@example.org"}, "eve"), ({"id": 3}, "3"), (None, "label-studio")],
)
def test_who_has_annotated_is_read_in_every_form(box, who, name) -> None:
    a_queue(box)
    package = read_tasks(box, annotated(box, chosen("hard", completed_by=who)))
    assert [d.annotator for d in package.decisions] == [f"human:{name}"]


def test_a_cancelled_annotation_is_a_skip_and_an_empty_one_is_nothing(box) -> None:
    a_queue(box)
    text = annotated(box, chosen("hard", result=[], was_cancelled=True, completed_by=1), chosen("hard", result=[]))
    assert [(d.state, d.answers) for d in read_tasks(box, text).decisions] == [(CardState.SKIP, {})]


def test_flags_and_notes_of_answered_cards_go_to_label_studio_and_back(box) -> None:
    queue = a_queue(box)
    label(box, 1, ADA, "soft")
    with transaction(box):
        for position in (1, 2):
            flag(box, Place(queue, position, ADA))
            note(box, Place(queue, position, ADA), "odd [row]")
        skip(box, Place(queue, 2, ADA))
    told = [(d.position, d.state, d.flagged, d.note) for d in read_tasks(
        box, json.dumps(tasks(box, "first", workspace="box"))).decisions]  # fmt: skip
    assert told == [(1, CardState.LABEL, True, "odd [row]"), (2, CardState.SKIP, True, "odd [row]")]
    page = interface(sheet_of(box, queue))
    assert '<TextArea name="note"' in page and '<Choice value="flagged"/>' in page


def test_a_note_without_a_choice_comes_back_as_a_note_alone(box) -> None:
    a_queue(box)
    written = {"from_name": "note", "to_name": "response", "type": "textarea", "value": {"text": ["what is this?"]}}
    (decision,) = read_tasks(box, annotated(box, chosen("hard", result=[written]))).decisions
    assert (decision.state, decision.note, decision.answers) == (CardState.OPEN, "what is this?", {})


def test_label_studio_is_told_to_show_the_text_exactly(box) -> None:
    assert "white-space: pre-wrap" in interface(sheet_of(box, a_queue(box)))


def test_several_questions_and_several_choices_go_there_and_back(box) -> None:
    queue = a_queue(box, questions="head_c_a,prompt_harmful")
    said = Said({"head_c_a": Answer("weapons,fraud"), "prompt_harmful": Answer(True)}, "head_c_a+prompt_harmful")
    with transaction(box):
        decide(box, Place(queue, 1, ADA), said)
    package = read_tasks(box, json.dumps(tasks(box, "first", workspace="box")))
    (decision,) = package.decisions
    assert {n: a.value for n, a in decision.answers.items()} == {"head_c_a": "weapons,fraud", "prompt_harmful": True}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[{", "not JSON"),
        ('{"data": {}}', "not a Label Studio export"),
        ('[{"prompt": "x"}]', "not a Label Studio export"),
        ('[{"data": {}}]', "do not say which queue"),
        ('[{"data": {"queue": "lost"}}]', "no review queue 'lost'"),
    ],
)
def test_what_is_no_export_of_ours_is_told(box, text, told) -> None:
    a_queue(box)
    with pytest.raises(InputError, match=told):
        read_tasks(box, text)


def test_a_choice_that_there_is_not_is_told_with_its_task(box) -> None:
    a_queue(box)
    with pytest.raises(InputError, match="Task 1 cannot be read: refusal3 cannot be 'perhaps'"):
        read_tasks(box, annotated(box, chosen("perhaps")))


def test_tasks_of_another_workspace_are_told(box, away) -> None:
    a_queue(box)
    ids = add(away, NewRow("Else?", "No."))
    with transaction(away):
        create_queue(away, "first", QueueSettings(), [QueueItem(1, ids[0], "x")])
    package = read_tasks(away, annotated(box, chosen("hard")))
    with pytest.raises(InputError, match="None of the 1 decisions") as error, transaction(away):
        import_package(away, package)
    assert "another workspace (box)" in error.value.next_step


# --- the commands ----------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did(box, away, tmp_path, capsys) -> None:
    a_queue(box)
    label(box, 1, ADA)
    file = tmp_path / "first.jsonl"

    def call(where: str, *words: object):
        return call_here(Workspace(tmp_path / where), "review", *words, capsys=capsys)

    assert call("box", "export", "first", file).code == 0
    made = call("away", "import", file)
    assert made.code == 0 and "Made the queue first of 6 cards" in made.err and "Decisions added: 1" in made.err
    again = call("away", "import", file, "--json").json
    assert (again["created"], again["added"], again["unchanged"]) == (False, 0, 1)
    studio = tmp_path / "first.json"
    assert "labelling interface" in call("box", "export", "first", studio, "--format", "label-studio").err
    assert (tmp_path / "first.xml").read_text().startswith("<View>")
    assert call("away", "import", studio, "--json").json["unchanged"] == 1
    label(away, 2, BOB, "soft")
    label(box, 2, BOB, "none")
    assert call("away", "export", "first", file, "--annotator", "bob").code == 0
    back = call("box", "import", file)
    assert "Answered otherwise here: 1" in back.err and "refusal3=soft" in back.out
    wrong = call("box", "import", tmp_path / "first.xml")
    assert wrong.code == 4 and "Line 1 is not that of a review file" in wrong.err
