"""Hostile strings as test cases: one of each kind in every run, the whole corpus at night."""

from __future__ import annotations

from typing import Any

import pytest

from refusal_tui.text.hostile import HOSTILE

EVERY_RUN = {"textual markup", "clear screen", "bidi override", "lone surrogates", "CJK"}  # Browse has all of them


def hostile_cases(longest: int | None = None) -> list[Any]:
    """Parameters for `pytest.mark.parametrize`; `longest` leaves out what no such field can hold."""
    assert {hostile.name for hostile in HOSTILE} >= EVERY_RUN
    return [
        pytest.param(h, id=h.name, marks=() if h.name in EVERY_RUN else pytest.mark.nightly)
        for h in HOSTILE
        if longest is None or len(h.text) < longest
    ]
