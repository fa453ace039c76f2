"""What all tests share: an environment that does not change screens, and SVG snapshots.

Snapshots lie under snapshots/, in folders that mirror tests/. The pytest plugin for them is not used: it pins an old
syrupy and starts its own event loop.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
from pathlib import Path

import pytest
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

for _name in ("NO_COLOR", "TEXTUAL_THEME", "COLORTERM", "TMUX"):  # before textual is imported
    os.environ.pop(_name, None)
os.environ["TERM"] = "xterm-256color"
# Two test processes on two cores, each with a worker or two: more threads per process only wait for one another.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "snapshot_report"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Several processes get the modules in another order than the folders': those that wait for a terminal beside those
    that compute. Tests of a module stay together, for its fixtures."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: hashlib.sha256(item.nodeid.partition("::")[0].encode()).digest())


class Svg(SingleFileSnapshotExtension):
    """One `.svg` per snapshot, under snapshots/<path of the test file without .py>/."""

    _write_mode = WriteMode.TEXT
    file_extension = "svg"

    def serialize(self, data, **kwargs):
        return re.sub(r"terminal-\d+-", "terminal-", data)  # a random id

    @classmethod
    def dirname(cls, *, test_location):
        path = Path(test_location.filepath).resolve()
        return str(ROOT / "snapshots" / path.relative_to(ROOT / "tests").with_suffix(""))


@pytest.fixture
def svg(snapshot, request):
    """`assert svg(app, "name")`-like: compares `app.export_screenshot()` and keeps both pictures when they differ."""
    assertion = snapshot.use_extension(Svg)

    def same(app, name: str) -> bool:
        picture = app.export_screenshot()
        expected = assertion(name=name)
        if expected == picture:
            return True
        _report(request.node.nodeid, name, assertion, picture)
        return False

    return same


def _report(nodeid: str, name: str, assertion, picture: str) -> None:
    """snapshot_report/<test>.<name>.html shows what was expected beside what was drawn."""
    REPORT.mkdir(exist_ok=True)
    location = assertion.test_location
    folder = Path(Svg.dirname(test_location=location))
    known = [f for f in sorted(folder.glob("*.svg")) if f.name.startswith(f"{location.snapshot_name}[{name}]")]
    expected = known[0].read_text(encoding="utf-8") if known else "<p>There was no such snapshot.</p>"
    title = html.escape(f"{nodeid} [{name}]")
    page = f"""<!doctype html><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 14px sans-serif }} .pair {{ display: flex; gap: 1em }} .pair div {{ flex: 1 }}</style>
<h1>{title}</h1><div class="pair"><div><h2>expected</h2>{expected}</div><div><h2>drawn</h2>{picture}</div></div>"""
    file = re.sub(r"[^\w.-]+", "_", f"{nodeid}.{name}")[-150:]
    (REPORT / f"{file}.html").write_text(page, encoding="utf-8")
