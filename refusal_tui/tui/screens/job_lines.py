"""The lines of the Job screen, painted: a head that says where the job stands, and a body with what came out."""

from __future__ import annotations

from textual.content import Content

from refusal_tui.store.answers import JobAnswer
from refusal_tui.store.events import Event
from refusal_tui.store.jobs import JobState
from refusal_tui.tui import paint
from refusal_tui.tui.state.figures import ago, count, duration, percent, rate
from refusal_tui.tui.state.job import JobFacts, JobScreenState
from refusal_tui.tui.widgets.line_list import Line
from refusal_tui.tui.widgets.progress_line import progress_bar, state_word

_LEVELS = {"error": paint.BAD, "warning": paint.WARN}
_FIELD = 9


def head_lines(state: JobScreenState, command: str, width: int) -> list[Line]:
    """State, progress, counts, note and command, at most eight lines."""
    facts = state.facts
    assert facts is not None
    word = state_word(facts.line)
    title = paint.line(facts.job.title, width - word.cell_length - 2, paint.STRONG)
    first = paint.words(title, " " * max(2, width - title.cell_length - word.cell_length), word)
    lines = [first, _progress(facts, width), _outcomes(facts)]
    if state.details.labels:
        lines.append(_labels(state))
    if facts.job.selection:
        lines.append(_field("rows of", paint.line(facts.job.selection, width - _FIELD)))
    if facts.job.step and not facts.rows:
        lines.append(_field("step", paint.line(facts.job.step, width - _FIELD)))
    if facts.job.note and not facts.pilot_waits:
        style = paint.BAD if facts.job.state is JobState.FAILED else ""
        lines.append(_field("note", paint.line(facts.job.note, width - _FIELD, style)))
    lines.append(_field("command", paint.line(command, width - _FIELD, paint.MUTED)))
    question = _decision(facts)
    if question is not None:
        lines.append(question)
    return [Line(line) for line in lines]


def _progress(facts: JobFacts, width: int) -> Content:
    line = facts.line
    unit = " rows" if facts.rows else ""
    said = f" {percent(line.fraction):>5}" if line.fraction is not None else ""
    if facts.rows and line.goal is not None:
        said += f"  {count(line.done)} of {count(line.goal)}{unit}"
    if line.state is JobState.RUNNING:
        said += f"  {rate(line.rate)}" if line.rate else ""
        said += f"  {duration(line.seconds)} left" if line.seconds is not None else ""
    return paint.words(progress_bar(line, max(10, width - len(said))), (said, paint.STRONG))


def _outcomes(facts: JobFacts) -> Content:
    job = facts.job
    parts: list[Content | tuple[str, str] | str] = [
        (f"{'at work':<{_FIELD}}", paint.MUTED),
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
    parts: list[Content | tuple[str, str] | str] = [(f"{'labels':<{_FIELD}}", paint.MUTED)]
    for value, number in labels:
        parts += [paint.label(value), f" {count(number)} ", (f"({percent(number / total)})   ", paint.MUTED)]
    return paint.words(*parts)


def _decision(facts: JobFacts) -> Content | None:
    """What a stopped job waits for."""
    if facts.pilot_waits:
        total = count(facts.job.total or 0)
        return paint.words(
            "Pilot done. Look at its answers, then  ",
            paint.keys(("r", f"go on with all {total} rows"), ("x", "cancel")),
        )
    if facts.line.state in (JobState.PAUSED, JobState.INTERRUPTED):
        return paint.keys(("r", "go on where it stopped"), ("x", "cancel"))
    if facts.line.state is JobState.FAILED:
        return paint.keys(("r", "try again"), ("R", "try failed rows again"), ("l", "see the log"))
    return None


def _field(name: str, value: Content) -> Content:
    return paint.words((f"{name:<{_FIELD}}", paint.MUTED), value)


def body_lines(state: JobScreenState, width: int, now: float) -> list[Line]:
    """Errors by kind, a pilot's answers, files, and the events (or the log)."""
    facts = state.facts
    assert facts is not None
    if state.show_log:
        return _log(state, width)
    lines: list[Line] = []
    if state.details.troubles:
        lines.append(Line(paint.heading("Errors", "enter shows the rows, R tries them again")))
        for group in state.details.troubles:
            what = group.error_class.replace("_", " ") or group.state
            said = paint.words((f"{count(group.count):>8} ", paint.BAD), paint.line(what, 16, paint.STRONG), "  ")
            content = paint.words(said, paint.line(group.example, width - said.cell_length))
            lines.append(Line(content, f"trouble:{group.state}:{group.error_class}"))
        lines.append(Line())
    if state.answers_shown:
        lines.append(Line(paint.heading("Answers", f"the first {len(state.details.answers)} rows; enter opens one")))
        for answer in state.details.answers:
            lines += _answer(answer, width)
        lines.append(Line())
    if state.details.artifacts:
        lines.append(Line(paint.heading("Files")))
        for artifact in state.details.artifacts:
            size = f"  {count(artifact.bytes)} bytes"
            content = paint.words(paint.line(artifact.path, width - len(size)), (size, paint.MUTED))
            lines.append(Line(content, f"file:{artifact.path}"))
        lines.append(Line())
    lines.append(Line(paint.heading("Events", "newest first; l shows the worker's log")))
    lines += [_event(event, width, now) for event in reversed(facts.events)]
    return lines


def _answer(answer: JobAnswer, width: int) -> list[Line]:
    """Two lines: the label with the prompt, and the evidence (or the answer's beginning)."""
    if answer.value is None:
        label = paint.line(answer.state, 13, paint.BAD)
    else:
        label = paint.words(paint.label(answer.value), "  ", paint.probability(answer.confidence))
    label = label.pad_right(max(0, 14 - label.cell_length))
    first = paint.words(label, paint.line(answer.prompt, width - 14))
    if answer.error:
        said = paint.line(answer.error, width - 14, paint.BAD)
    elif answer.evidence:
        quote = paint.line(" … ".join(answer.evidence), width // 2, paint.EVIDENCE)
        said = paint.words(quote, "  ", paint.line(answer.response, width - 16 - quote.cell_length, paint.MUTED))
    else:
        said = paint.line(answer.response, width - 14, paint.MUTED)
    return [Line(first, f"answer:{answer.item_id}"), Line(paint.words(" " * 14, said))]


def _event(event: Event, width: int, now: float) -> Line:
    when = f"{ago(max(0.0, now - event.created)):<12}"
    text = paint.line(event.text, width - 12, _LEVELS.get(event.level, ""))
    return Line(paint.words((when, paint.MUTED), text), f"event:{event.id}")


def _log(state: JobScreenState, width: int) -> list[Line]:
    lines = [Line(paint.heading("Log", f"logs/job-{state.job_id}.log; l goes back to the events"))]
    if not state.log:
        return [*lines, Line(paint.words(("Nothing is written yet: the worker has not started.", paint.MUTED)))]
    return lines + [Line(paint.line(text, width), f"log:{number}") for number, text in enumerate(state.log)]
