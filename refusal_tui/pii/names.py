"""Whose name is that? An optional extra: presidio with a language model of spaCy, which has to be downloaded first.

    pip install 'refusal-tui[pii-names]' && python -m spacy download en_core_web_lg

Names are not found without it: a list of names would call Mark, Will and Paris persons and miss most of the world's.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from refusal_tui.errors import UnavailableError
from refusal_tui.pii.find import find_pii
from refusal_tui.pii.spans import PiiSpan, PiiType

_LEAST_SCORE = 0.6


def require_presidio() -> None:
    """Raises UnavailableError where presidio is not installed; imports nothing."""
    if find_spec("presidio_analyzer") is None:
        raise _unavailable()


def find_with_names() -> Callable[[str], list[PiiSpan]]:
    """`find_pii` with names of persons beside it. Raises UnavailableError where presidio or its model is missing."""
    try:
        from presidio_analyzer import AnalyzerEngine  # type: ignore[import-not-found,unused-ignore]

        engine = AnalyzerEngine()
    except (ImportError, OSError, SystemExit) as error:
        raise _unavailable() from error

    def find(text: str) -> list[PiiSpan]:
        spans = find_pii(text)
        for hit in engine.analyze(text=text, language="en", entities=["PERSON"], score_threshold=_LEAST_SCORE):
            if all(hit.end <= span.start or hit.start >= span.end for span in spans):
                spans.append(PiiSpan(hit.start, hit.end, PiiType.NAME, "presidio", False))
        return sorted(spans)

    return find


def _unavailable() -> UnavailableError:
    return UnavailableError(
        "Names of persons are found by presidio and a spaCy model, which are not installed here.",
        "pip install 'refusal-tui[pii-names]' && python -m spacy download en_core_web_lg; or leave --names out.",
    )
