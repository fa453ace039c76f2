"""A person at the keys, end to end in a real terminal: what is sent, what is kept, what a kill leaves."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.review.annotator import KEYS, Work, label, open_card, queue_of, stored

pytestmark = pytest.mark.pty
MAX_BYTES = 10_000


def annotate(folder: Path, labels: int) -> Work:
    workspace = queue_of(folder, labels * 2, labels)
    work, chance = Work(), random.Random(5)
    with open_card(workspace) as program:
        for card in range(1, labels + 1):
            label(program, work, card, chance.choice(list(KEYS)), last=card == labels)
        program.send("\x11")  # ctrl+q
        assert program.wait() == 0
    assert stored(workspace) == {card: KEYS[key] for card, key in work.keys.items()}
    return work


def told(work: Work) -> str:
    times = sorted(work.seconds)
    return (f"{len(times)} labels: median {1000 * times[len(times) // 2]:.0f} ms, "
            f"p95 {1000 * times[int(0.95 * len(times))]:.0f} ms, at most {max(work.sent):,} bytes")  # fmt: skip


def test_a_hundred_labels_are_a_hundred_keys_and_little_is_sent(tmp_path: Path, record_property) -> None:
    work = annotate(tmp_path / "w", 100)
    record_property("annotator", told(work))
    assert max(work.sent) < MAX_BYTES


@pytest.mark.nightly
def test_a_thousand_labels(tmp_path: Path, capsys) -> None:
    work = annotate(tmp_path / "w", 1000)
    with capsys.disabled():
        print(f"\n{told(work)}")
    assert max(work.sent) < MAX_BYTES


def kills(folder: Path, times: int) -> None:
    """Label a few cards, kill -9 as soon as the next card is painted, look, and go on where it was."""
    workspace = queue_of(folder, times * 8, times * 8)
    work, chance = Work(), random.Random(11)
    card = 1
    for _ in range(times):
        with open_card(workspace) as program:
            program.wait_for(f"card {card} ")
            for _ in range(chance.randint(1, 5)):
                label(program, work, card, chance.choice(list(KEYS)))
                card += 1
            program.signal(signal.SIGKILL)
            program.process.wait()
        assert stored(workspace) == {done: KEYS[key] for done, key in work.keys.items()}


def test_a_kill_after_the_next_card_is_painted_loses_nothing(tmp_path: Path) -> None:
    kills(tmp_path / "w", 5)


@pytest.mark.nightly
def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    kills(tmp_path / "w", 100)


def test_two_people_at_once_share_a_queue_without_a_double_or_a_loss(tmp_path: Path) -> None:
    workspace = queue_of(tmp_path / "w", 60, 60)
    with open_card(workspace, "ada") as ada, open_card(workspace, "bob") as bob:
        for _ in range(70):
            ada.send("h")
            ada.pump(0.02)
            bob.send("s")
            bob.pump(0.02)
        ada.wait_for("Nothing is left")
        bob.wait_for("Nothing is left")
    assert len(stored(workspace)) == 60
    values = list(stored(workspace).values())
    assert set(values) == {"hard", "soft"}
