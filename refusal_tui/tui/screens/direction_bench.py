"""Steering bench: type a prompt and read what the model answers as it is, without the direction, and with it added.

The model lives in a process that this screen starts and that ends with it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.direction.bench_wire import Ask, bench_command, heard
from refusal_tui.direction.select import Cell
from refusal_tui.jobs.files import log_file
from refusal_tui.tui import paint
from refusal_tui.tui.conversation import Conversation
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.direction_bench import BenchState, Phase
from refusal_tui.tui.widgets.line_input import LineInput
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.text_view import TextView

_WORDS = {Arm.BASELINE: "as it is", Arm.ABLATED: "direction taken out"}


class AnswerView(TextView):
    """The arrows to the sides change the coefficient; a text has no use for them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "screen.coefficient(1)", "coefficient", key_display="←→", tooltip="Add more", id="bench.more"),
        Binding("left", "screen.coefficient(-1)", "Add less, or take away", show=False, id="bench.less"),
    ]


class DirectionBenchScreen(WorkScreen):
    """The model of run `job_id` and a candidate of it: the selected one, or `cell`."""

    AREA = "Results"
    NAME = "Steering bench"
    CSS_PATH = "direction_bench.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "edit", "prompt", tooltip="Type another prompt", id="bench.edit"),
        Binding("p", "prompt_only", "prompt only", tooltip="Add it to the prompt's tokens alone", id="bench.prompt"),
        Binding("t", "tokens", "tokens", tooltip="Projection of every token of an answer", id="bench.tokens"),
        Binding("tab", "turn", "next", tooltip="To the next answer", id="bench.turn"),
        Binding("u", "start", "load", tooltip="Load the model again", id="bench.start"),
    ]

    def __init__(self, job_id: int, cell: Cell | None = None) -> None:
        super().__init__()
        self.state = BenchState()
        self._job_id, self._cell = job_id, cell
        self._conversation: Conversation | None = None
        self._arm = Arm.BASELINE  # whose tokens were asked for

    def crumbs(self) -> str:
        return f"Job {self._job_id} › Direction › Steering bench"

    def compose_body(self) -> ComposeResult:
        yield Remark(id="bench-head")
        with Horizontal(id="bench-line"):
            yield Static(paint.words(("Prompt ", paint.STRONG)), id="bench-name")
            yield LineInput(id="bench-prompt")
        with Container(id="bench"):
            for arm in ARMS:
                with Vertical(classes="arm"):
                    yield Remark(id=f"head-{arm}")
                    yield AnswerView(id=f"text-{arm}")

    def on_mount(self) -> None:
        self.query_one(LineInput).focus()
        self.action_start()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def on_unmount(self) -> None:
        if self._conversation is not None:
            self._conversation.end()

    def _gone(self, code: int) -> None:
        self.state.gone(code, self._log)
        self._show()

    def _hear(self, line: str) -> None:
        self.state.hear(heard(line))
        if self.state.reading is not None:
            reading, self.state.reading = replace(self.state.reading, arm=self._arm), None
            self.work.push("direction_tokens", job_id=self._job_id, reading=reading)
        self._show()

    def _say(self, ask: Ask | None) -> None:
        if ask is not None and self._conversation is not None:
            self._conversation.say(ask.line())
        self._show()

    def _show(self) -> None:
        if not self.whole:
            return
        self.query_one("#bench-head", Remark).say(_head(self.state, self.size.width - 4))
        for arm in ARMS:
            self.query_one(f"#head-{arm}", Remark).say(_arm(arm, self.state))
            self.query_one(f"#text-{arm}", TextView).show(_answer(arm, self.state), keep_place=True)

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(LineInput.Submitted)
    def _asked(self, event: LineInput.Submitted) -> None:
        prompt = event.value.strip()
        if not prompt:
            self.work.say("Type a prompt first")
        elif self.state.phase is Phase.GONE:
            self.work.say("The model is not loaded: esc, then u loads it again")
        else:
            self._say(self.state.ask(prompt))
            self.query_one(f"#text-{Arm.STEERED}").focus()

    def action_coefficient(self, steps: int) -> None:
        self._say(self.state.steer(steps))

    def action_prompt_only(self) -> None:
        self.state.at_prompt_only = not self.state.at_prompt_only
        self._say(self.state.again())

    def action_edit(self) -> None:
        self.query_one(LineInput).focus()

    def action_turn(self) -> None:
        self.focus_next()

    def action_escape(self) -> None:
        """From the prompt to the answers, from there back."""
        if self.query_one(LineInput).has_focus and (self.state.asked is not None or self.state.phase is Phase.GONE):
            self.query_one(f"#text-{Arm.STEERED}").focus()
        else:
            super().action_escape()

    def action_start(self) -> None:
        """Also after the process has gone; one that is there goes on."""
        if self._conversation is not None and self.state.phase is not Phase.GONE:
            self.work.say("The model is there")
            return
        old, self.state = self.state, BenchState()
        self.state.coefficient, self.state.at_prompt_only = old.coefficient, old.at_prompt_only
        command = bench_command(self.work.workspace.job_folder(self._job_id), self._cell)
        self._conversation = Conversation(command, self._log, hear=self._hear, ended=self._gone, failed=self.work.crash)
        self._show()

    @property
    def _log(self) -> Path:
        return log_file(self.work.workspace, f"bench-{self._job_id}.log")

    def action_tokens(self) -> None:
        """Of the answer that has the focus."""
        asked = self.state.asked
        if asked is None:
            self.work.say("Ask something first")
            return
        arm = next((arm for arm in ARMS if self.query_one(f"#text-{arm}").has_focus), Arm.BASELINE)
        if self.state.phase is Phase.READY:
            self._arm = arm
            self._say(self.state.read(asked.prompt, self.state.texts.get(arm, "")))
        else:
            self.work.say("Wait for the answers first")


def _head(state: BenchState, width: int) -> Content:
    """Two lines: the model and what it does; how much is added."""
    if state.error is not None:
        return paint.error(state.error)
    word = state.phase.value
    if state.phase is Phase.READY and state.seconds is not None:
        word = f"answered in {state.seconds:.1f} s"
    first = paint.words(
        paint.line(state.model or "the model of this run", 40, paint.STRONG),
        (f"  {state.place}  " if state.place else "  ", paint.MUTED),
        (word, paint.ACCENT if state.phase in (Phase.LOADING, Phase.ANSWERING) else paint.GOOD),
        ("  other weights than the run has measured" if state.changed else "", paint.WARN),
    )
    where = "at the prompt's tokens" if state.at_prompt_only else "at every token"
    second = paint.words(
        ("← → ", paint.KEY), ("coefficient ", paint.MUTED), (f"{state.coefficient:+g}", paint.STRONG),
        (f"  {_ruler(state.coefficient)}  added {where}", paint.MUTED),
    )  # fmt: skip
    return paint.lines(first, second)


def _ruler(coefficient: float) -> str:
    """Where the coefficient lies between -4 and +4."""
    marks = ["·"] * 17
    marks[8] = "┼"
    marks[max(0, min(16, 8 + round(coefficient * 2)))] = "◆"
    return "-4 " + "".join(marks) + " +4"


def _arm(arm: Arm, state: BenchState) -> Content:
    words = _WORDS.get(arm, f"direction × {state.coefficient:+g} added")
    waits = arm in state.stale and state.phase in (Phase.ANSWERING, Phase.LOADING)
    return paint.words((f"{arm.value}  ", paint.HEADING), (words, paint.MUTED), ("  …" if waits else "", paint.ACCENT))


def _answer(arm: Arm, state: BenchState) -> Content:
    if arm in state.texts:
        text = state.texts[arm]
        return paint.text(text) if text else paint.words(("an empty answer", paint.MUTED))
    if state.asked is None and arm is Arm.BASELINE and state.phase is not Phase.GONE:
        return paint.words(("Type a prompt and press enter; the model may still be loading.", paint.MUTED))
    return paint.NOTHING
