"""How a look at a source is asked for, and what is made of its answer, without a screen."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from refusal_tui.tui.state.import_data import Look, look_command, read_look


def look_at(values: dict[str, object]) -> Look:
    """Run the real command, as the screen does."""
    done = subprocess.run(look_command(values), capture_output=True, check=False)
    return read_look(done.returncode, done.stdout, done.stderr)


def test_the_command_carries_what_the_form_holds() -> None:
    command = look_command({"source": "-odd.jsonl", "adapter": "generic", "map": "prompt=q", "options": "a=1, b=2"})
    assert command[3:] == [
        "ingest-plan", "--json", "--as", "generic", "--map", "prompt=q", "--option", "a=1", "--option", "b=2", "--",
        "-odd.jsonl",
    ]  # fmt: skip


def test_a_look_at_a_file_finds_columns_and_first_rows(tmp_path: Path) -> None:
    rows = [{"question": f"What is frindle {n}?", "answer": "No \x1b[2J idea"} for n in range(9)]
    source = tmp_path / "My Rows.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows) + "\n{broken\n", encoding="utf-8")
    plan = look_at({"source": str(source)}).plan
    assert plan is not None
    assert (plan.adapter, plan.name) == ("generic", "my-rows")
    assert "prompt=question" in plan.mapping
    assert plan.preview[0].prompt == "What is frindle 0?"
    assert plan.preview[0].response == "No \x1b[2J idea", "exact: the screen makes it safe"
    assert plan.rejected[0].startswith("line 10: ")


def test_a_source_that_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    look = look_at({"source": str(tmp_path / "nowhere.csv")})
    assert look.plan is None
    assert "does not exist" in look.problem
    assert "\n" in look.problem, "the next step is shown, too"


def test_an_answer_that_is_no_plan_is_no_crash() -> None:
    assert "not understood" in read_look(0, b"[]", b"").problem
    assert "not understood" in read_look(0, b"\xff\xfe", b"").problem


def test_a_look_that_says_nothing_tells_its_exit_code() -> None:
    assert read_look(-9, b"", b"").problem == "The look ended with exit code -9."
