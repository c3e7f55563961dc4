"""Moments as whole nanoseconds since 1970-01-01T00:00:00Z, and their spellings in a record.

An `int` of nanoseconds is exact over the years 0001 to 9999, compares fast, and has no zone to forget. A `datetime`
holds microseconds only, so it is made at the edge, for people.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

__all__ = [
    "KEY_TIME_LENGTH",
    "MAX_NS",
    "MIN_NS",
    "from_datetime",
    "from_rfc3339",
    "is_key_time",
    "to_canonical",
    "to_datetime",
    "to_key_time",
    "to_microseconds",
]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1_000_000_000
MIN_NS: Final = -62_135_596_800 * _SECOND  # 0001-01-01T00:00:00Z
MAX_NS: Final = 253_402_300_800 * _SECOND - 1  # 9999-12-31T23:59:59.999999999Z
KEY_TIME_LENGTH: Final = 24  # YYYY-MM-DDTHH:MM:SS.mmmZ

# RFC 3339, section 5.6, with its note that `T` and `Z` may be lower case and `T` a space. No offset means UTC.
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?", flags=re.ASCII
)


def from_rfc3339(text: str) -> int:
    """Nanoseconds of an RFC 3339 moment with at most nine fractional digits; none for the offset means UTC.

    Raises ValueError for anything else: no such day, a leap second (which a UTC clock can not carry on from), an
    offset of a day or more, or a moment outside of the years 0001 to 9999 in UTC.
    """
    # Nearly all are spelled like this, and many share their minutes: then it is half the price.
    if isinstance(text, str) and 22 <= (length := len(text)) <= 30 and text[19] == "." and text[-1] == "Z":
        digits = text[17:19] + text[20:-1]  # of the second and its fraction
        if digits < "6" and digits.isascii() and digits.isdigit():
            return _minute(text[:17]) + int(digits) * _POWERS[length]
    return _in_any_spelling(text)


_POWERS: Final[tuple[int, ...]] = tuple(10 ** max(0, 30 - length) for length in range(31))


@lru_cache(maxsize=4_096)
def _minute(text: str) -> int:
    return _in_any_spelling(f"{text}00Z")


def _in_any_spelling(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("not RFC 3339 with at most nine fractional digits")
    day, clock, fraction, offset = match.groups()
    if clock.startswith("24"):  # ISO 8601 and Python from 3.13 on take it for the next day; RFC 3339 does not
        raise ValueError("hour must be in 0..23")
    seconds = _seconds(datetime.fromisoformat(f"{day}T{clock}+00:00"))
    if offset is not None and offset not in "Zz":
        if offset[4:] > "59" or offset[1:3] > "23":
            raise ValueError("the offset is not between -23:59 and +23:59")
        shift = int(offset[1:3]) * 3600 + int(offset[4:]) * 60
        seconds += shift if offset[0] == "-" else -shift
    ns = seconds * _SECOND + (int(fraction.ljust(9, "0")) if fraction else 0)
    if not MIN_NS <= ns <= MAX_NS:
        raise ValueError("outside of the years 0001 to 9999 in UTC")
    return ns


def is_key_time(text: str) -> bool:
    """Whether `text` is exactly the canonical spelling of a time in a sort key (the day itself is not checked)."""
    return _KEY_TIME.fullmatch(text) is not None


_KEY_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", flags=re.ASCII)


def from_datetime(value: datetime) -> int:
    """Nanoseconds of an aware datetime. A naive one is a TypeError: it does not say which moment it means."""
    if value.utcoffset() is None:
        raise TypeError("a naive datetime names no moment; give it a tzinfo, for example datetime.UTC")
    delta = value - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * _SECOND + delta.microseconds * 1_000


def to_datetime(ns: int) -> datetime:
    """The aware UTC datetime of a moment, floored to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1_000)


def to_key_time(ns: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.mmmZ`, floored to the millisecond: the one spelling in which text sorts as time."""
    return f"{_to_second(ns // _SECOND)}.{ns % _SECOND // 1_000_000:03d}Z"


def to_microseconds(ns: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.uuuuuuZ`, floored to the microsecond: the spelling of `recordedAt`."""
    return f"{_to_second(ns // _SECOND)}.{ns % _SECOND // 1_000:06d}Z"


def to_canonical(ns: int) -> str:
    """`YYYY-MM-DDTHH:MM:SS.nnnnnnnnnZ`: the full moment in one spelling, for people and for digests."""
    return f"{_to_second(ns // _SECOND)}.{ns % _SECOND:09d}Z"


@lru_cache(maxsize=64)  # what is recorded, or asked, within one second has it in common
def _to_second(seconds: int) -> str:
    day, second = divmod(seconds, 86_400)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return f"{_to_day(day)}T{hour:02d}:{minute:02d}:{second:02d}"


@lru_cache(maxsize=64)  # the events of a batch lie on few days
def _to_day(days: int) -> str:
    return (_EPOCH + timedelta(days=days)).date().isoformat()


def _seconds(value: datetime) -> int:
    delta = value - _EPOCH
    return delta.days * 86_400 + delta.seconds
