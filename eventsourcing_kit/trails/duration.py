"""How long something took, as the grammar of times spells it: `2d14h`."""

from __future__ import annotations

from typing import Final

__all__ = ["duration", "gap_in_words"]

_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR


def duration(ns: int) -> str:
    """`2d14h`, `3m12s`, `1.205s`, `31ms`, `870ns`: the two largest units, what is below them cut off; `-5ms`."""
    if ns < 0:
        return f"-{duration(-ns)}"
    for size, name, small, small_name in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "m"),
        (_MINUTE, "m", _SECOND, "s"),
    ):
        if ns >= size:
            rest = ns % size // small
            return f"{ns // size}{name}" + (f"{rest}{small_name}" if rest else "")
    if ns >= _SECOND:
        return f"{ns // 1_000_000 / 1_000:g}s"
    for size, name in ((1_000_000, "ms"), (1_000, "us")):
        if ns >= size:
            return f"{ns // size}{name}"
    return f"{ns}ns" if ns else "0s"


def gap_in_words(ns: int | None) -> str:
    """The time since a cause: `+31ms`, `-5ms` for an effect before its cause, and nothing where there is no cause."""
    if ns is None:
        return ""
    return duration(ns) if ns < 0 else f"+{duration(ns)}"
