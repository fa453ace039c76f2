"""What does a job that asks a language model cost beside the loop that one would write by hand?

A loopback server in a process of its own answers after 50 ms and counts the requests itself; 64 are under way at a
time. Every contestant runs in a fresh process, in an order that rotates from one repeat to the next. Ours keeps every
answer, its ledger row and the place to resume from durable (`synchronous=FULL`); plain keeps a list in memory.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from urllib.request import urlopen

from benchmarks.engine import pretend_done, rewind
from benchmarks.llm_peers import PEERS, Peer, installed
from benchmarks.report import Figure
from benchmarks.workspaces import scratch_folder
from refusal_tui.generate.answers import response_request, turns_of
from refusal_tui.generate.spec import GenerateSpec
from refusal_tui.jobs.spec import JobSpec
from refusal_tui.judge.interview import Interview, questions_of
from refusal_tui.judge.spec import LabelSpec
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import RowError
from refusal_tui.llm.ladder import Capabilities, rung_for, wire_body
from refusal_tui.llm.request import ChatRequest, Sampling
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import checkpoint, transaction
from refusal_tui.store.endpoints import Endpoint, save_capabilities, save_endpoint
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import create_job, get_job
from refusal_tui.store.workspace import Workspace
from tests.support.waiting import wait_until
from tests.support.workspaces import make_workspace

ROOT = Path(__file__).resolve().parent.parent
LATENCY_SECONDS = 0.05
CONCURRENCY = 64
SHORT, LONG = 1_500, 20_000
REPEATS = 5
BIG = 1_000_000
SCALING_ROWS, SCALING_LATENCY, SCALING_PLACES = 4_000, 0.2, 16
MODEL = "loopback-1"
OBEYS = {"json_schema": True, "json_mode": True, "choice": "structured_outputs", "logprobs": True, "top_logprobs": 5}
GENERATE = GenerateSpec(name="answers", endpoints="local")
LABEL = LabelSpec(judge="xstest", endpoint="local")
HTTPX, AIOHTTP = "httpx", "aiohttp"


def run(*, quick: bool = False) -> list[Figure]:
    if quick:
        return [*_beside_plain(128, 1, labels=True), *_start(1), *_scaling(160), *_resume(5_000, 1)]
    return [
        *_beside_plain(SHORT, REPEATS, labels=True),
        *_beside_plain(LONG, REPEATS, labels=False),
        *_start(REPEATS),
        *_scaling(SCALING_ROWS),
        *_resume(BIG, 3),
    ]


# --- servers, workspaces, jobs ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """A loopback server in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def requests(self) -> int:
        """How many completions it was asked for so far."""
        with urlopen(f"http://127.0.0.1:{self.port}/stats") as answer:
            return int(json.load(answer)["requests"])


@contextmanager
def serving(latency: float = LATENCY_SECONDS) -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.support.loopback", "--latency", str(latency), "--model", MODEL]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Server(process, int(process.stdout.readline()))
        finally:
            process.kill()


@cache
def prompts_of(rows: int) -> Workspace:
    """A workspace whose rows all have prompts of their own, so that every row is a request."""
    return make_workspace(scratch_folder(f"prompts-{rows}"), rows=rows)


def workspace_with(servers: Sequence[Server], rows: int, concurrency: int = CONCURRENCY) -> Workspace:
    """A fresh copy with the end point `local`: these servers, so many requests under way at each."""
    original = prompts_of(rows)
    copy = Workspace(scratch_folder("asking"))
    shutil.rmtree(copy.root, ignore_errors=True)
    shutil.copytree(original.root, copy.root)
    urls = tuple(server.base_url for server in servers)
    with closing(copy.open()) as connection:
        save_endpoint(connection, Endpoint("local", "custom", urls, MODEL, options={"concurrency": concurrency}))
        save_capabilities(connection, "local", OBEYS)
    return copy


def queue(workspace: Workspace, spec: JobSpec) -> int:
    """A queued job over all rows, without a supervisor that would start it."""
    kind = "generate" if isinstance(spec, GenerateSpec) else "label"
    with closing(workspace.open()) as connection:
        return create_job(
            connection, kind=kind, title=spec.title(), lane="free", spec=spec.model_dump_json(),
            spec_version=type(spec).VERSION, item_ids=select_ids(connection),
        )  # fmt: skip


def bodies_of(rows: int, spec: JobSpec) -> Path:
    """A file with the very bodies that the job sends, for those who are measured beside it."""
    path = scratch_folder(f"bodies-{rows}-{type(spec).__name__}.jsonl")
    if not path.exists():
        with closing(prompts_of(rows).open(read_only=True)) as connection:
            found = fetch_rows(connection, select_ids(connection))
        capabilities = Capabilities.from_json(OBEYS)
        interview = Interview(questions_of(LABEL.judge), "judge:bench", capabilities, b"secret")
        with path.open("w", encoding="utf-8") as file:
            for row in found:
                request = _request(row, spec, interview)
                rung = rung_for(request, capabilities)
                file.write(json.dumps(wire_body(request, model=MODEL, rung=rung, choice=capabilities.choice)) + "\n")
    return path


def _request(row: Row, spec: JobSpec, interview: Interview) -> ChatRequest:
    if isinstance(spec, GenerateSpec):
        return response_request(turns_of(row, None), Sampling(0.0, None, spec.answer_tokens), 0)
    request = interview.request(row)
    assert not isinstance(request, RowError)
    return request


# --- contestants -----------------------------------------------------------------------------------------------------

Measured = Mapping[str, float]  # what a contestant prints: seconds, processor (seconds), answers


def measured(
    server: Server, rows: int, command: Sequence[str | Path], *, probes: int = 0, more: Mapping[str, str] | None = None
) -> Measured:
    """One run of a contestant: it must have asked once per row, as the server counted, and have every answer."""
    before = server.requests()
    silent = subprocess.DEVNULL if more else None
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | (more or {}), stdout=subprocess.PIPE, stderr=silent, check=True, text=True
    )
    found: Measured = json.loads(done.stdout.splitlines()[-1])
    asked = server.requests() - before - probes
    assert (asked, found["answers"]) == (rows, rows), f"{asked} requests, {found['answers']} answers for {rows} rows"
    return found


def plain(server: Server, rows: int, spec: JobSpec, transport: str) -> Measured:
    module = [sys.executable, "-m", "benchmarks.llm_plain"]
    return measured(server, rows, [*module, server.base_url, bodies_of(rows, spec), str(CONCURRENCY), transport])


def ours(server: Server, rows: int, spec: JobSpec, transport: str) -> Measured:
    workspace = workspace_with([server], rows)
    job_id = queue(workspace, spec)
    module = [sys.executable, "-m", "benchmarks.llm_ours"]
    return measured(server, rows, [*module, workspace.root, str(job_id), transport])


def peer(server: Server, rows: int, which: Peer) -> Measured:
    """A peer in its own environment; its own folders are below the run's."""
    home = scratch_folder(f"peer-{which.name}")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    command = [which.python, which.script, server.base_url, bodies_of(rows, GENERATE), str(CONCURRENCY)]
    return measured(server, rows, command, probes=which.probes, more={"HOME": str(home), **which.environment(home)})


def _beside_plain(rows: int, repeats: int, *, labels: bool) -> list[Figure]:
    found: dict[str, list[Measured]] = defaultdict(list)
    with serving() as server:
        contestants: dict[str, Callable[[], Measured]] = {
            f"{name}, {transport}": lambda run=run, transport=transport: run(server, rows, GENERATE, transport)
            for name, run in (("plain", plain), ("generate", ours))
            for transport in (HTTPX, AIOHTTP)
        }
        if labels:
            contestants["plain judging, httpx"] = lambda: plain(server, rows, LABEL, HTTPX)
            for transport in (HTTPX, AIOHTTP):
                contestants[f"label, {transport}"] = lambda transport=transport: ours(server, rows, LABEL, transport)
            for one in _peers(server):
                contestants[one.name] = lambda one=one: peer(server, rows, one)
        names = list(contestants)
        for turn in range(repeats):  # rotating, so that a noisy minute and a warm cache hit everybody
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found[name].append(contestants[name]())
    rates = {name: [rows / run["seconds"] for run in runs] for name, runs in found.items()}
    processor = {name: 1000 * median(run["processor"] for run in runs) / rows for name, runs in found.items()}

    def beside(name: str, against: str, what: str, target: str = "", least: float | None = None) -> Figure:
        ratio = median(rates[name]) / median(rates[against])
        shown = f"{against} {median(rates[against]):,.0f}"
        what = f"{rows:,} rows: {what} ({_range(rates[name])}; {processor[name]:.2f} ms of processor each)"
        return Figure(
            what, median(rates[name]), "rows/s", shown, ratio, target, None if least is None else ratio >= least
        )

    figures = [
        beside("plain, httpx", "plain, httpx", "plain asyncio, openai SDK, nothing kept"),
        beside("plain, aiohttp", "plain, httpx", "plain asyncio over aiohttp, nothing kept"),
        beside("generate, httpx", "plain, httpx", "`run generate`, every row durable", ">= 0.95", 0.95),
        beside("generate, aiohttp", "plain, httpx", "`run generate` over aiohttp, every row durable", ">= 1.20", 1.2),
        beside("generate, aiohttp", "plain, aiohttp", "the same beside plain over aiohttp"),
    ]
    if labels:
        figures += [
            beside("label, httpx", "plain judging, httpx", "`run label --judge xstest`, every row durable", ">= 0.95",
                   0.95),
            beside("label, aiohttp", "plain judging, httpx", "the same over aiohttp", ">= 1.20", 1.2),
        ]  # fmt: skip
    for one in PEERS:
        if one.name in rates:
            what = f"`run generate` over aiohttp beside {one.name} {one.version}"
            figures.append(beside("generate, aiohttp", one.name, what, one.target, one.least))
    return figures


def _peers(server: Server) -> list[Peer]:
    """Those that can be installed and run here, when they are asked for."""
    if os.environ.get("BENCH_PEERS") != "1":
        return []
    able = []
    for one in filter(installed, PEERS):
        try:
            peer(server, 64, one)
            able.append(one)
        except (subprocess.CalledProcessError, AssertionError) as error:
            sys.stderr.write(f"{one.name} is left out: {error}\n")
    return able


def _range(rates: Sequence[float]) -> str:
    return f"{min(rates):,.0f} to {max(rates):,.0f}"


# --- start, several servers, resume ----------------------------------------------------------------------------------


@contextmanager
def worker(workspace: Workspace, job_id: int) -> Iterator[float]:
    """A worker process on a queued job; gives the moment of its start. It is ended with the block."""
    command = [sys.executable, "-m", "refusal_tui.jobs.worker", str(workspace.root), str(job_id)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield begun
    finally:
        process.terminate()
        process.wait()


def _start(repeats: int) -> list[Figure]:
    times: dict[str, list[float]] = defaultdict(list)
    with serving() as server:
        for _ in range(repeats):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import openai"], check=True)
            times["import"].append(time.perf_counter() - begun)
            for name, spec in (("generate", GENERATE), ("label", LABEL)):
                workspace = workspace_with([server], SHORT)
                job_id, before = queue(workspace, spec), server.requests()
                with worker(workspace, job_id) as begun:
                    wait_until(lambda before=before: server.requests() > before, what="the first request")
                    times[name].append(time.perf_counter() - begun)
    beside = f"Python importing the openai SDK {median(times['import']):.2f} s"
    return [
        Figure(f"a worker's start to its first request, {name}", median(times[name]), "s", beside,
               median(times[name]) / median(times["import"]), "< 1 s", median(times[name]) < 1)
        for name in ("generate", "label")
    ]  # fmt: skip


def _scaling(rows: int) -> list[Figure]:
    """Servers that are the limit: 16 places of 200 ms each."""

    def rate(stack: ExitStack, number: int, kill_after: int | None = None) -> tuple[float, int]:
        servers = [stack.enter_context(serving(SCALING_LATENCY)) for _ in range(number)]
        workspace = workspace_with(servers, rows, SCALING_PLACES)
        job_id = queue(workspace, GENERATE)
        if kill_after is not None:
            threading.Thread(target=_kill_one, args=(servers, kill_after), daemon=True).start()
        command = [sys.executable, "-m", "benchmarks.llm_ours", str(workspace.root), str(job_id), AIOHTTP]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True)
        found: Measured = json.loads(done.stdout.splitlines()[-1])
        assert found["answers"] == rows, f"{found['answers']} answers for {rows} rows"
        asked = sum(server.requests() for server in servers if server.process.poll() is None)
        return rows / found["seconds"], asked

    with ExitStack() as stack:
        one, _ = rate(stack, 1)
        four, asked = rate(stack, 4)
        assert asked == rows, f"{asked} requests for {rows} rows"
        crippled, _ = rate(stack, 4, kill_after=rows // 8)
    places = f"{rows:,} rows, {SCALING_PLACES} places of {SCALING_LATENCY * 1000:.0f} ms each"
    return [
        Figure(f"four servers behind one name ({places})", four, "rows/s", f"one server {one:,.0f}", four / one,
               ">= 3.80", four / one >= 3.8),
        Figure("the same, one server killed at half time: every row has its answer", crippled, "rows/s",
               f"one server {one:,.0f}", crippled / one),
    ]  # fmt: skip


def _kill_one(servers: Sequence[Server], after: int) -> None:
    wait_until(lambda: servers[0].requests() >= after, 300.0, "the first half")
    servers[0].process.kill()


def _resume(rows: int, repeats: int) -> list[Figure]:
    """99 % of the rows have their outcome, as after a crash at the end of the night."""
    figures = []
    with serving() as server:
        workspace = workspace_with([server], rows)
        for name, spec in (("generate", GENERATE), ("label", LABEL)):
            job_id = queue(workspace, spec)
            pretend_done(workspace, job_id, rows * 99 // 100, "local/none" if spec is GENERATE else "")
            _pretend_asked(workspace, job_id)
            seconds = median(_next_answer(workspace, job_id, rows * 99 // 100) for _ in range(repeats))
            what = f"resume of {rows:,} rows, 99 % done: a worker's start to its next answer durable, {name}"
            figures.append(Figure(what, seconds, "s", "", None, "< 1 s", seconds < 1))
    return figures


def _pretend_asked(workspace: Workspace, job_id: int) -> None:
    """The ledger of what is done: an attempt for every outcome."""
    with closing(workspace.open()) as connection:
        with transaction(connection):
            connection.execute(
                """INSERT INTO attempt(job_id, item_id, stage, k, n, endpoint, base_url, model, started, ended,
                       status_code, prompt_tokens, completion_tokens)
                   SELECT job_id, item_id, stage, k, 1, 'local', 'http://127.0.0.1/v1', ?, 0, ?, 200, 100, 10
                   FROM outcome WHERE job_id = ? ORDER BY item_id""",
                (MODEL, LATENCY_SECONDS, job_id),
            )
        checkpoint(connection, workspace.database, force=True)


def _next_answer(workspace: Workspace, job_id: int, done: int) -> float:
    """Seconds from starting a worker until one more row of the job is durable."""
    rewind(workspace, job_id, done, cursor=done)
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("DELETE FROM request_cache")  # so that it is really asked
    with closing(workspace.open(read_only=True)) as connection, worker(workspace, job_id) as begun:
        wait_until(lambda: get_job(connection, job_id).finished_rows > done, 60.0, "the next row")
        return time.perf_counter() - begun
