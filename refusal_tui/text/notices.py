"""How does a terminal call somebody back? A bell, or an OSC 9 notice with a sentence.

tmux swallows OSC 9 unless it is wrapped and `allow-passthrough` is on, and some terminals know no OSC 9 at all: so the
bell is the default. The sentence is stripped of everything that could end the sequence early.
"""

from __future__ import annotations

from refusal_tui.text.safe import safe_text

BELL = "\a"
_LONGEST = 200


def notice_sequence(sentence: str, *, bell: bool, osc9: bool, tmux: bool) -> str:
    """What to write to the terminal; "" where nothing is wanted.

    >>> notice_sequence("Job 3 is done.", bell=True, osc9=True, tmux=False)
    '\\x07\\x1b]9;Job 3 is done.\\x07'
    """
    said = BELL if bell else ""
    if osc9:
        bare = f"\x1b]9;{safe_text(sentence, newlines=False)[:_LONGEST]}\a"
        said += "\x1bPtmux;" + bare.replace("\x1b", "\x1b\x1b") + "\x1b\\" if tmux else bare
    return said
