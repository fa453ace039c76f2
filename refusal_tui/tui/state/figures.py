"""How are numbers said on a screen? Short, with one unit, the same everywhere; plain text only."""

from __future__ import annotations


def count(number: int) -> str:
    """
    >>> count(1234567)
    '1,234,567'
    """
    return f"{number:,}"


def rate(per_second: float | None) -> str:
    """Rows per second with two or three digits that mean something; "" where it is not known.

    >>> rate(12345.6), rate(7.25), rate(0.25), rate(None)
    ('12,346/s', '7.2/s', '15/min', '')
    """
    if per_second is None:
        return ""
    if per_second >= 10 or per_second == 0:
        return f"{per_second:,.0f}/s"
    if per_second >= 1:
        return f"{per_second:.1f}/s"
    return f"{per_second * 60:.0f}/min"


def duration(seconds: float | None) -> str:
    """Two units at most, so that the width hardly changes.

    >>> [duration(s) for s in (0.4, 42, 75, 3700, 200_000, None)]
    ['under 1 s', '42 s', '1 min 15 s', '1 h 01 min', '2 d 7 h', '']
    """
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 1:
        return "under 1 s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def percent(fraction: float | None) -> str:
    """Never 100 % before the end, nor 0 % after the beginning.

    >>> percent(0.9999), percent(0.0001), percent(1.0), percent(None)
    ('99 %', '1 %', '100 %', '')
    """
    if fraction is None:
        return ""
    if 0 < fraction < 1:
        return f"{min(99, max(1, round(fraction * 100)))} %"
    return f"{fraction * 100:.0f} %"


def bar(fraction: float | None, width: int) -> str:
    """A progress bar of `width` cells; full only at the end. Unknown progress is an empty bar.

    >>> bar(0.5, 10), bar(0.999, 4), bar(None, 3)
    ('█████░░░░░', '███░', '░░░')
    """
    filled = int((fraction or 0.0) * width)
    return "█" * filled + "░" * (width - filled)


def ago(seconds: float) -> str:
    """How long ago, in one unit: it changes rarely, so that an idle screen stays still.

    >>> ago(5), ago(300), ago(7200), ago(400_000)
    ('just now', '5 min ago', '2 h ago', '4 d ago')
    """
    if seconds < 60:
        return "just now"
    if seconds < 3600:
        return f"{int(seconds // 60)} min ago"
    if seconds < 86_400:
        return f"{int(seconds // 3600)} h ago"
    return f"{int(seconds // 86_400)} d ago"
