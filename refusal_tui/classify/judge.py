"""How does a trained classifier label rows? As a judge like the others, offline, from the text alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from refusal_tui.classify.classifier import Classifier, ClassifierSettings
from refusal_tui.classify.folder import classifier_folder
from refusal_tui.errors import InputError
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import Answer, ErrorClass, Refusal3, RowError, Verdict
from refusal_tui.store.workspace import Workspace

_NONE = Refusal3.NONE.value


class ClassifierJudge:
    """The `Judge` around a classifier; its annotator is `judge:classifier/NAME`.

    A classifier of refusal3 answers refusal3; one that tells "none" from a single other class answers
    `response_refusal`, one of a yes/no head that head. Raises InputError for other classes.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.name = f"classifier/{classifier.settings.name}"
        self.version = classifier.settings.version
        self._question, self._values = _answers_of(classifier.settings)

    async def judge(self, batch: Sequence[Row]) -> list[Verdict | RowError]:
        """In the order of the batch; a row without a response is an error, unless only prompts are read."""
        settings = self._classifier.settings
        needs_response = settings.text != "prompt"
        rows = [row for row in batch if not needs_response or (row.response and row.response.strip())]
        shares = self._classifier.probabilities([row.prompt for row in rows], [row.response or "" for row in rows])
        found = {}
        for row, chances in zip(rows, shares.tolist(), strict=True):
            best = chances.index(max(chances))
            found[row.item_id] = Verdict(
                item_id=row.item_id,
                annotator=f"judge:{self.name}",
                question_set=self._question,
                version=self.version,
                answers={self._question: Answer(self._values[best], round(chances[best], 4))},
                rationale=", ".join(f"{name} {chance:.2f}" for name, chance in zip(settings.classes, chances)),
            )
        return [found.get(row.item_id) or _nothing(row) for row in batch]


def classifier_judge(workspace: Workspace, name: str, *, device: str = "auto") -> ClassifierJudge:
    """The judge of a classifier of this workspace. Raises InputError for one that does not exist."""
    with closing(workspace.open()) as connection:
        folder = classifier_folder(workspace, connection, name)
    return ClassifierJudge(Classifier.load(folder, device=device))


def _answers_of(settings: ClassifierSettings) -> tuple[str, tuple[str | bool, ...]]:
    """The question that the classes answer, and the answer that each of them is."""
    classes = settings.classes
    if settings.head == REFUSAL3 and set(classes) <= set(Refusal3):
        return REFUSAL3, classes
    if settings.head == REFUSAL3 and len(classes) == 2 and _NONE in classes:
        return "response_refusal", tuple(name != _NONE for name in classes)
    if settings.head in BOOLEAN_HEADS and set(classes) == {"yes", "no"}:
        return settings.head, tuple(name == "yes" for name in classes)
    raise InputError(
        f"The classes {', '.join(classes)} of the classifier {settings.name!r} are no label of {settings.head} that a "
        "judge may give.",
        f"Judges answer refusal3 (none, hard, soft) and the yes/no heads {', '.join(BOOLEAN_HEADS)}.",
    )


def _nothing(row: Row) -> RowError:
    return RowError(row.item_id, ErrorClass.NO_RESPONSE, "The item has no response: there is nothing to judge.")
