"""`refusal-tui review new`: draw a queue. The options are the settings of the New queue screen."""

from __future__ import annotations

from typing import Any

import click

from refusal_tui.cli.common import Session, emit_json, pass_session, say
from refusal_tui.cli.run import option_of
from refusal_tui.jobs.spec import build_spec, spec_fields
from refusal_tui.review.spec import QueueSpec


@pass_session
def _new(session: Session, /, **values: Any) -> None:
    from refusal_tui.review.queues import new_queue
    from refusal_tui.store.review_queues import progress_of, queue_items

    selection, as_json = " ".join(values.pop("selection", ())), values.pop("as_json")
    spec = build_spec(QueueSpec, values)
    assert isinstance(spec, QueueSpec)
    with session.store() as connection:
        queue = new_queue(connection, selection, spec)
        rows = progress_of(connection, queue).cards
        repeats = len(queue_items(connection, queue.id)) - rows
    say(f"{queue.name}: {rows:,} rows of {queue.settings.population:,}, and {repeats:,} repeats. "
        f"Label them: refusal-tui review open {queue.name}")  # fmt: skip
    if as_json:
        emit_json({"queue": queue.name, "rows": rows, "repeats": repeats, "population": queue.settings.population})


new = click.Command(
    "new",
    callback=_new,
    params=[
        click.Argument(["selection"], nargs=-1),
        *(option_of(field) for field in spec_fields(QueueSpec)),
        click.Option(["--json", "as_json"], is_flag=True, help="Print the queue as JSON on standard output."),
    ],
    help="Draw a queue from the rows of SELECTION (a filter; without one: every row). A part is always drawn at "
    "random, with recorded probabilities, so that error rates stay unbiased.",
)
