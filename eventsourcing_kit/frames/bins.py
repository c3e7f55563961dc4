"""Bins of time: what happened when, counted, so that a chart of a million events is as small as one of ten."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["BINS", "DAY", "HOUR", "MINUTE", "MS", "SECOND", "binned"]

BINS: Final = 80  # at most

MS: Final = 1_000_000
SECOND: Final = 1_000 * MS
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
# Each one is a multiple of the one before it, so that counts of narrow bins add up to those of wide ones.
_WIDTHS: Final = (
    *(MS, 10 * MS, 100 * MS, SECOND, 5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR),
    *(
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        7 * DAY,
        28 * DAY,
        84 * DAY,
        336 * DAY,
        3_360 * DAY,
        33_600 * DAY,
        336_000 * DAY,
    ),
)
_HELD: Final = 10_000  # bins that are counted at once


def binned(events: Iterable[tuple[int | None, str]]) -> tuple[Counter[tuple[int, str]], int]:
    """Counts by bin and type, and how wide a bin is: at most `BINS` of them from the first moment to the last one."""
    widths = iter(_WIDTHS)
    width = next(widths)
    counts: Counter[tuple[int, str]] = Counter()
    for moment, type_ in events:
        if moment is None:
            continue
        counts[moment // width, type_] += 1
        if len(counts) > _HELD and (wider := next(widths, None)):
            counts, width = _widened(counts, wider // width), wider
    while counts and max(counts)[0] - min(counts)[0] >= BINS and (wider := next(widths, None)):
        counts, width = _widened(counts, wider // width), wider
    return counts, width


def _widened(counts: Counter[tuple[int, str]], times: int) -> Counter[tuple[int, str]]:
    wide: Counter[tuple[int, str]] = Counter()
    for (number, type_), count in counts.items():
        wide[number // times, type_] += count
    return wide
