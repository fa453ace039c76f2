"""What does a robustness run leave behind, when it ends, when it is killed, and when the input is bad?"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from refusal_tui.errors import InputError
from refusal_tui.finetune.adapters import adapters
from refusal_tui.finetune.direction_files import load_directions, read_card
from refusal_tui.finetune.files import ADAPTER, ARM_ADAPTER, DATA
from refusal_tui.finetune.hub import upload_of
from refusal_tui.finetune.report import IN_TOTAL, PER_STEP
from refusal_tui.jobs.control import reap
from refusal_tui.jobs.spec import SpecError
from refusal_tui.labels.rows import Message
from refusal_tui.store.artifacts import add_artifact, list_artifacts
from refusal_tui.store.browse import select_ids
from refusal_tui.store.connect import transaction
from refusal_tui.store.datasets import find_dataset
from refusal_tui.store.events import events_of
from refusal_tui.store.items import fetch_rows
from refusal_tui.store.jobs import Job, JobState
from refusal_tui.store.labels import judge_labels
from refusal_tui.store.workspace import Workspace
from tests.conftest import ROOT
from tests.finetune.bench import TINY, Bench, make_bench
from tests.support.processes import run_worker_with

Ended = tuple[Job, Path]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return make_bench(tmp_path_factory.mktemp("finetune") / "w")


@pytest.fixture(scope="module")
def adapter(bench: Bench) -> Ended:
    job, folder = bench.run(bench.adapter_spec())
    assert job.state is JobState.DONE, job.note
    return job, folder


@pytest.fixture(scope="module")
def ended(bench: Bench, adapter: Ended) -> Ended:
    job, folder = bench.run(bench.spec(arms="orthogonal,subspace,surgery,random,random-subspace,published"))
    assert job.state is JobState.DONE, job.note
    return job, folder


# --- a refusal adapter -----------------------------------------------------------------------------------------------


def test_the_adapter_is_one_that_peft_reads_and_names_no_folder_of_this_machine(adapter: Ended) -> None:
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(adapter[1] / ADAPTER)
    assert config.base_model_name_or_path == "tiny_chat" and config.r == 4
    assert str(TINY) not in "".join(p.read_text() for p in (adapter[1] / ADAPTER).glob("*.[jm][sd]*"))


def test_its_directions_are_the_product_of_the_saved_factors_with_their_spectrum(adapter: Ended) -> None:
    import torch
    from safetensors.torch import load_file

    tensors = load_file(adapter[1] / ADAPTER / "adapter_model.safetensors")
    found, card = load_directions(adapter[1]), read_card(adapter[1])
    name = "model.layers.1.mlp.up_proj"
    up, down = (tensors[f"base_model.model.{name}.{part}.weight"].double() for part in ("lora_B", "lora_A"))
    product = 2.0 * up @ down
    of = found[name]
    assert torch.allclose(of.left[0] * of.values[0] @ of.right[0].T, product / product.norm(), atol=1e-5)
    assert card["matrices"][name]["norm"] == pytest.approx(float(product.norm()), rel=1e-4)
    assert len(found) == 28 and len(card["matrices"][name]["spectrum"]) == 4


def test_the_reliability_gate_compares_the_seeds_matrix_by_matrix(adapter: Ended) -> None:
    agree = read_card(adapter[1])["agreement"]
    assert agree["pairs"][0][0] == 1.0 and agree["pairs"][0][1] == agree["pairs"][1][0] == agree["mean"]
    assert len(agree["by_matrix"]) == 28 and all(len(values) == 1 for values in agree["by_matrix"].values())
    assert "cosine between the directions of 2 seeds" in adapter[0].note


def test_what_it_was_learnt_from_stands_in_its_card_and_it_could_be_uploaded(bench: Bench, adapter: Ended) -> None:
    said = read_card(adapter[1])
    digest = hashlib.sha256((TINY / "refusals.jsonl").read_bytes()).hexdigest()
    (source,) = said["sources"]
    assert (source["set"], source["name"], source["sha256"], source["rows"]) == (
        "refusals",
        "refusals.jsonl",
        digest,
        140,
    )
    assert (source["found"], source["refusals"], source["gated"]) == (140, 140, False)
    assert said["weights"]["sha256"].keys() == {"model.safetensors"} and said["versions"].keys() > {"torch", "peft"}
    with closing(bench.workspace.open()) as connection:
        upload = upload_of(bench.workspace, connection, "tiny", "ann/tiny")
    assert "| refusals | refusals.jsonl | 140 | 140 (100%) | 140 |" in upload.card
    learnt = json.loads((adapter[1] / DATA).read_bytes())["sets"]["refusals"]
    texts = [upload.card, *(file.path.read_text() for file in upload.files if file.path and file.name.endswith("json"))]
    assert not any(row["answer"] in text or str(ROOT) in text for row in learnt for text in texts)


def test_answers_that_refuse_nothing_are_no_refusal_set(bench: Bench) -> None:
    job, folder = bench.run(bench.adapter_spec(name="helpful", refusals=str(TINY / "harmless.jsonl")))
    assert job.state is JobState.FAILED
    assert "None of the 140 answers of --refusals is a refusal" in job.note and "--harmless" in job.note
    assert not (folder / DATA).exists() and not (folder / ADAPTER).exists()


def test_targets_that_are_not_there_are_named_with_those_that_are(bench: Bench) -> None:
    job, folder = bench.run(bench.adapter_spec(name="lost", targets="q_proj,query_key_value"))
    assert job.state is JobState.FAILED
    assert "LoRA targets not found in LlamaForCausalLM: query_key_value." in job.note and "gate_proj" in job.note
    assert not (folder / ADAPTER).exists()


def test_a_loss_that_is_no_number_ends_in_a_sentence_and_leaves_no_adapter(bench: Bench, tmp_path: Path) -> None:
    job, folder = bench.run(bench.adapter_spec(name="wild", model=str(with_a_hole(tmp_path / "hole"))))
    assert job.state is JobState.FAILED
    assert "The loss of step 1 is no number: training has diverged. Use a smaller --learning-rate" in job.note
    assert not (folder / ADAPTER).exists()
    with closing(bench.workspace.open()) as connection:
        assert "wild" not in adapters(connection)


def test_an_adapter_that_has_learnt_nothing_says_so(bench: Bench) -> None:
    job, _ = bench.run(bench.adapter_spec(name="hot", learning_rate=1.0, steps=4, seeds=1, warmup=0.0))
    assert job.state is JobState.DONE and "nothing was learnt; use a smaller --learning-rate" in job.note


def with_a_hole(folder: Path) -> Path:
    """The tiny model with one weight that is no number."""
    return _changed(folder, lambda weights: weights["model.norm.weight"][:1].fill_(float("nan")))


def as_it_was_before(folder: Path) -> Path:
    """The tiny model with another first feed-forward matrix."""
    return _changed(folder, lambda weights: weights["model.layers.0.mlp.up_proj.weight"][:4].mul_(0.5))


def _changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    from safetensors.torch import load_file, save_file

    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("*.jsonl", "*.txt"))
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


# --- a robustness run ------------------------------------------------------------------------------------------------


def test_the_constraint_holds_at_every_step_under_adamw_with_weight_decay(bench: Bench, ended: Ended) -> None:
    trials = {trial.arm: trial for trial in bench.report(ended[0].id).trials}
    for arm in ("orthogonal", "random", "subspace", "random-subspace"):
        step, total = trials[arm].worst
        assert step <= PER_STEP and total <= IN_TOTAL and trials[arm].holds, arm
    assert trials["vanilla"].worst[0] > 1e-3 and trials["vanilla"].holds is None
    assert trials["published"].worst[0] > 1e-3, "what was published does not hold"
    assert all(len(trial.steps) == 6 and trial.state == "done" for trial in trials.values())
    assert trials["surgery"].steps[-1]["conflict"] is not None and trials["vanilla"].steps[-1]["conflict"] is None


def test_the_further_modes_hold_in_a_mixture_of_task_and_harmless_rows(bench: Bench, adapter: Ended) -> None:
    modes = ("singular", "random-singular", "frozen", "random-frozen", "one-sided", "metric")
    job, folder = bench.run(bench.spec(name="modes", arms=",".join(modes), steps="3", checkpoints=1, ratio="0.1"))
    assert job.state is JobState.DONE, job.note
    trials = {trial.arm: trial for trial in bench.report(job.id).trials}
    assert all(trials[arm].holds for arm in modes), {arm: trials[arm].worst for arm in modes}
    assert json.loads((folder / "run.json").read_text())["rows"]["at every ratio"] == 155


def test_a_merged_adapter_keeps_out_of_the_block(adapter: Ended, ended: Ended) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    name = "model.layers.1.mlp.up_proj"
    base = AutoModelForCausalLM.from_pretrained(TINY).double()
    before = base.get_submodule(name).weight.detach().clone()
    merged = PeftModel.from_pretrained(base, ended[1] / "trials" / "subspace-s0" / ARM_ADAPTER).merge_and_unload()
    update = merged.get_submodule(name).weight.detach() - before
    of = load_directions(adapter[1])[name].cut(4)
    written, read = of.left[0].T @ update, update @ of.right[0]
    assert float(update.norm()) > 1e-3
    assert max(float(torch.linalg.norm(part)) for part in (written, read)) < 1e-6 * float(update.norm())


def test_base_and_every_arm_answer_at_every_stop_into_an_ordinary_dataset(bench: Bench, ended: Ended) -> None:
    run = bench.report(ended[0].id)
    assert [line["step"] for line in run.lines] == [0, *[3, 6] * 7]
    assert all(len(line["prompts"]) == 10 and line["task_loss"] > 0 for line in run.lines)
    with closing(bench.workspace.open()) as connection:
        ids = select_ids(connection, "dataset:robust")
        rows = fetch_rows(connection, ids)
        labels = {item: value for item, _, value, _ in judge_labels(connection, ids, "refusal3")}
    assert len(rows) == 10 * 15
    assert {row.model for row in rows} >= {"tiny_chat", "tiny_chat+vanilla@6", "tiny_chat+random-subspace@3"}
    last = next(line for line in run.lines if line["trial"] == "orthogonal-s0" and line["step"] == 6)
    mine = [labels.get(row.item_id, "-")[0] for row in rows if row.model == "tiny_chat+orthogonal@6"]
    assert "".join(mine) == last["prompts"], "what the report counts is what the store holds"


def test_base_refuses_what_is_asked_and_was_not_learnt(bench: Bench, ended: Ended) -> None:
    run = bench.report(ended[0].id)
    assert run.base is not None and run.base["prompts"].count("h") >= 9
    sets = json.loads((ended[1] / DATA).read_bytes())["sets"]
    learnt = {json.dumps(row["messages"]) for name in ("task", "harmless", "guard") for row in sets[name]}
    assert not any(json.dumps(row["messages"]) in learnt for row in sets["prompts"])


def test_an_arm_s_adapter_says_that_it_pulls_against_refusal_and_no_model_is_written(
    bench: Bench, ended: Ended
) -> None:
    note = json.loads((ended[1] / "trials" / "vanilla-s0" / ARM_ADAPTER / "refusal_tui.json").read_text())
    assert "pulls against refusal" in note["what"] and note["upload"].startswith("no")
    with closing(bench.workspace.open()) as connection:
        kinds = {a.kind for a in list_artifacts(connection, ended[0].id)}
        assert kinds == {"arm-adapter", "robustness"} and adapters(connection).keys() <= {"tiny", "hot"}
    weights = {path.name for path in ended[1].rglob("*.safetensors")}
    assert weights == {"adapter_model.safetensors", "model.safetensors", "optimizer.safetensors"}
    largest = max(path.stat().st_size for path in ended[1].rglob("*.safetensors"))
    assert largest < (TINY / "model.safetensors").stat().st_size / 2, "factors, not a model"


def test_an_arm_s_weights_are_refused_in_a_refusal_adapter_s_folder_also_by_a_store_that_forgot_them(
    bench: Bench, adapter: Ended, ended: Ended, tmp_path: Path
) -> None:
    workspace = Workspace(Path(shutil.copytree(bench.workspace.root, tmp_path / "w")))
    folder = workspace.artifacts / adapter[1].name / ADAPTER
    arm = ended[1] / "trials" / "vanilla-s0" / ARM_ADAPTER
    with closing(workspace.open()) as connection:
        for name in ("adapter_config.json", "adapter_model.safetensors", "refusal_tui.json"):
            shutil.copy(arm / name, folder / name)
        with pytest.raises(InputError, match="of the arm vanilla-s0, copied there"):
            upload_of(workspace, connection, "tiny", "ann/tiny")
        with transaction(connection):
            connection.execute("DELETE FROM artifact WHERE kind = 'arm-adapter'")
        for path in folder.iterdir():
            add_artifact(connection, workspace.root, path, kind="refusal-adapter", made_from={"name": "tiny"})
        with pytest.raises(InputError, match="The note of 'tiny' says that it pulls against refusal"):
            upload_of(workspace, connection, "tiny", "ann/tiny")
        shutil.copy(adapter[1] / ADAPTER / "refusal_tui.json", folder / "refusal_tui.json")
        add_artifact(connection, workspace.root, folder / "refusal_tui.json", kind="refusal-adapter")
        with pytest.raises(InputError, match="The weights of 'tiny' are marked as those of an arm"):
            upload_of(workspace, connection, "tiny", "ann/tiny")


def test_directions_can_be_those_of_the_difference_to_an_earlier_model(
    bench: Bench, adapter: Ended, tmp_path: Path
) -> None:
    before = as_it_was_before(tmp_path / "before")
    job, folder = bench.run(bench.spec(name="before", before=str(before), arms="subspace", steps="2", checkpoints=1))
    assert job.state is JobState.DONE, job.note
    about = json.loads((folder / "run.json").read_text())["directions"]
    assert (about["from"], about["before"]) == ("difference", "before")
    assert {trial.arm: trial.holds for trial in bench.report(job.id).trials}["subspace"]
    job, _ = bench.run(bench.spec(name="twice", before=str(TINY), arms="subspace"))
    assert job.state is JobState.FAILED and "The model and --before have the same weights." in job.note


_DIE = """
import os, signal, torch
torch.set_num_threads(1)
from refusal_tui.finetune import job, loop
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if {where!r} == "in the midst of an arm":
    whole = loop.save
    def save(folder, checkpoint, keep=()):
        path = whole(folder, checkpoint, keep)
        return die() if checkpoint.step == 4 and "orthogonal" in str(folder) else path
    loop.save = save
else:
    job.append_lines = die
"""


@pytest.mark.kill
@pytest.mark.parametrize(
    "where", ["in the midst of an arm", pytest.param("behind answers without a line", marks=pytest.mark.nightly)]
)
def test_a_killed_run_goes_on_and_ends_bit_for_bit_the_same(bench: Bench, ended: Ended, where: str) -> None:
    name = where.replace(" ", "-")
    job_id = bench.start(bench.spec(name=name))
    assert run_worker_with(bench.workspace, job_id, _DIE.format(where=where)).returncode == -signal.SIGKILL
    with closing(bench.workspace.open()) as connection:
        reap(connection)
    assert bench.again(job_id).state is JobState.DONE, bench.job(job_id).note
    trial = "trials/orthogonal-s0"
    for path in (f"{trial}/local-only-adapter/adapter_model.safetensors", f"{trial}/checkpoints/step-00000006/"
                 "optimizer.safetensors", f"{trial}/checkpoints/step-00000003/model.safetensors"):  # fmt: skip
        assert (bench.folder(job_id) / path).read_bytes() == (ended[1] / path).read_bytes(), path

    def told(number: int) -> list[Any]:
        run = bench.report(number)
        steps = [(s["loss"], s["inner"], s["norm"]) for t in run.trials if t.arm == "orthogonal" for s in t.steps]
        return [*steps, *(line for line in run.lines if line["arm"] in ("base", "orthogonal"))]

    assert told(job_id) == told(ended[0].id)
    with closing(bench.workspace.open()) as connection:
        assert len(select_ids(connection, f"dataset:{name}")) == 50, "no answer twice, none lost"


def test_another_model_s_widths_are_said_before_anything_is_trained(
    bench: Bench, adapter: Ended, tmp_path: Path
) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    narrow = tmp_path / "narrow"
    shutil.copytree(TINY, narrow, ignore=shutil.ignore_patterns("*.safetensors", "*.jsonl"))
    config = AutoConfig.from_pretrained(narrow)
    config.intermediate_size = 96
    AutoModelForCausalLM.from_config(config).save_pretrained(narrow)
    job, folder = bench.run(bench.spec(name="narrow", model=str(narrow)))
    assert job.state is JobState.FAILED and "Width mismatch at model.layers.0.mlp." in job.note
    assert not (folder / "trials").exists() and not (folder / "evaluations.jsonl").exists()
    with closing(bench.workspace.open()) as connection:
        assert find_dataset(connection, "narrow") is None
        assert any(event.code == "other_base" for event in events_of(connection, job.id))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adapter": "nobody"}, "There is no refusal adapter 'nobody'"),
        ({"name": "more", "n": 101}, "There are 100 different prompts of --prompts; 101 are asked for"),
        ({"name": "more", "prompts": str(TINY / "refusals.jsonl")}, "140 of them in what is learnt; 10 are asked for"),
    ],
)
def test_what_cannot_be_run_is_said_at_once(bench: Bench, adapter: Ended, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        bench.start(bench.spec(**changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"arms": "orthogonal,upward"}, "There is no arm 'upward'"),
        ({"arms": " , "}, "No arm is named"),
        ({"learning_rate": "1e-3,fast"}, "--learning-rate are numbers"),
        ({"steps": "0"}, "--steps needs a number above 0"),
        ({"ratio": "0.1,2"}, "--ratio needs numbers from 0 to 1"),
        ({"ratio": "0.1", "harmless": ""}, "--ratio needs --harmless"),
        ({"task": "nowhere.jsonl"}, "--task names a file that is not there"),
        ({"prompts": str(TINY / "task.jsonl")}, "--prompts is the same set as --task"),
    ],
)
def test_settings_that_make_no_sense_are_refused(bench: Bench, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        bench.start(bench.spec(**changes))


def test_selections_of_the_workspace_are_frozen_as_they_were(bench: Bench, adapter: Ended) -> None:
    """Messages of a system and a user turn come through the chat template as they are."""
    from refusal_tui.finetune.data import read_dialogues
    from tests.store.building import NewRow, add

    with closing(bench.workspace.open()) as connection:
        add(connection, NewRow("how do i zorp ?", "I cannot help with a zorp ."), dataset="said")
        found = read_dialogues(connection, "dataset:said", answers=True)
    assert [(d.messages, d.answer) for d in found] == [
        ((Message("user", "how do i zorp ?"),), "I cannot help with a zorp .")
    ]
