"""What does an annotator's desk hold? The card, what was answered so far, the cards ahead, the way back, the pace."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from refusal_tui.labels.verdict import Answer
from refusal_tui.review.questions import Asked, Sheet
from refusal_tui.store.review_answers import OwnProgress
from refusal_tui.store.review_cards import Card
from refusal_tui.store.review_queues import Queue, View
from refusal_tui.store.review_work import CardState

AHEAD = 20
FEW_AHEAD = 10  # fewer than these, and more are fetched
PACE_CARDS = 20  # the pace is that of the last so many
PAUSE_SECONDS = 300.0  # a longer look at one card is a pause, and no measure of pace
BREAK_SECONDS = 45 * 60.0  # without a pause
VIEWS = (View.PAIR, View.PROMPT, View.RESPONSE)


@dataclass(frozen=True, slots=True)
class JudgeSays:
    """What a judge says about one question."""

    judge: str
    head: str
    value: str
    probability: float | None


@dataclass(frozen=True, slots=True)
class Last:
    """The card just dealt with: what was said of it (None: skipped), and what judges said where that may be shown."""

    position: int
    said: tuple[str, ...] | None
    judges: tuple[JudgeSays, ...] = ()
    taken_back: bool = False


@dataclass
class Desk:
    """One annotator at one queue."""

    queue: Queue
    annotator: str
    sheet: Sheet
    progress: OwnProgress
    trail: list[int] = field(default_factory=list)  # answered cards, in the order of the answers
    card: Card | None = None
    ahead: deque[Card] = field(default_factory=deque)
    looking_at: int | None = None  # index into the trail while looking back
    waiting: Card | None = None  # the card to come back to
    step: int = 0  # which question
    given: dict[str, str | bool] = field(default_factory=dict)
    picked: set[str] = field(default_factory=set)  # keys of a question with several answers
    revealed: bool = False  # the judges' labels are on the screen
    lifted: bool = False  # the veil over this card's text
    read: bool = False  # the card's text has been on the screen without a veil
    mark: tuple[int, int] | None = None  # which piece of evidence was jumped to, of how many
    view: View = View.PAIR
    blur: bool = False
    last: Last | None = None
    shown_at: float = 0.0
    times: deque[float] = field(default_factory=lambda: deque(maxlen=PACE_CARDS))
    since_pause: float | None = None

    def __post_init__(self) -> None:
        self.view, self.blur = self.queue.settings.view, self.queue.settings.blur

    # --- which card ----------------------------------------------------------------------------------------------

    def show(self, card: Card | None, now: float) -> None:
        """Lay a card on the desk."""
        self.card = card
        self.step, self.picked, self.lifted, self.shown_at = 0, set(), False, now
        self.given, self.mark, self.read = {}, None, not self.veiled
        self.revealed = card is not None and not self.queue.settings.blind
        if card is not None:
            self._prefill(card)

    def next(self, now: float) -> None:
        """The card that waits, or the next one ahead."""
        card, self.waiting, self.looking_at = self.waiting, None, None
        if card is None and self.ahead:
            card = self.ahead.popleft()
        self.show(card, now)

    def start_over(self, now: float) -> None:
        """The cards in hand are out of date: drop those ahead, and take the one that waits or none."""
        self.ahead.clear()
        self.next(now)

    def arrived(self, cards: Sequence[Card], progress: OwnProgress, now: float) -> bool:
        """More cards from the queue; returns whether one of them is laid on an empty desk."""
        known = self.in_hand.union(self.trail)  # keys may have been faster than the thread that brings them
        self.ahead.extend(card for card in cards if card.item.position not in known)
        self.progress = progress
        if self.card is None and self.ahead:
            self.next(now)
            return True
        return False

    @property
    def label_before(self) -> int | None:
        """The number of the annotator's label of this card, as it stood when the card was laid here."""
        return self.card.own.verdict_id if self.card is not None and self.card.own is not None else None

    @property
    def in_hand(self) -> set[int]:
        """The cards that are leased to this desk."""
        cards = [*self.ahead, *(card for card in (self.card, self.waiting) if card is not None)]
        return {card.item.position for card in cards}

    @property
    def runs_low(self) -> bool:
        return len(self.ahead) < FEW_AHEAD and len(self.in_hand) < max(self.progress.left, 1)

    def back_to(self) -> int | None:
        """The card that one step back leads to, None at the beginning."""
        at = len(self.trail) if self.looking_at is None else self.looking_at
        return self.trail[at - 1] if at > 0 else None

    def look_back(self, card: Card, now: float) -> None:
        """Lay an answered card on the desk; what was there waits."""
        if self.looking_at is None:
            self.waiting, self.looking_at = self.card, len(self.trail)
        self.looking_at -= 1
        self.show(card, now)
        self.revealed = not card.comes_again and card.item.repeat_of is None and card.own is not None

    def taken_back(self, card: Card, now: float) -> None:
        """A card whose answer was undone is to be answered now; what was on the desk comes after it."""
        current = self.waiting if self.looking_at is not None else self.card
        if current is not None and current.item.position != card.item.position:
            self.ahead.appendleft(current)
        self.waiting = self.looking_at = None
        if card.item.position in self.trail:
            self.trail.remove(card.item.position)
        self.show(card, now)
        self.last = Last(card.item.position, None, taken_back=True)

    # --- answering -----------------------------------------------------------------------------------------------

    @property
    def asked(self) -> Asked:
        """The question that is open."""
        return self.sheet.asked[self.step]

    def press(self, key: str) -> bool:
        """An answer's key. Returns whether everything is answered now."""
        option = self.asked.option(key)
        if option is None:
            return False
        if self.asked.several:
            self.picked ^= {option.key}
            return False
        self.given[self.asked.name] = option.value
        return self._following()

    def enter(self) -> bool:
        """The end of an answer that may have several labels. Returns whether everything is answered now."""
        if not self.asked.several:
            return False
        self.given[self.asked.name] = self.asked.value_of(self.picked)
        return self._following()

    def step_back(self) -> bool:
        """To the question before; returns whether there is one."""
        if self.step == 0:
            return False
        self.step -= 1
        before = self.given.pop(self.asked.name, None)
        self.picked = set(self.asked.chosen(before)) if self.asked.several else set()
        return True

    def _following(self) -> bool:
        if self.step + 1 == len(self.sheet.asked):
            return True
        self.step += 1
        self.picked = self._before(self.asked) if self.asked.several else set()
        return False

    def _prefill(self, card: Card) -> None:
        if self.asked.several:
            self.picked = self._before(self.asked)

    def _before(self, asked: Asked) -> set[str]:
        """The keys of what this annotator has said of the card before."""
        own = self.card.own if self.card else None
        if own is None or own.verdict is None or own.state is not CardState.LABEL:
            return set()
        answer = own.verdict.answers.get(asked.name)
        return set(asked.chosen(answer.value)) if answer else set()

    @property
    def marked(self) -> set[str]:
        """The keys that are lit: what is picked now, or what was said before."""
        return self.picked if self.asked.several else self._before(self.asked)

    def answers(self) -> Mapping[str, Answer]:
        return {asked.name: Answer(self.given[asked.name]) for asked in self.sheet.asked}

    @property
    def heads(self) -> list[str]:
        return [asked.name for asked in self.sheet.asked]

    @property
    def judges_seen(self) -> bool:
        """Whether a judge's label of this row is, or from the beginning was, on the screen."""
        shown = self.revealed or not self.queue.settings.blind
        return shown and self.card is not None and bool(self.card.judges)

    def may_show_judges(self) -> bool:
        """Whether the judges' labels may be told after the answer: not when the same row comes again, silently."""
        card = self.card
        return card is not None and not card.comes_again and bool(card.judges)

    def answered(self, now: float, *, skipped: bool = False) -> None:
        """The answer is on the disk: go on."""
        card = self.card
        if card is None:
            return
        position = card.item.position
        self.last = Last(
            position,
            None if skipped else tuple(str(_word(value)) for value in self.given.values()),
            judges_of(card, self.heads) if not skipped and self.may_show_judges() else (),
        )
        self._count(card, skipped)
        if position in self.trail:
            self.trail.remove(position)
        self.trail.append(position)
        self._clock(now)
        self.next(now)

    def _count(self, card: Card, skipped: bool) -> None:
        was = card.own.state if card.own is not None else CardState.OPEN
        p = self.progress
        labelled = p.labelled + (not skipped) - (was is CardState.LABEL)
        skips = p.skipped + skipped - (was is CardState.SKIP)
        left = p.left - (was is CardState.OPEN)
        self.progress = OwnProgress(labelled, skips, p.flagged, max(left, 0))

    # --- pace ----------------------------------------------------------------------------------------------------

    def seconds(self, now: float) -> float:
        """How long the card has been on the desk."""
        return max(0.0, now - self.shown_at)

    def _clock(self, now: float) -> None:
        spent = self.seconds(now)
        if spent >= PAUSE_SECONDS or self.since_pause is None:
            self.since_pause = now if spent >= PAUSE_SECONDS else self.shown_at
        if spent < PAUSE_SECONDS:
            self.times.append(spent)

    @property
    def per_hour(self) -> int | None:
        total = sum(self.times)
        return round(3600 * len(self.times) / total) if total > 0 and len(self.times) > 2 else None

    @property
    def median_seconds(self) -> float | None:
        return median(self.times) if self.times and sum(self.times) > 0 else None

    def wants_break(self, now: float) -> bool:
        return self.since_pause is not None and now - self.since_pause >= BREAK_SECONDS

    def lift(self) -> None:
        """Take the veil off this card's text, or lay it on again."""
        self.lifted = not self.lifted
        self.read = self.read or not self.veiled

    def turn_blur(self) -> None:
        """Hide texts until a key is pressed, or never."""
        self.blur, self.lifted = not self.blur, False
        self.read = self.read or not self.veiled

    @property
    def veiled(self) -> bool:
        """Whether the text is hidden until a key is pressed."""
        return self.blur and not self.lifted and self.card is not None and not self.card.harmless


def judges_of(card: Card, heads: Sequence[str]) -> tuple[JudgeSays, ...]:
    """What the judges say about these questions: their labels, else their answers; about refusal where nothing fits."""
    return _about(card, heads) or _about(card, ["refusal3"])


def _about(card: Card, heads: Sequence[str]) -> tuple[JudgeSays, ...]:
    found: dict[tuple[str, str], JudgeSays] = {}
    for stored in card.judges:
        judge = stored.verdict.annotator.removeprefix("judge:")
        for head in heads:
            answer = stored.verdict.answers.get(head)
            if answer is not None and answer.value is not None:
                found[judge, head] = JudgeSays(judge, head, _word(answer.value), answer.probability)
    for label in card.labels:
        judge = label.annotator.removeprefix("judge:")
        if label.head in heads:
            found[judge, label.head] = JudgeSays(judge, label.head, label.value, label.probability)
    return tuple(found.values())


def _word(value: str | bool | None) -> str:
    return "yes" if value is True else "no" if value is False else str(value)
