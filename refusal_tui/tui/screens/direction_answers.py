"""Answers with and without a direction, side by side: the model as it is, with it taken out, with it added."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content

from refusal_tui.direction.answers import ARMS, Arm
from refusal_tui.errors import RefusalTuiError
from refusal_tui.tui import paint
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.state.direction_answers import AnswersState, ArmAnswer, Asked, read_answers, read_asked
from refusal_tui.tui.widgets.line_list import Line, LineList
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.text_view import TextView

_KIND = 10
_WORDS = {Arm.BASELINE: "as it is", Arm.ABLATED: "direction taken out"}


class DirectionAnswersScreen(WorkScreen):
    """The answers of run `job_id`, which are rows of `dataset`."""

    AREA = "Results"
    NAME = "Answers in three arms"
    CSS_PATH = "direction_answers.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "step(1)", "next prompt", tooltip="Next prompt", id="arms.next"),
        Binding("left_square_bracket", "step(-1)", "previous", tooltip="Prompt before", id="arms.previous"),
        Binding("tab", "turn", "next part", tooltip="Prompts, then the answers", id="arms.turn"),
        Binding("enter", "rows", "rows", tooltip="Browse these three rows", id="arms.rows"),
        Binding("b", "all_rows", "all rows", tooltip="Browse all rows of the three arms", id="arms.all"),
        Binding("L", "label", "label", tooltip="Let a judge label the answers", id="arms.label"),
    ]

    def __init__(self, dataset: str, job_id: int) -> None:
        super().__init__()
        self.state = AnswersState()
        self._dataset, self._job_id = dataset, job_id
        self._lookup = Lookup(self)

    def crumbs(self) -> str:
        return f"Job {self._job_id} › Direction › Answers"

    def compose_body(self) -> ComposeResult:
        yield LineList(id="arms-prompts")
        with Container(id="arms"):
            for arm in ARMS:
                with Vertical(classes="arm"):
                    yield Remark(id=f"head-{arm}")
                    yield TextView(id=f"text-{arm}")

    def on_mount(self) -> None:
        self.query_one("#arms-prompts").focus()
        self._lookup.start("asked", partial(read_asked, self._dataset, self._job_id), self._read, self._failed)

    def on_unmount(self) -> None:
        self._lookup.stop_all()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        """A judge may have labelled the answers."""
        if self.state.at is not None:
            self._show()

    def _read(self, asked: list[Asked]) -> None:
        self.state.asked = asked
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.work.notify_error(error)

    def _show(self) -> None:
        if not self.whole:
            return
        state, prompts = self.state, self.query_one("#arms-prompts", LineList)
        prompts.set_lines(_prompt_lines(state, prompts.line_width or self.size.width - 3))
        asked = state.at
        state.answers = read_answers(self.work.connection, asked) if asked is not None else {}
        for arm in ARMS:
            answer = state.answers.get(arm)
            self.query_one(f"#head-{arm}", Remark).say(_head(arm, answer, asked))
            self.query_one(f"#text-{arm}", TextView).show(_answer(answer))

    @on(LineList.Moved, "#arms-prompts")
    def _moved(self) -> None:
        key = self.query_one("#arms-prompts", LineList).key
        if key is not None and int(key) != self.state.index:
            self.state.index = int(key)
            self._show()

    def action_step(self, step: int) -> None:
        self.query_one("#arms-prompts", LineList).action_move(step)

    def action_turn(self) -> None:
        self.focus_next()

    @on(LineList.Opened)
    def action_rows(self) -> None:
        if self.state.at is not None:
            numbers = ",".join(str(item) for item in sorted(self.state.at.items.values()))
            self.work.push("browse", filter=f"id:{numbers}")

    def action_all_rows(self) -> None:
        self.work.push("browse", filter=self._selection)

    def action_label(self) -> None:
        self.work.push("new_job", kind="label", selection=self._selection)

    @property
    def _selection(self) -> str:
        return f'dataset:"{self._dataset}"'


def _prompt_lines(state: AnswersState, width: int) -> list[Line]:
    if state.asked is None:
        return [Line(paint.words(("reading the answers…", paint.MUTED)))]
    if not state.asked:
        return [Line(paint.words(("This dataset has no answers of this run.", paint.MUTED)))]
    return [
        Line(paint.words((f"{one.kind:<{_KIND}}", paint.WARN if one.kind == "harmful" else paint.MUTED),
                         paint.line(one.prompt, width - _KIND)), str(number))
        for number, one in enumerate(state.asked)
    ]  # fmt: skip


def _head(arm: Arm, answer: ArmAnswer | None, asked: Asked | None) -> Content:
    """What was done to the model, and what somebody has called the answer."""
    words = _WORDS.get(arm, "")
    if arm is Arm.STEERED and asked is not None and asked.coefficient is not None:
        words = f"direction × {asked.coefficient:+g} added"
    label = paint.label(answer.label) if answer is not None and answer.label is not None else paint.NOTHING
    return paint.words((f"{arm.value}  ", paint.HEADING), (f"{words}  ", paint.MUTED), label)


def _answer(answer: ArmAnswer | None) -> Content:
    if answer is None:
        return paint.words(("no answer is stored", paint.MUTED))
    return paint.text(answer.text) if answer.text else paint.words(("an empty answer", paint.MUTED))
