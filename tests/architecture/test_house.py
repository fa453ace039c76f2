"""The house keeps its shape: floors, sizes, READMEs, what a face may load, one table of exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from refusal_tui.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "refusal_tui"
HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "sklearn",
    "peft",
    "accelerate",
    "pandas",
    "pyarrow",
    "sqlite_utils",
    "openai",
}


def modules_after(code: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after running `code`."""
    script = f"import sys\n{code}\nprint(' '.join(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.splitlines()[-1].split())


def test_the_command_line_loads_neither_textual_nor_anything_heavy_to_show_its_help() -> None:
    code = "import contextlib, io\nfrom refusal_tui.cli.main import cli\n"
    code += "with contextlib.redirect_stdout(io.StringIO()):\n    cli.main(['--help'], standalone_mode=False)"
    assert not modules_after(code) & (HEAVY | {"textual", "rich", "pydantic", "numpy"})


def test_the_workbench_loads_nothing_heavy_at_start() -> None:
    code = "import refusal_tui.tui.app as app\nimport importlib\n"
    code += "for path in app.SCREENS_BY_NAME.values():\n    importlib.import_module(path.partition(':')[0])"
    loaded = modules_after(code)
    assert "textual" in loaded
    assert not loaded & HEAVY


def test_looking_at_a_fine_tuning_run_loads_no_numpy() -> None:
    code = "import refusal_tui.cli.raw_vs_cleaned, refusal_tui.cli.robustness, refusal_tui.tui.screens.robustness"
    assert not modules_after(code) & (HEAVY | {"numpy"})


def test_the_supervisor_is_small() -> None:
    assert not modules_after("import refusal_tui.jobs.supervisor") & (HEAVY | {"pydantic", "click", "textual", "numpy"})


def test_opening_a_current_workspace_needs_no_sqlite_utils(tmp_path: Path) -> None:
    from refusal_tui.store.workspace import create_workspace

    create_workspace(tmp_path / "w")
    code = "from pathlib import Path\nfrom refusal_tui.store.workspace import Workspace\n"
    code += f"Workspace(Path({str(tmp_path / 'w')!r})).open().close()"
    assert not modules_after(code) & HEAVY


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_file_is_a_hall(path: Path) -> None:
    limit = 250 if "screens" in path.parts else 400
    assert len(path.read_text().splitlines()) <= limit


def test_every_room_has_a_readme_of_about_ten_lines() -> None:
    for room in sorted(p.parent for p in PACKAGE.rglob("__init__.py")):
        if room == PACKAGE:
            continue
        lines = (room / "README.md").read_text().splitlines()
        assert 3 <= len(lines) <= 30, room


def test_textual_is_imported_under_tui_alone() -> None:
    pattern = re.compile(r"^\s*(?:from|import) textual\b", re.MULTILINE)
    outside = [
        p for p in PACKAGE.rglob("*.py") if "tui" not in p.relative_to(PACKAGE).parts and pattern.search(p.read_text())
    ]
    assert outside == []


def test_the_documented_exit_codes_are_the_ones_in_use() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    documented = {name: int(code) for code, name in re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", text, re.MULTILINE)}
    assert documented == {code.name: code.value for code in ExitCode}


def test_every_command_is_documented() -> None:
    from refusal_tui.cli.main import COMMANDS

    text = (ROOT / "docs" / "cli.md").read_text()
    assert [name for name in COMMANDS if name not in text and name != "ingest-plan"] == []
