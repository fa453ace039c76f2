"""A face may import this room: the heavy packages come with the first request."""

from __future__ import annotations

import json
import subprocess
import sys

HEAVY = ("openai", "httpx2", "aiohttp", "torch", "transformers", "pydantic", "numpy", "sqlite_utils")


def test_importing_the_room_loads_no_heavy_package() -> None:
    code = (
        "import json, pkgutil, sys, importlib, refusal_tui.llm as room\n"
        "for module in pkgutil.iter_modules(room.__path__): importlib.import_module(f'refusal_tui.llm.{module.name}')\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == []
