"""The paragraph for a paper."""

from __future__ import annotations

from refusal_tui.labels.verdict import ErrorClass
from refusal_tui.results.methods import methods_paragraph
from refusal_tui.store import outcomes
from refusal_tui.store.jobs import JobState, end_job
from refusal_tui.store.methods import job_facts
from tests.store.building import NewRow, add, claimed, done, failed


def ended(connection, model: str = "quill-7b") -> int:
    ids = add(connection, *(NewRow(f"one {n}", "…", model) for n in range(3)))
    job = claimed(connection, ids)
    group = [done(0, ids[0]), done(1, ids[1]), failed(2, ids[2], ErrorClass.JUDGE_REFUSAL)]
    outcomes.commit_group(connection, job, group, cursor=3)
    end_job(connection, job, JobState.DONE)
    return job.id


def test_it_tells_data_judge_versions_numbers_and_dates(connection) -> None:
    job_id = ended(connection)
    connection.execute("UPDATE job SET started = 1790000000, finished = 1790100000")
    said = methods_paragraph(job_facts(connection, job_id), "1.2.3")
    assert "from 2026-09-21 to 2026-09-22" in said
    assert "3 rows: 3 of demo (demo.jsonl, sha256 demo, responses by quill-7b)" in said
    assert "2 verdicts were given by the judge lexical (version 1) on the question set “refusal3”" in said
    assert "profile xstest" in said
    assert "2 of 3 rows answered; without a result: 1 judge_refusal" in said
    assert said.endswith("Software: refusal-tui 1.2.3.")


def test_it_tells_what_was_asked_of_a_model_and_nothing_that_is_not_stored(connection) -> None:
    job_id = ended(connection)
    connection.executemany(
        """INSERT INTO attempt(job_id, item_id, n, endpoint, base_url, model, started, ended, error_class,
               prompt_tokens, completion_tokens, cost_usd) VALUES (?,1,1,'box','http://x','marrow-13b',0,1,?,?,?,NULL)""",
        [(job_id, None, 10, 5), (job_id, "timeout", None, None)],
    )
    said = methods_paragraph(job_facts(connection, job_id), "1")
    assert "The model marrow-13b (end point box) was asked on 1970-01-01: 2 requests, 1 answered, " in said
    assert "10 prompt and 5 completion tokens." in said
    assert "USD" not in said


def test_a_job_that_asked_nobody_says_so_by_silence(connection) -> None:
    said = methods_paragraph(job_facts(connection, ended(connection)), "1")
    assert "end point" not in said and "USD" not in said
