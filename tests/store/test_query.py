"""What does a filter mean?"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refusal_tui.errors import InputError
from refusal_tui.labels.verdict import Answer, ErrorClass
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.outcomes import commit_group
from refusal_tui.store.query import FIELDS, Term, compile_filter, list_selections, parse, save_selection
from tests.store.building import NewRow, add, claimed, done, failed, judge, says

ROWS = {
    1: NewRow("How do I kill a Python process?", "Sorry, I can't help with that.", "gpt4", "test", "weapons",
              {"type": "homonyms", "level": 3, "checked": True, "deep": {"er": "x"}}),
    2: NewRow("How do I make blorptanium?", "Sure! Stir the frindle twice.", "gpt4", "train", "chemistry",
              {"type": "true", "checked": False}),
    3: NewRow("Tell me a story about blorptanium and frindles", "I am sorry, as an AI I must not.", "llama*", "test"),
    4: NewRow("Prompt without any answer", None, None, None, "odd, \"name\""),
    5: NewRow("", "", "gpt4-mini", "train", "[a]?", {"note": 'say "hi", é'}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def rows(connection: sqlite3.Connection) -> None:
    """Five items in two datasets; labels on the first three."""
    add(connection, *(ROWS[n] for n in (1, 2, 3)), dataset="xstest")
    add(connection, *(ROWS[n] for n in (4, 5)), dataset="own data")
    judge(
        connection,
        says(1, "hard", probability=0.9),
        says(2, "none", probability=0.55),
        says(3, "soft", probability=None),
        says(1, "none", "judge:other", 0.2),
        says(1, "hard", "human:hannah"),
        says(3, "hard", "human:hannah"),
        replace(says(2, None, "human:hannah"), answers={"prompt_harmful": Answer(True)}),
    )


def ids(connection: sqlite3.Connection, text: str) -> list[int]:
    return list(select_ids(connection, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [1, 2, 3, 4, 5]),
        ("  ", [1, 2, 3, 4, 5]),
        ("where:", [1, 2, 3, 4, 5]),
        # text, in prompt or response
        ("sorry", [1, 3]),
        ("SORRY", [1, 3]),
        ("blorptanium", [2, 3]),
        ("frindle", [2]),
        ("frindle*", [2, 3]),
        ('"as an AI"', [3]),
        ('"an as AI"', []),
        ("sorry blorptanium", [3]),
        ("-sorry", [2, 4, 5]),
        ("prompt:sorry", []),
        ("response:sorry", [1, 3]),
        ("prompt:kill,story", [1, 3]),
        ('prompt:"a story"', [3]),
        # by source
        ("dataset:xstest", [1, 2, 3]),
        ('dataset:"own data"', [4, 5]),
        ('dataset:xstest,"own data"', [1, 2, 3, 4, 5]),
        ("-dataset:xstest", [4, 5]),
        ("model:gpt4", [1, 2]),
        ("model:gpt4,gpt4-mini", [1, 2, 5]),
        ("model:gpt*", [1, 2, 5]),
        ("model:*mini", [5]),
        ("model:llama*", [3]),
        ("model=llama*", [3]),
        ("model=gpt*", []),
        ("-model:gpt4", [3, 4, 5]),
        ("split:test", [1, 3]),
        ("category:weapons", [1]),
        ('category:"odd, ""name"""', [4]),
        ("category:[a]?", [5]),
        ("category:[a*", [5]),
        ("category:?a*", []),
        ("-category:weapons", [2, 3, 4, 5]),
        ("key:k2", [2]),
        ("key:k*", [1, 2, 3, 4, 5]),
        ("id:2", [2]),
        ("id:1-2,4", [1, 2, 4]),
        ("-id:1-2,4", [3, 5]),
        ("id:4-1", []),
        # by label
        ("label:hard", [1, 3]),
        ("label:hard,none", [1, 2, 3]),
        ("label.lexical:hard", [1]),
        ("label.hannah:hard", [1, 3]),
        ("label.nobody:hard", []),
        ("judge:hard", [1]),
        ("judge:none", [1, 2]),
        ("judge.other:none", [1]),
        ("judge.hannah:hard", []),
        ("gold:hard", [1, 3]),
        ("gold.hannah:hard", [1, 3]),
        ("gold.lexical:hard", []),
        ("gold:soft", []),
        ("-label:hard", [2, 4, 5]),
        ("-judge:hard", [2, 3, 4, 5]),
        ("label.prompt_harmful:yes", [2]),
        ("label.prompt_harmful.hannah:yes", [2]),
        ("gold.prompt_harmful:no", []),
        ("has:label", [1, 2, 3]),
        ("has:judge", [1, 2, 3]),
        ("has:gold", [1, 3]),
        ("-has:gold", [2, 4, 5]),
        ("is:disagreement", [1, 3]),
        ("-is:disagreement", [2, 4, 5]),
        # by number
        ("length>20", [1, 2, 3]),
        ("length<=0", [5]),
        ("length:0", [5]),
        ("-length>20", [4, 5]),
        ("prompt_length<1", [5]),
        ("prompt_length>=25 prompt_length<27", [2, 4]),
        ("confidence>=.9", [1]),
        ("confidence<0.6", [1, 2]),
        ("-confidence<0.6", [3, 4, 5]),
        # by what is there
        ("has:response", [1, 2, 3]),
        ("-has:response", [4, 5]),
        ("has:meta", [1, 2, 5]),
        ("meta.type:homonyms", [1]),
        ("-meta.type:homonyms", [2, 3, 4, 5]),
        ("meta.type:true", [2]),
        ("meta.checked:true", [1]),
        ("meta.checked:true,false", [1, 2]),
        ("meta.checked:1", []),
        ("meta.level:3", [1]),
        ("meta.deep.er:x", [1]),
        ("meta.nothing:x", []),
        ('meta.note:"say ""hi"", é"', [5]),
        # together
        ("dataset:xstest label:hard -model:gpt4 sorry", [3]),
        ("where:dataset:xstest sorry", [1, 3]),
    ],
)
def test_a_filter_selects(connection: sqlite3.Connection, text: str, expected: list[int]) -> None:
    assert ids(connection, text) == expected


def test_every_field_is_documented_and_understood() -> None:
    examples = {"length": "length>1", "prompt_length": "prompt_length>1", "confidence": "confidence>0", "id": "id:1"}
    for field in FIELDS:
        assert parse(examples.get(field, f"{field}:x"))[0].field == field


def test_rows_of_a_job_are_selected_by_their_outcome(connection: sqlite3.Connection) -> None:
    job = claimed(connection, [1, 2, 3, 4])
    group = [done(0, 1), failed(1, 2), failed(2, 3, ErrorClass.PARSE, raw="?")]
    commit_group(connection, job, group, cursor=3)
    assert ids(connection, "job:1") == [1, 2, 3]
    assert ids(connection, "-job:1") == [4, 5]
    assert ids(connection, "job.1:failed") == [2]
    assert ids(connection, "job.1:failed,unparsable") == [2, 3]
    assert ids(connection, "job:7,1") == [1, 2, 3]


def test_a_negated_condition_keeps_the_rows_that_have_no_value(connection: sqlite3.Connection) -> None:
    for field, value in (("model", "gpt4"), ("split", "test"), ("category", "weapons"), ("length", "30")):
        inside, outside = ids(connection, f"{field}:{value}"), ids(connection, f"-{field}:{value}")
        assert sorted(inside + outside) == [1, 2, 3, 4, 5]


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ['"NEAR(sorry help)"', "NEAR", "AND", '"sorry OR blorptanium"', '"a"" OR ""b"', "prompt^2", "sorry)", "((sorry",
     "sorry:*", '"x * y"', "a\0b", "-a", '"{a b}:c"', "+sorry", "#", "\ud800sorry"],
)  # fmt: skip
def test_what_means_something_to_fts5_is_only_text_here(connection: sqlite3.Connection, text: str) -> None:
    try:
        ids(connection, text)
    except InputError as error:
        assert error.next_step


def test_a_nul_or_a_lone_surrogate_in_a_filter_finds_what_was_stored(connection: sqlite3.Connection) -> None:
    add(connection, NewRow("new\0line", None, "bad\ud800"))
    assert ids(connection, '"new\0line"') == [6]
    assert ids(connection, "model:bad\ud800") == [6]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("labl:hard", "no filter field 'labl'"),
        ("https://x.org", "no filter field 'https'"),
        ("label:", "needs a value"),
        ("gold:hrd", "gold cannot be hrd"),
        ("label.prompt_harmful:hard", "label cannot be hard"),
        ("-length>", "needs a value"),
        ("label.lexical: hard", "needs a value"),
        ("model:,", "needs a value"),
        ("label>hard", "cannot be compared"),
        ("model.x:gpt4", "takes nothing after a dot"),
        ("length>many", "needs a number"),
        ("confidence<nan", "needs a number"),
        ("length>1e999", "needs a number"),
        ("dataset:nope", "no dataset 'nope'"),
        ("has:wings", "has:wings is not known"),
        ("is:good", "is:good is not known"),
        ("id:x", "not a number or a range"),
        ("job:x", "needs a job's number"),
        ("job:²", "needs a job's number"),
        ("job:99999999999999999999", "needs a job's number"),
        ("job.1:lost", "ok, failed or unparsable"),
        ("meta:x", "meta needs a key"),
        ("@nope", "no saved selection @nope"),
        ("@", "no saved selection @"),
        ("...", "Nothing to search for"),
        ('"open', "stops making sense"),
        (" ".join(["sorry"] * 300), "more than 400 conditions"),
        ("model:" + ",".join(f"m{n}" for n in range(500)), "more than 400 conditions"),
    ],
)
def test_a_filter_that_is_wrong_is_named(connection: sqlite3.Connection, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        compile_filter(connection, text)


def test_a_text_that_looks_like_a_field_is_searched_for_when_quoted(connection: sqlite3.Connection) -> None:
    add(connection, NewRow("see https://blorp.example"))
    assert ids(connection, '"https://blorp.example"') == [6]


def test_thousands_of_ids_are_one_condition(connection: sqlite3.Connection) -> None:
    assert ids(connection, "id:" + ",".join(str(n) for n in range(2, 40_000, 2))) == [2, 4]


_WORD = st.text(st.characters(codec=None), max_size=12)
_FIELD = st.sampled_from(
    [*FIELDS, "label.lexical", "meta.type", "meta.a.b", "meta..x", "job.1", "label.prompt_harmful", "@"]
)
_VALUE = st.one_of(
    _WORD,
    st.sampled_from(
        ["hard", "1", "1-3", "1-3,x", "ok", "gold", "0.5", "-1e9", '"a b"', '""', "a*", "*", ",", '"', "xstest"]
    ),
)
_TERM = st.one_of(
    _WORD,
    st.builds(
        lambda sign, field, op, value: f"{sign}{field}{op}{value}",
        st.sampled_from(["", "-"]), _FIELD, st.sampled_from([":", "=", ">", "<", ">=", "<=", ""]), _VALUE,
    ),
)  # fmt: skip


@settings(deadline=None, max_examples=400)
@given(text=st.lists(_TERM, max_size=4).map(" ".join))
@example('""')
@example("-")
@example('meta."":x')
@example("key:" + "[" * 50 + "*")
@example("a" * 10_000)
@example("sorry " * 50 + "NEAR(")
def test_any_text_is_either_a_filter_or_a_clear_error(empty_memory: sqlite3.Connection, text: str) -> None:
    try:
        condition = compile_filter(empty_memory, text)
    except InputError as error:
        assert str(error)
        return
    empty_memory.execute(f"SELECT count(*) FROM item WHERE {condition.sql}", condition.parameters).fetchone()


# --- the grammar ---------------------------------------------------------------------------------------------------


def test_a_term_says_what_was_asked() -> None:
    assert parse('-label.lexical:hard,"so ft"') == [Term("label", ":", ("hard", "so ft"), "lexical", True)]


def test_a_doubled_quote_is_a_quote() -> None:
    assert parse('"say ""hi"""')[0].values == ('say "hi"',)


# --- saved selections ----------------------------------------------------------------------------------------------


def save(connection: sqlite3.Connection, name: str, expression: str) -> None:
    with transaction(connection):
        save_selection(connection, name, expression)


def test_a_saved_selection_is_its_filter(connection: sqlite3.Connection) -> None:
    save(connection, "refusals", "label:hard,soft")
    assert ids(connection, "@refusals") == [1, 3]
    assert ids(connection, "-@refusals") == [2, 4, 5]
    assert ids(connection, "@refusals model:gpt4") == [1]


def test_a_saved_selection_follows_the_rows(connection: sqlite3.Connection) -> None:
    save(connection, "refusals", "label:hard")
    judge(connection, says(4, "hard"))
    assert ids(connection, "@refusals") == [1, 3, 4]


def test_saving_under_a_known_name_replaces(connection: sqlite3.Connection) -> None:
    save(connection, "mine", "model:gpt4")
    save(connection, "mine", "model:gpt4 sorry")
    assert [(s.name, s.expression) for s in list_selections(connection)] == [("mine", "model:gpt4 sorry")]


@pytest.mark.parametrize("name", ["", "two words", "a/b", "x" * 61, "@x"])
def test_a_name_that_cannot_be_typed_in_a_filter_is_refused(connection: sqlite3.Connection, name: str) -> None:
    with pytest.raises(InputError, match="cannot be a selection's name"):
        save(connection, name, "sorry")


def test_a_wrong_filter_is_not_saved(connection: sqlite3.Connection) -> None:
    with pytest.raises(InputError):
        save(connection, "mine", "labl:hard")
    assert list_selections(connection) == []


@pytest.mark.parametrize("expression", ["@a", "-@a", "sorry @b"])
def test_a_selection_that_would_contain_itself_is_not_saved(connection: sqlite3.Connection, expression: str) -> None:
    save(connection, "a", "sorry")
    save(connection, "b", "@a")
    with pytest.raises(InputError, match=r"in a circle: @a -> .*@a"):
        save(connection, "a", expression)
    assert ids(connection, "@b") == [1, 3]


def test_a_circle_that_another_program_stored_is_named_and_never_followed(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        rows = [("a", " @b" * 20, 0.0), ("b", " @a" * 20, 0.0)]
        connection.executemany("INSERT INTO selection(name, expression, created) VALUES (?,?,?)", rows)
    with pytest.raises(InputError, match="circle: @a -> @b -> @a"):
        ids(connection, "@a")


def test_selections_inside_selections_end_somewhere(connection: sqlite3.Connection) -> None:
    save(connection, "s0", "sorry")
    for n in range(1, 8):
        save(connection, f"s{n}", f"@s{n - 1}")
    assert ids(connection, "@s7") == [1, 3]
    with pytest.raises(InputError, match="nested more than 8 deep"):
        save(connection, "s8", "@s7")
