"""The lines of the Job screen, painted: a head that says where the job stands, and a body with what came out."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.jobs.registry import unit_of
from refusal_tui.jobs.standing import raise_command
from refusal_tui.store.answers import JobAnswer
from refusal_tui.store.events import Event
from refusal_tui.store.jobs import JobState
from refusal_tui.tui import paint
from refusal_tui.tui.screens.job_asking_lines import FIELD, asking_lines, field, server_lines
from refusal_tui.tui.state.figures import ago, count, duration, percent, rate
from refusal_tui.tui.state.job import JobFacts, JobScreenState
from refusal_tui.tui.widgets.line_list import Line
from refusal_tui.tui.widgets.progress_line import progress_bar, state_word

# kind -> (the screen that `v` opens, what it does)
LOOKED_AT = {
    "clean": ("clean_review", "review what it has made"),
    "label": ("judge_card", "judge card"),
    "direction": ("direction", "map and evidence"),
    "audit": ("audit", "findings"),
    "pipeline": ("pipeline", "the graph"),
    "train-classifier": ("training", "curves and figures"),
    "robustness": ("robustness", "what is left of refusal"),
    "raw-vs-cleaned": ("robustness", "what cleaning changes"),
}
WATCHED = {  # worth a look while they run
    "direction": "see the map fill in",
    "train-classifier": "see it learn",
    "robustness": "see arms and losses",
    "raw-vs-cleaned": "see arms and losses",
}
_LEVELS = {"error": paint.BAD, "warning": paint.WARN}
_LOW = 14  # lines of the body: below that nothing is spent on looks
_LABEL = 14  # cells of an answer's label


def head_lines(state: JobScreenState, command: str, width: int, now: float) -> list[Line]:
    """State, progress, counts, what it asks of models, note and command: at most eleven lines."""
    facts = state.facts
    assert facts is not None
    word = state_word(facts.line)
    title = paint.line(facts.job.title, width - word.cell_length - 2, paint.STRONG)
    first = paint.words(title, " " * max(2, width - title.cell_length - word.cell_length), word)
    lines = [first, _progress(facts, width), _outcomes(facts)]
    if state.details.labels:
        lines.append(_labels(state))
    standing = state.standing
    if standing is not None:
        lines += asking_lines(standing, state.tokens_per_second, width, now)
    elif facts.job.selection:  # of the others there is room for it; the command below has it, too
        lines.append(field("rows of", paint.line(facts.job.selection, width - FIELD)))
    if facts.job.step:
        lines.append(field("step", paint.line(facts.job.step, width - FIELD)))
    if facts.job.note and not facts.pilot_waits:
        style = paint.BAD if facts.job.state is JobState.FAILED else ""
        lines += _long_field("note", facts.job.note, width, style)
    waits = state.details.waits if facts.job.state is JobState.QUEUED else ""
    if waits:
        lines += _long_field("waits", waits, width, paint.WARN)
    lines.append(field("command", paint.line(command, width - FIELD, paint.MUTED)))
    question = _decision(facts)
    if question is None and waits:
        question = paint.keys(("r", "start it now"), ("x", "cancel"))
    if question is not None:
        lines.append(question)
    return [Line(line) for line in lines]


def _long_field(name: str, text: str, width: int, style: str) -> list[Content]:
    """What must be read to its end takes two lines; why a job failed four, for its next step stands last."""
    first, *more = paint.few_lines(text, width - FIELD, 4 if style == paint.BAD else 2, style)
    return [field(name, first), *(field("", part) for part in more)]


def _progress(facts: JobFacts, width: int) -> Content:
    line = facts.line
    said = f" {percent(line.fraction):>5}" if line.fraction is not None else ""
    if facts.rows and line.goal is not None:
        said += f"  {count(line.done)} of {count(line.goal)} {unit_of(facts.job)}"
    if line.state is JobState.RUNNING:
        said += f"  {rate(line.rate)}" if line.rate else ""
        said += f"  {duration(line.seconds)} left" if line.seconds is not None else ""
    return paint.words(progress_bar(line, max(10, width - len(said))), (said, paint.STRONG))


def _outcomes(facts: JobFacts) -> Content:
    job = facts.job
    parts: list[Content | tuple[str, str] | str] = [
        (f"{'at work':<{FIELD}}", paint.MUTED),
        duration(facts.elapsed) or "—",
    ]
    if facts.rows:
        parts += [("   ok ", paint.MUTED), (count(job.n_ok), paint.GOOD if job.n_ok else "")]
        parts += [("   failed ", paint.MUTED), (count(job.n_failed), paint.BAD if job.n_failed else "")]
        parts += [("   unparsable ", paint.MUTED), (count(job.n_unparsable), paint.WARN if job.n_unparsable else "")]
        if facts.left is not None:
            parts += [("   left ", paint.MUTED), count(facts.left)]
    return paint.words(*parts)


def _labels(state: JobScreenState) -> Content:
    labels = state.details.labels
    total = sum(number for _, number in labels) or 1
    parts: list[Content | tuple[str, str] | str] = [(f"{'labels':<{FIELD}}", paint.MUTED)]
    for value, number in labels:
        parts += [paint.label(value), f" {count(number)} ", (f"({percent(number / total)})   ", paint.MUTED)]
    return paint.words(*parts)


def _decision(facts: JobFacts) -> Content | None:
    """What a stopped job waits for."""
    if facts.pilot_waits:
        total = count(facts.job.total or 0)
        return paint.words(
            "Pilot done. Look at its answers, then  ",
            paint.keys(("r", f"go on with all {total} {unit_of(facts.job)}"), ("x", "cancel")),
        )
    if raise_command(facts.job):
        return paint.keys(("s", "raise the budget"), ("r", "go on"), ("x", "cancel"))
    if facts.line.state in (JobState.PAUSED, JobState.INTERRUPTED):
        return paint.keys(("r", "go on where it stopped"), ("x", "cancel"))
    if facts.line.state is JobState.FAILED:
        return paint.keys(("r", "try again"), ("R", "try failed rows again"), ("l", "see the log"))
    if facts.line.state is JobState.RUNNING and facts.job.kind in WATCHED:
        return paint.keys(("v", WATCHED[facts.job.kind]))
    if facts.line.state is JobState.DONE:
        failed = [("R", "try the failed rows again"), ("e", "look at them")] if facts.line.failed else []
        look = [("v", LOOKED_AT[facts.job.kind][1])] if facts.job.kind in LOOKED_AT and facts.line.done else []
        return paint.keys(*failed, *look) if failed or look else None
    return None


def body_lines(state: JobScreenState, width: int, height: int, now: float) -> list[Line]:
    """Errors by kind, servers, a sample of answers, files, and the events (or the log). `height` lines are seen."""
    facts = state.facts
    assert facts is not None
    if state.show_log:
        return _log(state, width)
    standing = state.standing
    low = height < _LOW
    parts = [
        _errors(state, width),
        server_lines(standing, width, now) if standing is not None else [],
        _answers(state, width, low),
        _files(state, width),
        [
            Line(paint.heading("Events", "newest first; l shows the worker's log")),
            *(_event(event, width, now) for event in reversed(facts.events)),
        ],
    ]
    lines: list[Line] = []
    for part in parts:
        lines += [Line()] if lines and part and not low else []
        lines += part
    return lines


def _errors(state: JobScreenState, width: int) -> list[Line]:
    lines: list[Line] = []
    for group in state.details.troubles:
        what = group.error_class.replace("_", " ") or group.state
        said = paint.words((f"{count(group.count):>8} ", paint.BAD), paint.line(what, 16, paint.STRONG), "  ")
        content = paint.words(said, paint.line(group.example, width - said.cell_length))
        lines.append(Line(content, f"trouble:{group.error_class}"))
    title = paint.heading("Errors", "enter shows the rows, t tries this kind again, R all of them")
    return [Line(title), *lines] if lines else []


def _answers(state: JobScreenState, width: int, low: bool) -> list[Line]:
    """A pilot's rows all of them; of others the newest, one line each where there is little room."""
    if not state.answers_shown:
        return []
    pilot = state.facts is not None and state.facts.is_pilot and state.facts.job.kind == "label"
    found = state.details.answers
    what = f"the first {len(found)} rows" if pilot else "the newest"
    lines = [Line(paint.heading("Answers", f"{what}; enter opens one, a hides them"))]
    short = low and not pilot
    for answer in found[: 3 if short else len(found)]:
        lines += [_short_answer(answer, width)] if short else _answer(answer, width)
    return lines


def _files(state: JobScreenState, width: int) -> list[Line]:
    lines: list[Line] = []
    for artifact in state.details.artifacts:
        size = f"  {count(artifact.bytes)} bytes"
        content = paint.words(paint.line(artifact.path, width - len(size)), (size, paint.MUTED))
        lines.append(Line(content, f"file:{artifact.path}"))
    return [Line(paint.heading("Files")), *lines] if lines else []


def _answer_label(answer: JobAnswer) -> Content:
    if answer.value is not None:
        label = paint.words(paint.label(answer.value), "  ", paint.probability(answer.confidence))
    elif answer.remark:
        label = paint.line(answer.remark, _LABEL - 1, paint.STRONG)
    else:
        label = paint.line(answer.state, _LABEL - 1, paint.BAD if answer.error else paint.MUTED)
    return label.pad_right(max(0, _LABEL - label.cell_length))


def _short_answer(answer: JobAnswer, width: int) -> Line:
    """The label, the prompt and the beginning of the answer in one line."""
    half = (width - _LABEL) // 2
    prompt = paint.line(answer.prompt, half - 2)
    said = paint.line(answer.error or answer.response or "", width - _LABEL - half, paint.MUTED)
    padded = prompt.pad_right(max(0, half - prompt.cell_length))
    return Line(paint.words(_answer_label(answer), padded, said), f"answer:{answer.item_id}")


def _answer(answer: JobAnswer, width: int) -> list[Line]:
    """Two lines: the label with the prompt, and the evidence (or the answer's beginning)."""
    first = paint.words(_answer_label(answer), paint.line(answer.prompt, width - _LABEL))
    if answer.error:
        said = paint.line(answer.error, width - _LABEL, paint.BAD)
    elif answer.evidence:
        quote = paint.line(" … ".join(answer.evidence), width // 2, paint.EVIDENCE)
        said = paint.words(quote, "  ", paint.line(answer.response, width - 16 - quote.cell_length, paint.MUTED))
    else:
        said = paint.line(answer.response, width - _LABEL, paint.MUTED)
    return [Line(first, f"answer:{answer.item_id}"), Line(paint.words(" " * _LABEL, said))]


def _event(event: Event, width: int, now: float) -> Line:
    when = f"{ago(max(0.0, now - event.created)):<12}"
    text = paint.line(event.text, width - 12, _LEVELS.get(event.level, ""))
    return Line(paint.words((when, paint.MUTED), text), f"event:{event.id}")


def _log(state: JobScreenState, width: int) -> list[Line]:
    lines = [Line(paint.heading("Log", f"logs/job-{state.job_id}.log; l goes back to the events"))]
    if not state.log:
        return [*lines, Line(paint.words(("Nothing is written yet: the worker has not started.", paint.MUTED)))]
    return lines + [Line(paint.line(text, width), f"log:{number}") for number, text in enumerate(state.log)]
