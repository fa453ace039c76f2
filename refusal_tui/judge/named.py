"""Which judge does a name stand for outside any job, and does it hold a model in the memory of whoever asks it?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from refusal_tui.errors import UsageError
from refusal_tui.jobs.judging import CLASSIFIER, classifier_judge
from refusal_tui.judge.registry import JUDGES, make_judge
from refusal_tui.judge.spec import LLM_JUDGES
from refusal_tui.labels.constitution import DEFAULT, Constitution
from refusal_tui.labels.verdict import Judge
from refusal_tui.llm.backend import in_process
from refusal_tui.llm.keys import api_key
from refusal_tui.store.endpoints import get_endpoint
from refusal_tui.store.settings import constitution_in_force
from refusal_tui.store.workspace import Workspace

Finds = Callable[[], Workspace]  # raises WorkspaceError: an offline judge needs none


def holds_a_model(name: str, endpoint: str | None, workspace: Finds) -> bool:
    """Whether the judge loads torch or scikit-learn. Raises InputError for an end point that is not there."""
    if name.startswith(f"{CLASSIFIER}:"):
        return True
    if name not in LLM_JUDGES or endpoint is None:
        return False
    with closing(workspace().open(read_only=True)) as connection:
        return in_process(get_endpoint(connection, endpoint))


def judge_named(name: str, endpoint: str | None, workspace: Finds) -> tuple[Judge, Constitution | None]:
    """The judge of that name, and the constitution under which its answers become labels (None: the built-in one).

    Raises UsageError for a name that no judge has, InputError and UnavailableError for what it asks.
    """
    kind, _, trained = name.partition(":")
    if kind == CLASSIFIER and trained:
        return classifier_judge(workspace(), trained), None
    if name in JUDGES:
        return make_judge(name), None
    if name not in LLM_JUDGES:
        raise UsageError(
            f"There is no judge {name!r}.", f"Choose one of: {', '.join([*JUDGES, *LLM_JUDGES, 'classifier:NAME'])}."
        )
    if endpoint is None:
        raise UsageError(f"The judge {name} asks a language model.", "Name one: --endpoint NAME.")
    from refusal_tui.judge.llm import LlmJudge

    with closing(workspace().open(read_only=True)) as connection:
        asked = get_endpoint(connection, endpoint)
        constitution = constitution_in_force(connection)
    key = api_key(asked.key_env, [Path.cwd(), workspace().root])
    return LlmJudge(name, asked, api_key=key, constitution=constitution or DEFAULT), constitution
