"""How is a training run read by somebody without this program? One HTML file and one PDF of the same sections."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from refusal_tui.classify.report import Run, read_run
from refusal_tui.classify.sections import sections_of
from refusal_tui.classify.sections_why import Texts
from refusal_tui.jobs.compute import write_atomically
from refusal_tui.store.datasets import list_datasets
from refusal_tui.store.items import fetch_rows
from refusal_tui.text.block_page import document, section_html
from refusal_tui.text.blocks import Section
from refusal_tui.text.charts import shown

PAGE, PDF = "report.html", "report.pdf"
KIND = "classifier-report"


def report_sections(run: Run, texts: Texts) -> list[Section]:
    """Of every head; those of a second one say its name."""
    found = []
    for number, head in enumerate(run.metrics):
        for section in sections_of(run, head, texts):
            shared = section.name in ("training", "made")
            if shared and number:
                continue
            named = section if shared or len(run.metrics) == 1 else replace(section, title=f"{section.title} ({head})")
            found.append(replace(named, name=f"{section.name}-{number + 1}") if number else named)
    return found


def page(title: str, told: str, sections: Iterable[Section]) -> str:
    kept = list(sections)
    links = "".join(f"<a href='#{one.name}'>{shown(one.title)}</a>" for one in kept)
    head = f"<h1>{shown(title)}</h1><p class=dim>{shown(told)}</p><nav>{links}</nav>"
    return document(title, [head, *map(section_html, kept)])


def write_report(folder: Path, job_id: int, connection: sqlite3.Connection) -> list[Path]:
    """Write the page and the PDF of the finished run in `folder`; each is there as a whole or not at all."""
    from refusal_tui.text.block_pdf import pdf_report

    run = read_run(folder)
    title = f"Classifier {run.name}"
    told = (
        f"Job {job_id}. Every figure of the test rows follows from predictions.jsonl; brackets are 95 % intervals from "
        "a bootstrap over groups of rows that share a prompt or are nearly alike."
    )
    sections = report_sections(run, quoted_texts(connection, run))
    paths = [folder / PAGE, folder / PDF]
    write_atomically(paths[0], page(title, told, sections).encode())
    write_atomically(paths[1], pdf_report(title, told, sections))
    return paths


def quoted_texts(connection: sqlite3.Connection, run: Run) -> Texts:
    """The words of the explained mistakes, of data sets that may be passed on: a report travels. Of the others there
    are figures alone."""
    closed = {one.name for one in list_datasets(connection) if one.provenance.redistribution in ("none", "labels-only")}
    rows = fetch_rows(connection, [one["item_id"] for one in run.explanations])
    return {
        row.item_id: {"prompt": row.prompt, "response": row.response or ""} for row in rows if row.dataset not in closed
    }
