"""What may a user set for a labelling job?"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from pydantic import Field

from refusal_tui.jobs.judging import CLASSIFIER, DEFAULT_JUDGE, OFFLINE_JUDGES, check_classifier
from refusal_tui.jobs.lanes import check_batch, lane_of
from refusal_tui.jobs.spec import ENDPOINTS, JobSpec, SpecError, not_for, only_for
from refusal_tui.store.outcomes import ONE_UNIT, Unit

if TYPE_CHECKING:
    from refusal_tui.jobs.estimate import Asks

JudgeName = Literal[
    "linear", "lexical", "atoms", "wildguard", "sorry-bench", "xstest", "roberta", "strongreject", "refusal-strict",
    "refusal-lenient", "or-bench", "helpfulness", "classifier",
]  # fmt: skip
_ALONE = (*OFFLINE_JUDGES, CLASSIFIER)  # they ask no end point
LLM_JUDGES = tuple(name for name in get_args(JudgeName) if name not in _ALONE)
SECOND, ARBITER, ORDER = "second", "arbiter", "order"  # the stages of votes that only some rows need
_MODEL = not_for(judge=_ALONE)
_NEEDS_MODEL = (
    "panel", "second_pass", "arbiter", "order_sample", "contextual", "permute", "canaries", "free_first", "batch",
    "max_cost", "max_tokens",
)  # fmt: skip


class LabelSpec(JobSpec):
    """Settings of `refusal-tui run label`. Version 2: judges that ask a language model. Version 3: `linear` where no
    judge is named; it was `lexical`."""

    VERSION: ClassVar[int] = 3
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset({"max_cost", "max_tokens", "max_minutes", "max_rate"})

    judge: JudgeName = Field(
        DEFAULT_JUDGE,
        description="who judges; linear and lexical work offline, from the text alone, others ask a model",
    )
    endpoint: str | None = Field(
        None, description=f"the language model that judges {ENDPOINTS}", json_schema_extra=_MODEL
    )
    classifier: str | None = Field(
        None,
        description="which of the workspace's own classifiers judges (refusal-tui run train-classifier)",
        json_schema_extra=only_for(judge=CLASSIFIER),
    )
    questions: str = Field(
        "style,harms,topics",
        description="what 'atoms' is asked beside the atoms, comma-separated, or 'none'",
        json_schema_extra=only_for(judge="atoms"),
    )
    permute: bool = Field(False, description="put the choices in another order for every row", json_schema_extra=_MODEL)
    panel: str = Field(
        "",
        description="more end points, comma-separated, that give a vote of their own on every row",
        json_schema_extra=_MODEL,
    )
    second_pass: float | None = Field(
        None, gt=0, le=1,
        description="ask again, choices in another order, where the judge is less sure than this, where the offline "
        "judge disagrees, or where the answers contradict each other", json_schema_extra=_MODEL,
    )  # fmt: skip
    arbiter: str | None = Field(
        None, description="end point that is asked, too, where the votes on a row differ", json_schema_extra=_MODEL
    )
    consensus: Literal["none", "majority", "dawid-skene"] = Field(
        "majority",
        description="what is made of a panel's votes when the job ends: one more annotator, or nothing "
        "(refusal-tui consensus JOB does it again)",
        json_schema_extra=_MODEL,
    )
    order_sample: float | None = Field(
        None, gt=0, le=1,
        description="ask this share of the rows, drawn at random, again with the choices in another order, to measure "
        "how often the order alone changes the label", json_schema_extra=_MODEL,
    )  # fmt: skip
    contextual: bool = Field(
        False,
        description="take off what the judge leans to before it has read anything: its probabilities are divided by "
        "those for texts without content (judges of one question, at end points that tell probabilities)",
        json_schema_extra=_MODEL,
    )
    free_first: bool = Field(
        False, description="keep the offline judge's label of rows that it is sure of", json_schema_extra=_MODEL
    )
    canaries: int = Field(
        0, ge=0, le=50, description="how many rows that talk to the judge are mixed in", json_schema_extra=_MODEL
    )
    batch: bool = Field(
        False,
        description="send the requests through the provider's Batch API: half the price, answers within 24 hours",
        json_schema_extra=_MODEL,
    )
    max_cost: float | None = Field(
        None, gt=0, description="pause before this many US dollars are passed", json_schema_extra=_MODEL
    )
    max_tokens: int | None = Field(
        None, gt=0, description="pause before this many tokens are passed", json_schema_extra=_MODEL
    )
    max_minutes: float | None = Field(None, gt=0, description="pause after this many minutes at work")
    max_rate: float | None = Field(
        None, gt=0, le=100_000, description="at most so many rows per second (leave empty for full speed)"
    )

    @classmethod
    def upgrade(cls, data: dict[str, Any], version: int) -> dict[str, Any]:
        return {"judge": "lexical", **data}

    def check(self) -> None:
        if (self.judge == CLASSIFIER) != bool(self.classifier):
            needed = self.judge == CLASSIFIER
            raise SpecError({"classifier": "is needed" if needed else f"is for --judge {CLASSIFIER}"})
        if not self.offline:
            if not self.endpoint:
                raise SpecError({"endpoint": f"is needed: the judge {self.judge} asks a language model"})
            if len(set(self.voters)) < len(self.voters):
                raise SpecError({"panel": "names an end point twice"})
            return
        needless = [name for name in ("endpoint", *_NEEDS_MODEL) if getattr(self, name)]
        if needless:
            raise SpecError(dict.fromkeys(needless, "is for judges that ask a language model"))

    def check_in(self, connection: sqlite3.Connection) -> None:
        if self.classifier:
            check_classifier(connection, self.classifier)
        if self.offline:
            return
        from refusal_tui.judge.interview import questions_of
        from refusal_tui.store.endpoints import get_endpoint

        questions_of(self.judge, self.beside)
        for name in self.asked:
            get_endpoint(connection, name)
        if self.contextual:
            self._check_contextual(connection)
        if self.batch:
            check_batch(connection, self.asked)

    def _check_contextual(self, connection: sqlite3.Connection) -> None:
        from refusal_tui.judge.interview import questions_of
        from refusal_tui.llm.ladder import Capabilities
        from refusal_tui.store.endpoints import get_endpoint

        questions = questions_of(self.judge, self.beside).questions
        told = [Capabilities.from_json(get_endpoint(connection, name).capabilities).logprobs for name in self.asked]
        if len(questions) > 1 or questions[0].several or not all(told):
            raise SpecError(
                {"contextual": "is for judges of one question, at end points that tell log-probabilities (probe them)"}
            )

    def asks(self, connection: sqlite3.Connection) -> Sequence[Asks]:
        from refusal_tui.judge.asks import label_asks

        return label_asks(self, connection)

    def units(self) -> Sequence[Unit]:
        """A vote of every end point, then those that only some rows need."""
        if self.offline:
            return ONE_UNIT
        later = {SECOND: self.second_pass, ARBITER: self.arbiter, ORDER: self.order_sample}
        asked_for = [Unit(stage) for stage, setting in later.items() if setting is not None]
        return [*(Unit("", k) for k in range(len(self.voters))), *asked_for]

    def title(self) -> str:
        if self.classifier:
            return f"label with {self.classifier}"
        return f"label with {self.judge}" + ("" if self.offline else f" by {', '.join(self.voters)}")

    def lane(self, connection: sqlite3.Connection) -> str | None:
        return None if self.offline else lane_of(connection, self.asked)

    @property
    def offline(self) -> bool:
        """Whether it labels from the text alone, and no end point is asked."""
        return self.judge in _ALONE

    @property
    def own_name(self) -> str:
        """The name of an offline judge behind `judge:`."""
        return f"{CLASSIFIER}/{self.classifier}" if self.classifier else self.judge

    @property
    def voters(self) -> tuple[str, ...]:
        """The end points that give a vote on every row."""
        more = (name.strip() for name in self.panel.split(","))
        return tuple(name for name in (self.endpoint or "", *more) if name)

    @property
    def asked(self) -> list[str]:
        """Every end point that the job may ask, once."""
        return list(dict.fromkeys([*self.voters, *([self.arbiter] if self.arbiter else [])]))

    @property
    def beside(self) -> str:
        """The question sets asked in the same request as the judge's own."""
        return self.questions if self.judge == "atoms" and self.questions != "none" else ""
