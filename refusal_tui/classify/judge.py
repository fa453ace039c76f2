"""How does a trained classifier label rows? As a judge like the others, offline, from the text alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from refusal_tui.classify.classifier import Classifier, HeadSettings
from refusal_tui.classify.folder import classifier_folder
from refusal_tui.errors import InputError
from refusal_tui.labels.derive import BOOLEAN_HEADS, REFUSAL3
from refusal_tui.labels.heads import JAILBREAK_SUCCESS
from refusal_tui.labels.rows import Row
from refusal_tui.labels.verdict import Answer, ErrorClass, Refusal3, RowError, Verdict
from refusal_tui.store.workspace import Workspace

_NONE = Refusal3.NONE.value
_YES_NO = (*BOOLEAN_HEADS, JAILBREAK_SUCCESS)


class ClassifierJudge:
    """The `Judge` around a classifier; its annotator is `judge:classifier/NAME`.

    A head of refusal3 answers refusal3; one that tells "none" from a single other class answers `response_refusal`, one
    of a yes/no head that head. A classifier of two heads answers both. Raises InputError for other classes.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self.name = f"classifier/{classifier.settings.name}"
        self.version = classifier.settings.version
        self._answers = [_answers_of(classifier.settings.name, head) for head in classifier.settings.heads]
        self._question_set = "+".join(question for question, _ in self._answers)

    async def judge(self, batch: Sequence[Row]) -> list[Verdict | RowError]:
        """In the order of the batch; a row without a response is an error, unless only prompts are read."""
        settings = self._classifier.settings
        needs_response = settings.text != "prompt"
        rows = [row for row in batch if not needs_response or (row.response and row.response.strip())]
        of_heads = self._classifier.all_probabilities(
            [row.prompt for row in rows], [row.response or "" for row in rows]
        )
        found = {}
        for place, row in enumerate(rows):
            answers, said = {}, []
            for head, (question, values), shares in zip(settings.heads, self._answers, of_heads, strict=True):
                chances = shares[place].tolist()
                best = chances.index(max(chances))
                answers[question] = Answer(values[best], round(chances[best], 4))
                said += [f"{name} {chance:.2f}" for name, chance in zip(head.classes, chances, strict=True)]
            found[row.item_id] = Verdict(
                item_id=row.item_id,
                annotator=f"judge:{self.name}",
                question_set=self._question_set,
                version=self.version,
                answers=answers,
                rationale=", ".join(said),
            )
        return [found.get(row.item_id) or _nothing(row) for row in batch]


def classifier_judge(workspace: Workspace, name: str, *, device: str = "auto") -> ClassifierJudge:
    """The judge of a classifier of this workspace. Raises InputError for one that does not exist."""
    with closing(workspace.open()) as connection:
        folder = classifier_folder(workspace, connection, name)
    return ClassifierJudge(Classifier.load(folder, device=device))


def _answers_of(name: str, head: HeadSettings) -> tuple[str, tuple[str | bool, ...]]:
    """The question that the classes answer, and the answer that each of them is."""
    classes = head.classes
    if head.head == REFUSAL3 and set(classes) <= set(Refusal3):
        return REFUSAL3, classes
    if head.head == REFUSAL3 and len(classes) == 2 and _NONE in classes:
        return "response_refusal", tuple(one != _NONE for one in classes)
    if head.head in _YES_NO and set(classes) == {"yes", "no"}:
        return head.head, tuple(one == "yes" for one in classes)
    raise InputError(
        f"The classes {', '.join(classes)} of the classifier {name!r} are no label of {head.head} that a judge may "
        "give.",
        f"Judges answer refusal3 (none, hard, soft) and the yes/no heads {', '.join(_YES_NO)}.",
    )


def _nothing(row: Row) -> RowError:
    return RowError(row.item_id, ErrorClass.NO_RESPONSE, "The item has no response: there is nothing to judge.")
