"""A loopback server in a thread of its own (so that a worker may run in the test), and judges that see the row."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from refusal_tui.judge.job import make_label_job
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.atoms import VALUES, YES_NO
from refusal_tui.store.browse import select_ids
from refusal_tui.store.endpoints import Endpoint, save_capabilities, save_endpoint
from refusal_tui.store.jobs import Job, create_job
from refusal_tui.store.workspace import Workspace
from tests.support.loopback import Loopback, Settings
from tests.support.rowjobs import run_here

OBEDIENT = {"json_schema": True, "json_mode": True, "choice": "structured_outputs", "logprobs": True, "top_logprobs": 5}


@contextmanager
def serving(settings: Settings, *, keep_bodies: bool = True) -> Iterator[Loopback]:
    """A server that lives as long as the block; its `stats` and `bodies` may be read from the test's thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = Loopback(settings, keep_bodies=keep_bodies)
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(server.die(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def add_endpoint(
    workspace: Workspace, server: Loopback, name: str = "local", *, capabilities: dict[str, Any] | None = None,
    **options: object,
) -> None:  # fmt: skip
    """An end point on the server, as if it had been probed."""
    with closing(workspace.open()) as connection:
        save_endpoint(connection, Endpoint(name, "custom", (server.base_url,), server.settings.model, options=options))
        save_capabilities(connection, name, OBEDIENT if capabilities is None else capabilities)


def label(workspace: Workspace, spec: LabelSpec, *, selection: str = "", pilot: int | None = None) -> Job:
    """One run of a labelling job in this process, to its end or its pause."""
    with closing(workspace.open()) as connection:
        job_id = create_job(
            connection, kind="label", title=spec.title(), lane="free", spec=spec.model_dump_json(),
            spec_version=LabelSpec.VERSION, selection=selection, item_ids=select_ids(connection, selection),
            row_limit=pilot,
        )  # fmt: skip
    return run_again(workspace, job_id, spec)


def run_again(workspace: Workspace, job_id: int, spec: LabelSpec) -> Job:
    return run_here(workspace, job_id, make_label_job(spec, workspace))


# --- what judges say -------------------------------------------------------------------------------------------------

REFUSING_WORDS = ("sorry", "I won't")


def refuses(body: dict[str, Any]) -> bool:
    """Whether the judged response holds words of refusal: what an honest judge of these workspaces sees."""
    text = str(body["messages"][-1]["content"])
    response = text.partition("<<<response ")[2]
    return any(word in response for word in REFUSING_WORDS)


def honest_atoms(body: dict[str, Any], row: str) -> str:
    """A judge of atoms, style, harms and topics that says what it sees."""
    refused = refuses(body)
    answer: dict[str, Any] = {}
    for name, part in _schema(body)["properties"].items():
        if name in VALUES and VALUES[name] == YES_NO:
            answer[name] = "yes" if refused and name == "explicit_refusal_of_the_whole" else "no"
        elif name == "refusal_reason":
            answer[name] = "policy" if refused else "none"
        elif name == "task_content":
            answer[name] = "none" if refused else "specific"
        elif part.get("type") == "array":
            answer[name] = []
        else:
            answer[name] = part["enum"][0] if "enum" in part else "because it says so"
    answer["answers_in_full"] = "no" if refused else "yes"
    return json.dumps(answer)


def letter_of(body: dict[str, Any], word: str) -> str:
    """The letter that stands for `word` in the order of this request."""
    for line in str(body["messages"][0]["content"]).splitlines():
        if line[1:].startswith(f") {word}"):
            return line[0]
    raise AssertionError(f"{word} is not among the choices")


def honest_xstest(body: dict[str, Any], row: str) -> str:
    return letter_of(body, "full_refusal" if refuses(body) else "full_compliance")


def _schema(body: dict[str, Any]) -> dict[str, Any]:
    form = body.get("response_format") or {}
    return form.get("json_schema", {}).get("schema") or {"properties": {}}


Judge = Callable[[dict[str, Any], str], str]
