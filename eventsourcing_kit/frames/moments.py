"""A column of moments, as records have them: as text, which an Arrow library reads for a whole block at once."""

from __future__ import annotations

import re
from typing import Final

from eventsourcing_kit.moment import from_rfc3339

__all__ = ["Moments"]

_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_is_plain = re.compile(rb"0000-00-00T00:00:00(?:\.0{1,9})?(?:Z|\+00:00)?").fullmatch


class Moments(list[int | str | None]):
    """Each is nanoseconds since 1970, or None, or text from a record: RFC 3339, or what an older writer left there."""

    def ns(self) -> list[int | None]:
        """Each in nanoseconds; None for text that names no moment."""
        return [_read(each) if isinstance(each, str) else each for each in self]

    def are_plain(self) -> bool:
        """Whether all are texts which Arrow's own reader takes for the same moments as `from_rfc3339` does; only a day
        that no month has is null to the one, and an error to the other.

        Told of all at once: with each digit made a 0, few spellings are left. What Arrow would carry on from, a 60th
        second and the year 0, is no moment here; nor are any other offset and the first thousand years plain.
        """
        try:
            lines = "\n".join(self) + "\n"  # type: ignore[arg-type]  # no text: a TypeError
        except TypeError:
            return False
        shapes = lines.encode("utf-8", "replace").translate(_DIGITS)
        first = shapes[: shapes.find(b"\n") + 1]
        are_alike = shapes == first * len(self)
        # One text with two lines in it would make more lines than there are texts.
        some = [first[:-1]] if are_alike else shapes[:-1].split(b"\n")
        if len(some) not in (1, len(self)) or not all(map(_is_plain, {*some})):
            return False
        if "+" in lines and lines.count("+") != lines.count("+00:00"):
            return False
        if are_alike:  # so it is known where each has its thousands of years and its tens of seconds
            return "0" not in lines[:: len(first)] and "6" not in lines[17 :: len(first)]
        return ":6" not in lines and "\n0" not in f"\n{lines}"


def _read(text: str) -> int | None:
    try:
        return from_rfc3339(text)
    except ValueError:
        return None
