"""A config is read whole or not at all: every mistake is named at once, with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refusal_tui.errors import InputError
from refusal_tui.pipeline.config import PipelineConfig, load_config, read_config
from refusal_tui.pipeline.mistakes import ConfigError
from tests.support.pipelines import EXAMPLES

ROWS = '{"prompt": "How do I smelt blorptanium?", "response": "I won\'t say."}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rows.jsonl").write_text(ROWS)
    return tmp_path


def mistakes(text: str, folder: Path, format: str = "toml") -> list[tuple[int, str, str]]:
    """(line, key, what) of everything that is wrong."""
    with pytest.raises(ConfigError) as raised:
        read_config(text, format, folder=folder)
    return [(one.line, one.key, one.what) for one in raised.value.mistakes]


def test_nothing_at_all_is_a_config_that_labels_audits_and_exports(folder: Path) -> None:
    config = read_config("", folder=folder)
    assert config.sources == () and config.generate is None and config.clean is None
    assert config.label is not None and config.label.offline
    assert config.audit is not None and config.review and config.export is not None


def test_every_mistake_is_named_at_once_with_its_line(folder: Path) -> None:
    text = """sead = 1
select = "label:purple:"
[[datasets]]
source = "nowhere.jsonl"
[[datasets]]
source = "rows.jsonl"
adapter = "genric"
[label]
judge = "atoms"
modle = "x"
[audit]
sample_rate = 3
[export]
validation = 0.6
test = 0.6
"""
    found = mistakes(text, folder)
    assert [(line, key) for line, key, _ in found] == [
        (1, "sead"), (4, "datasets[0].source"), (5, "datasets[1]"), (8, "label.endpoint"), (10, "label.modle"),
        (12, "audit.sample_rate"), (15, "export.test"),
    ]  # fmt: skip
    said = {key: what for _, key, what in found}
    assert said["sead"] == "there is no such key; did you mean seed?"
    assert "does not exist" in said["datasets[0].source"] and "Did you mean generic?" in said["datasets[1]"]
    assert said["label.endpoint"].startswith("is needed") and "less than or equal to 1" in said["audit.sample_rate"]


def test_a_key_of_the_config_below_a_table_is_told_where_it_belongs(folder: Path) -> None:
    text = '[[datasets]]\nsource = "rows.jsonl"\nconstitution = "rules.toml"\n[export]\nselect = "is:refusal"\n'
    [(line, key, what), (other_line, other_key, other_what)] = mistakes(text, folder)
    assert (line, key, other_line, other_key) == (3, "datasets[0].constitution", 5, "export.select")
    assert what == other_what and "above the first table" in what


def test_a_list_of_tables_where_one_is_meant_has_its_line(folder: Path) -> None:
    assert mistakes("seed = 1\n\n[[label]]\n", folder) == [(3, "label", "must be a table or false")]


def test_a_config_that_is_no_text_says_how_to_save_it(folder: Path) -> None:
    (folder / "config.toml").write_bytes(b"\xff\xfe\x00a=1")
    with pytest.raises(InputError, match="no UTF-8") as told:
        load_config(folder / "config.toml")
    assert "UTF-8" in told.value.next_step


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("a = 1\nb =", 2, "no valid TOML: Invalid value"),
        ("a = 1\na = 2", 2, "no valid TOML: Cannot overwrite a value"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(folder: Path, text: str, line: int, what: str) -> None:
    assert mistakes(text, folder) == [(line, "", what)]


def test_what_is_no_json_is_told_with_its_line(folder: Path) -> None:
    assert mistakes('{"a": 1,\n "b": }', folder, "json") == [(2, "", "no valid JSON: Expecting value")]


def test_a_key_that_stands_twice_is_a_mistake(folder: Path) -> None:
    assert (2, "seed", "it stands there twice") in mistakes('{"seed": 1,\n "seed": 2}', folder, "json")


def test_sections_that_are_no_tables_are_told(folder: Path) -> None:
    found = mistakes('datasets = "rows.jsonl"\nlabel = 3\naudit = "no"\nseed = -1\nselect = 4\nreview = 1', folder)
    assert [line for line, _, _ in found] == [1, 2, 3, 4, 5, 6]


def test_two_datasets_of_one_name_are_a_mistake(folder: Path) -> None:
    found = mistakes('[[datasets]]\nsource = "rows.jsonl"\n[[datasets]]\nsource = "./rows.jsonl"\n', folder)
    assert found == [(3, "datasets[1].name", "two datasets are called 'rows'; name one otherwise")]


def test_what_the_pipeline_chooses_itself_cannot_be_set(folder: Path) -> None:
    text = '[generate]\nendpoints = ["local"]\nname = "mine"\n[audit]\nreview = "q"\n[review]\nsize = 3\n'
    assert [(line, key) for line, key, _ in mistakes(text, folder)] == [
        (3, "generate.name"), (5, "audit.review"), (7, "review.size")
    ]  # fmt: skip


def test_a_constitution_tells_all_its_own_mistakes_in_its_own_file(folder: Path) -> None:
    (folder / "rules.toml").write_text('profile = "upside"\n\nharm_categories = ["weapns"]\nnonsense = 1\n')
    with pytest.raises(ConfigError) as raised:
        read_config('constitution = "rules.toml"\n', folder=folder)
    assert [(one.file, one.line, one.key) for one in raised.value.mistakes] == [
        ("rules.toml", 1, "profile"), ("rules.toml", 3, "harm_categories"), ("rules.toml", 4, "nonsense")
    ]  # fmt: skip


def test_steps_are_left_out_by_false(folder: Path) -> None:
    config = read_config("label = false\naudit = false\nexport = false\n", folder=folder)
    assert config.label is None and config.audit is None and config.export is None
    assert not config.review  # it draws its rows from the audit


def test_lists_and_tables_are_what_a_command_line_joins_by_commas(folder: Path) -> None:
    text = """[[datasets]]
source = "rows.jsonl"
map = { prompt = "a, b", response = "c" }
[generate]
endpoints = ["one", "two"]
systems = ["none", "calm.txt"]
"""
    (folder / "calm.txt").write_text("Stay calm.")
    config = read_config(text, folder=folder)
    assert config.sources[0].spec is not None and config.sources[0].spec.map == '"prompt=a, b","response=c"'
    assert config.generate is not None and config.generate.models == ["one", "two"]
    assert list(config.generate.system_texts()) == ["none", "calm"] and config.generate.missing_only


def test_one_seed_holds_for_all_steps_but_where_a_step_has_its_own(folder: Path) -> None:
    config = read_config("seed = 9\n[export]\nseed = 4\n", folder=folder)
    assert config.audit is not None and config.export is not None
    assert (config.audit.seed, config.export.seed) == (9, 4)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_config(tmp_path / "missing.toml")


# --- the dataset-pipeline system's own --------------------------------------------------------------------------------


def theirs(folder: Path, **changes: object) -> PipelineConfig:
    data = json.loads((EXAMPLES / "dataset_pipeline_config.json").read_text())
    for key, value in changes.items():
        data[key] = value
    return read_config(json.dumps(data, indent=1), "json", folder=EXAMPLES)


def test_their_config_is_read_as_it_is(tmp_path: Path) -> None:
    config = theirs(tmp_path)
    assert [source.name for source in config.sources] == ["quill_rows", "quill_prompts"]
    assert config.generate is not None and config.generate.models == ["quill-70b"]
    assert (config.generate.temperature, config.generate.answer_tokens) == (0.7, 128)
    assert config.system_prompt.startswith("You are a helpful")
    assert config.label is not None and (config.label.judge, config.label.endpoint) == ("atoms", "quill-70b")
    assert config.label.second_pass == 0.7
    assert config.audit is not None and (config.audit.sample_rate, config.audit.similarity) == (0.2, 0.9)
    assert config.out == EXAMPLES / "outputs/dataset_pipeline"
    assert config.constitution is not None and "hate_harassment" in config.constitution.rules.harms


def test_what_has_no_meaning_here_is_named(tmp_path: Path) -> None:
    notes = "\n".join(theirs(tmp_path).notes)
    for key in ("jailbreak_wrappers", "batch_size", "max_retries", "use_heuristics", "agreement_threshold", "raw_dir",
                "parallel_workers", "datasets.license", "confidence_factors", "style_determination",
                "REFUSAL.DIRECT keeps its built-in rule"):  # fmt: skip
        assert key in notes


def test_steps_that_they_skip_are_left_out(tmp_path: Path) -> None:
    config = theirs(tmp_path, skip_generation=True, skip_labeling=True, skip_quality_control=True)
    assert config.generate is None and config.label is None and config.audit is None


def test_their_hub_datasets_are_read_by_our_adapters(tmp_path: Path) -> None:
    known = {
        "name": "w",
        "source_type": "huggingface",
        "source_path": "allenai/wildguardmix",
        "columns": {"prompt": "p"},
    }
    config = theirs(tmp_path, datasets=[known | {"split": "wildguardtrain"}])
    spec = config.sources[0].spec
    assert spec is not None and (spec.source, spec.split, spec.map) == (
        "hf:allenai/wildguardmix:wildguardtrain", None, None
    )  # fmt: skip
    assert any("the adapter wildguardmix knows the columns" in note for note in config.notes)


def test_mistakes_of_their_config_are_told_in_its_own_words(folder: Path) -> None:
    text = """{"datasets": [
  {"name": "a", "source_type": "github", "source_path": "https://example.org/a"},
  {"name": "b", "source_type": "local", "source_path": "rows.jsonl", "columns": {"prompt": "prompt"},
   "filters": {"length": {"min": 3}}}],
 "labeling": {"judge_model": "m",
   "confidence_treshold": 0.5},
 "quality": {"human_sample_rate": 7},
 "workers": 3}"""
    found = mistakes(text, folder, "json")
    assert [(line, key) for line, key, _ in found] == [
        (2, "datasets[0].source_type"), (4, "datasets[1].filters"), (6, "labeling.confidence_treshold"),
        (7, "quality.human_sample_rate"), (8, "workers"),
    ]  # fmt: skip
    assert "did you mean confidence_threshold?" in found[2][2]


def test_offline_asks_no_model_and_says_so(tmp_path: Path) -> None:
    config = theirs(tmp_path).offline()
    assert config.generate is None and config.label is not None and config.label.offline
    assert any("takes the place of the model" in note for note in config.notes)
