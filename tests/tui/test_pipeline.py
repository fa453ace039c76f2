"""The Pipeline screen as it is drawn and as it answers keys."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from refusal_tui.pipeline.graph import Step, StepKind
from refusal_tui.pipeline.mistakes import ConfigError, Mistake
from refusal_tui.pipeline.plan import Does, Plan, PlannedStep
from refusal_tui.pipeline.spec import PipelineSpec
from refusal_tui.store.connect import transaction
from refusal_tui.store.jobs import JobState
from refusal_tui.store.pipelines import StepRecord, save_steps, steps_of
from refusal_tui.text.hostile import HOSTILE
from refusal_tui.tui.screens.job import JobScreen
from refusal_tui.tui.screens.pipeline import PipelineScreen
from refusal_tui.tui.screens.pipeline_lines import body_lines
from refusal_tui.tui.state.pipeline import PipelineState
from refusal_tui.tui.widgets.line_list import LineList
from tests.support.pipelines import run_jobs_here
from tests.tui.conftest import SIZES, settle
from tests.tui.job_rows import add_job
from tests.tui.small_workspace import EPOCH
from tests.tui.test_hostile_screens import OBEYED


def add_run(workspace, state: JobState = JobState.RUNNING, audit: JobState = JobState.RUNNING, note: str = "") -> int:
    """A run in its middle: imports and labels are there, the audit is at work, or stands still."""
    imported = add_job(workspace, JobState.DONE, kind="import", title="import quill", n_ok=0)
    labelled = add_job(workspace, JobState.DONE, n_ok=900, total=900)
    audited = add_job(workspace, audit, kind="audit", title="audit", rows=1200, done=380, started=EPOCH,
                      active_seconds=19.0, step="near duplicates", note=note)  # fmt: skip
    run = add_job(
        workspace, state, kind="pipeline", title="pipeline quill", note=f"audit stands still: {note}" * bool(note)
    )
    spec = PipelineSpec.model_construct(config="/home/mara/quill.toml", offline=False)
    steps = [
        StepRecord("constitution", "constitution", product={"constitution": "9f2c11d07a4be350"}, over=True),
        StepRecord("import quill", "import", job=imported, product={"dataset": "quill"}, over=True,
                   note="quill: 900 rows imported"),
        StepRecord("import frindle-prompts", "import", product={"dataset": "frindle-prompts"}, over=True, reused=True),
        StepRecord("generate quill", "generate", over=True, skipped=True, note="every row has a response"),
        StepRecord("generate frindle-prompts", "generate", job=labelled, over=True, reused=True,
                   product={"dataset": "frindle-prompts-responses"}),
        StepRecord("label quill", "label", job=labelled, over=True),
        StepRecord("audit", "audit", after=("label quill",), job=audited),
        StepRecord("review", "review", after=("audit",)),
        StepRecord("export", "export-final", after=("review",)),
    ]  # fmt: skip
    with closing(workspace.open()) as connection, transaction(connection):
        save_steps(connection, run, steps)
        connection.execute("UPDATE job SET spec = ? WHERE id = ?", (spec.model_dump_json(), run))
    return run


@pytest.mark.parametrize("size", SIZES)
async def test_the_graph_looks_like_this(workspace, open_app, svg, size) -> None:
    add_run(workspace)
    async with open_app(workspace, "pipeline", size=SIZES[size]) as pilot:
        assert svg(pilot.app, size)


async def test_a_step_that_stands_still_says_why_and_what_to_do(workspace, open_app, svg) -> None:
    add_run(workspace, JobState.PAUSED, JobState.PAUSED, "its budget of 5.00 USD is used up")
    async with open_app(workspace, "pipeline") as pilot:
        assert svg(pilot.app, "80x24")


async def test_without_a_run_it_says_what_to_press_and_shows_the_plan(workspace, open_app, svg) -> None:
    async with open_app(workspace, "pipeline") as pilot:
        assert svg(pilot.app, "80x24")
        await pilot.press("l")
        await settle(pilot)
        assert svg(pilot.app, "plan")
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, PipelineScreen) and pilot.app.screen.state.plan is None


async def test_mistakes_of_a_config_are_listed_with_their_lines(workspace, open_app, svg, tmp_path: Path) -> None:
    Path("bad.toml").write_text(
        'sead = 1\n[label]\njudge = "atoms"\n[audit]\nsample_rate = 7\n[[datasets]]\nnam = "x"\n'
    )
    async with open_app(workspace, "pipeline") as pilot:
        await pilot.press("o", *"bad.toml", "enter")
        await settle(pilot)
        assert svg(pilot.app, "80x24")
        await pilot.press("escape")  # what is shown is what r runs
        assert pilot.app.screen.state.config_name == "no config: what is imported"


async def test_another_config_is_typed_over_the_old_one_which_arrow_keys_keep(workspace, open_app) -> None:
    for name in ("one.toml", "two.toml", "two.tomlx"):
        Path(name).write_text("audit = false\n")
    async with open_app(workspace, "pipeline") as pilot:
        for typed, name in ((("one.toml",), "one.toml"), (("two.toml",), "two.toml"), (("right", "x"), "two.tomlx")):
            await pilot.press("o", *(typed[0] if len(typed) == 1 else typed), "enter")
            await settle(pilot)
            assert Path(pilot.app.screen.state.spec.config).name == name


async def test_enter_opens_the_job_of_a_step(workspace, open_app) -> None:
    add_run(workspace)
    async with open_app(workspace, "pipeline") as pilot:
        pilot.app.screen.query_one(LineList).choose("step:audit")
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, JobScreen)


async def test_r_starts_a_run_that_goes_on_by_itself(workspace, open_app, monkeypatch, tmp_path: Path) -> None:
    run_jobs_here(monkeypatch, besides=lambda *_: True)
    Path("quill.toml").write_text('audit = false\nexport = false\n[[datasets]]\nname = "frindle-qa"\n')
    async with open_app(workspace, "pipeline") as pilot:
        await pilot.press("o", *"quill.toml", "enter")
        await settle(pilot)
        await pilot.press("r")
        await settle(pilot)
        run = pilot.app.screen.state.run
        assert run is not None and run.kind == "pipeline"
        assert json.loads(run.spec)["config"].endswith("/quill.toml")
        with closing(workspace.open(read_only=True)) as connection:
            assert steps_of(connection, run.id) == []  # its worker has not begun


def test_no_name_of_a_dataset_or_a_file_reaches_the_terminal_as_it_is() -> None:
    for hostile in HOSTILE:
        text = hostile.text[:300]
        step = PlannedStep(Step(f"label {text}", StepKind.LABEL), Does.RUN, f"changed: {text}")
        plans = PipelineState(plan=Plan((step,), (text,)))
        wrong = PipelineState(problem=ConfigError([Mistake(text, 1, text, text)]))
        for line in (*body_lines(plans, 78), *body_lines(wrong, 78)):
            assert not OBEYED.search(line.content.plain), hostile.name
            assert line.content.cell_length <= 78
