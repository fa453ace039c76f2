"""How is a raw-against-cleaned run read by somebody without this program? One HTML file: no script, nothing loaded.

It holds figures and no answers, and names folders without their place: it can be passed on.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from refusal_tui.finetune.cleaned.figures import OVER, figures
from refusal_tui.finetune.cleaned.read import Comparison, read_comparison
from refusal_tui.finetune.cleaned.sections import sections_of
from refusal_tui.finetune.document import save_page
from refusal_tui.finetune.figures import REFUSED
from refusal_tui.text.block_page import document, section_html
from refusal_tui.text.charts import shown


def page(found: Comparison, job_id: int) -> str:
    """The whole report as one HTML document."""
    run, sections = found.run, sections_of(found)
    links = "".join(f"<a href='#{one.name}'>{shown(one.title)}</a>" for one in sections)
    told = (
        f"Experiment {run.name}, job {job_id}, model {run.model}. Intervals are 95 %: Wilson's for rates, seeds of an "
        "arm counted as answers to the same prompts; comparisons are paired by prompt."
    )
    head = (
        "<h1>What does cleaning the data change in the model?</h1>"
        f"<p class=dim>{shown(told, 1000)}</p>{_tiles(found)}<nav>{links}</nav>"
    )
    return document(f"Raw against cleaned {run.name}", [head, *map(section_html, sections)])


def write_report(folder: Path, job_id: int, connection: sqlite3.Connection) -> Path:
    """Write the page beside the files of the run in `folder`, whole or not at all; grades of helpfulness are those that
    are in the store now. Raises InputError where nothing has been measured yet."""
    found = read_comparison(folder, connection)
    return save_page(folder, job_id, None if found.run.base is None else page(found, job_id))


def _tiles(found: Comparison) -> str:
    arms = figures(found).arms.items()
    cells = "".join(
        f"<div><b>{arm.rates[measure].interval.value:.0%}</b>{shown(name)}, {measure}</div>"
        for measure in (OVER, REFUSED)
        for name, arm in arms
    )
    return f"<div class=tiles>{cells}</div>" if cells else ""
