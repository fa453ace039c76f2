"""What does a filter mean? One small language for the Browse filter bar, saved selections and every command line.

Terms are joined by AND; `-term` negates; `a,b` means either. A bare word or "a phrase" is looked up in prompt and
response, `word*` as a prefix. `field:a*` matches a beginning, `field=a*` the star itself.

    @name                        a saved selection            dataset:xstest,own      by dataset
    label:hard                   three-class label, anybody   label.lexical:hard      by one judge
    gold:soft  judge:none        by humans / by judges        has:response            also label, gold, judge, meta
    prompt:kill  response:"as an AI"                          model:gpt4  split:test  category:weapons  key:v2-1*
    length>400  prompt_length<80  confidence<0.6              id:1-20,33              meta.type:homonyms
    job:3  job.3:failed          rows of a job, by outcome    is:disagreement         judge against human
    is:settled                   a disagreement was settled: from then on that alone is the row's gold

`dataset:NAME`, `@name` and `where:EXPR` on the command line are this language (`where:` is only a prefix).
"""

from __future__ import annotations

import json
import math
import re
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from refusal_tui.errors import InputError
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.verdict import Refusal3
from refusal_tui.store.encoding import storable, storable_json
from refusal_tui.store.gold import settled_sql

FIELDS = {
    "dataset": "dataset name",
    "label": "label (any annotator; label.NAME for one)",
    "gold": "label given by a human, or settled",
    "judge": "label given by a judge",
    "model": "model that wrote the response",
    "split": "split of the source",
    "category": "the source's own category",
    "key": "the source's own key",
    "prompt": "word in the prompt",
    "response": "word in the response",
    "length": "characters of the response",
    "prompt_length": "characters of the prompt",
    "confidence": "a judge's probability",
    "has": "response, label, gold, judge, meta",
    "is": "disagreement, settled",
    "id": "item numbers",
    "job": "rows of a job (job.3:failed by outcome)",
    "meta": "meta.KEY:value",
}
_WITH_SUB = frozenset(["label", "gold", "judge", "meta", "job"])
_NUMBERS = frozenset(["length", "prompt_length", "confidence"])
_MAX_CONDITIONS = 400  # SQLite allows 1,000 in a row
_MAX_DEPTH = 8
_HELP = "Fields: " + ", ".join(FIELDS) + ". Example: dataset:xstest label:hard -model:gpt4 sorry"

_TOKEN = re.compile(
    r"""(?P<negate>-)?(?:(?P<field>[A-Za-z_][\w\-/]*(?:\.[\w.\-/@+]*)?)(?P<op>:|>=|<=|>|<|=))?
        (?P<value>(?:"(?:[^"]|"")*"|[^\s"])+)""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. `field` is "" for text; `sub` is what follows a dot (`label.lexical`, `meta.type`, `job.3`)."""

    field: str
    op: str
    values: tuple[str, ...]
    sub: str = ""
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL over `item` with its parameters."""

    sql: str
    parameters: tuple[object, ...]


def parse(text: str) -> list[Term]:
    """The terms of a filter. Raises InputError, saying which part is not understood.

    >>> parse('label:hard,soft -sorry')
    [Term(field='label', op=':', values=('hard', 'soft'), sub='', negated=False), \
Term(field='', op=':', values=('sorry',), sub='', negated=True)]
    """
    text = storable(text.strip().removeprefix("where:"))
    terms: list[Term] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise InputError(f"The filter stops making sense at: {text[position:][:40]!r}.", _HELP)
        position = match.end()
        terms.append(_term(match))
    return terms


def _term(match: re.Match[str]) -> Term:
    negated = bool(match["negate"])
    value = match["value"]
    name, op = match["field"], match["op"]
    if not name:
        if re.split(r"[.:<>=]", value)[0] in FIELDS and value[-1] in ":<>=":
            raise InputError(f"{value} needs a value right after it.", _HELP)
        return Term("@" if value.startswith("@") else "", ":", (_unquote(value.removeprefix("@")),), "", negated)
    field, _, sub = name.partition(".")
    if field not in FIELDS:
        raise InputError(f"There is no filter field {field!r}.", f"To search for the text, quote it. {_HELP}")
    if sub and field not in _WITH_SUB:
        raise InputError(f"{field} takes nothing after a dot, such as {name!r}.", _HELP)
    if op in ("<", "<=", ">", ">=") and field not in _NUMBERS:
        raise InputError(f"{field} cannot be compared with {op}.", f"Use {field}:VALUE.")
    values = tuple(_unquote(v) for v in _split_commas(value))
    if not values:
        raise InputError(f"{name}{op} needs a value.", _HELP)
    return Term(field, op, values, sub, negated)


def _split_commas(value: str) -> list[str]:
    return [v for v in re.findall(r'((?:"(?:[^"]|"")*"|[^,"])+)', value) if v]


def quoted(name: str) -> str:
    """A name as a value in the language of filters.

    >>> quoted("own-2"), quoted("the wild one")
    ('own-2', '"the wild one"')
    """
    return name if name and all(c.isalnum() or c in "._-/" for c in name) else '"' + name.replace('"', '""') + '"'


def _unquote(value: str) -> str:
    return re.sub(r'"((?:[^"]|"")*)"', lambda m: m[1].replace('""', '"'), value)


def compile_filter(connection: sqlite3.Connection, text: str, _inside: tuple[str, ...] = ()) -> Condition:
    """The filter as one SQL condition over `item`. Raises InputError for unknown fields, names or values, for saved
    selections that contain themselves, and for more conditions than SQLite takes."""
    parts: list[str] = []
    parameters: list[object] = []
    for term in parse(text):
        condition = _compile_term(connection, term, _inside)
        parts.append(f"NOT coalesce(({condition.sql}), 0)" if term.negated else f"({condition.sql})")
        parameters.extend(condition.parameters)
        if max(len(parts), len(parameters)) > _MAX_CONDITIONS:
            raise InputError(f"The filter has more than {_MAX_CONDITIONS} conditions.", "Use a range or a prefix*.")
    return Condition(" AND ".join(parts) or "1", tuple(parameters))


def _compile_term(connection: sqlite3.Connection, term: Term, inside: tuple[str, ...]) -> Condition:
    field, values = term.field, term.values
    if field == "@":
        return _saved(connection, values[0], inside)
    if field == "":
        return _text(values[0], ("prompt", "response"))
    if field in ("prompt", "response"):
        return _any(_text(value, (field,)) for value in values)
    if field == "dataset":
        return _datasets(connection, values)
    if field in ("model", "split", "category", "key"):
        return _any(_match(f"item.{field}", term.op, value) for value in values)
    if field in ("label", "gold", "judge"):
        return _labelled(connection, field, term.sub, values)
    if field in _NUMBERS:
        return _any(_number(field, term.op, value) for value in values)
    if field == "has":
        return _any(_has(value) for value in values)
    if field == "is":
        return _any(_is(connection, value) for value in values)
    if field == "id":
        return _ids(values)
    if field == "job":
        return _job(term)
    return _meta(term)


def _saved(connection: sqlite3.Connection, name: str, inside: tuple[str, ...]) -> Condition:
    if name in inside:
        circle = " -> ".join("@" + n for n in (*inside, name))
        raise InputError(f"The saved selections refer to each other in a circle: {circle}.", "Save one of them anew.")
    if len(inside) >= _MAX_DEPTH:
        raise InputError(f"Saved selections are nested more than {_MAX_DEPTH} deep.", "Write one of them out.")
    return compile_filter(connection, saved_expression(connection, name), (*inside, name))


def _any(conditions: Iterable[Condition]) -> Condition:
    found = list(conditions)
    return Condition(" OR ".join(c.sql for c in found), tuple(p for c in found for p in c.parameters))


def _match(column: str, op: str, value: str) -> Condition:
    if "*" in value and op == ":":
        return Condition(f"{column} GLOB ?", (re.sub(r"([\[?])", r"[\1]", value),))
    return Condition(f"{column} = ?", (value,))


def _text(value: str, where: Sequence[str]) -> Condition:
    prefix = value.endswith("*")
    words = value.rstrip("*").replace('"', '""').replace("\0", " ")
    if not re.search(r"\w", words):
        raise InputError(f"Nothing to search for in {value!r}.", 'Give a word or a "phrase" with letters in it.')
    phrase = f'"{words}"' + ("*" if prefix else "")
    parts = {
        "prompt": "item.prompt_id IN (SELECT rowid FROM prompt_fts WHERE prompt_fts MATCH ?)",
        "response": "item.id IN (SELECT rowid FROM response_fts WHERE response_fts MATCH ?)",
    }
    return Condition(" OR ".join(parts[w] for w in where), (phrase,) * len(where))


def _datasets(connection: sqlite3.Connection, names: Sequence[str]) -> Condition:
    known = {row[1]: row[0] for row in connection.execute("SELECT id, name FROM dataset")}
    ids: list[int] = []
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none yet"
            raise InputError(f"There is no dataset {name!r} here.", f"Imported datasets: {listed}.")
        ids.append(known[name])
    return Condition(f"item.dataset_id IN ({','.join('?' * len(ids))})", tuple(ids))


def _labelled(connection: sqlite3.Connection, field: str, sub: str, values: Sequence[str]) -> Condition:
    head, annotator = REFUSAL3, sub
    for boolean in BOOLEAN_HEADS:  # label.prompt_harmful:yes, label.prompt_harmful.human:yes
        if sub == boolean or sub.startswith(boolean + "."):
            head, annotator = boolean, sub[len(boolean) + 1 :]
    known = tuple(Refusal3) if head == REFUSAL3 else ("yes", "no")
    if unknown := [value for value in values if value not in known]:
        raise InputError(f"{field} cannot be {', '.join(unknown)}.", f"Use one of: {', '.join(known)}.")
    who, parameters = _annotator(field, annotator)
    marks = ",".join("?" * len(values))
    labelled = Condition(
        f"item.id IN (SELECT item_id FROM label WHERE head = ? AND value IN ({marks}){who})",
        (head, *values, *parameters),
    )
    settled = settled_sql(head, connection) if field == "gold" and not annotator else None
    if settled is None:
        return labelled
    sql, of_head = settled
    return Condition(
        f"""({labelled.sql} AND item.id NOT IN (SELECT item_id FROM ({sql})))
            OR item.id IN (SELECT item_id FROM ({sql}) WHERE value IN ({marks}))""",
        (*labelled.parameters, *of_head, *of_head, *values),
    )


def _annotator(field: str, name: str) -> tuple[str, tuple[str, ...]]:
    sides = {"gold": ("human",), "judge": ("judge",), "label": ("judge", "human")}[field]
    if name:
        marks = ",".join("?" * len(sides))
        return f" AND annotator IN ({marks})", tuple(f"{side}:{name}" for side in sides)
    return (f" AND annotator GLOB '{sides[0]}:*'" if len(sides) == 1 else ""), ()


def _number(field: str, op: str, value: str) -> Condition:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{field} needs a number, not {value!r}.", "Example: length>400")
    op = "=" if op == ":" else op
    if field == "confidence":
        return Condition(
            f"""item.id IN (SELECT item_id FROM label
                    WHERE head = '{REFUSAL3}' AND annotator GLOB 'judge:*' AND probability {op} ?)""",
            (number,),
        )
    column = {"length": "item.response_chars", "prompt_length": "item.prompt_chars"}[field]
    return Condition(f"{column} {op} ?", (number,))


def _has(what: str) -> Condition:
    labelled = f"item.id IN (SELECT item_id FROM label WHERE head = '{REFUSAL3}'"
    conditions = {
        "response": "item.response_chars > 0",
        "label": labelled + ")",
        "gold": labelled + " AND annotator GLOB 'human:*')",
        "judge": labelled + " AND annotator GLOB 'judge:*')",
        "meta": "item.id IN (SELECT item_id FROM item_body WHERE meta IS NOT NULL)",
    }
    if what not in conditions:
        raise InputError(f"has:{what} is not known.", f"Use one of: {', '.join(conditions)}.")
    return Condition(conditions[what], ())


def _is(connection: sqlite3.Connection, what: str) -> Condition:
    settled = settled_sql(REFUSAL3, connection)
    if what == "settled":
        if settled is None:
            return Condition("0", ())
        return Condition(f"item.id IN (SELECT item_id FROM ({settled[0]}))", settled[1])
    if what != "disagreement":
        raise InputError(f"is:{what} is not known.", "Use is:disagreement or is:settled.")
    differs = f"""SELECT j.item_id FROM label j JOIN label g ON g.item_id = j.item_id AND g.head = j.head
                AND g.value <> j.value WHERE j.head = '{REFUSAL3}' AND j.annotator GLOB 'judge:*'
                AND g.annotator GLOB 'human:*'"""
    if settled is None:
        return Condition(f"item.id IN ({differs})", ())
    sql, of_head = settled  # where a row was settled, that is what a judge agrees with or not
    return Condition(
        f"""(item.id IN ({differs}) AND item.id NOT IN (SELECT item_id FROM ({sql})))
            OR item.id IN (SELECT j.item_id FROM ({sql}) s JOIN label j ON j.item_id = s.item_id
                AND j.head = '{REFUSAL3}' AND j.annotator GLOB 'judge:*' AND j.value <> s.value)""",
        (*of_head, *of_head),
    )


def _ids(values: Sequence[str]) -> Condition:
    """Ranges beside single numbers. Marked rows may be thousands: SQLite refuses more than 1,000 conditions in a row,
    so the ranges go in as one JSON array that is joined on the primary key."""
    ranges = []
    for value in values:
        match = re.fullmatch(r"(\d{1,15})(?:-(\d{1,15}))?", value)
        if match is None:
            raise InputError(f"id:{value} is not a number or a range.", "Example: id:1-20,33")
        ranges.append([int(match[1]), int(match[2] or match[1])])
    return Condition(
        """item.id IN (SELECT i.id FROM json_each(?) AS r JOIN item AS i
                ON i.id BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]'))""",
        (json.dumps(ranges),),
    )


def _job(term: Term) -> Condition:
    numbers = [term.sub] if term.sub else list(term.values)
    if not all(re.fullmatch(r"[0-9]{1,15}", number) for number in numbers):
        raise InputError("job needs a job's number.", "Example: job:3, or job.3:failed")
    states = term.values if term.sub else ("ok", "failed", "unparsable")
    unknown = set(states) - {"ok", "failed", "unparsable"}
    if unknown:
        raise InputError(f"A row of a job is ok, failed or unparsable, not {', '.join(sorted(unknown))}.")
    return Condition(
        f"""item.id IN (SELECT item_id FROM outcome WHERE job_id IN ({",".join("?" * len(numbers))})
                AND state IN ({",".join("?" * len(states))}))""",
        (*(int(n) for n in numbers), *states),
    )


def _meta(term: Term) -> Condition:
    if not term.sub:
        raise InputError("meta needs a key.", "Example: meta.type:homonyms")
    path = "$." + ".".join(f'"{part}"' for part in term.sub.split("."))
    # A text is looked up as it is stored before any JSON is parsed, which halves the time; a number has many spellings.
    quick = [] if any(re.fullmatch(r"true|false|[-+.\de]+", v, re.I) for v in term.values) else term.values
    found = " OR ".join("instr(meta, ?)" for _ in quick) or "1"
    return Condition(
        f"""item.id IN (SELECT item_id FROM item_body WHERE meta IS NOT NULL AND ({found}) AND json_valid(meta)
                AND CASE json_type(meta, ?) WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
                    ELSE CAST(json_extract(meta, ?) AS TEXT) END IN ({",".join("?" * len(term.values))}))""",
        (*(storable_json(v) for v in quick), path, path, *term.values),
    )


# --- saved selections ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Selection:
    name: str
    expression: str
    created: float


def save_selection(connection: sqlite3.Connection, name: str, expression: str) -> None:
    """Keep a filter under a name; an existing name is replaced. The caller holds the transaction.

    Raises InputError for a bad name or filter, and for one that would contain itself.
    """
    if not re.fullmatch(r"[\w.-]{1,60}", name):
        raise InputError(f"{name!r} cannot be a selection's name.", "Use letters, digits, dot, dash, underscore.")
    compile_filter(connection, expression, (name,))
    connection.execute(
        "INSERT OR REPLACE INTO selection(name, expression, created) VALUES (?,?,?)",
        (name, storable(expression), time.time()),
    )


def saved_expression(connection: sqlite3.Connection, name: str) -> str:
    row = connection.execute("SELECT expression FROM selection WHERE name = ?", (name,)).fetchone()
    if row is None:
        names = ", ".join("@" + s.name for s in list_selections(connection)) or "none yet"
        raise InputError(f"There is no saved selection @{name}.", f"Saved: {names}.")
    return str(row[0])


def list_selections(connection: sqlite3.Connection) -> list[Selection]:
    return [
        Selection(*row) for row in connection.execute("SELECT name, expression, created FROM selection ORDER BY name")
    ]
