"""What does a researcher need at one look? The groups of Home, as entries that a key or Enter opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from refusal_tui.store.jobs import JobState
from refusal_tui.store.overview import REVIEW_DISAGREEMENT, REVIEW_UNSURE, ModelRefusals, Overview
from refusal_tui.tui.state.figures import count
from refusal_tui.tui.state.jobs import JobLine, summary

SHOWN_ACTIVE = 4
SHOWN_ATTENTION = 3
NO_GPU = "GPU none: the offline judge needs none"


class Target(StrEnum):
    """What opens when an entry is chosen."""

    DATASETS = "datasets"
    BROWSE = "browse"  # `value`: the filter
    IMPORT = "import"
    JOBS = "jobs"
    NEW_JOB = "new_job"
    JOB = "job"  # `value`: the number
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line that can be chosen: the key that opens it from anywhere ("" where there is none) and what it says."""

    target: Target
    key: str
    name: str
    says: str
    value: str = ""


@dataclass(slots=True)
class HomeState:
    """What is shown now; `overview` is None until it was read for the first time."""

    overview: Overview | None = None
    jobs: list[JobLine] = field(default_factory=list)
    gpu: str = ""
    seen: Mapping[int, int] = field(default_factory=dict)  # job -> the run whose end somebody has looked at

    @property
    def empty(self) -> bool:
        """A workspace without data, in which nothing happens: show the first steps."""
        return self.overview is not None and not self.overview.datasets and not self.jobs

    @property
    def active(self) -> list[JobLine]:
        """Running jobs first, then queued ones in their order."""
        active = [line for line in self.jobs if line.state.active]
        return sorted(active, key=lambda line: (line.state is not JobState.RUNNING, line.id))[:SHOWN_ACTIVE]

    @property
    def attention(self) -> list[JobLine]:
        """A failed job needs nobody any more once its screen was opened; the others wait for a decision."""
        waiting = (line for line in self.jobs if line.needs_attention)
        return [line for line in waiting if not self._is_old_news(line)][:SHOWN_ATTENTION]

    def _is_old_news(self, line: JobLine) -> bool:
        return line.state is JobState.FAILED and self.seen.get(line.id) == line.run

    @property
    def places(self) -> list[Entry]:
        """Data and Jobs with their counts."""
        seen = self.overview or Overview()
        datasets = _plural(seen.datasets, "dataset")
        if seen.rejected:
            datasets += f", {_plural(seen.rejected, 'row')} in quarantine"
        rows = _plural(seen.rows, "row")
        if seen.judged or seen.gold:
            rows += f", {count(seen.judged)} labelled by a judge, {count(seen.gold)} by people"
        return [
            Entry(Target.DATASETS, "d", "Datasets", datasets),
            Entry(Target.BROWSE, "b", "Browse", rows),
            Entry(Target.IMPORT, "i", "Import", "a file, a folder, or hf:owner/name"),
            Entry(Target.JOBS, "J", "Jobs", summary(self.jobs)),
            Entry(Target.NEW_JOB, "n", "New job", "generate, label, clean or export"),
        ]

    @property
    def queues(self) -> Entry:
        """The way to labels by people."""
        return Entry(Target.REVIEW, "r", "Queues", "label rows by hand, one key each")

    @property
    def review(self) -> list[Entry]:
        """Rows that a person should look at, most telling first."""
        seen = self.overview or Overview()
        found: list[Entry] = []
        if seen.disagreements:
            says = f"{_plural(seen.disagreements, 'row')} where judge and people disagree"
            found.append(Entry(Target.BROWSE, "v", "Disagreement", says, REVIEW_DISAGREEMENT))
        if seen.unsure:
            says = f"{_plural(seen.unsure, 'row')} of which the judge is not sure"
            found.append(Entry(Target.BROWSE, "u", "Unsure", says, REVIEW_UNSURE))
        return found

    @property
    def models(self) -> Sequence[ModelRefusals]:
        return self.overview.models if self.overview else ()


def model_filter(model: str | None) -> str:
    """The Browse filter for the labelled rows of one model."""
    if model is None:
        return "has:judge -model:*"
    return f'has:judge model:"{model.replace(chr(34), chr(34) * 2)}"'


def todo(line: JobLine) -> str:
    """What to press on the Job screen of a job that needs somebody."""
    if line.word == "pilot done":
        return "r to do all rows"
    if line.state is JobState.FAILED:
        return "R to retry failed rows" if line.failed else "r to try again"
    return "r to go on"


def _plural(number: int, noun: str) -> str:
    return f"{count(number)} {noun}{'' if number == 1 else 's'}"
