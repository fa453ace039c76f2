"""Judges are found by name, and imported only then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from refusal_tui.errors import UsageError
from refusal_tui.jobs.judging import OFFLINE_JUDGES
from refusal_tui.judge.registry import JUDGES, make_judge


@pytest.mark.parametrize("name", JUDGES)
def test_every_named_judge_can_be_made(name: str) -> None:
    assert make_judge(name).name == name


def test_what_jobs_call_an_offline_judge_is_what_can_be_made() -> None:
    assert set(OFFLINE_JUDGES) == set(JUDGES)


def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(UsageError, match="no judge 'oracle'") as failure:
        make_judge("oracle")
    assert "lexical" in failure.value.next_step


def test_the_registry_imports_no_judge() -> None:
    code = "import sys, refusal_tui.judge.registry; print('refusal_tui.judge.lexical' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
