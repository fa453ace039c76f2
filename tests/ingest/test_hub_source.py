"""Hugging Face datasets: addresses, errors in words, real streaming from local files, no network."""

from __future__ import annotations

import os
import subprocess
import sys

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value, load_dataset
from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError
from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError
from ingest_rows import FIXTURES

from refusal_tui.errors import InputError, UnavailableError, UsageError
from refusal_tui.ingest.hub import HubReference, explain, parse_reference, stream
from refusal_tui.ingest.items import Record, Rejected

FILE = FIXTURES / "alpaca" / "alpaca.json"
HERE = HubReference("owner/name", revision="v9")
REQUEST = httpx2.Request("GET", "https://example.invalid/api")


def response(status: int) -> httpx2.Response:
    return httpx2.Response(status, request=REQUEST)


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ("hf:owner/name", HubReference("owner/name")),
        ("hf:squad", HubReference("squad")),
        ("hf:owner/name:config", HubReference("owner/name", "config")),
        ("hf:owner/name@main", HubReference("owner/name", None, "main")),
        ("hf:o/n:c-1@refs/convert/parquet", HubReference("o/n", "c-1", "refs/convert/parquet")),
    ],
)
def test_an_address_is_owner_name_config_and_revision(source, reference):
    assert parse_reference(source) == reference
    assert str(reference) == source


@pytest.mark.parametrize("source", ["hf:", "hf:a/b/c", "hf:a b", "hf:../x/y", "owner/name", "hf:a/b@"])
def test_what_is_no_address_is_a_usage_error(source):
    with pytest.raises(UsageError, match="is no address of a Hub dataset"):
        parse_reference(source)


GATED = "Dataset 'owner/name' is a gated dataset on the Hub."
ABSENT = "Dataset 'owner/name' doesn't exist on the Hub or cannot be accessed."
NO_CONFIG = "Config name is missing.\nPlease pick one among the available configs: ['a', 'b']"
SCRIPT = "Dataset scripts are no longer supported, but found name.py"


@pytest.mark.parametrize(
    ("error", "kind", "sentence", "next_step"),
    [
        (GatedRepoError("403", response=response(403)), UnavailableError, "is gated", "datasets/owner/name"),
        (DatasetNotFoundError(GATED), UnavailableError, "is gated", "HF_TOKEN"),
        (RepositoryNotFoundError("404", response=response(404)), UnavailableError, "no dataset", "hf auth login"),
        (DatasetNotFoundError(ABSENT), UnavailableError, "There is no dataset", "Check the name"),
        (RevisionNotFoundError("404", response=response(404)), InputError, "no revision 'v9'", "leave @... out"),
        (OfflineModeIsEnabled("offline"), UnavailableError, "switched off", "Unset HF_HUB_OFFLINE"),
        (ConnectionError("Couldn't reach it"), UnavailableError, "cannot be reached", "HF_ENDPOINT"),
        (httpx2.ConnectError("no route"), UnavailableError, "cannot be reached", "import those"),
        (httpx2.ReadTimeout("slow"), UnavailableError, "cannot be reached", "import those"),
        (ValueError(NO_CONFIG), InputError, "Available: ['a', 'b']", "hf:owner/name:CONFIG"),
        (ValueError("BuilderConfig 'c' not found. Available: ['a']"), InputError, "Available: ['a']", "CONFIG"),
        (ValueError("Bad split: x. Available splits: ['train']"), InputError, "no such split", "['train']"),
        (RuntimeError(SCRIPT), InputError, "never run here", "refs/convert/parquet"),
        (DataFilesNotFoundError("No data files"), InputError, "no data files", "tree/main"),
        (ValueError("something else\nmore"), InputError, "cannot be read: something else.", "import those"),
    ],
)
def test_errors_of_the_libraries_become_a_sentence_and_a_next_step(error, kind, sentence, next_step):
    told = explain(error, HERE)
    assert type(told) is kind
    assert sentence in str(told)
    assert next_step in told.next_step


def test_the_telling_error_is_found_behind_the_one_that_wraps_it():
    wrapped = DatasetNotFoundError("cannot be accessed")
    wrapped.__cause__ = GatedRepoError("401", response=response(401))
    assert "gated" in str(explain(wrapped, HERE))


def test_offline_the_plan_of_a_hub_dataset_says_so(tmp_path):
    program = (
        "from refusal_tui.ingest.plan import make_plan\n"
        "from refusal_tui.errors import UnavailableError\n"
        "try:\n    make_plan('hf:owner/name')\n"
        "except UnavailableError as error:\n    print(error, '|', error.next_step)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert "HF_HUB_OFFLINE is set" in done.stdout
    assert "download its files elsewhere" in done.stdout


def test_planning_a_file_imports_neither_datasets_nor_pyarrow_nor_torch():
    program = (
        "import sys\nfrom refusal_tui.ingest.plan import make_plan\n"
        f"make_plan({str(FILE)!r})\n"
        "heavy = {'datasets', 'huggingface_hub', 'pyarrow', 'torch', 'pandas', 'textual'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def streamed(path: str, **options: object):
    return load_dataset("parquet", data_files={"train": path, "test": path}, streaming=True, **options)


def test_streaming_gives_the_rows_of_every_split_with_its_name(tmp_path):
    pq.write_table(pa.table({"prompt": ["a", "b"], "score": [1.5, float("nan")]}), tmp_path / "x.parquet")
    rows = list(stream(streamed(str(tmp_path / "x.parquet")), HERE))
    assert [(row.line, row.origin.split, row.data) for row in rows] == [
        (1, "train", {"prompt": "a", "score": 1.5}),
        (2, "train", {"prompt": "b", "score": None}),
        (1, "test", {"prompt": "a", "score": 1.5}),
        (2, "test", {"prompt": "b", "score": None}),
    ]
    assert rows[0].origin.path == "hf:owner/name@v9"


def test_one_split_is_streamed_alone_and_skip_passes_over_rows(tmp_path):
    pq.write_table(pa.table({"n": list(range(10))}), tmp_path / "x.parquet")
    loaded = streamed(str(tmp_path / "x.parquet"), split="test")
    rows = list(stream(loaded, HERE, split="test", skip=7))
    assert [(row.line, row.origin.split, row.data["n"]) for row in rows] == [
        (8, "test", 7),
        (9, "test", 8),
        (10, "test", 9),
    ]


def test_class_numbers_are_read_as_their_names():
    features = Features({"prompt": Value("string"), "label": ClassLabel(names=["complied", "refused"])})
    loaded = Dataset.from_list([{"prompt": "a", "label": 1}], features=features).to_iterable_dataset()
    (row,) = stream(loaded, HERE)
    assert row.data == {"prompt": "a", "label": "refused"}


def test_a_row_that_holds_no_text_is_rejected():
    class Picture:
        pass

    good, bad = stream([{"prompt": "a"}, {"prompt": Picture()}], HERE)
    assert isinstance(good, Record)
    assert isinstance(bad, Rejected)
    assert "Picture" in bad.reason


def test_an_error_in_the_middle_of_a_stream_is_told_in_words():
    def rows():
        yield {"prompt": "a"}
        raise httpx2.ConnectError("gone")

    with pytest.raises(UnavailableError, match="cannot be reached"):
        list(stream(rows(), HERE))
