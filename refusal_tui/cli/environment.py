"""What does this machine offer? Terminal, tmux, GPU, optional packages, and what ends jobs at logout."""

from __future__ import annotations

import importlib.util
import locale
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from refusal_tui.jobs.device import gpu_line
from refusal_tui.store.health import Finding, Level

_OPTIONAL = ("torch", "transformers", "accelerate", "peft", "safetensors", "scikit-learn")
_TOKENS = ("HF_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")


def check_environment() -> list[Finding]:
    """All checks of the machine; none of them loads a heavy package."""
    return [*_program(), *_terminal(), *_tmux(), *_gpu(), *_packages(), *_logout(), *_tokens()]


def _program() -> Iterator[Finding]:
    text = f"Python {platform.python_version()}, Textual {_version('textual')}, {sys.executable}"
    yield Finding(Level.OK, "python", text)
    encoding = locale.getpreferredencoding(False)
    if encoding.lower().replace("-", "") != "utf8":
        step = "Set LANG to a UTF-8 locale, such as C.UTF-8."
        yield Finding(Level.WARN, "locale", f"{encoding}: many characters cannot be shown", step)


def _terminal() -> Iterator[Finding]:
    term = os.environ.get("TERM", "")
    true_colour = os.environ.get("COLORTERM", "") in ("truecolor", "24bit")
    colours = "true colour" if true_colour else "256 colours" if "256" in term else "16 colours"
    over = ", over SSH" if os.environ.get("SSH_CONNECTION") else ""
    if term in ("", "dumb"):
        step = "Set TERM, for example: export TERM=xterm-256color"
        yield Finding(Level.WARN, "terminal", f"TERM is {term or 'not set'}", step)
    else:
        no_color = ", NO_COLOR is set" if "NO_COLOR" in os.environ else ""
        yield Finding(Level.OK, "terminal", f"{term}, {colours}{over}{no_color}")
    if os.environ.get("SSH_CONNECTION") and not os.environ.get("TMUX") and not os.environ.get("STY"):
        step = "Jobs go on without it; start the workbench inside tmux to keep its screen, too."
        yield Finding(Level.OK, "session", "a plain SSH session: a cut link closes the screen", step)


def _tmux() -> Iterator[Finding]:
    if not os.environ.get("TMUX"):
        return
    options = _output(["tmux", "show-options", "-g"]) + _output(["tmux", "show-options", "-s"])
    settings = dict(line.split(" ", 1) for line in options.splitlines() if " " in line)
    yield Finding(Level.OK, "tmux", f"{_output(['tmux', '-V']).strip()}, {settings.get('default-terminal', '?')}")
    if settings.get("set-clipboard", "on") == "off" and settings.get("allow-passthrough", "off") == "off":
        step = "In ~/.tmux.conf: set -s set-clipboard on"
        yield Finding(Level.WARN, "tmux clipboard", "copying to your own clipboard (OSC 52) is switched off", step)
    if settings.get("escape-time", "10").isdigit() and int(settings.get("escape-time", "10")) > 100:
        step = "In ~/.tmux.conf: set -s escape-time 10"
        yield Finding(Level.WARN, "tmux escape", f"Escape waits {settings['escape-time']} ms", step)


def _gpu() -> Iterator[Finding]:
    line = gpu_line()
    yield Finding(Level.OK, "gpu", line or "none (needed for local models only)")


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


def _logout() -> Iterator[Finding]:
    """Jobs outlive the terminal, but not a system that ends every process of a user who logs out."""
    if Path("/.dockerenv").exists() or os.environ.get("container"):
        step = "Keep the container running while jobs run; after a restart: refusal-tui jobs resume --all"
        yield Finding(Level.OK, "logout", "in a container: jobs end when it stops", step)
        return
    kills = "KillUserProcesses=yes" in _read(Path("/etc/systemd/logind.conf"))
    if kills and shutil.which("loginctl") and "Linger=yes" not in _output(["loginctl", "show-user", str(os.getuid())]):
        step = "Run once: loginctl enable-linger"
        yield Finding(Level.WARN, "logout", "systemd ends your processes at logout, jobs too", step)
    else:
        yield Finding(Level.OK, "logout", "jobs go on after logout")


def _tokens() -> Iterator[Finding]:
    there = [name for name in _TOKENS if os.environ.get(name)]
    yield Finding(Level.OK, "keys", f"in the environment: {', '.join(there)}" if there else "none in the environment")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=2, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
