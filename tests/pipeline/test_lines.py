"""Every key has the line on which it stands, in TOML and in JSON."""

from __future__ import annotations

import json
import tomllib

import pytest

from refusal_tui.pipeline.lines import Place, json_lines, line_of, toml_lines

TOML = '''# a comment = no key
seed = 1
text = """
[not.a.table]
key = "of nobody"
"""
list = [
  "a", # ]
  "b",
]
[label]
judge = "lexical"
"quoted.key" = 'x # y'
[[datasets]]
source = "a"
[datasets.map]
prompt = "q"
[[datasets]]
dotted.key = 1
'''


def test_a_key_of_a_toml_text_has_its_line() -> None:
    tomllib.loads(TOML)
    lines = toml_lines(TOML)
    wanted: dict[Place, int] = {
        ("seed",): 2, ("text",): 3, ("list",): 7, ("label",): 11, ("label", "judge"): 12,
        ("label", "quoted.key"): 13, ("datasets", 0): 14, ("datasets", 0, "source"): 15, ("datasets", 0, "map"): 16,
        ("datasets", 0, "map", "prompt"): 17, ("datasets", 1): 18, ("datasets", 1, "dotted", "key"): 19,
    }  # fmt: skip
    assert lines == wanted


def test_what_stands_inside_a_line_has_the_line_of_the_key_around_it() -> None:
    lines = toml_lines('\ndatasets = [{ source = "a" }]\n')
    assert line_of(lines, ("datasets", 0, "source")) == 2
    assert line_of(lines, ("nothing",)) == 1


def test_a_key_of_a_json_text_has_its_line_whatever_stands_in_its_texts() -> None:
    text = '{\n "a": "} \\" {",\n "b": [\n  {"c": null},\n  -1.5e3\n ],\n "d": {"e":\n true}}'
    json.loads(text)
    lines, twice = json_lines(text)
    assert twice == {}
    assert [lines[place] for place in (("a",), ("b",), ("b", 0, "c"), ("b", 1), ("d", "e"))] == [2, 3, 4, 5, 7]


@pytest.mark.parametrize("text", ["[]", "{}", " 3 ", '["a"]', '{"a": {}}'])
def test_every_json_text_can_be_walked(text: str) -> None:
    json_lines(text)


def test_a_key_that_stands_twice_is_found_once() -> None:
    assert json_lines('{"a": {"b": 1}, "a": {"b": 2}}')[1] == {("a",): 1}
