"""Is the tiny chat model that ships what its page says, and can it be made again?"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch

from refusal_tui.direction.answers import Arm, answer_in_arms
from refusal_tui.direction.apply import load_direction
from refusal_tui.direction.load import load
from refusal_tui.direction.report import read_report
from refusal_tui.direction.tiny.train import train, write
from refusal_tui.direction.tiny.world import EVALUATED, make_world
from refusal_tui.store.jobs import Job, JobState
from refusal_tui.store.workspace import create_workspace
from tests.direction.bench import Bench

FOLDER = Path(__file__).resolve().parents[2] / "data" / "tiny_chat"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    workspace = create_workspace(tmp_path_factory.mktemp("tiny") / "ws")
    return Bench(workspace, FOLDER, make_world(0), FOLDER / "harmful.txt", FOLDER / "harmless.txt")


@pytest.fixture(scope="module")
def found(bench: Bench) -> tuple[Job, Path]:
    return bench.run(n_train=128, n_val=32)


def test_it_has_the_direction_that_its_page_names(found: tuple[Job, Path]) -> None:
    job, folder = found
    assert job.state is JobState.DONE, job.note
    report = read_report(folder)
    pick = report.choice.pick
    assert pick == (-1, 2) and report.n_layers == 4
    assert report.baseline == pytest.approx((6.4, -8.1), abs=0.4)
    scores = report.grid[pick]
    assert scores.ablation == pytest.approx(-4.3, abs=0.4) and scores.steering == pytest.approx(4.8, abs=0.4)
    assert scores.kl is not None and scores.kl < 0.01
    assert all(kept == drawn for kept, drawn in report.kept.values()), "the filter drops none"


def test_where_the_direction_becomes_real_and_where_it_is_none(found: tuple[Job, Path]) -> None:
    rows = json.loads((found[1] / "all_direction_scores.json").read_text())
    cells = {(row["position"], row["layer"]): row for row in rows}
    assert cells[-1, 2]["bootstrap_floor"] > 0.95 and cells[-1, 2]["auroc"] > 0.99
    assert cells[-1, 0]["reason"] == "zero" and cells[-1, 3]["reason"] == "layer"
    assert cells[-2, 2]["ablation_refusal"] > 6, "at that token nothing of it is to be seen"


def test_an_ablation_costs_harmless_answers_next_to_nothing(found: tuple[Job, Path]) -> None:
    evidence = read_report(found[1]).evidence
    assert evidence is not None and not evidence.weak
    assert evidence.loss is not None
    assert abs(evidence.loss["ablated"] - evidence.loss["baseline"]) < 0.05 and evidence.loss["kl_ablated"] < 0.05
    assert max(arm["ablation"] for arm in evidence.random) > 5, "random vectors do nothing"


def test_what_it_writes_is_refused_answered_and_refused_again(bench: Bench, found: tuple[Job, Path]) -> None:
    from refusal_tui.direction.anatomy import study
    from refusal_tui.direction.passes import Passes
    from refusal_tui.direction.template import read_template

    model, tokenizer = load(str(FOLDER), device="cpu")
    template = read_template(tokenizer, "none", [])
    asked = [template.encode(text) for text in bench.harmful.read_text().splitlines()[-16:]]
    direction = load_direction(found[1])
    answers = answer_in_arms(
        Passes(model, study(model)), tokenizer, asked, direction.vector.double(), direction.layer, max_new_tokens=14
    )
    refused = {arm: sum(refuses(answer[arm]) for answer in answers) for arm in (Arm.BASELINE, Arm.ABLATED)}
    assert refused[Arm.BASELINE] == 16 and refused[Arm.ABLATED] <= 1


def refuses(answer: str) -> bool:
    return "cannot" in answer or "sorry" in answer


def test_its_prompts_and_tokenizer_are_those_of_the_recipe(bench: Bench) -> None:
    for name, prompts in zip(("harmful", "harmless"), bench.world.evaluation_prompts(), strict=True):
        assert (FOLDER / f"{name}.txt").read_text().splitlines() == prompts
        assert len(set(prompts)) == EVALUATED
    _, tokenizer = load(str(FOLDER), device="cpu")
    assert tokenizer.get_vocab() == bench.world.tokenizer.get_vocab()
    assert tokenizer.chat_template == bench.world.tokenizer.chat_template


def test_topic_is_not_refusal_in_what_it_learns_from(bench: Bench) -> None:
    chance = random.Random(1)
    examples = [bench.world.example(chance) for _ in range(600)]
    refused = [prompt for prompt, reply in examples if refuses(reply)]
    forbidden = set(bench.world.forbidden)
    assert all(forbidden & set(prompt.split()) for prompt in refused)
    talk = [reply for prompt, reply in examples if prompt.startswith(("what year", "spell", "translate", "is "))]
    assert len(refused) > 150 and len(talk) > 130 and not any(map(refuses, talk))


@pytest.mark.nightly
def test_it_can_be_made_again(bench: Bench, tmp_path: Path) -> None:
    """Weights differ between machines and numbers of threads, so that only what all of them share is asked for."""
    threads = torch.get_num_threads()
    try:
        write(tmp_path, bench.world, train(bench.world))
    finally:
        torch.set_num_threads(threads)
    made = Bench(bench.workspace, tmp_path, bench.world, tmp_path / "harmful.txt", tmp_path / "harmless.txt")
    job, folder = made.run(n_train=128, n_val=32)
    report = read_report(folder)
    assert job.state is JobState.DONE and report.baseline is not None
    assert report.baseline[0] > 4 and report.baseline[1] < -5
    pick: Any = report.choice.pick
    assert pick is not None and pick.layer >= 1
    scores = report.grid[pick]
    assert scores.ablation is not None and scores.ablation < report.baseline[0] - 4
    assert scores.steering is not None and scores.steering > report.baseline[1] + 5
