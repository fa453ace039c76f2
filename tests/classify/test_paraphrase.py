"""Does a rewriting count only when it is one, and is it asked for once?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refusal_tui.classify.paraphrase import LIKENESS, STYLES, likeness, request_of, unfit
from refusal_tui.classify.spec import TrainClassifierSpec
from refusal_tui.errors import InputError
from refusal_tui.jobs.estimate import estimate_job
from refusal_tui.store.jobs import JobState
from tests.classify.bench import make_bench
from tests.support.asking import ledger
from tests.support.judging import add_endpoint, serving
from tests.support.loopback import Settings

TEXT = "I'm sorry, but I can't help you polish the glimmer vault today."


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ("Regrettably I cannot help with polishing the glimmer vault today.", ""),
        (TEXT, "the same text"),
        (TEXT.upper(), "the same text"),
        ("No.", "too short or too long"),
        (TEXT * 5, "too short or too long"),
        ("Lamps burn warmly; feed your quibbets and whistle.", "about something else"),
    ],
)
def test_a_rewriting_is_checked_by_length_and_words(answer: str, says: str) -> None:
    assert unfit(TEXT, answer) == says
    assert 0 <= likeness(TEXT, answer) <= 1.0 + 1e-9 and LIKENESS[0] < LIKENESS[1]


def test_the_first_try_may_come_from_the_cache_and_later_ones_are_drawn() -> None:
    first, second = (request_of("compress", TEXT, number) for number in (0, 1))
    assert first.deterministic and not second.deterministic
    assert first.messages[1].content == TEXT and STYLES["compress"] in first.messages[0].content


def test_a_run_measures_paraphrases_and_says_which_were_of_no_use(tmp_path: Path) -> None:
    asked: list[str] = []

    def rewrite(body: dict[str, Any], row: str) -> str:
        text = str(body["messages"][1]["content"])
        asked.append(text)
        return "I will not." if text.startswith("You") else f"As it were: {text}"

    bench = make_bench(tmp_path / "w", rows=90)
    with closing(bench.workspace.open()) as connection, pytest.raises(InputError, match="no end point"):
        TrainClassifierSpec(name="n", encoder="linear", paraphraser="nobody").check_in(connection)
    with serving(Settings(answer=rewrite)) as server:
        add_endpoint(bench.workspace, server)
        job, folder = bench.run(name="said", paraphraser="local", paraphrases=12, explain=0)
    assert job.state is JobState.DONE, job.note
    run = bench.report(job.id)
    bad = len({text for text in asked if text.startswith("You")})
    said = next(line.text for line in run.log if line.code == "paraphrases")
    assert said == f"{12 - bad} of 12 rows paraphrased; {bad} too short or too long"
    assert run.robustness["refusal3"]["paraphrase"]["rows"] == 12 - bad
    assert sum(ledger(bench.workspace, job.id)[0].values()) == len(asked) == 12 + 2 * bad
    assert (folder / "classifier" / "paraphrases.jsonl").is_file()
    with closing(bench.workspace.open()) as connection:
        spec = TrainClassifierSpec(name="next", encoder="linear", paraphraser="local", paraphrases=12)
        found = estimate_job(connection, spec, "")
    assert found is not None and found.requests == 12
