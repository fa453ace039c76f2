"""How does a queue go to Label Studio and come back? Tasks as JSON, with the labelling interface that fits them.

The format is Label Studio's own (labelstud.io, "Label Studio JSON format of annotated tasks"): a list of tasks, each
with `data` and `annotations`; an annotation has `result` (one entry per question: `from_name`, `to_name`, type
`choices`, `value.choices`), `completed_by`, `lead_time` in seconds, `was_cancelled` (skipped) and `created_at`. A note
(`textarea`, `value.text`) and a flag are parts of the interface, too. What tells the row, its queue and its card
travels in `data`, which Label Studio hands back untouched.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import quoteattr

from refusal_tui.errors import InputError
from refusal_tui.labels.constitution import DEFAULT
from refusal_tui.labels.rows import render_messages
from refusal_tui.labels.taxonomy import split_labels
from refusal_tui.labels.verdict import Answer
from refusal_tui.review.questions import Asked, Sheet, sheet
from refusal_tui.review.roundtrip import Package, SentCard, SentDecision, check_decision, sent_cards
from refusal_tui.store.review_answers import Decision, decisions
from refusal_tui.store.review_queues import Queue, get_queue
from refusal_tui.store.review_work import CardState
from refusal_tui.store.settings import constitution_in_force

_NOTE, _FLAG, _FLAGGED = "note", "flag", "flagged"
# Label Studio trims blanks and joins lines unless it is told not to; an annotator sees the text exactly as it is.
_EXACT = "  <Style>.htx-text { white-space: pre-wrap; }</Style>"


def tasks(
    connection: sqlite3.Connection, name: str, *, workspace: str, blank: bool = False, annotators: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """The cards of a queue as Label Studio tasks; what people have said as annotations. Raises InputError."""
    queue = get_queue(connection, name)
    asked = sheet_of(connection, queue)
    said: dict[int, list[Decision]] = {}
    for decision in [] if blank else decisions(connection, queue):
        if (not annotators or decision.annotator in annotators) and decision.state is not CardState.OPEN:
            said.setdefault(decision.item.position, []).append(decision)
    return [_task(card, queue, workspace, asked, said.get(card.position, ())) for card in sent_cards(connection, queue)]


def interface(asked: Sheet) -> str:
    """The labelling interface (XML) for the questions of a queue: paste it into the project's settings."""
    lines = ["<View>", _EXACT, '  <Header value="Prompt"/>', '  <Text name="prompt" value="$prompt"/>']
    lines += ['  <Header value="Response"/>', '  <Text name="response" value="$response"/>']
    for question in asked.asked:
        kind = "multiple" if question.several else "single"
        lines.append(f"  <Header value={quoteattr(question.text or question.name)}/>")
        lines.append(f'  <Choices name={quoteattr(question.name)} toName="response" choice="{kind}">')
        lines += [
            f"    <Choice value={quoteattr(option.word)} hotkey={quoteattr(option.key)}/>"
            for option in question.options
        ]
        lines.append("  </Choices>")
    lines += [f'  <Choices name="{_FLAG}" toName="response" choice="multiple">', f'    <Choice value="{_FLAGGED}"/>']
    lines += ["  </Choices>", f'  <TextArea name="{_NOTE}" toName="response" maxSubmissions="1" placeholder="Note"/>']
    return "\n".join([*lines, "</View>", ""])


def sheet_of(connection: sqlite3.Connection, queue: Queue) -> Sheet:
    """What a queue asks, under the constitution in force."""
    constitution = constitution_in_force(connection) or DEFAULT
    return sheet(queue.settings.questions, queue.settings.profile, constitution)


def read_tasks(connection: sqlite3.Connection, text: str, queue_name: str | None = None) -> Package:
    """An export of Label Studio, as decisions for a queue that is here. `queue_name`: where the tasks do not name it.

    Raises InputError for a file that is no such export, and for tasks of several queues.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(
            f"The file is not JSON: {error}.", "Export the project as JSON, not as JSON-MIN or CSV."
        ) from None
    if not isinstance(found, list) or not all(isinstance(t, dict) and isinstance(t.get("data"), dict) for t in found):
        raise InputError("This is not a Label Studio export.", "Export the project as JSON, not as JSON-MIN or CSV.")
    names = {str(task["data"]["queue"]) for task in found if task["data"].get("queue")}
    if queue_name is None and len(names) != 1:
        told = f"The tasks name {len(names)} queues." if names else "The tasks do not say which queue they belong to."
        raise InputError(told, "Say which with --name QUEUE.")
    name = queue_name or names.pop()
    asked = sheet_of(connection, get_queue(connection, name))
    said: list[SentDecision] = []
    for number, task in enumerate(found, 1):
        try:
            said += _decisions(task, asked)
        except (ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise InputError(
                f"Task {number} cannot be read: {error}.", "Leave the field `data` of the tasks as it was exported."
            ) from None
    workspace = next((str(task["data"].get("workspace") or "") for task in found), "")
    return Package(workspace, name, None, {}, (), tuple(said))


# --- writing -------------------------------------------------------------------------------------------------------


def _task(
    card: SentCard, queue: Queue, workspace: str, asked: Sheet, said: Sequence[Decision]
) -> dict[str, Any]:  # fmt: skip
    prompt = card.prompt if isinstance(card.prompt, str) else render_messages(card.prompt)
    return {
        "data": {
            "prompt": prompt, "response": card.response or "", "queue": queue.name, "card": card.position,
            "content": card.content, "workspace": workspace,
        },
        "annotations": [_annotation(decision, asked) for decision in said],
    }  # fmt: skip


def _annotation(decision: Decision, asked: Sheet) -> dict[str, Any]:
    result = []
    for question in asked.asked:
        answer = None if decision.verdict is None else decision.verdict.answers.get(question.name)
        if answer is not None and answer.value is not None:
            choices = [option.word for option in question.options if option.key in question.chosen(answer.value)]
            result.append(_part(question.name, "choices", {"choices": choices}))
    if decision.flagged:
        result.append(_part(_FLAG, "choices", {"choices": [_FLAGGED]}))
    if decision.note:
        result.append(_part(_NOTE, "textarea", {"text": [decision.note]}))
    created = None if decision.created is None else datetime.fromtimestamp(decision.created, UTC).isoformat()
    return {
        "result": result, "was_cancelled": decision.state is CardState.SKIP, "ground_truth": False,
        "lead_time": decision.seconds, "created_at": created,
        "completed_by": {"email": decision.annotator.removeprefix("human:")},
    }  # fmt: skip


def _part(name: str, kind: str, value: Mapping[str, Any]) -> dict[str, Any]:
    return {"from_name": name, "to_name": "response", "type": kind, "value": value}


# --- reading -------------------------------------------------------------------------------------------------------


def _decisions(task: Mapping[str, Any], asked: Sheet) -> list[SentDecision]:
    data = task["data"]
    found = []
    for annotation in task.get("annotations") or ():
        skipped, result = bool(annotation.get("was_cancelled")), annotation.get("result") or ()
        answers = {} if skipped else _answers(result, asked)
        flagged, note = _flag_and_note(result)
        if not (answers or skipped or flagged or note):
            continue  # submitted without a choice
        state = CardState.SKIP if skipped else CardState.LABEL if answers else CardState.OPEN
        decision = SentDecision(
            int(data["card"]), str(data["content"]), _annotator(annotation.get("completed_by")), state, answers,
            asked.question_set, asked.version, False, flagged, note, annotation.get("lead_time"),
            _moment(annotation.get("created_at")),
        )  # fmt: skip
        check_decision(decision)
        found.append(decision)
    return found


def _answers(result: Sequence[Mapping[str, Any]], asked: Sheet) -> dict[str, Answer]:
    questions: dict[str, Asked] = {question.name: question for question in asked.asked}
    given = {
        part["from_name"]: questions[part["from_name"]].read(",".join(split_labels(",".join(part["value"]["choices"]))))
        for part in result
        if part.get("type") == "choices" and part.get("from_name") in questions
    }
    return {name: given.get(name, Answer(None)) for name in questions} if given else {}


def _flag_and_note(result: Sequence[Mapping[str, Any]]) -> tuple[bool, str | None]:
    parts = {part.get("from_name"): part.get("value") or {} for part in result}
    words = parts.get(_NOTE, {}).get("text") or []
    text = "\n".join([words] if isinstance(words, str) else map(str, words)).strip()
    return bool(parts.get(_FLAG, {}).get("choices")), text or None


def _annotator(who: Any) -> str:
    """Label Studio gives a number, or an object with the e-mail address, by the kind of the export."""
    if isinstance(who, Mapping):
        who = str(who.get("email") or who.get("id") or "").partition("@")[0]
    elif isinstance(who, int):
        who = f"label-studio-{who}"
    return f"human:{who}" if who else "human:label-studio"


def _moment(said: Any) -> float | None:
    return None if not said else datetime.fromisoformat(str(said).replace("Z", "+00:00")).timestamp()
