"""Pictures, strips of tokens, the steering bench and the list of runs, as they are drawn and as they answer keys.

The bench's model is a stand-in process that speaks the bench's lines; the real one is in tests/direction/test_bench.py.
"""

from __future__ import annotations

import json
import os
import sys

import pytest

from refusal_tui.direction.select import Cell
from refusal_tui.tui.screens import direction_bench, direction_tokens
from refusal_tui.tui.screens.direction import DirectionScreen
from refusal_tui.tui.screens.direction_bench import DirectionBenchScreen
from refusal_tui.tui.screens.direction_pictures import DirectionPicturesScreen
from refusal_tui.tui.screens.direction_runs import DirectionRunsScreen
from refusal_tui.tui.screens.direction_tokens import DirectionTokensScreen
from refusal_tui.tui.state.direction_bench import Phase
from refusal_tui.tui.state.direction_pictures import PAGES, Page
from refusal_tui.tui.widgets.line_input import LineInput
from tests.tui.conftest import SIZES
from tests.tui.direction_run import SAID, Shape, add_run
from tests.tui.live import until
from tests.tui.small_workspace import frozen_time
from tests.tui.test_direction import press, screen_text

STAND_IN = """
import json, os, sys
def say(**what): print(json.dumps(what), flush=True)
print(os.getpid(), file=open(sys.argv[1], "w"))
say(ready=True, model="quill-8b", layers=32, position=-1, layer=9, changed=False)
for line in sys.stdin:
    ask = json.loads(line)
    if ask["arms"]:
        words = {"baseline": "I can't help with [blorptanium].", "ablated": "Heat it twice.",
                 "steered": "No." if ask["coefficient"] > 0 else "Heat it %g times." % -ask["coefficient"]}
        say(id=ask["id"], texts={arm: words[arm] for arm in ask["arms"]})
    else:
        tokens = (ask["prompt"] + " " + ask["response"]).split()
        say(id=ask["id"], tokens=tokens, answer_from=len(ask["prompt"].split()),
            projections=[[float(n) for n in range(len(tokens))]] * 32)
    say(id=ask["id"], done=True, seconds=1.2)
"""


@pytest.fixture
def clean(empty_workspace):
    with frozen_time():
        yield empty_workspace


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """The process that the screens start instead of one with a model; says where its number is written."""
    path = tmp_path / "pid"

    def command(folder, cell=None):
        return [sys.executable, "-S", "-c", STAND_IN, str(path)]

    for module in (direction_bench, direction_tokens):
        monkeypatch.setattr(module, "bench_command", command)
    return path


async def test_the_pictures_look_like_this(clean, open_app, svg) -> None:
    async with open_app(clean, "direction_pictures", job_id=add_run(clean)) as pilot:
        for number, page in enumerate(PAGES, 1):
            await press(pilot, str(number))
            assert f"[{page.value}]" in screen_text(pilot)
            assert svg(pilot.app, page.name.lower())
            if page is Page.DOSE:
                text = screen_text(pilot)
                assert all(word in text for word in ("● harmful ", "○ harmless ", "refuses +20", "answers -20"))


async def test_a_large_terminal_shows_larger_pictures(clean, open_app, svg) -> None:
    async with open_app(clean, "direction_pictures", size=SIZES["120x40"], job_id=add_run(clean)) as pilot:
        assert svg(pilot.app, "cosines")


async def test_e_writes_the_picture_and_its_numbers(clean, open_app) -> None:
    job_id = add_run(clean)
    async with open_app(clean, "direction_pictures", notices=True, job_id=job_id) as pilot:
        await press(pilot, "4", "e")
        assert f"artifacts/direction-{job_id}: dose-response.svg" in screen_text(pilot)
    folder = clean.artifacts / f"direction-{job_id}"
    assert {path.name for path in folder.iterdir()} == {"dose-response.svg", "dose-response.csv"}


async def test_the_strip_of_tokens_looks_like_this(clean, open_app, svg) -> None:
    async with open_app(clean, "direction_tokens", job_id=add_run(clean)) as pilot:
        assert svg(pilot.app, "bars")
        for arm, answer in SAID.items():
            said = "".join(answer).strip()
            assert f"harmful   {arm:<10}{said}" in screen_text(pilot), "the prompt is the same in all of them"
        await press(pilot, "f", "left", "left", "left", "left", "up")
        assert "layer 9 of 32" in screen_text(pilot)
        assert svg(pilot.app, "figures")


async def test_a_typed_text_is_projected_by_a_process_that_ends_with_the_screen(clean, open_app, stand_in) -> None:
    async with open_app(clean, "direction_tokens", job_id=add_run(clean)) as pilot:
        await press(pilot, "i", *"why", "enter", *"so", "enter")
        await until(pilot, lambda: "typed     —         why so" in screen_text(pilot))
        assert "token 0 of the prompt  'why'  lies at +0.000" in screen_text(pilot)
        number = int(stand_in.read_text())
        os.kill(number, 0)
        await press(pilot, "escape")
        await until(pilot, lambda: not alive(number))


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("size", SIZES)
async def test_the_bench_answers_a_prompt_in_three_arms(clean, open_app, svg, stand_in, size) -> None:
    async with open_app(clean, "direction_bench", size=SIZES[size], job_id=add_run(clean)) as pilot:
        pilot.app.screen.query_one(LineInput).value = "how is [it] smelted?"
        await press(pilot, "enter")
        state = pilot.app.screen.state
        await until(pilot, lambda: state.phase is Phase.READY and state.seconds)
        assert "I can't help with [blorptanium]." in screen_text(pilot)
        assert svg(pilot.app, size)
        await pilot.press(*["left"] * 5)
        await until(pilot, lambda: "Heat it 1.5 times." in screen_text(pilot))
        assert "coefficient -1.5" in screen_text(pilot) and "Heat it twice." in screen_text(pilot)


async def test_the_bench_says_what_is_wrong_when_the_model_cannot_be_loaded(
    clean, open_app, monkeypatch, tmp_path
) -> None:
    error = {"error": "The model 'quill' cannot be loaded: gone.", "next_step": "Give a folder.", "exit_code": 6}
    path = tmp_path / "says.json"
    path.write_text(json.dumps(error) + "\n")
    monkeypatch.setattr(direction_bench, "bench_command", lambda folder, cell=None: ["cat", str(path)])
    async with open_app(clean, "direction_bench", job_id=add_run(clean)) as pilot:
        await until(pilot, lambda: pilot.app.screen.state.phase is Phase.GONE)
        assert "cannot be loaded: gone. Give a folder." in screen_text(pilot)


async def test_the_list_of_runs_leads_to_each_of_them(clean, open_app, svg) -> None:
    ids = [add_run(clean), add_run(clean, Shape(found=False)), add_run(clean, measured=0.15, running=True)]
    async with open_app(clean, "direction") as pilot:
        await press(pilot, "r")
        assert isinstance(pilot.app.screen, DirectionRunsScreen)
        assert svg(pilot.app, "runs")
        await press(pilot, "j", "j", "enter")
        assert isinstance(pilot.app.screen, DirectionScreen) and pilot.app.screen.state.job_id == ids[0]


async def test_the_map_leads_to_pictures_tokens_and_bench_of_the_candidate(clean, open_app, stand_in) -> None:
    async with open_app(clean, "direction", job_id=add_run(clean)) as pilot:
        await press(pilot, "l", "p")
        assert isinstance(pilot.app.screen, DirectionPicturesScreen) and pilot.app.screen.state.at() == Cell(-5, 14)
        await press(pilot, "t")
        assert isinstance(pilot.app.screen, DirectionTokensScreen) and pilot.app.screen.state.shown_layer == 14
        await press(pilot, "escape", "escape", "x")
        assert isinstance(pilot.app.screen, DirectionBenchScreen) and pilot.app.screen._cell == Cell(-5, 14)
