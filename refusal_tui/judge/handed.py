"""A judge as another job gets it from the engine (`jobs/judging.py`): offline, or asking an end point of that job."""

from __future__ import annotations

from contextlib import closing

from refusal_tui.jobs.asking import Models
from refusal_tui.jobs.judging import OFFLINE_JUDGES, HandedJudge
from refusal_tui.judge.interview import Interview, questions_of
from refusal_tui.judge.llm_job import annotator_of
from refusal_tui.judge.registry import make_judge
from refusal_tui.judge.stance import stance
from refusal_tui.labels.constitution import DEFAULT, Constitution
from refusal_tui.labels.derive import derive
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import ErrorClass, RowError, Verdict
from refusal_tui.store.connect import transaction
from refusal_tui.store.ledger import RowKey
from refusal_tui.store.settings import constitution_in_force, fence_secret
from refusal_tui.store.workspace import Workspace


def make_handed_judge(name: str, endpoint: str | None, models: Models, workspace: Workspace) -> HandedJudge:
    """Raises UsageError or InputError for a judge that does not exist."""
    with closing(workspace.open()) as connection:
        with transaction(connection):
            secret = fence_secret(connection)
        constitution = constitution_in_force(connection) or DEFAULT
    if name in OFFLINE_JUDGES or endpoint is None:
        return _Offline(name, constitution)
    interview = Interview(
        questions_of(name), annotator_of(name, endpoint), models.capabilities(endpoint), secret, constitution
    )
    return _Asking(interview, endpoint, models)


class _Reading:
    """What verdicts say, whoever gave them."""

    def __init__(self, annotator: str, constitution: Constitution) -> None:
        self.annotator = annotator
        self._constitution = constitution

    def refuses(self, verdict: Verdict) -> bool | None:
        return stance(verdict, self._constitution).refuses

    def says(self, verdict: Verdict, head: str) -> bool | None:
        found = next((label for label in derive(verdict, self._constitution) if label.head == head), None)
        return None if found is None else found.value == "yes"

    def names(self, verdict: Verdict, head: str) -> tuple[str, ...]:
        said = next((label.value for label in derive(verdict, self._constitution) if label.head == head), "")
        return tuple(name for name in said.split(",") if name)


class _Offline(_Reading):
    def __init__(self, name: str, constitution: Constitution) -> None:
        super().__init__(f"judge:{name}", constitution)
        self._judge = make_judge(name)

    async def judge(self, row: Row, key: RowKey) -> Verdict | RowError:
        return (await self._judge.judge([row]))[0]

    def read(self, row: Row, text: str) -> Verdict | RowError:
        return RowError(row.item_id, ErrorClass.PARSE, "The offline judge keeps no answers.", raw=text)


class _Asking(_Reading):
    def __init__(self, interview: Interview, endpoint: str, models: Models) -> None:
        super().__init__(interview.annotator, interview.constitution)
        self._interview = interview
        self._endpoint = endpoint
        self._models = models

    async def judge(self, row: Row, key: RowKey) -> Verdict | RowError:
        request = self._interview.request(row)
        if isinstance(request, RowError):
            return request
        result = self._interview.verdict(row, await self._models.ask_as(self._endpoint, request, key))
        if isinstance(result, RowError):
            self._models.forget(self._endpoint, request)
        return result

    def read(self, row: Row, text: str) -> Verdict | RowError:
        return self._interview.read(row, text)
