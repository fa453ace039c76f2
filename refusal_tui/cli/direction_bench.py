"""`refusal-tui direction ask` and `direction tokens`: a typed prompt, answered with and without a run's direction.

The model is loaded by a process of its own, which ends with the command.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from refusal_tui.cli.common import Session, emit, emit_json, emit_table, job_argument, json_option, pass_session, say
from refusal_tui.cli.direction_runs import direction_job, report_of, run_folder
from refusal_tui.errors import InputError, UsageError

if TYPE_CHECKING:
    from refusal_tui.direction.answers import Arm
    from refusal_tui.direction.bench_wire import Ask, Heard
    from refusal_tui.direction.readings import Reading, Readings
    from refusal_tui.direction.select import Cell

_BARS = "▁▂▃▄▅▆▇█"
_TOKEN_CELLS = 32
_POSITION = click.option("--position", type=click.IntRange(max=-1), metavar="P", help="Of another candidate.")


@click.command()
@job_argument
@click.option("--prompt", default="-", metavar="TEXT", help="The question; - reads standard input.  [default: -]")
@click.option("--coefficient", "-c", type=float, default=1.0, show_default=True, help="Times the direction is added.")
@_POSITION
@click.option("--layer", type=click.IntRange(0), metavar="L", help="Of another candidate than the selected one.")
@click.option("--prompt-only", is_flag=True, help="Add it at the prompt's tokens, not at those of the answer.")
@click.option(
    "--tokens", type=click.IntRange(1, 4096), default=128, show_default=True, help="Most tokens of an answer."
)
@json_option
@pass_session
def ask(
    session: Session, job_id: int, prompt: str, coefficient: float, position: int | None, layer: int | None,
    prompt_only: bool, tokens: int, as_json: bool,
) -> None:  # fmt: skip
    """Answer a prompt three times: as the model is, with the direction of JOB taken out, and with it added."""
    from refusal_tui.direction.answers import ARMS
    from refusal_tui.direction.bench_wire import Ask

    question = _typed(prompt)
    cell = _cell(session, job_id, position, layer)
    wish = Ask(1, question, coefficient=coefficient, at_prompt_only=prompt_only, most_tokens=tokens)
    texts: dict[Arm, str] = {}
    ready: Mapping[str, Any] = {}
    seconds = 0.0
    for said in _asked(session, job_id, [wish], cell):
        texts.update(said.texts)
        ready, seconds = said.ready or ready, said.seconds or seconds
    if as_json:
        emit_json({
            "job": job_id, "prompt": question, "model": ready.get("model"), "position": ready.get("position"),
            "layer": ready.get("layer"), "coefficient": coefficient, "prompt_only": prompt_only, "seconds": seconds,
            "answers": {arm.value: texts.get(arm, "") for arm in ARMS},
        })  # fmt: skip
        return
    for arm in ARMS:
        what = f"{arm.value} × {coefficient:+g}, layer {ready.get('layer')}" if arm == "steered" else arm.value
        emit(f"{what}\n  " + (texts.get(arm) or "(an empty answer)").replace("\n", "\n  ") + "\n")


@click.command()
@job_argument
@click.option("--prompt", metavar="TEXT", help="A prompt to read; - reads standard input.")
@click.option("--response", default="", metavar="TEXT", help="An answer behind it.")
@click.option("--text", "number", type=click.IntRange(1), metavar="N", help="One of the run's own texts instead.")
@click.option("--layer", type=click.IntRange(0), metavar="L", help="[default: the layer of the direction]")
@click.option("--csv", "as_csv", is_flag=True, help="Print the figures of all layers as CSV.")
@json_option
@pass_session
def tokens(
    session: Session, job_id: int, prompt: str | None, response: str, number: int | None, layer: int | None,
    as_csv: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show how far each token of a text lies along the direction of JOB. Without a text: list those of the run."""
    from refusal_tui.direction.readings import read_readings

    if prompt is not None and number is not None:
        raise UsageError("--prompt and --text name two texts.", "Give one of them.")
    with session.store() as connection:
        direction_job(connection, job_id)
    readings = read_readings(run_folder(session, job_id))
    if readings is None:
        raise InputError(
            f"Job {job_id} has no projections of tokens: it found nothing, has not come so far, or is of an older "
            "version.",
            f"See how far it is with: refusal-tui direction show {job_id}",
        )
    if prompt is None and number is None:
        _list(readings, as_json)
        return
    layer = readings.pick.layer if layer is None else layer
    if layer >= readings.n_layers:
        raise InputError(f"This model has {readings.n_layers} layers.", f"They are 0 to {readings.n_layers - 1}.")
    reading = _stored(readings, number) if number else _read(session, job_id, _typed(prompt or "-"), response)
    _print(readings, reading, layer, as_csv=as_csv, as_json=as_json)


def _typed(prompt: str) -> str:
    text = (sys.stdin.read() if prompt == "-" else prompt).strip()
    if not text:
        raise UsageError("There is no prompt.", "Give one with --prompt TEXT, or on standard input.")
    return text


def _cell(session: Session, job_id: int, position: int | None, layer: int | None) -> Cell:
    """What `--position` and `--layer` name, each of them alone being of the selected candidate otherwise.

    Raises InputError where the run's files tell that it cannot answer: a model takes long to load.
    """
    from refusal_tui.direction.bench_wire import candidate, not_ended
    from refusal_tui.direction.select import Cell

    with session.store() as connection:
        job = direction_job(connection, job_id)
    report = report_of(session, job)
    if report.card is None:
        raise not_ended()
    named, closest = None, report.closest()
    if position is not None or layer is not None:
        if closest is None:
            raise InputError(f"Job {job_id} has no candidates.", f"See: refusal-tui direction show {job_id}")
        named = Cell(closest.position if position is None else position, closest.layer if layer is None else layer)
    return candidate(report.card, named, len(report.positions), report.n_layers)


def _asked(session: Session, job_id: int, asks: Sequence[Ask], cell: Cell) -> Iterator[Heard]:
    from refusal_tui.direction.bench_client import asked
    from refusal_tui.jobs.files import log_file

    say("loading the model…")
    log = log_file(session.workspace(), f"bench-{job_id}.log")
    for said in asked(run_folder(session, job_id), asks, log, cell):
        if said.ready is not None and said.ready["changed"]:
            say("The weights are not those that the run has measured.")
        yield said


def _read(session: Session, job_id: int, prompt: str, response: str) -> Reading:
    from refusal_tui.direction.bench_wire import Ask

    cell = _cell(session, job_id, None, None)
    for said in _asked(session, job_id, [Ask(1, prompt, arms=(), response=response)], cell):
        if said.tokens:
            return said.reading()
    raise InputError("The model has no tokens for this text.", "Give another one.")


def _stored(readings: Readings, number: int) -> Reading:
    shown = readings.shown
    if number > len(shown):
        raise InputError(f"This run has kept {len(shown)} texts.", "List them by leaving out --text.")
    return shown[number - 1]


def _list(readings: Readings, as_json: bool) -> None:
    rows = [
        [number, one.part.partition("_")[0], one.arm, one.at_prompt, one.at_answer, one.words]
        for number, one in enumerate(readings.shown, 1)
    ]
    names = ["text", "set", "answer", "prompt at", "answer at", "begins"]
    if as_json:
        emit_json([dict(zip((name.replace(" ", "_") for name in names), row, strict=True)) for row in rows])
        return
    shown = [[*row[:3], *("" if value is None else f"{value:+.2f}" for value in row[3:5]), row[5]] for row in rows]
    emit_table(names, shown, whole=names[:5])
    left_out = len(readings.readings) - len(rows)
    if left_out:
        emit(f"{left_out} more texts have no room for figures of every token.")


def _print(readings: Readings, reading: Reading, layer: int, *, as_csv: bool, as_json: bool) -> None:
    from refusal_tui.direction.pictures import table, token_names, token_rows

    assert reading.projections is not None
    if as_csv:
        click.echo(table(token_names(readings.n_layers), token_rows(reading, 1)), nl=False)
        return
    figures = reading.projections[layer].tolist()
    scale = readings.scale(layer)
    if as_json:
        emit_json({
            "layer": layer, "harmless": readings.harmless[layer], "harmful": readings.harmful[layer],
            "tokens": [
                {"token": token, "projection": value, "in_answer": at >= reading.answer_from}
                for at, (token, value) in enumerate(zip(reading.tokens, figures, strict=True))
            ],
        })  # fmt: skip
        return
    rows = []
    for at, (token, value) in enumerate(zip(reading.tokens, figures, strict=True)):
        step = readings.level(value, layer)
        bar = "" if step is None else _BARS[step]
        rows.append([at, "answer" if at >= reading.answer_from else "", token, f"{value:+.3f}", bar])
    emit_table(["at", "", "token", f"layer {layer}", ""], rows, cut=_TOKEN_CELLS, whole=(f"layer {layer}",))
    if scale is None:
        emit("\nHarmful and harmless prompts do not differ at this layer.")
    else:
        emit(f"\n▁ like harmless prompts ({scale[0]:+.2f}) … █ like harmful ones ({scale[1]:+.2f})")
