"""Which GPU is there, and how busy is it? Asked of nvidia-smi, so that no CUDA library is loaded."""

from __future__ import annotations

import shutil
import subprocess

_TIMEOUT_SECONDS = 2.0
_QUERY = "name,memory.used,memory.total,utilization.gpu"


def gpu_line() -> str:
    """One line for all GPUs ("NVIDIA H200 3/139 GiB 12%"), "" where there is none or it does not answer in time."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, f"--query-gpu={_QUERY}", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return "  ".join(_one(line) for line in done.stdout.splitlines() if line.count(",") == 3)


def _one(line: str) -> str:
    """
    >>> _one("NVIDIA H200, 3072, 143771, 12")
    'NVIDIA H200 3/140 GiB 12%'
    """
    name, used, total, busy = (part.strip() for part in line.split(","))
    try:
        memory = f"{int(used) / 1024:.0f}/{int(total) / 1024:.0f} GiB"
    except ValueError:  # "[N/A]" under some virtual GPUs
        memory = f"{used}/{total} MiB"
    return f"{name} {memory} {busy}%"
