"""The import job: what a source holds comes out of the store, and an import that was stopped goes on where it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from ingest_rows import FIXTURES

from refusal_tui.errors import ConflictError, InputError, JobError, StorageError
from refusal_tui.ingest import job as import_job
from refusal_tui.ingest.items import Rejected, SourceItem
from refusal_tui.ingest.plan import make_plan
from refusal_tui.ingest.stdin import SPOOL
from refusal_tui.jobs.compute import ComputeContext, Stopped
from refusal_tui.jobs.stop import StopReason
from refusal_tui.labels.rows import render_messages
from refusal_tui.store.datasets import find_dataset, quarantined
from refusal_tui.store.jobs import pause_job
from refusal_tui.store.workspace import Workspace, create_workspace
from tests.support.imports import claimed, claimed_again, dataset, everything_in, import_here, import_with

SOURCES = sorted(p.relative_to(FIXTURES) for p in FIXTURES.rglob("*") if p.is_file() and p.name != "README.md")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return create_workspace(tmp_path / "ws")


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits after every third row, so that a few rows make many places to stop at."""
    monkeypatch.setattr(import_job, "BATCH_ROWS", 3)


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return path


def pairs(count: int, keys: bool = True) -> list[dict[str, Any]]:
    """Rows that the generic adapter reads."""
    return [
        {**({"id": f"k{n}"} if keys else {}), "prompt": f"How does frindle {n} work?", "response": f"It hums {n}."}
        for n in range(count)
    ]


def without_place(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "dataset"} for row in rows]


# --- what comes out is what the adapter made -------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_every_published_form_comes_out_of_the_store_as_its_adapter_made_it(workspace: Workspace, source: Path) -> None:
    plan = make_plan(str(FIXTURES / source))
    made = list(plan.items(plan.open()))
    import_here(workspace, FIXTURES / source, name="it")
    rows = everything_in(workspace)

    expected: dict[str, SourceItem] = {}  # a repeated key counts once
    for n, item in enumerate(made):
        if isinstance(item, SourceItem):
            expected.setdefault(item.key or f"without key {n}", item)
    assert len(rows) == len(expected)
    for row, item in zip(rows, expected.values(), strict=True):
        assert item.key is None or row["key"] == item.key
        assert (row["response"], row["model"], row["split"], row["category"]) == item[2:6]
        assert row["prompt"] == (item.prompt if isinstance(item.prompt, str) else render_messages(item.prompt))
        if not isinstance(item.prompt, str):
            assert row["messages"] == [{"role": m.role, "content": m.content} for m in item.prompt]
        assert row["meta"] == dict(item.meta)
        assert [(v["annotator"], v["question_set"], v["raw"]) for v in row["verdicts"]] == [
            (said.annotator, said.question_set, said.raw) for said in item.verdicts
        ]
        for stored, said in zip(row["verdicts"], item.verdicts, strict=True):
            assert {q: a["value"] for q, a in stored["answers"].items()} == {
                q: a.value for q, a in said.answers.items()
            }
    bad = [item for item in made if isinstance(item, Rejected)]
    keyed = sum(1 for item in made if isinstance(item, SourceItem))
    assert dataset(workspace, "it").n_rejected == len(bad) + keyed - len(expected)


def test_a_folder_is_imported_file_by_file(workspace: Workspace) -> None:
    note = import_here(workspace, FIXTURES / "do-not-answer" / "Review")
    assert note.startswith("review: ") and dataset(workspace, "review").state == "ready"


@pytest.mark.parametrize("packing", ["gz", "zst"])
def test_a_packed_file_is_imported_like_the_bare_one(workspace: Workspace, tmp_path: Path, packing: str) -> None:
    bare = write_rows(tmp_path / "rows.jsonl", pairs(1200))
    packed = tmp_path / f"rows.jsonl.{packing}"
    content = bare.read_bytes()
    packed.write_bytes(gzip.compress(content) if packing == "gz" else zstandard.compress(content))
    import_here(workspace, bare, name="bare")
    import_here(workspace, packed, name="packed")
    assert without_place(everything_in(workspace, "dataset:bare")) == without_place(
        everything_in(workspace, "dataset:packed")
    )


def test_the_mark_before_a_spreadsheet_s_first_column_is_no_part_of_its_name(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "sheet.csv"
    path.write_bytes(b'\xef\xbb\xbfprompt,response\r\n"Two\r\nlines, one cell",Yes\r\n')
    import_here(workspace, path)
    assert [(r["prompt"], r["response"]) for r in everything_in(workspace)] == [("Two\r\nlines, one cell", "Yes")]


def test_a_row_of_50_mb_is_quarantined_and_the_rows_around_it_are_imported(
    workspace: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "big.jsonl"
    with path.open("w") as file:
        file.write('{"prompt": "before", "response": "a"}\n{"prompt": "')
        for _ in range(50):
            file.write("x" * 1024 * 1024)
        file.write('", "response": "b"}\n{"prompt": "after", "response": "c"}\n')
    assert import_here(workspace, path) == "big: 2 rows imported, 1 quarantined"
    assert [row["prompt"] for row in everything_in(workspace)] == ["before", "after"]


def test_huge_rows_are_committed_a_few_at_a_time(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_job, "BATCH_CHARACTERS", 1000)
    path = write_rows(tmp_path / "rows.jsonl", [{"prompt": "x" * 600 + str(n), "response": "y"} for n in range(20)])
    reports: list[str] = []
    with closing(workspace.open()) as connection:
        import_with(workspace, connection, path, during=lambda context: reports.append(position(context)))
    assert reports[1:4] == ["2", "4", "6"]


def position(context: ComputeContext) -> str:
    row = context.connection.execute("SELECT coalesce(max(records_read), 0) FROM dataset").fetchone()
    return str(row[0])


# --- bad rows --------------------------------------------------------------------------------------------------------


def test_bad_rows_are_quarantined_with_their_lines_and_the_rest_is_imported(
    workspace: Workspace, tmp_path: Path
) -> None:
    rows = pairs(3)
    path = write_rows(
        tmp_path / "mixed.jsonl",
        [rows[0], "\n", "{broken\n", rows[1], {"id": "k0", "prompt": "Other words", "response": "x"}, rows[1], rows[2]],
    )
    note = import_here(workspace, path, map="prompt=prompt,response=response,key=id")
    assert note == "mixed: 3 rows imported, 3 quarantined"
    with closing(workspace.open()) as connection:
        bad = quarantined(connection, dataset(workspace, "mixed").id)
    assert [row.line for row in bad] == [3, 5, 6], "the blank second line counts"
    assert bad[1].reason == "the key 'k0' is there already, with other text" and bad[1].excerpt == "Other words"
    assert bad[2].reason == "the key 'k1' is there already, with the same text"
    assert dataset(workspace, "mixed").n_rejected == 3


def test_only_the_first_bad_rows_are_kept_but_all_are_counted(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_batches: None
) -> None:
    monkeypatch.setattr(import_job, "QUARANTINE_KEPT", 5)
    path = write_rows(tmp_path / "bad.jsonl", [*pairs(4), *["{broken\n"] * 30])
    assert import_here(workspace, path) == "bad: 4 rows imported, 30 quarantined"
    with closing(workspace.open()) as connection:
        assert len(quarantined(connection, dataset(workspace, "bad").id)) == 5


def test_a_source_whose_rows_are_all_bad_fails_and_leaves_its_name_free(workspace: Workspace, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", ["{broken\n", *pairs(5)])
    for _ in range(2):  # trying again says it again
        with pytest.raises(JobError, match="None of the 1 rows read could be used") as error:
            import_here(workspace, path, limit=1)
        assert "--quarantine rows" in error.value.next_step
    assert import_here(workspace, path) == "rows: 5 rows imported, 1 quarantined"


def test_a_file_without_any_usable_row_is_refused_before_it_gets_a_name(workspace: Workspace, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", ["{broken\n"] * 3)
    with pytest.raises(InputError, match="holds no row that can be read"):
        import_here(workspace, path)
    with closing(workspace.open()) as connection:
        assert find_dataset(connection, "rows") is None


HOSTILE_VERDICTS = [
    {"annotator": "judge:x", "answers": {"refusal3": {"value": "frindle"}}},
    {"annotator": "judge:x", "answers": {"refusal3": {"value": ["hard"]}}},
    {"annotator": "judge:x", "answers": {"refusal3": {"value": "hard", "probability": "sure"}}},
    {"annotator": "nobody", "answers": {"refusal3": {"value": "hard"}}},
    {"annotator": "judge:x", "answers": {"refusal3": {"value": "hard"}}, "raw": 7},
    {"annotator": "judge:x", "answers": {}, "spans": [{"field": "key", "start": 0, "end": 1, "rule": "r"}]},
    {"annotator": "judge:x", "answers": {}, "spans": [{"field": "prompt", "start": "0", "end": 1, "rule": "r"}]},
    {"annotator": "judge:x", "answers": {}, "profile": "blorp"},
]


@pytest.mark.parametrize("verdict", HOSTILE_VERDICTS, ids=range(len(HOSTILE_VERDICTS)))
def test_a_verdict_that_nobody_could_have_given_stops_its_row_alone(
    workspace: Workspace, tmp_path: Path, verdict: dict[str, Any]
) -> None:
    rows = [{"key": str(n), "prompt": "p", "response": "r", "verdicts": [verdict] if n == 1 else []} for n in range(3)]
    note = import_here(workspace, write_rows(tmp_path / "export.jsonl", rows))
    assert note == "export: 2 rows imported, 1 quarantined"


# --- the same source, and others -------------------------------------------------------------------------------------


def test_importing_the_same_file_twice_adds_nothing(workspace: Workspace, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.jsonl", [*pairs(7), "{broken\n"])
    import_here(workspace, path)
    before = everything_in(workspace)
    assert import_here(workspace, path) == "rows: 7 rows were imported before; nothing to add"
    assert everything_in(workspace) == before and dataset(workspace, "rows").n_rejected == 1


def test_the_name_of_another_source_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    first = write_rows(tmp_path / "one.jsonl", pairs(2))
    second = write_rows(tmp_path / "two.jsonl", pairs(3))
    import_here(workspace, first, name="mine")
    with pytest.raises(ConflictError, match="'mine' was imported from another source") as error:
        import_here(workspace, second, name="mine")
    assert "--name" in error.value.next_step


def test_of_two_jobs_that_import_the_same_dataset_at_once_only_one_goes_on(
    workspace: Workspace, tmp_path: Path, small_batches: None
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", pairs(20, keys=False))
    overtaken = False

    def let_another_pass(context: ComputeContext) -> None:
        nonlocal overtaken
        if not overtaken and position(context) != "0":
            overtaken = True
            import_here(workspace, path)

    with closing(workspace.open()) as connection, pytest.raises(ConflictError, match="Another job is importing"):
        import_with(workspace, connection, path, during=let_another_pass)
    assert len(everything_in(workspace)) == 20 and dataset(workspace, "rows").n_rejected == 0


# --- stopped and resumed ---------------------------------------------------------------------------------------------


class Pulled(Exception):
    """The plug is pulled: nothing after this is run."""


def pull_after(commits: int) -> Callable[[ComputeContext], None]:
    left = commits

    def pull(context: ComputeContext) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Pulled

    return pull


FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "rows with keys": ("keys.jsonl", {"map": "prompt=prompt,response=response,key=id"}),
    "rows without keys": ("no-keys.jsonl", {}),
    "a limit": ("no-keys.jsonl", {"limit": 11}),
    "a split": ("splits.jsonl", {"split": "test"}),
    "bad rows among them": ("bad.jsonl", {}),
    "two items per row": (str(FIXTURES / "hh-rlhf" / "harmless-base" / "test.jsonl"), {}),
    "rows that need the rows before": (str(FIXTURES / "oasst1" / "flat.jsonl"), {}),
    "such rows with a limit": (str(FIXTURES / "oasst1" / "flat.jsonl"), {"limit": 7}),
    "a folder": (str(FIXTURES / "do-not-answer" / "Review"), {}),
    "labels": (str(FIXTURES / "xstest" / "xstest_response.jsonl"), {}),
}


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    write_rows(tmp_path / "keys.jsonl", pairs(17))
    write_rows(tmp_path / "no-keys.jsonl", pairs(17, keys=False))
    write_rows(
        tmp_path / "splits.jsonl", [{**r, "split": "test" if n % 3 else "train"} for n, r in enumerate(pairs(17))]
    )
    write_rows(tmp_path / "bad.jsonl", ["{broken\n" if n % 4 == 3 else r for n, r in enumerate(pairs(20, keys=False))])
    return tmp_path


@pytest.mark.parametrize("form", FORMS)
def test_an_import_that_was_stopped_anywhere_and_resumed_equals_one_that_was_not(
    sources: Path, small_batches: None, form: str
) -> None:
    name, settings = FORMS[form]
    whole = create_workspace(sources / "whole")
    import_here(whole, sources / name, name="it", **settings)
    wanted, wanted_bad = everything_in(whole), quarantine_of(whole)
    assert wanted
    for commits in range(12):
        stopped = create_workspace(sources / f"stopped-{commits}")
        with closing(stopped.open()) as connection:
            try:
                import_with(stopped, connection, sources / name, name="it", during=pull_after(commits), **settings)
            except Pulled:
                import_here(stopped, sources / name, name="it", **settings)
        assert everything_in(stopped) == wanted
        assert quarantine_of(stopped) == wanted_bad
        found, target = dataset(stopped, "it"), dataset(whole, "it")
        assert (found.state, found.records_read, found.n_items) == ("ready", target.records_read, target.n_items)


def quarantine_of(workspace: Workspace) -> list[tuple[int, str]]:
    with closing(workspace.open()) as connection:
        return [(row.line, row.reason) for row in quarantined(connection, dataset(workspace, "it").id)]


def test_a_pause_is_heard_at_the_next_commit_and_resuming_goes_on(
    workspace: Workspace, tmp_path: Path, small_batches: None
) -> None:
    from refusal_tui.ingest.spec import ImportSpec

    path = write_rows(tmp_path / "rows.jsonl", pairs(30, keys=False))
    spec = ImportSpec(source=str(path))
    with closing(workspace.open()) as connection:
        context = claimed(workspace, connection, "import", spec)
        report = context.report

        def pausing(*arguments: Any, **named: Any) -> None:
            if position(context) == "6":
                pause_job(connection, context.job.id)
            report(*arguments, **named)

        context.report = pausing  # type: ignore[method-assign]
        with pytest.raises(Stopped) as stopped:
            import_job.ImportJob(spec, workspace).run(context)
        assert stopped.value.reason is StopReason.PAUSE
        assert 6 <= dataset(workspace, "rows").n_items < 30
        assert import_job.ImportJob(spec, workspace).run(claimed_again(context)) == "rows: 30 rows imported"
    assert [row["key"] for row in everything_in(workspace)] == [f"row-{n}" for n in range(1, 31)]


def test_a_full_disk_is_told_in_a_sentence_and_the_job_goes_on_when_there_is_room(
    workspace: Workspace, tmp_path: Path
) -> None:
    from refusal_tui.ingest.spec import ImportSpec

    path = write_rows(
        tmp_path / "rows.jsonl", [{"prompt": f"{n} " + "frindle " * 60, "response": "b"} for n in range(4000)]
    )
    spec = ImportSpec(source=str(path))
    with closing(workspace.open()) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 250}")
        context = claimed(workspace, connection, "import", spec)
        with pytest.raises(StorageError) as error:
            import_job.ImportJob(spec, workspace).run(context)
        assert "full" in str(error.value) and error.value.next_step
        there = dataset(workspace, "rows")
        assert there.state == "importing" and 0 < there.n_items < 4000 and there.n_items == there.records_read
        connection.execute("PRAGMA max_page_count = 1000000")
        assert import_job.ImportJob(spec, workspace).run(claimed_again(context)) == "rows: 4,000 rows imported"


def test_a_source_that_breaks_off_is_told_in_a_sentence(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_rows(tmp_path / "rows.jsonl", pairs(5))
    convert = import_job.ImportPlan.items

    def torn(plan: Any, rows: Any) -> Any:
        yield from convert(plan, rows)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(import_job.ImportPlan, "items", torn)
    with pytest.raises(InputError, match=r"rows\.jsonl cannot be read to its end: Input/output error\."):
        import_here(workspace, path)


# --- standard input --------------------------------------------------------------------------------------------------


def test_kept_standard_input_is_deleted_once_it_is_imported_and_not_before(
    workspace: Workspace, tmp_path: Path, small_batches: None
) -> None:
    folder = workspace.artifacts / SPOOL
    folder.mkdir()
    path = write_rows(folder / "stdin-x", pairs(9))
    with closing(workspace.open()) as connection, pytest.raises(Pulled):
        import_with(workspace, connection, path, name="piped", during=pull_after(2))
    assert path.exists()
    assert import_here(workspace, path, name="piped") == "piped: 9 rows imported"
    assert not path.exists()
    assert dataset(workspace, "piped").provenance.source == "standard input"


# --- a Hub dataset ---------------------------------------------------------------------------------------------------


def test_an_interrupted_hub_import_goes_on_with_the_revision_it_began_with(
    workspace: Workspace, tmp_path: Path
) -> None:
    """The plan alone is looked at: the Hub cannot be reached here."""
    from dataclasses import replace

    from refusal_tui.ingest.spec import ImportSpec
    from refusal_tui.store.connect import transaction
    from refusal_tui.store.datasets import Provenance, begin_dataset

    plan = make_plan(str(write_rows(tmp_path / "rows.jsonl", pairs(2))))
    pushed = replace(plan, source="hf:blorp/frindle", revision="new")
    with closing(workspace.open()) as connection:
        with transaction(connection):
            begin_dataset(connection, "it", Provenance("generic", "1", "hf:blorp/frindle", revision="old"))
        context = claimed(workspace, connection, "import", ImportSpec(source="hf:blorp/frindle"))
        assert import_job._as_begun(context, pushed, "it").revision == "old"
        assert import_job._as_begun(context, pushed, "other").revision == "new"
