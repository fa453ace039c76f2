"""Strip of tokens: how far each token of a prompt and its answer lies along the direction, layer by layer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from refusal_tui.direction.bench_wire import bench_command, heard
from refusal_tui.direction.pictures import Picture, strip_picture, table, token_names, token_rows
from refusal_tui.direction.readings import Reading, Readings, read_readings
from refusal_tui.errors import RefusalTuiError
from refusal_tui.jobs.files import log_file
from refusal_tui.tui import paint
from refusal_tui.tui.ask import Ask as AskLine
from refusal_tui.tui.conversation import Conversation
from refusal_tui.tui.lookup import Lookup
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.direction_keep import keep
from refusal_tui.tui.screens.direction_strip import detail, head, strip_lines, text_lines
from refusal_tui.tui.state.direction_bench import BenchState, Phase
from refusal_tui.tui.state.direction_tokens import TokensState, places
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark
from refusal_tui.tui.widgets.strip_view import StripView


class DirectionTokensScreen(WorkScreen):
    """Of run `job_id`, beginning at `layer`. `reading`: a text that the bench has read already."""

    AREA = "Results"
    NAME = "Tokens"
    CSS_PATH = "direction_tokens.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "text(1)", "next text", tooltip="The next text", id="tokens.next"),
        Binding("left_square_bracket", "text(-1)", "Text before", show=False, id="tokens.previous"),
        Binding("f", "figures", "figures", tooltip="Figures below the tokens, or bars", id="tokens.figures"),
        Binding("i", "type", "type a text", tooltip="Type a prompt and an answer of your own", id="tokens.type"),
        Binding("tab", "turn", "texts", tooltip="Between the strip and the texts", id="tokens.turn"),
        Binding("e", "write", "write", tooltip="Write this strip as SVG and CSV", id="tokens.write"),
    ]

    def __init__(self, job_id: int, layer: int | None = None, reading: Reading | None = None) -> None:
        super().__init__()
        self.state = TokensState(layer=layer, typed=[] if reading is None else [reading])
        self.bench = BenchState()
        self._from_bench = reading is not None
        self._job_id = job_id
        self._lookup = Lookup(self)
        self._conversation: Conversation | None = None

    def crumbs(self) -> str:
        return f"Job {self._job_id} › Direction › Tokens"

    @property
    def _folder(self) -> Path:
        return self.work.workspace.job_folder(self._job_id)

    def compose_body(self) -> ComposeResult:
        yield LineList(id="tokens-texts")
        yield Remark(id="tokens-head")
        yield StripView(id="tokens-strip")
        yield Remark(id="tokens-detail")

    def on_mount(self) -> None:
        self.query_one(StripView).focus()
        folder = self._folder
        self._lookup.start("readings", lambda _: read_readings(folder), self._read, self._failed)

    def on_unmount(self) -> None:
        self._lookup.stop_all()
        if self._conversation is not None:
            self._conversation.end()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def _read(self, readings: Readings | None) -> None:
        self.state.readings, self.state.read = readings, True
        self.state.begin()
        self._show()

    def _failed(self, error: RefusalTuiError) -> None:
        self.state.error = error
        self._show()

    def _show(self) -> None:
        if not self.whole:
            return
        state, width = self.state, self.size.width - 4
        texts, strip = self.query_one("#tokens-texts", LineList), self.query_one(StripView)
        texts.set_lines(text_lines(state, texts.line_width or width))
        found = [] if state.at is None else places(state.at, width - 1, figures=state.figures)
        line = found[state.token].line if state.token < len(found) else 0
        self.query_one("#tokens-head", Remark).say(head(state))
        strip.show(strip_lines(state, found), range(2 * line, 2 * line + 2))
        told = detail(state, width)
        if self._conversation is not None and self.bench.phase in (Phase.LOADING, Phase.ANSWERING):
            told = paint.words((f"{self.bench.phase.value}…", paint.ACCENT))
        elif self.bench.error is not None:
            told = paint.error(self.bench.error)
        self.query_one("#tokens-detail", Remark).say(told)

    # --- keys --------------------------------------------------------------------------------------------------------

    def action_layer(self, step: int) -> None:
        self.state.scrub(step)
        self._show()

    def action_token(self, step: int) -> None:
        self.state.step(step)
        self._show()

    def action_text(self, step: int) -> None:
        self.query_one("#tokens-texts", LineList).action_move(step)

    @on(LineList.Moved, "#tokens-texts")
    def _moved(self) -> None:
        key = self.query_one("#tokens-texts", LineList).key
        if key is not None and int(key) != self.state.index:
            self.state.turn(int(key) - self.state.index)
            self._show()

    @on(LineList.Opened, "#tokens-texts")
    def action_turn(self) -> None:
        self.focus_next()

    def action_figures(self) -> None:
        self.state.figures = not self.state.figures
        self._show()

    def action_write(self) -> None:
        reading, readings = self.state.at, self.state.readings
        if reading is None or readings is None:
            self.work.say("There is nothing to write yet")
            return
        number = self.state.index + 1
        drawn = strip_picture(readings, reading, self.state.shown_layer, number)
        numbers = table(token_names(readings.n_layers), token_rows(reading, number))
        name = f"{drawn.name}-layer-{self.state.shown_layer}"
        keep(self.work, self._job_id, [Picture(name, drawn.title, drawn.svg, numbers)])

    # --- a text of one's own -----------------------------------------------------------------------------------------

    def action_type(self) -> None:
        if self._from_bench:
            self.work.say("Type another prompt on the steering bench: esc, then i")
        elif self.state.readings is None:
            self.work.say("This run has no direction to project on")
        else:
            self.app.push_screen(AskLine("Prompt"), self._typed_prompt)

    def _typed_prompt(self, prompt: str | None) -> None:
        if prompt is not None and prompt.strip():
            self.app.push_screen(AskLine("Answer (may stay empty)"), partial(self._typed, prompt.strip()))

    def _typed(self, prompt: str, response: str | None) -> None:
        if response is None:
            return
        if self._conversation is None or self.bench.phase is Phase.GONE:
            self.bench = BenchState()
            self._conversation = Conversation(
                bench_command(self._folder), self._log, hear=self._hear, ended=self._gone, failed=self.work.crash
            )
        self._conversation.say(self.bench.read(prompt, response.strip()).line())
        self._show()

    @property
    def _log(self) -> Path:
        return log_file(self.work.workspace, f"bench-{self._job_id}.log")

    def _gone(self, code: int) -> None:
        self.bench.gone(code, self._log)
        self._show()

    def _hear(self, line: str) -> None:
        self.bench.hear(heard(line))
        if self.bench.reading is not None:
            self.state.add(self.bench.reading)
            self.bench.reading = None
        self._show()
