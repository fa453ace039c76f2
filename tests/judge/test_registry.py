"""Judges are found by name, and imported only then."""

from __future__ import annotations

import subprocess
import sys

import pytest

from refusal_tui.errors import UsageError
from refusal_tui.jobs.judging import DEFAULT_JUDGE, OFFLINE_JUDGES
from refusal_tui.jobs.spec import load_spec
from refusal_tui.judge.registry import JUDGES, make_judge
from refusal_tui.judge.spec import LabelSpec


@pytest.mark.parametrize("name", JUDGES)
def test_every_named_judge_can_be_made(name: str) -> None:
    assert make_judge(name).name == name


def test_what_jobs_call_an_offline_judge_is_what_can_be_made() -> None:
    assert set(OFFLINE_JUDGES) == set(JUDGES)


def test_the_linear_judge_judges_where_none_is_named() -> None:
    assert LabelSpec().judge == DEFAULT_JUDGE == "linear"


@pytest.mark.parametrize(("stored", "judge"), [("{}", "lexical"), ('{"judge": "linear"}', "linear")])
def test_a_job_from_before_that_stays_what_it_was(stored: str, judge: str) -> None:
    old = load_spec(LabelSpec, stored, 2)
    assert isinstance(old, LabelSpec) and old.judge == judge


def test_an_unknown_name_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(UsageError, match="no judge 'oracle'") as failure:
        make_judge("oracle")
    assert "lexical" in failure.value.next_step


def test_the_registry_imports_no_judge() -> None:
    code = "import sys, refusal_tui.judge.registry; print('refusal_tui.judge.lexical' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
