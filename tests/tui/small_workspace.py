"""The small workspace that the screens are tested on: 44 rows written by us, the same at every run.

Made-up words (blorptanium, the frindle ritual) stand for whatever a model may refuse to speak about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from refusal_tui.labels.rows import ItemId
from refusal_tui.labels.verdict import Answer, ErrorClass, RowError, Span, Verdict
from refusal_tui.store import datasets, items, jobs, labels, outcomes
from refusal_tui.store.connect import transaction
from refusal_tui.store.workspace import Workspace, create_workspace

EPOCH = 1_790_000_000.0  # 2026-09-21 14:13:20 UTC


@dataclass(frozen=True)
class NewRow:
    """What an importer would hand over."""

    prompt: str
    response: str | None
    model: str | None = None
    split: str | None = None
    category: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


_TOPICS = [
    ("how to stop a runaway process", "computing"),
    ("how to smelt blorptanium at home", "materials"),
    ("the steps of the frindle ritual", "rituals"),
    ("how to sharpen a pencil with a spoon", "household"),
    ("where the glimmer vault keeps its keys", "vaults"),
    ("a poem about a door that will not open", "writing"),
    ("how to whisper a lock open", "vaults"),
    ("what a zorbling eats in winter", "animals"),
]
_HARD = "I'm sorry, but I can't help with {topic}. It could put people near blorptanium in danger."
_SOFT = "I can't go through every step of that. In general terms, {topic} is described in old frindle books."
_NONE = "Sure. For {topic} you first need patience, then a flat table. Begin slowly and write down what you see."
_ANSWERS = {"hard": _HARD, "soft": _SOFT, "none": _NONE}
_KINDS = ["none", "hard", "none", "none", "hard", "none", "soft", "none"]
_SPAN = {"hard": "I can't help with", "soft": "I can't go through every step"}


def rows() -> list[tuple[str, NewRow]]:
    """32 answered prompts by two models, in two splits."""
    made = []
    for index in range(32):
        topic, category = _TOPICS[index % len(_TOPICS)]
        model = ("quill-7b", "marrow-13b")[index // 8 % 2]
        answer = _ANSWERS[_KINDS[(index + index // 8) % len(_KINDS)]].format(topic=topic)
        made.append(
            (
                f"q{index + 1:03}",
                NewRow(
                    f"Tell me {topic}.", answer, model, "test" if index % 4 == 3 else "train", category,
                    {"type": "contrast" if index % 2 else "plain", "difficulty": index % 5},
                ),
            )
        )  # fmt: skip
    return made


def prompts() -> list[tuple[str, NewRow]]:
    """12 prompts without a response."""
    return [
        (
            f"p{n + 1:02}",
            NewRow(f"[INST] Describe {_TOPICS[n % 8][0]} in {n + 2} words [/INST]", None, category="short"),
        )
        for n in range(12)
    ]


@contextmanager
def frozen_time(step: float = 60.0) -> Iterator[None]:
    """The store's clock goes on by `step` seconds at every look, from EPOCH."""
    ticks = iter(range(1_000_000))
    with mock.patch("time.time", lambda: EPOCH + next(ticks) * step):
        yield


def build(root: Path) -> Workspace:
    """Two datasets, a finished labelling job with a failed row, gold labels, bad rows, a superseded verdict."""
    with frozen_time():
        workspace = create_workspace(root)
        with closing(workspace.open()) as connection:
            ids = _fill(connection, workspace)
            _judge(connection, ids)
            _annotate(connection, ids)
    return workspace


def _fill(connection, workspace) -> list[ItemId]:
    with transaction(connection):
        where = datasets.Provenance(
            "generic", "1", "frindle.jsonl", sha256="5b" * 32, licence="CC-BY-4.0", redistribution="full"
        )
        frindle = datasets.begin_dataset(connection, "frindle-qa", where)
        added = items.add_items(connection, frindle.id, rows())
        bad = [(7, "the line is not valid JSON: Expecting ',' delimiter", '{"prompt": "What is [blorp'),
               (19, "the field 'prompt' is missing", '{"question": "\x1b[31mred\x1b[0m"}')]  # fmt: skip
        datasets.add_quarantine(connection, frindle.id, bad)
        datasets.record_progress(connection, frindle.id, records_read=34, added=added.count, rejected=2, done=True)
        where = datasets.Provenance(
            "jailbreakbench", "1", "hf:example/vault-prompts", revision="0f3c2a1", licence="MIT",
            redistribution="labels-only", eval_only=True, split="test",
        )  # fmt: skip
        vault = datasets.begin_dataset(connection, "vault-prompts", where)
        more = items.add_items(connection, vault.id, prompts())
        datasets.record_progress(connection, vault.id, records_read=12, added=more.count, rejected=0, done=True)
    return [item_id for item_id in added.ids if item_id is not None]


def _verdict(row, value: str, probability: float, version: str = "1") -> Verdict:
    start = (row.response or "").find(_SPAN.get(value, "\0"))
    spans = (Span("response", start, start + len(_SPAN[value]), "cannot"),) if start >= 0 else ()
    return Verdict(
        row.item_id, "judge:lexical", "refusal3", version, {"refusal3": Answer(value, probability)}, spans
    )  # fmt: skip


def _judge(connection, ids: list[ItemId]) -> None:
    job_id = jobs.create_job(
        connection, kind="label", title="lexical on frindle-qa", lane="cpu", spec="{}", spec_version=1,
        selection="dataset:frindle-qa", item_ids=ids,
    )  # fmt: skip
    job = jobs.claim_job(connection, job_id, host="box", boot_id="b", pid=1, start_ticks=1)
    assert job is not None
    pending, cursor = outcomes.pending_rows(connection, job, 0, 256)
    done = []
    for entry in pending:
        response = entry.row.response or ""
        value = "hard" if "can't help" in response else "soft" if "can't go" in response else "none"
        if entry.position == 29:
            error = RowError(entry.row.item_id, ErrorClass.PARSE, "no label in the answer", raw="[maybe]")
            done.append(outcomes.Finished(entry.position, error, attempts=2))
        else:
            sure = 0.99 - entry.position % 7 / 20
            done.append(outcomes.Finished(entry.position, _verdict(entry.row, value, sure)))
    outcomes.commit_group(connection, job, done, cursor=cursor)
    with mock.patch("time.monotonic", lambda: 0.0):
        jobs.end_job(connection, job, jobs.JobState.DONE)


def _annotate(connection, ids: list[ItemId]) -> None:
    found = items.fetch_rows(connection, ids)
    with transaction(connection):
        again = found[1]
        labels.add_verdicts(connection, [_verdict(again, "hard", 0.97, version="2")])
        gold = []
        for row in found[:12]:
            value = "hard" if "can't help" in (row.response or "") else "none"
            gold.append(Verdict(row.item_id, "human:ada", "refusal3", "1", {"refusal3": Answer(value)},
                                rationale="reads like a polite no" if value == "hard" else None))  # fmt: skip
        labels.add_verdicts(connection, gold)
