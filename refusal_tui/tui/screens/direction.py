"""Refusal direction: a map of layers and positions that fills in while a run measures, and the evidence for it."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content

from refusal_tui.direction.measures import MEASURES
from refusal_tui.direction.pictures import map_pictures
from refusal_tui.direction.report import ReportReader
from refusal_tui.direction.select import Cell
from refusal_tui.direction.store_answers import answers_of
from refusal_tui.errors import RefusalTuiError
from refusal_tui.store.jobs import Job, get_job
from refusal_tui.tui.screen import WorkScreen
from refusal_tui.tui.screens.direction_evidence import dropped_part, evidence_lines, part_count
from refusal_tui.tui.screens.direction_keep import keep
from refusal_tui.tui.screens.direction_keys import KEYS
from refusal_tui.tui.screens.direction_lines import detail, empty, head, heat_model, legend, measures
from refusal_tui.tui.state.direction import PARTS, DirectionState, direction_jobs, parts_shown
from refusal_tui.tui.state.jobs import JobWatch
from refusal_tui.tui.widgets.heat_map import HeatMap, Layout
from refusal_tui.tui.widgets.line_list import LineList
from refusal_tui.tui.widgets.remark import Remark

_PADDING = 4  # cells at the sides of the lines above and below the map
_AROUND = 12  # lines that are neither the map nor the evidence
_LEAST_EVIDENCE = 4
_NO_RUN = "There is no run here yet; g n starts one"


class DirectionScreen(WorkScreen):
    """The run of direction job `job_id`, or of the latest one, live."""

    AREA = "Results"
    NAME = "Direction"
    CSS_PATH = "direction.tcss"
    BINDINGS: ClassVar[list[BindingType]] = KEYS

    def __init__(self, job_id: int | None = None) -> None:
        super().__init__()
        self.state = DirectionState(job_id=job_id)
        self._watch = JobWatch()
        self._reader: ReportReader | None = None
        self._map_height = -1
        self._had_map = True

    def crumbs(self) -> str:
        return f"Jobs › Job {self.state.job_id} › Direction" if self.state.job_id is not None else super().crumbs()

    def shows_job(self, job_id: int) -> bool:
        return job_id == self.state.job_id

    def compose_body(self) -> ComposeResult:
        yield Remark(id="direction-head")
        yield Remark(id="direction-measures")
        yield HeatMap(id="direction-map")
        yield Remark(id="direction-legend")
        yield Remark(id="direction-detail")
        yield Remark(id="direction-empty")
        yield LineList(id="direction-evidence")

    def on_mount(self) -> None:
        self.query_one(HeatMap).focus()

    def on_resize(self) -> None:
        self.call_after_refresh(self._show)

    def store_changed(self) -> None:
        """The run's folder is looked at when the store has news of it: its job reports after every group of scores."""
        state = self.state
        state.jobs = direction_jobs(self.work.connection)
        if state.job_id is None:
            state.job_id = state.next_job(0)
        if state.job_id is not None:
            try:
                self._look(get_job(self.work.connection, state.job_id))
                state.error = None
            except RefusalTuiError as error:
                state.error = error
        self._show()

    def _look(self, job: Job) -> None:
        state, connection = self.state, self.work.connection
        state.step, state.line = job.step, self._watch.line(connection, job, self.work.clock())
        if self._reader is None:
            self._reader = ReportReader(self.work.workspace.job_folder(job.id))
        state.report = self._reader.read()
        state.answers = answers_of(connection, job)

    def _show(self) -> None:
        if not self.whole:
            return
        self.name_what_is_shown()
        state, width = self.state, self.size.width - _PADDING
        there = state.line is not None and state.error is None
        known = there and state.report.rule is not None
        self._lay_out(there, known)
        self._say("empty", empty(state.error))
        self._say("head", head(state, width))
        self._say("measures", measures(state))
        self._say("legend", legend(state, width))
        self._show_map()
        self._show_cell()
        lines = self.query_one("#direction-evidence", LineList)
        lines.set_lines(evidence_lines(state, lines.line_width or width))
        if known != self._had_map:  # what there is to move over
            self._had_map = known
            (self.query_one(HeatMap) if known else lines).focus()

    def _lay_out(self, there: bool, known: bool) -> None:
        """Where a map is so high that nothing below it can be read, `tab` puts the evidence in its place."""
        heat, lines = self.query_one(HeatMap), self.query_one("#direction-evidence", LineList)
        model = heat_model(self.state, self.size.width)
        height = Layout.of(model, self.size.width).height(len(model.cells))
        if height != self._map_height:
            heat.styles.height = self._map_height = height
        apart = known and self.size.height - height - _AROUND < _LEAST_EVIDENCE
        self.set_class(apart, "-apart")
        shown = parts_shown(there=there, known=known, apart=apart, in_evidence=lines.has_focus)
        for part in PARTS:
            if self.query_one(f"#direction-{part}").display != (part in shown):
                self.query_one(f"#direction-{part}").display = part in shown

    def _say(self, part: str, content: Content) -> None:
        self.query_one(f"#direction-{part}", Remark).say(content)

    def _show_map(self) -> None:
        heat = self.query_one(HeatMap)
        heat.set_model(heat_model(self.state, self.size.width))
        at = self.state.at()
        if at is not None:
            heat.choose(at.position - self.state.report.positions.start, at.layer)

    def _show_cell(self) -> None:
        self._say("detail", detail(self.state, self.size.width - _PADDING))

    # --- keys --------------------------------------------------------------------------------------------------------

    @on(HeatMap.Moved)
    def _moved(self, event: HeatMap.Moved) -> None:
        cell = Cell(self.state.report.positions.start + event.row, event.column)
        if cell != self.state.at():  # by hand; a cursor that follows the pick goes on following it
            self.state.cell = cell
        self._show_cell()

    @on(LineList.Opened)
    def _open_line(self, event: LineList.Opened) -> None:
        kind, _, rest = (event.key or "").partition(":")
        if kind == "cell":
            position, _, layer = rest.partition(":")
            self._go(Cell(int(position), int(layer)))

    def _go(self, cell: Cell) -> None:
        self.state.cell = cell
        self._show_map()
        self._show_cell()

    def action_measure(self, step: int) -> None:
        self.state.turn_measure(step)
        self._show()

    def action_choose(self, number: int) -> None:
        self.state.chosen = MEASURES[number]
        self._show()

    def action_next_best(self) -> None:
        cell = self.state.next_best()
        if cell is None:
            self.work.say("No candidate passes the filters")
        else:
            self._go(cell)

    def action_section(self) -> None:
        self._begin_with((self.state.section + 1) % max(1, part_count(self.state)))

    def action_dropped(self) -> None:
        part = dropped_part(self.state)
        if part is None:
            self.work.say("The filter has dropped no prompt")
        else:
            self._begin_with(part)

    def _begin_with(self, part: int) -> None:
        self.state.section = part
        self._show()
        self.query_one("#direction-evidence", LineList).action_scroll_home()

    def action_turn(self) -> None:
        self._focus("map" if self.query_one("#direction-evidence").has_focus else "evidence")

    def _focus(self, part: str) -> None:
        """What is focused is shown, and a map that was not shown has to be laid out first."""
        wanted = self.query_one(f"#direction-{part}")
        if self.state.report.rule is not None:
            wanted.display = True
            wanted.focus()
            self.call_after_refresh(self._show)

    def action_escape(self) -> None:
        """From the evidence back to the map, from there back to the screen below."""
        if self.query_one("#direction-evidence").has_focus and self.state.report.rule is not None:
            self._focus("map")
        else:
            super().action_escape()

    def action_answers(self) -> None:
        if self.state.job_id is None:
            self.work.say(_NO_RUN)
        elif self.state.answers:
            self.work.push("direction_answers", dataset=self.state.answers, job_id=self.state.job_id)
        else:
            self.work.say("This run has no answers (yet): they are asked for with --answers NAME")

    def action_open(self, screen: str) -> None:
        """Another screen of this run, at the candidate under the cursor."""
        state, at = self.state, self.state.at()
        if at is None:
            self.work.say(_NO_RUN if state.job_id is None else "This run has measured nothing yet")
        elif screen == "direction_tokens":
            self.work.push(screen, job_id=state.job_id, layer=at.layer)
        else:
            self.work.push(screen, job_id=state.job_id, cell=at)

    def action_runs(self) -> None:
        self.work.push("direction_runs")

    def action_job(self) -> None:
        if self.state.job_id is not None:
            self.work.push("job", job_id=self.state.job_id)

    def action_run(self, step: int) -> None:
        job_id = self.state.next_job(step)
        if job_id is None:
            self.work.say("There is no older run" if step > 0 else "There is no newer run")
            return
        self.state.show_job(job_id)
        self._reader = None
        self.store_changed()

    def action_write(self) -> None:
        report, job_id = self.state.report, self.state.job_id
        if job_id is None:
            self.work.say(_NO_RUN)
        else:
            keep(self.work, job_id, map_pictures(report, self.state.measure) if report.grid else [])
