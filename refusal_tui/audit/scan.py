"""What do the texts hold? One pass over the prompts and one over the responses, a portion at a time."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from refusal_tui.audit.languages import language_of
from refusal_tui.audit.openings import opens_with_refusal
from refusal_tui.audit.table import Codes, Table, coded
from refusal_tui.audit.toxicity import is_toxic
from refusal_tui.pii.spans import PiiSpan
from refusal_tui.similarity.near import Clusters, Sketcher, Sketches, cluster
from refusal_tui.similarity.wrappers import unwrapped
from refusal_tui.store.encoding import chunks, select_in

_PORTION = 2000
_CHARACTERS = 4000  # of a sampled text
_SCRIPTS = {
    "Latin": re.compile(r"[A-Za-zÀ-ɏ]"),
    "Cyrillic": re.compile(r"[Ѐ-ӿ]"),
    "Arabic": re.compile(r"[؀-ۿ]"),
    "Devanagari": re.compile(r"[ऀ-ॿ]"),
    "Chinese or Japanese": re.compile(r"[぀-ヿ㐀-鿿]"),
    "Korean": re.compile(r"[가-힯]"),
}

Watch = Callable[[str, int, int], None]
Find = Callable[[str], Iterable[PiiSpan]]


@dataclass(frozen=True, slots=True)
class FoundPii:
    """A span of an item's prompt or response, without its text."""

    item_id: int
    field: str
    span: PiiSpan


@dataclass(slots=True)
class Scan:
    """`prompts`: the distinct prompt ids, whose clusters are `prompt_clusters`; `response_clusters` are of the N rows
    (-1 in `root` is none). `repeats[i]`: row i says the same to the same prompt as an earlier row."""

    prompts: NDArray[np.int64]
    prompt_clusters: Clusters
    response_clusters: Clusters
    opening: NDArray[np.bool_]
    repeats: NDArray[np.bool_]
    toxic: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    order: Codes
    scripts: dict[str, int] = field(default_factory=dict)
    pii: list[FoundPii] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)  # of the sampled rows
    languages: dict[int, str] = field(default_factory=dict)  # of the spoken ones

    def cluster_of(self, table: Table) -> NDArray[np.int64]:
        """The prompt cluster of each row."""
        return self.prompt_clusters.root[np.searchsorted(self.prompts, table.prompt)]


def scan(
    connection: sqlite3.Connection,
    table: Table,
    *,
    similarity: float,
    find: Find,
    sampled: Sequence[int],
    spoken: Sequence[int],
    watch: Watch,
) -> Scan:
    """Read all texts. `sampled`: places in the table whose response is kept for the probes; `spoken`: those whose
    language is told."""
    prompts = np.unique(table.prompt)
    pii: list[FoundPii] = []
    sketches = _sketch_prompts(connection, table, prompts, find, pii, watch)
    prompt_clusters = cluster(sketches, similarity, watch)
    del sketches  # a million prompts are 400 MB
    reader = _Responses(len(table), find, pii, set(sampled), set(spoken))
    done = 0
    for ids in chunks(table.ids.tolist(), _PORTION):
        reader.read(connection, ids, done, table)
        done += len(ids)
        watch("reading responses", done, len(table))
    return Scan(
        prompts=prompts,
        prompt_clusters=prompt_clusters,
        response_clusters=cluster(reader.sketches(), similarity, watch),
        opening=reader.opening,
        repeats=reader.repeats(table),
        toxic=reader.toxic,
        confidence=reader.confidence,
        order=coded(reader.order),
        scripts=reader.scripts,
        pii=pii,
        texts=reader.texts,
        languages=reader.languages,
    )


def sketch_prompts(connection: sqlite3.Connection, prompts: Sequence[int]) -> Sketches:
    """The unwrapped prompts with these ids, in order."""
    sketcher = Sketcher()
    for ids in chunks(list(prompts), _PORTION):
        found = dict(map(tuple, select_in(connection, "SELECT id, text FROM prompt WHERE id IN ({})", ids)))
        sketcher.add([unwrapped(found[number]) for number in ids])
    return sketcher.done()


def _sketch_prompts(
    connection: sqlite3.Connection,
    table: Table,
    prompts: NDArray[np.int64],
    find: Find,
    pii: list[FoundPii],
    watch: Watch,
) -> Sketches:
    by_prompt = np.argsort(table.prompt, kind="stable")
    ordered = table.prompt[by_prompt]
    sketcher, done = Sketcher(), 0
    for ids in chunks(prompts.tolist(), _PORTION):
        found = dict(map(tuple, select_in(connection, "SELECT id, text FROM prompt WHERE id IN ({})", ids)))
        sketcher.add([unwrapped(found[number]) for number in ids])
        for number in ids:
            spans = list(find(found[number]))
            if spans:
                places = by_prompt[np.searchsorted(ordered, number) : np.searchsorted(ordered, number, "right")]
                pii += [FoundPii(int(table.ids[p]), "prompt", span) for p in places.tolist() for span in spans]
        done += len(ids)
        watch("reading prompts", done, len(prompts))
    return sketcher.done()


class _Responses:
    """Everything that is learnt from the responses, row by row."""

    def __init__(self, rows: int, find: Find, pii: list[FoundPii], sampled: set[int], spoken: set[int]) -> None:
        self._find, self._pii, self._sampled, self._spoken = find, pii, sampled, spoken
        self._sketcher = Sketcher()
        self._said = np.zeros(rows, np.uint64)  # a hash of each response, 0 for none
        self.opening, self.toxic = (np.zeros(rows, bool) for _ in range(2))
        self.confidence = np.full(rows, np.nan)
        self.order: list[str | None] = [None] * rows
        self.scripts: dict[str, int] = {}
        self.texts: dict[int, str] = {}
        self.languages: dict[int, str] = {}

    def read(self, connection: sqlite3.Connection, ids: Sequence[int], first: int, table: Table) -> None:
        rows = {
            row[0]: (row[1], row[2])
            for row in select_in(
                connection,
                """SELECT item_id, response, CASE WHEN instr(meta, '"confidence"') OR instr(meta, '"class_order"')
                   THEN meta END FROM item_body WHERE item_id IN ({})""",
                ids,
            )
        }
        texts = []
        for place, item_id in enumerate(ids, first):
            response, meta = rows.get(item_id, (None, None))
            texts.append(response or "")
            if meta is not None:
                self._note(place, json.loads(meta))
            if not response:
                continue
            self.opening[place] = opens_with_refusal(response)
            self.toxic[place] = is_toxic(response)
            self._pii += [FoundPii(item_id, "response", span) for span in self._find(response)]
            script = _script(response)
            self.scripts[script] = self.scripts.get(script, 0) + 1
            self._said[place] = int.from_bytes(blake2b(response.encode(), digest_size=8).digest(), "little")
            if place in self._sampled:
                self.texts[place] = response[:_CHARACTERS]
            if place in self._spoken:
                self.languages[place] = language_of(response)
        self._sketcher.add(texts)

    def _note(self, place: int, meta: dict[str, object]) -> None:
        confidence, order = meta.get("confidence"), meta.get("class_order")
        if isinstance(confidence, int | float) and not isinstance(confidence, bool):
            self.confidence[place] = confidence
        if order is not None:
            self.order[place] = json.dumps(order)[:80]

    def repeats(self, table: Table) -> NDArray[np.bool_]:
        """Rows that say the same to the same prompt as an earlier row."""
        order = np.lexsort((self._said, table.prompt))  # stable: of equal rows the first comes first
        said, prompt = self._said[order], table.prompt[order]
        again = np.zeros(len(order), bool)
        again[order[1:]] = (said[1:] == said[:-1]) & (prompt[1:] == prompt[:-1]) & (said[1:] != 0)
        return again

    def sketches(self) -> Sketches:
        return self._sketcher.done()


def _script(text: str) -> str:
    """The script that most letters of a text's beginning have."""
    start = text[:300]
    if start.isascii():  # most are, and then one script is possible
        return "Latin" if _SCRIPTS["Latin"].search(start) else "other"
    counts = {name: len(pattern.findall(start)) for name, pattern in _SCRIPTS.items()}
    name, count = max(counts.items(), key=lambda pair: pair[1])
    return name if count else "other"
