"""`refusal-tui judge-card`: how far can the judge of a labelling job be trusted?"""

from __future__ import annotations

import click

from refusal_tui.cli.common import Session, emit, emit_json, job_argument, json_option, pass_session


@click.command()
@job_argument
@click.option(
    "--gold", metavar="NAME", help="The human annotator who is right (default: the one with the most labels)."
)
@json_option
@pass_session
def judge_card(session: Session, job_id: int, gold: str | None, as_json: bool) -> None:
    """Agreement with humans beside that of two humans, error, refusal, flip and canary rates, cost and time.

    One card for every judge of the labelling job JOB. Agreement needs human labels on its rows.
    """
    from refusal_tui.judge.card_data import job_cards
    from refusal_tui.judge.card_text import render_card
    from refusal_tui.judge.score import plain
    from refusal_tui.store.jobs import get_job

    with session.store() as connection:
        cards = job_cards(connection, get_job(connection, job_id), gold=gold)
    if as_json:
        emit_json([plain(card) for card in cards])
    else:
        emit("\n\n".join(render_card(card) for card in cards))
