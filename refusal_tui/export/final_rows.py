"""What does one row of the final dataset hold? The schema of the dataset-pipeline system, field for field.

`prompt`, `response`, `head_a`, `head_b`, `head_c_a`, `head_c_b`, `head_d`, `metadata`: null is never none and never
false. Everything else that is known of the row is in `metadata`, in the order of its fields here.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from refusal_tui.export.final_candidates import class_of
from refusal_tui.export.final_labels import Settled, labels_said, resolved_labels
from refusal_tui.export.final_plan import Plan
from refusal_tui.export.resolve import HEADS, POLICY, Chosen, Rank, Resolved, Said
from refusal_tui.labels.atoms import ATOMS, text_of
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.rows import Row
from refusal_tui.labels.taxonomy import HEAD_A, HEAD_B, HEAD_C_A, HEAD_C_B, split_labels
from refusal_tui.labels.verdict import Verdict
from refusal_tui.pii.find import find_pii
from refusal_tui.pii.scrub import Scrubber
from refusal_tui.pii.spans import PiiSpan
from refusal_tui.store.datasets import Provenance, list_datasets
from refusal_tui.store.encoding import chunks, select_in
from refusal_tui.store.endpoints import list_endpoints
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.labels import verdicts_numbered
from refusal_tui.store.settings import constitution_in_force

PAGE = 500
_PORTION = 500_000  # characters: what is longer is scrubbed in portions, cut at a blank

Pii = str  # scrub | keep | drop


@dataclass(frozen=True, slots=True)
class FinalRow:
    """One row, the part that it is in and the class that it was dealt out by. `changed`: it got other labels since."""

    record: Mapping[str, Any]
    part: int
    class_: str
    changed: bool


@dataclass
class Cleaner:
    """Takes personal data out of texts, with one number for each value in the whole dataset."""

    policy: Pii
    replaced: int = 0
    _scrubber: Scrubber = field(init=False)

    def __post_init__(self) -> None:
        self._scrubber = Scrubber(self._counted)

    def _counted(self, text: str) -> Iterable[PiiSpan]:
        spans = find_pii(text)
        self.replaced += len(spans)
        return spans

    def refuses(self, *texts: str | None) -> bool:
        """Whether a row with these texts is left out."""
        return self.policy == "drop" and any(find_pii(part) for text in texts if text for part in portions(text))

    def clean(self, text: str | None) -> str | None:
        if text is None or self.policy != "scrub":
            return text
        return "".join(self._scrubber.scrub(part) for part in portions(text))


def portions(text: str, size: int = _PORTION) -> Iterator[str]:
    """The text in pieces of at most `size` characters, cut after a blank where there is one."""
    begin = 0
    while begin < len(text):
        end = begin + size
        if end < len(text):
            end = max(text.rfind(" ", begin, end), text.rfind("\n", begin, end)) + 1 or end
        yield text[begin:end]
        begin = end


class FinalRows:
    """The rows of a plan, in its order. What is read from the workspace once is read here."""

    def __init__(
        self, connection: sqlite3.Connection, plan: Plan, settled: Settled, withheld: set[int], cleaner: Cleaner
    ) -> None:
        self._connection = connection
        self._plan = plan
        self._settled = settled
        self._cleaner = cleaner
        datasets = list_datasets(connection)
        self._terms = {dataset.name: dataset.provenance for dataset in datasets}
        self._withheld = {dataset.name for dataset in datasets if dataset.id in withheld}
        self._models = {one.name: _public_model(one.model) for one in list_endpoints(connection)}
        constitution = constitution_in_force(connection)
        self.constitution = None if constitution is None else constitution.hash
        self.refused = 0  # rows with personal data, where such rows are left out

    def __iter__(self) -> Iterator[FinalRow]:
        place = 0
        for page in chunks(self._plan.ids.tolist(), PAGE):
            yield from self._page(page, place)
            place += len(page)

    def _page(self, page: Sequence[int], first: int) -> Iterator[FinalRow]:
        said = labels_said(self._connection, page)
        labels = resolved_labels(said, self._settled)
        chosen = [found.headline for found in labels.values()]
        verdicts = verdicts_numbered(self._connection, [one.verdict_id for one in chosen if one is not None])
        hashes = dict(
            map(tuple, select_in(self._connection, "SELECT id, hex(content_hash) FROM item WHERE id IN ({})", page))
        )
        places = {item: place for place, item in enumerate(page, first)}
        for row in fetch_rows(self._connection, page):
            found = labels.get(row.item_id, Resolved({}))
            if self._cleaner.refuses(row.prompt, row.response):
                self.refused += 1
                continue
            place = places[row.item_id]
            headline = found.headline
            verdict = verdicts.get(headline.verdict_id) if headline is not None else None
            record = self._record(row, found, said.get(row.item_id, ()), verdict)
            record["metadata"] |= {
                "id": hashes[row.item_id].lower(),
                "split": self._plan.parts[self._plan.part[place]],
                "cluster": int(self._plan.cluster[place]),
            }
            class_ = self._plan.classes[self._plan.label[place]]
            yield FinalRow(record, int(self._plan.part[place]), class_, class_of(found) != class_)

    def _record(self, row: Row, found: Resolved, said: Sequence[Said], verdict: Verdict | None) -> dict[str, Any]:
        labels = found.labels
        withheld = row.dataset in self._withheld
        before = self._cleaner.replaced
        clean: Callable[[str | None], str | None] = (lambda text: None) if withheld else self._cleaner.clean
        texts = {"prompt": clean(row.prompt), "response": clean(row.response)}
        rationale = clean(verdict.rationale if verdict is not None else None)
        terms: Provenance | None = self._terms.get(row.dataset)
        three = labels.get(REFUSAL3)
        return texts | {
            HEAD_A: _value(labels, HEAD_A),
            HEAD_B: _value(labels, HEAD_B),
            HEAD_C_A: _several(labels, HEAD_C_A),
            HEAD_C_B: _several(labels, HEAD_C_B),
            "head_d": {head: _yes(labels, head) for head in BOOLEAN_HEADS},
            "metadata": {
                "confidence": found.headline.probability if found.headline is not None else None,
                "rationale": rationale,
                "judge_model": self._judge_model(found.headline),
                "id": "",
                "split": "",
                "cluster": 0,
                "item_id": row.item_id,
                "dataset": row.dataset,
                "key": row.key,
                "model": None if row.model is None else _public_model(row.model),
                "source_split": row.split,
                "source_category": row.category,
                "licence": terms.licence if terms is not None else None,
                "eval_only": terms is not None and terms.eval_only,
                "text_withheld": withheld,
                "pii_replaced": self._cleaner.replaced - before,
                "refusal3": three.value if three is not None else None,
                "refusal3_profile": three.profile or None if three is not None else None,
                "policy": POLICY,
                "chosen": {head: _chosen(labels.get(head)) for head in HEADS},
                "left_open": [*found.split, *found.contradicted],
                "votes": [
                    {"head": one.head, "annotator": one.annotator, "value": one.value, "probability": one.probability}
                    for one in sorted(said, key=lambda one: (HEADS.index(one.head), one.annotator, one.verdict_id))
                ],
                "atoms": _atoms(verdict),
                "constitution": self.constitution,
            },
        }

    def _judge_model(self, headline: Chosen | None) -> str | None:
        """The model behind an end point, else the judge's own name; None where people have said it."""
        if headline is None or headline.rank not in (Rank.PANEL, Rank.JUDGE):
            return None
        name = headline.by[0].removeprefix("judge:")
        endpoint = name.rpartition("@")[2].partition("+")[0] if "@" in name else ""
        return self._models.get(endpoint, name)


def _public_model(name: str) -> str:
    """Weights that lie on this machine go by the name of their folder."""
    return PurePath(name).name if name.startswith(("/", "~")) else name


def _value(labels: Mapping[str, Chosen], head: str) -> str | None:
    return labels[head].value if head in labels else None


def _several(labels: Mapping[str, Chosen], head: str) -> list[str] | None:
    return list(split_labels(labels[head].value)) if head in labels else None


def _yes(labels: Mapping[str, Chosen], head: str) -> bool | None:
    return labels[head].value == "yes" if head in labels else None


def _chosen(chosen: Chosen | None) -> dict[str, Any] | None:
    if chosen is None:
        return None
    return {"rank": chosen.rank.value, "by": list(chosen.by), "probability": chosen.probability}


def _atoms(verdict: Verdict | None) -> dict[str, str | None] | None:
    """The answers that the outcome hangs on, where atoms were asked."""
    if verdict is None or not any(name in verdict.answers for name in ATOMS):
        return None
    answers = {name: text_of(answer.value) for name, answer in verdict.answers.items() if name in ATOMS}
    return {name: answers.get(name) for name in ATOMS}
