"""Which tools are measured beside ours, and where do they come from? Environments of their own, made once on demand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "artifacts" / "bench-venvs"


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool that asks a model about every row. `least`: how many times faster ours has to be, None without a target.
    `probes`: requests that it makes before the first row.

    Its script in `benchmarks/peers/` takes BASE_URL BODIES.jsonl CONCURRENCY and prints one line of JSON like
    `llm_plain.py`; the time of its imports is not counted, its own set-up is.
    """

    name: str
    version: str
    requirements: tuple[str, ...]
    target: str = ""
    least: float | None = None
    probes: int = 0

    @property
    def script(self) -> Path:
        return ROOT / "benchmarks" / "peers" / f"{self.name}_run.py"

    @property
    def python(self) -> Path:
        return ENVIRONMENTS / self.name / "bin" / "python"

    def environment(self, home: Path) -> dict[str, str]:
        """Its variables: nothing of the user's, no telemetry, no downloads."""
        tokens = next(
            self.python.parent.parent.glob("lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"), home
        )
        return {
            "HF_HOME": str(home / "hf"),
            "HF_HUB_OFFLINE": "1",
            "CURATOR_CACHE_DIR": str(home / "curator"),
            "TELEMETRY_ENABLED": "0",
            "CURATOR_VIEWER": "0",
            "TIKTOKEN_CACHE_DIR": str(tokens),
            "OPENAI_API_KEY": "none",
        }


PEERS = (
    Peer("distilabel", "1.5.3", ("distilabel[openai]==1.5.3", "requests", "beautifulsoup4"), ">= 3.0", 3.0),
    Peer("curator", "0.1.31", ("bespokelabs-curator==0.1.31",), probes=1),
    Peer("inspect_ai", "0.3.285", ("inspect_ai==0.3.285", "openai"), ">= 10", 10.0),
)


def installed(one: Peer) -> bool:
    """Whether the peer can be measured; makes its environment when it is not there. Says why when it cannot."""
    mark = ENVIRONMENTS / one.name / "installed"
    if mark.exists() and mark.read_text() == " ".join(one.requirements):
        return True
    pip = [one.python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *one.requirements]
    try:
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENTS / one.name], check=True, capture_output=True)
        subprocess.run(pip, check=True, capture_output=True, text=True)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr or error).strip().splitlines()
        sys.stderr.write(
            f"{one.name} is left out: it cannot be installed ({said[-1] if said else 'no reason given'})\n"
        )
        return False
    mark.write_text(" ".join(one.requirements))
    return True
