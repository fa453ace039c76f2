"""What does this machine offer? Terminal, tmux, GPU, optional packages, and what ends jobs at logout."""

from __future__ import annotations

import importlib.util
import locale
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from refusal_tui.jobs.device import gpu_line
from refusal_tui.store.health import Finding, Level

_OPTIONAL = ("torch", "transformers", "accelerate", "peft", "safetensors", "scikit-learn")
_KEYS = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")
_SLOW_ESCAPE_MS = 100
_TIMEOUT_SECONDS = 2.0


def check_environment(root: Path = Path("/")) -> list[Finding]:
    """All checks of the machine; none of them loads a heavy package. `root` is where the system's own files are."""
    return [
        *_program(), *_locale(), *_terminal(), *_tmux(), _gpu(), *_packages(), _logout(root), _hugging_face(), _keys(),
    ]  # fmt: skip


# --- the program ---------------------------------------------------------------------------------------------------


def _program() -> Iterator[Finding]:
    text = f"Python {platform.python_version()}, Textual {_version('textual')}, {sys.executable}"
    yield Finding(Level.OK, "python", text)
    tested = _tested_textual()
    if tested and tested != _version("textual"):
        text = f"Textual {_version('textual')} is installed, this program was tested with {tested}"
        yield Finding(Level.WARN, "textual", text, f"Run: pip install textual=={tested}")


def _tested_textual() -> str:
    try:
        wanted = requires("refusal-tui") or []
    except PackageNotFoundError:
        return ""
    return next((found[1] for line in wanted if (found := re.match(r"textual\s*==\s*([\w.]+)", line))), "")


def _packages() -> Iterator[Finding]:
    found = [f"{name} {_version(name)}" for name in _OPTIONAL if _version(name)]
    missing = [name for name in _OPTIONAL if not _version(name)]
    text = ", ".join(found) or "none of the ml extra"
    step = "For local models: pip install 'refusal-tui[ml]'" if missing else ""
    yield Finding(
        Level.OK, "packages", text + (f"; not installed: {', '.join(missing)}" if found and missing else ""), step
    )
    if importlib.util.find_spec("datasets") is None:
        step = "Reinstall refusal-tui."
        yield Finding(Level.ERROR, "packages", "datasets is missing: hf: sources cannot be imported", step)


# --- the terminal --------------------------------------------------------------------------------------------------


def _locale() -> Iterator[Finding]:
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") != "utf8":
        step = "Set LANG to a UTF-8 locale, such as C.UTF-8."
        yield Finding(Level.WARN, "locale", f"{encoding}: many characters cannot be shown", step)


def _terminal() -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    over_ssh = bool(os.environ.get("SSH_CONNECTION"))
    if term in ("", "dumb"):
        step = "Set TERM, for example: export TERM=xterm-256color"
        yield Finding(Level.WARN, "terminal", f"TERM is {term or 'not set'}", step)
    else:
        colours = _colours(term)
        over = ", over SSH" if over_ssh else ""
        no_color = ", NO_COLOR is set" if os.environ.get("NO_COLOR") else ""
        # ssh does not pass COLORTERM on, so a terminal of 16 million colours is taken for one of 256
        step = "If your terminal has true colour: export COLORTERM=truecolor" if over_ssh and "256" in colours else ""
        yield Finding(Level.OK, "terminal", f"{term}, {colours}{over}{no_color}", step)
    if over_ssh and not os.environ.get("TMUX") and not os.environ.get("STY"):
        step = "Jobs go on without it; start the workbench inside tmux to keep its screen, too."
        yield Finding(Level.OK, "session", "a plain SSH session: a cut link closes the screen", step)


def _colours(term: str) -> str:
    if os.environ.get("COLORTERM") in ("truecolor", "24bit") or term.endswith("-direct"):
        return "true colour"
    return "256 colours" if "256" in term else "16 colours"


def _tmux() -> Iterator[Finding]:
    if not os.environ.get("TMUX"):
        return
    # server, session and window options are three lists
    listed = "".join(_output(["tmux", "show-options", flag]) for flag in ("-s", "-g", "-gw"))
    if not listed:
        yield Finding(Level.WARN, "tmux", "tmux does not answer", "Check that TMUX is the session that you are in.")
        return
    options = {name: value.strip('"') for name, _, value in (line.partition(" ") for line in listed.splitlines())}
    terminal = options.get("default-terminal", "")
    yield Finding(Level.OK, "tmux", f"{_output(['tmux', '-V']).strip()}, {terminal}")
    if "256color" not in terminal and "direct" not in terminal:
        step = "In ~/.tmux.conf: set -g default-terminal tmux-256color"
        yield Finding(Level.WARN, "tmux colours", f"tmux shows only the colours of {terminal or 'screen'}", step)
    # before tmux 3.3 there was no such option and everything passed
    if options.get("set-clipboard") != "on" and options.get("allow-passthrough", "on") == "off":
        step = "In ~/.tmux.conf: set -s set-clipboard on"
        text = "what you copy does not reach your own clipboard (OSC 52 is held back)"
        yield Finding(Level.WARN, "tmux clipboard", text, step)
    delay = options.get("escape-time", "")
    if delay.isdecimal() and int(delay) > _SLOW_ESCAPE_MS:
        step = "In ~/.tmux.conf: set -s escape-time 10"
        yield Finding(Level.WARN, "tmux escape", f"the Escape key waits {delay} ms", step)


# --- the machine ---------------------------------------------------------------------------------------------------


def _gpu() -> Finding:
    return Finding(Level.OK, "gpu", gpu_line() or "none found (needed for local models only)")


def _logout(root: Path) -> Finding:
    """Jobs outlive the terminal, but not a system that ends every process of a user who logs out, nor a container."""
    if _in_container(root):
        step = "Keep the container running while jobs run; after a restart: refusal-tui jobs resume --all"
        return Finding(Level.WARN, "logout", "in a container: jobs end when it stops", step)
    if _kills_at_logout(root) and "Linger=yes" not in _output(["loginctl", "show-user", str(os.getuid())]):
        step = "Run once: loginctl enable-linger"
        return Finding(Level.WARN, "logout", "systemd ends your processes at logout, jobs too", step)
    return Finding(Level.OK, "logout", "jobs go on after logout")


def _in_container(root: Path) -> bool:
    named = os.environ.get("container")  # noqa: SIM112 (systemd writes it so)
    if named or (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return True
    first = _read(root / "proc/1/comm").strip()
    return bool(first) and first not in ("systemd", "init", "launchd")


def _kills_at_logout(root: Path) -> bool:
    manager = ["org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager"]
    answer = _output(["busctl", "get-property", *manager, "KillUserProcesses"]).strip()
    if answer:
        return answer == "b true"
    folder = root / "etc/systemd"
    files = [folder / "logind.conf", *sorted((folder / "logind.conf.d").glob("*.conf"))]
    said = re.findall(r"^\s*KillUserProcesses\s*=\s*(\w+)", "\n".join(map(_read, files)), re.MULTILINE)
    return bool(said) and said[-1].lower() in ("yes", "true", "on", "1")


# --- keys: whether they are there, never what they are -------------------------------------------------------------


def _hugging_face() -> Finding:
    if os.environ.get("HF_TOKEN"):
        return Finding(Level.OK, "hugging face", "a token is in the environment (HF_TOKEN)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface")
    if Path(os.environ.get("HF_TOKEN_PATH") or home / "token").is_file():
        return Finding(Level.OK, "hugging face", "logged in (a token is stored)")
    step = "For gated datasets: hf auth login"
    return Finding(Level.OK, "hugging face", "no token: gated datasets cannot be imported", step)


def _keys() -> Finding:
    there = [name for name in _KEYS if os.environ.get(name)]
    return Finding(Level.OK, "keys", f"in the environment: {', '.join(there)}" if there else "none in the environment")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _output(command: list[str]) -> str:
    """What a program prints, "" when it is missing, fails or takes too long."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
