"""How is a robustness run read by somebody without this program? One HTML file: no script, nothing loaded.

It holds figures and no answers, and names folders without their place: it can be passed on.
"""

from __future__ import annotations

from pathlib import Path

from refusal_tui.errors import InputError
from refusal_tui.finetune.figures import base_point, figures
from refusal_tui.finetune.report import Run, read_run
from refusal_tui.finetune.sections import sections_of
from refusal_tui.jobs.compute import write_atomically
from refusal_tui.text.block_page import document, section_html
from refusal_tui.text.charts import shown

PAGE = "report.html"


def page(run: Run, job_id: int) -> str:
    """The whole report as one HTML document."""
    sections = sections_of(run)
    links = "".join(f"<a href='#{one.name}'>{shown(one.title)}</a>" for one in sections)
    told = (
        f"Experiment {run.name}, job {job_id}, model {run.model}. Intervals are 95 %: Wilson's for rates, seeds of an "
        "arm counted as answers to the same prompts; comparisons are paired by prompt."
    )
    head = (
        f"<h1>Does refusal survive fine-tuning?</h1><p class=dim>{shown(told, 1000)}</p>{_tiles(run)}<nav>{links}</nav>"
    )
    return document(f"Robustness {run.name}", [head, *map(section_html, sections)])


def write_report(folder: Path, job_id: int) -> Path:
    """Write the page beside the files of the run in `folder`, whole or not at all. Raises InputError where nothing has
    been measured yet."""
    run = read_run(folder)
    return save_page(folder, job_id, None if base_point(run) is None else page(run, job_id))


def save_page(folder: Path, job_id: int, text: str | None) -> Path:
    """`text` None: nothing has been measured yet. Raises InputError then."""
    if text is None:
        raise InputError(
            f"Job {job_id} has measured nothing yet.", f"See how far it is with: refusal-tui jobs show {job_id}"
        )
    path = folder / PAGE
    write_atomically(path, text.encode())
    return path


def _tiles(run: Run) -> str:
    base, found = base_point(run), figures(run)
    tiles = [("base", base)] if base is not None else []
    tiles += [(arm.arm + arm.variant, arm.final) for arm in found]
    cells = "".join(
        f"<div><b>{point.refused.interval.value:.0%}</b>{shown(name)}</div>"
        for name, point in tiles
        if point is not None
    )
    return f"<p class=dim>Refused at the last stop:</p><div class=tiles>{cells}</div>" if cells else ""
