"""How long something took, in words for people."""

from __future__ import annotations

from typing import Final

__all__ = ["duration"]

_SECOND: Final = 1_000_000_000
_MINUTE: Final = 60 * _SECOND
_UNITS: Final = (
    (24 * 60 * _MINUTE, "d", 60 * _MINUTE, "h"),
    (60 * _MINUTE, "h", _MINUTE, "min"),
    (_MINUTE, "min", _SECOND, "s"),
)


def duration(ns: int) -> str:
    """`2 d 1 h`, `3 min 12 s`, `1.205 s`, `31 ms`, `870 ns`: the two largest units, the rest cut off. `-` where less
    than nothing."""
    if ns < 0:
        return f"-{duration(-ns)}"
    for size, name, small, small_name in _UNITS:
        if ns >= size:
            rest = ns % size // small
            return f"{ns // size} {name}" + (f" {rest} {small_name}" if rest else "")
    if ns >= _SECOND:
        return f"{ns // 1_000_000 / 1_000:g} s"
    for size, name in ((1_000_000, "ms"), (1_000, "us")):
        if ns >= size:
            return f"{ns // size} {name}"
    return f"{ns} ns" if ns else "0 s"
