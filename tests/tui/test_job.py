"""The Job screen as it is drawn and as it answers keys."""

from __future__ import annotations

from contextlib import closing

import pytest

from refusal_tui.jobs import control
from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.store.artifacts import add_artifact
from refusal_tui.store.connect import transaction
from refusal_tui.store.events import add_event
from refusal_tui.store.jobs import JobState
from refusal_tui.tui.screens.browse import BrowseScreen
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.line_list import LineList
from tests.tui.conftest import SIZES, settle
from tests.tui.hostile_cases import hostile_cases
from tests.tui.job_rows import LOCAL, SPARE, add_job, ask_models, change_job, fail_rows
from tests.tui.small_workspace import EPOCH


def head_of(pilot) -> str:
    return "\n".join(line.content.plain for line in pilot.app.screen.query_one("#job-head", LineList).shown)


def body_of(pilot) -> str:
    return "\n".join(line.content.plain for line in pilot.app.screen.query_one("#job-body", LineList).shown)


def filter_of(pilot) -> str:
    assert isinstance(pilot.app.screen, BrowseScreen)
    return pilot.app.screen.state.wanted.filter


def add_pilot(workspace) -> int:
    """A pilot of 20 rows that is done, with its answers (those of the finished job of the small workspace)."""
    job_id = add_job(workspace, JobState.PAUSED, row_limit=20, n_ok=20, active_seconds=0.8)
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute(
            "INSERT INTO outcome SELECT ?, item_id, stage, k, state, attempts, error_class, error, output, raw, run, "
            "created FROM outcome WHERE job_id = 1 AND item_id <= 20",
            (job_id,),
        )
        connection.execute(
            "INSERT INTO verdict(item_id, annotator, question_set, version, profile, answers, spans, job_id, created) "
            "SELECT item_id, annotator, question_set, version, profile, answers, spans, ?, created FROM verdict "
            "WHERE job_id = 1 AND item_id <= 20",
            (job_id,),
        )
    return job_id


@pytest.mark.parametrize("size", SIZES)
async def test_a_finished_job_looks_like_this(workspace, open_app, svg, size) -> None:
    async with open_app(workspace, "job", size=SIZES[size], job_id=1) as pilot:
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", SIZES)
async def test_a_running_job_with_failed_rows_looks_like_this(workspace, open_app, svg, size) -> None:
    job_id = add_job(workspace, JobState.RUNNING, n_ok=8, active_seconds=4.5, started=EPOCH)
    fail_rows(workspace, job_id, 3, "429 Too Many Requests: slow down, frindle")
    async with open_app(workspace, "job", size=SIZES[size], job_id=job_id) as pilot:
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", SIZES)
async def test_a_pilot_shows_its_answers_and_asks_to_go_on(workspace, open_app, svg, size) -> None:
    job_id = add_pilot(workspace)
    async with open_app(workspace, "job", size=SIZES[size], job_id=job_id) as pilot:
        assert "go on with all 32 rows" in head_of(pilot)
        assert "I can't help with" in body_of(pilot)
        assert svg(pilot.app, size)


async def test_an_export_shows_its_files_and_its_step(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.RUNNING, kind="export", spec='{"out": "/x"}', done=3, total=4, step="card")
    path = workspace.artifacts / "rows.jsonl"
    path.write_text("{}\n")
    with closing(workspace.open()) as connection:
        add_artifact(connection, workspace.root, path, kind="export", job_id=job_id)
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        assert "card" in head_of(pilot)
        assert "75 %" in head_of(pilot)
        assert "artifacts/rows.jsonl" in body_of(pilot)


@pytest.mark.parametrize("keys", [["b"], ["G", "enter"]])
async def test_b_and_enter_open_the_rows_of_the_job(workspace, open_app, keys) -> None:
    async with open_app(workspace, "job", job_id=1) as pilot:
        await pilot.press(*keys)
        await settle(pilot)
        assert filter_of(pilot) == "job:1"
        assert len(pilot.app.screen.state.ids) == 32


@pytest.mark.parametrize("key", ["e", "enter"])
async def test_e_and_enter_on_an_error_open_the_rows_that_failed(workspace, open_app, key) -> None:
    async with open_app(workspace, "job", job_id=1) as pilot:
        await pilot.press(key)
        await settle(pilot)
        assert filter_of(pilot) == "job.1:failed,unparsable"
        assert len(pilot.app.screen.state.ids) == 1


async def test_e_says_when_nothing_has_failed(workspace, open_app) -> None:
    async with open_app(workspace, "job", job_id=add_job(workspace, JobState.DONE, n_ok=32)) as pilot:
        await pilot.press("e")
        assert [note.message for note in pilot.app._notifications] == ["No row of this job has failed."]


async def test_enter_on_an_answer_opens_its_row(workspace, open_app) -> None:
    async with open_app(workspace, "job", job_id=add_pilot(workspace)) as pilot:
        assert pilot.app.screen.query_one("#job-body", LineList).key == "answer:1"
        await pilot.press("enter")
        await settle(pilot)
        assert filter_of(pilot) == "id:1"


async def test_an_import_leads_to_the_rows_of_its_dataset(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.DONE, kind="import", spec='{"source": "frindle.jsonl"}', selection="")
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        await pilot.press("b")
        await settle(pilot)
        assert filter_of(pilot) == 'dataset:"frindle-qa"'
        assert len(pilot.app.screen.state.ids) == 32


async def test_l_shows_the_end_of_the_log_and_l_again_the_events(workspace, open_app) -> None:
    log = workspace.logs / "job-1.log"
    log.write_text("\n".join(f"line {n} \x1b[2J" for n in range(100)))
    async with open_app(workspace, "job", job_id=1) as pilot:
        await pilot.press("l")
        body = pilot.app.screen.query_one("#job-body", LineList)
        assert body.key == "log:99"
        assert "line 99 ␛[2J" in body_of(pilot)
        await pilot.press("l")
        assert "worker 1 started" in body_of(pilot)


async def test_a_longer_log_is_followed_unless_the_reader_has_gone_up(workspace, open_app) -> None:
    log = workspace.logs / "job-1.log"
    log.write_text("one\ntwo\n")
    async with open_app(workspace, "job", job_id=1) as pilot:
        body = pilot.app.screen.query_one("#job-body", LineList)
        await pilot.press("l")
        log.write_text("one\ntwo\nthree\n")
        pilot.app.store_changed()
        assert body.key == "log:2"
        await pilot.press("k")
        log.write_text("one\ntwo\nthree\nfour\n")
        pilot.app.store_changed()
        assert body.key == "log:1"


async def test_counts_follow_the_store(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.PAUSED, n_ok=8)
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        with closing(workspace.open()) as connection:
            change_job(connection, job_id, n_ok=16, state="done")
        pilot.app._poll()
        await settle(pilot)
        assert "ok 16" in head_of(pilot)
        assert "✓ done" in head_of(pilot)


async def test_the_command_is_copied(workspace, open_app) -> None:
    async with open_app(workspace, "job", job_id=1) as pilot:
        await pilot.press("y")
        assert (
            workspace.artifacts / "clipboard.txt"
        ).read_text() == "refusal-tui run label dataset:frindle-qa --judge lexical"


@pytest.mark.parametrize("hostile", hostile_cases())
async def test_hostile_answers_events_and_logs_do_no_harm(workspace, open_app, hostile) -> None:
    text = hostile.text.encode("utf-8", "backslashreplace").decode()
    job_id = add_pilot(workspace)
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE prompt SET text = ?", (text,))
        connection.execute("UPDATE item_body SET response = ?", (text,))
        connection.execute("UPDATE outcome SET error = ?, state = 'failed' WHERE item_id % 5 = 0", (text,))
        add_event(connection, job_id, "error", "x", text)
    (workspace.logs / f"job-{job_id}.log").write_text(text, encoding="utf-8")
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        for key in ("G", "l"):
            await pilot.press(key)
            await settle(pilot)
            shown = head_of(pilot) + body_of(pilot)
            assert not set(shown) & {"\x1b", "\x00", "\x07", "\u202e", "\u200b"}


# --- jobs that ask language models ------------------------------------------------------------------------------------

FAULTS = {ErrorClass.SERVER: 3, ErrorClass.RATE_LIMIT: 9}


def add_asking(workspace, state: JobState = JobState.RUNNING, **columns: object) -> int:
    """A labelling job by a model, 20 of 32 rows done, with the answers of the finished job."""
    known = {"n_ok": 20, "active_seconds": 12.0, "started": EPOCH, "title": "label with atoms by local", "run": 1}
    job_id = add_job(workspace, state, **(known | columns))
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute(
            "INSERT INTO verdict(item_id, annotator, question_set, version, profile, answers, spans, job_id, created) "
            "SELECT item_id, 'judge:atoms@local', question_set, version, profile, answers, spans, ?, created "
            "FROM verdict WHERE job_id = 1 AND item_id <= 20",
            (job_id,),
        )
    return job_id


@pytest.mark.parametrize("size", SIZES)
async def test_a_running_job_that_asks_a_model_looks_like_this(workspace, open_app, svg, size) -> None:
    job_id = add_asking(workspace)
    ask_models(workspace, job_id, errors=FAULTS)
    fail_rows(workspace, job_id, 3, "The judge refused to judge.", "judge_refusal")
    async with open_app(workspace, "job", size=SIZES[size], job_id=job_id) as pilot:
        head = head_of(pilot)
        assert "tokens   600,000 in, 33,000 out" in head
        assert "cost     0.12 USD so far, about 0.17 USD at the end" in head
        assert "requests 312 sent, 12 from memory; tries failed: 9 rate limit, 3 server" in head
        assert "places   40 of 64 in use" in head
        assert svg(pilot.app, size)


@pytest.mark.parametrize("size", SIZES)
async def test_several_servers_have_a_line_each(workspace, open_app, svg, size) -> None:
    job_id = add_asking(workspace)
    ask_models(workspace, job_id, servers=(LOCAL, SPARE), errors=FAULTS, silent=(1,))
    async with open_app(workspace, "job", size=SIZES[size], job_id=job_id) as pilot:
        assert "40 of 64 in use; 1 of 2 servers does not answer" in head_of(pilot)
        assert "local :8000" in body_of(pilot) and "✗ silent" in body_of(pilot)
        assert svg(pilot.app, size)


async def test_an_unknown_price_is_said(workspace, open_app) -> None:
    job_id = add_asking(workspace)
    ask_models(workspace, job_id, price=None)
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        assert "cost     unknown: local has no price" in head_of(pilot)


async def test_the_newest_answers_are_shown_while_the_job_runs(workspace, open_app) -> None:
    job_id = add_asking(workspace)
    async with open_app(workspace, "job", job_id=job_id, size=(120, 40)) as pilot:
        keys = [line.key for line in pilot.app.screen.query_one("#job-body", LineList).shown]
        assert [key for key in keys if key and key.startswith("answer:")][:3] == ["answer:20", "answer:19", "answer:18"]
        await pilot.press("a")
        assert "Answers" not in body_of(pilot), "a hides them"


async def test_a_job_that_nobody_starts_says_so(workspace, open_app, svg) -> None:
    job_id = add_job(workspace, JobState.QUEUED)
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE event SET created = ?", (EPOCH - 60,))
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        assert "Nobody starts it: no supervisor runs" in head_of(pilot)
        assert svg(pilot.app, "80x24")


async def test_t_tries_the_kind_under_the_cursor_again_and_R_all_kinds(workspace, open_app, monkeypatch) -> None:
    tried: list[str | None] = []
    monkeypatch.setattr(control, "ensure_supervisor", lambda *_: None)
    monkeypatch.setattr(control, "retry_failed", lambda connection, job_id, error_class: tried.append(error_class) or 1)
    job_id = add_job(workspace, JobState.DONE, n_ok=20)
    fail_rows(workspace, job_id, 3, "429", "rate_limit")
    with closing(workspace.open()) as connection, transaction(connection):
        connection.execute("UPDATE outcome SET error_class = 'timeout' WHERE job_id = ? AND item_id = 1", (job_id,))
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        body = pilot.app.screen.query_one("#job-body", LineList)
        assert body.key == "trouble:rate_limit"
        await pilot.press("j", "t")
        await settle(pilot)
        await pilot.press("R")
        await settle(pilot)
        assert tried == ["timeout", None]
        await pilot.press("G", "t")
        await settle(pilot)
        assert "Move to a line under Errors first" in next(iter(pilot.app._notifications)).message
        assert tried == ["timeout", None], "two kinds, and the cursor on neither"


async def test_a_failed_job_is_old_news_on_home_once_it_was_looked_at(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.FAILED, run=1, note="Every row failed so far (32 rows)")
    async with open_app(workspace, "home") as pilot:
        assert _is_on_home(pilot, job_id)
        pilot.app.push("job", job_id=job_id)
        await settle(pilot)
        await pilot.press("escape")
        await settle(pilot)
        assert not _is_on_home(pilot, job_id)
        with closing(workspace.open()) as connection:
            change_job(connection, job_id, run=2)
        pilot.app.store_changed()
        assert _is_on_home(pilot, job_id), "another run has failed"


def _is_on_home(pilot, job_id: int) -> bool:
    return any(line.key == f"job:{job_id}" for line in pilot.app.screen.query_one("#home-list", LineList).shown)


async def test_a_job_that_a_budget_has_stopped_gets_another_one(workspace, open_app) -> None:
    job_id = add_job(workspace, JobState.PAUSED, note="Paused: the budget of 5 USD is spent.")
    async with open_app(workspace, "job", job_id=job_id) as pilot:
        await pilot.press("s")
        await settle(pilot)
        line = pilot.app.screen.query_one(LineInput)
        assert line.value == "max_cost= max_minutes= max_rate= max_tokens="
        line.value = "max_cost=12.5"
        await pilot.press("enter")
        await pilot.app.workers.wait_for_complete()
    assert control.changeable_settings(workspace, job_id)["max_cost"] == "12.5"
