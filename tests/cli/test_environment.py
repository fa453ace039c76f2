"""What does this machine offer? The programs that are asked are small scripts on the PATH."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from refusal_tui.cli import environment
from refusal_tui.cli.environment import check_environment
from refusal_tui.store.health import Finding, Level

Install = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variables and no programs but those that a test adds."""
    for name in list(os.environ):
        if name.startswith(("SSH_", "HF_", "TMUX", "STY", "COLORTERM", "NO_COLOR", "container")) or name.endswith(
            "_API_KEY"
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("locale.getpreferredencoding", lambda _=True: "UTF-8")
    (tmp_path / "bin").mkdir()


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Put a program on the PATH: a shell script with this body."""

    def write(name: str, body: str) -> None:
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    return write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The system's files of an ordinary machine with systemd."""
    (tmp_path / "root" / "proc" / "1").mkdir(parents=True)
    (tmp_path / "root" / "proc" / "1" / "comm").write_text("systemd\n")
    return tmp_path / "root"


def found(root: Path, check: str) -> Finding:
    (finding,) = (f for f in check_environment(root) if f.check == check)
    return finding


def warnings(root: Path) -> dict[str, Finding]:
    return {f.check: f for f in check_environment(root) if f.level is not Level.OK}


def test_an_ordinary_machine_gives_only_good_news(root: Path) -> None:
    assert warnings(root) == {}


def test_looking_at_packages_loads_none_of_them() -> None:
    code = (
        "import sys; from refusal_tui.cli.environment import check_environment; check_environment(); "
        "print([m for m in ('torch', 'transformers', 'datasets', 'sklearn', 'textual', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_versions_in_use_are_told(root: Path) -> None:
    text = found(root, "python").text
    assert f"Python {sys.version.split()[0]}" in text
    assert "Textual 8." in text


def test_another_textual_than_the_tested_one_is_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "requires", lambda _: ["rich>=14", "textual==99.1"])
    assert "pip install textual==99.1" in warnings(root)["textual"].next_step


def test_a_locale_without_utf8_is_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getpreferredencoding", lambda _=True: "ISO-8859-1")
    assert "LANG" in warnings(root)["locale"].next_step


# --- the terminal --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "colorterm", "colours"),
    [
        ("xterm-256color", None, "256 colours"),
        ("xterm-256color", "truecolor", "true colour"),
        ("xterm-direct", None, "true colour"),
        ("linux", None, "16 colours"),
    ],
)
def test_the_colours_of_the_terminal_are_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, term: str, colorterm: str | None, colours: str
) -> None:
    monkeypatch.setenv("TERM", term)
    if colorterm:
        monkeypatch.setenv("COLORTERM", colorterm)
    assert found(root, "terminal").text == f"{term}, {colours}"


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_that_can_show_nothing_is_a_warning(root: Path, monkeypatch: pytest.MonkeyPatch, term: str) -> None:
    monkeypatch.setenv("TERM", term)
    assert "export TERM" in warnings(root)["terminal"].next_step


def test_over_ssh_the_lost_colorterm_and_the_cut_link_are_explained(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    assert "COLORTERM" in found(root, "terminal").next_step
    assert "tmux" in found(root, "session").next_step


# --- tmux ----------------------------------------------------------------------------------------------------------


def tmux(install: Install, server: str, session: str, window: str) -> None:
    install(
        "tmux",
        f"""case "$*" in
            -V) echo "tmux 3.4" ;;
            "show-options -s") printf '{server}' ;;
            "show-options -g") printf '{session}' ;;
            "show-options -gw") printf '{window}' ;;
        esac""",
    )


@pytest.fixture
def in_tmux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")


GOOD = r'default-terminal "tmux-256color"\nescape-time 10\nset-clipboard on\n'


def test_a_tmux_that_is_set_up_gives_only_good_news(root: Path, install: Install, in_tmux: None) -> None:
    tmux(install, GOOD, r"status on\n", r"allow-passthrough off\n")
    assert warnings(root) == {}
    assert found(root, "tmux").text == "tmux 3.4, tmux-256color"


@pytest.mark.parametrize(
    ("server", "window", "check", "step"),
    [
        (GOOD.replace("tmux-256color", "screen"), "", "tmux colours", "set -g default-terminal tmux-256color"),
        (GOOD.replace("escape-time 10", "escape-time 500"), "", "tmux escape", "set -s escape-time 10"),
        (
            GOOD.replace("clipboard on", "clipboard external"),
            r"allow-passthrough off\n",
            "tmux clipboard",
            "set-clipboard on",
        ),
    ],
)
def test_what_tmux_lacks_is_a_warning_with_the_line_to_add(
    root: Path, install: Install, in_tmux: None, server: str, window: str, check: str, step: str
) -> None:
    tmux(install, server, "", window)
    found = warnings(root)
    assert list(found) == [check]
    assert step in found[check].next_step


@pytest.mark.parametrize("window", [r"allow-passthrough on\n", r"allow-passthrough all\n", ""])
def test_a_clipboard_that_passes_through_is_in_order(root: Path, install: Install, in_tmux: None, window: str) -> None:
    tmux(install, GOOD.replace("clipboard on", "clipboard external"), "", window)
    assert warnings(root) == {}


@pytest.mark.parametrize("body", ["exit 1", "exec sleep 60"])
def test_a_tmux_that_fails_or_hangs_is_a_warning(
    root: Path, install: Install, in_tmux: None, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(environment, "_TIMEOUT_SECONDS", 0.2)
    install("tmux", body.replace("sleep", "/bin/sleep"))
    assert warnings(root)["tmux"].text == "tmux does not answer"


# --- the machine ---------------------------------------------------------------------------------------------------


def test_a_machine_without_a_gpu_is_fine(root: Path) -> None:
    assert found(root, "gpu").text.startswith("none found")


def test_a_gpu_is_told(root: Path, install: Install) -> None:
    install("nvidia-smi", "echo 'NVIDIA H200, 3072, 143771, 12'")
    assert found(root, "gpu").text == "NVIDIA H200 3/140 GiB 12%"


def test_missing_packages_of_the_ml_extra_say_how_to_get_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_OPTIONAL", ("textual", "blorptanium"))
    finding = found(root, "packages")
    assert finding.text.endswith("; not installed: blorptanium")
    assert "pip install 'refusal-tui[ml]'" in finding.next_step


@pytest.mark.parametrize("how", ["dockerenv", "containerenv", "variable", "first process"])
def test_a_container_takes_its_jobs_with_it(root: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "dockerenv":
        (root / ".dockerenv").touch()
    elif how == "containerenv":
        (root / "run").mkdir()
        (root / "run" / ".containerenv").touch()
    elif how == "variable":
        monkeypatch.setenv("container", "lxc")
    else:
        (root / "proc" / "1" / "comm").write_text("bash\n")
    assert "jobs resume --all" in warnings(root)["logout"].next_step


def test_a_systemd_that_ends_processes_at_logout_is_a_warning(root: Path, install: Install) -> None:
    install("busctl", "echo 'b true'")
    install("loginctl", "echo Linger=no")
    assert warnings(root)["logout"].next_step == "Run once: loginctl enable-linger"


def test_a_lingering_user_keeps_jobs(root: Path, install: Install) -> None:
    install("busctl", "echo 'b true'")
    install("loginctl", "echo Linger=yes")
    assert warnings(root) == {}


def test_where_the_bus_does_not_answer_the_last_setting_in_the_files_counts(root: Path) -> None:
    folder = root / "etc" / "systemd" / "logind.conf.d"
    folder.mkdir(parents=True)
    (folder.parent / "logind.conf").write_text("#KillUserProcesses=no\nKillUserProcesses=no\n")
    assert warnings(root) == {}
    (folder / "10-kill.conf").write_text("[Login]\nKillUserProcesses=yes\n")
    assert "logout" in warnings(root)


# --- keys ----------------------------------------------------------------------------------------------------------


def test_no_key_is_ever_shown(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, "sk-blorptanium")
    findings = check_environment(root)
    assert "sk-blorptanium" not in repr(findings)
    assert found(root, "keys").text == "in the environment: OPENAI_API_KEY"
    assert "HF_TOKEN" in found(root, "hugging face").text


@pytest.mark.parametrize("where", ["home/.cache/huggingface", "hf"])
def test_a_stored_hugging_face_login_is_seen_and_not_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "hf":
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    (tmp_path / where).mkdir(parents=True)
    (tmp_path / where / "token").write_text("hf_blorptanium")
    finding = found(root, "hugging face")
    assert finding.text == "logged in (a token is stored)"


def test_without_a_token_it_says_how_to_log_in(root: Path) -> None:
    assert "hf auth login" in found(root, "hugging face").next_step
