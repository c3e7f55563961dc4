"""The one grammar in which people name moments: for `at`, `known_at` and `start`, in Python and on the command line.

    2026-03-01T11:03:27.123456789+01:00   ISO 8601, extended format; up to nine fractional digits; `Z` or an offset
    2026-03-01 11:03                      no offset: on the clocks of `tz`; `T` may be lower case or a space
    2026-03-01                            the midnight with which that day begins in `tz`
    now                                   this nanosecond
    2h ago, -2h, -1h30m, in 90 minutes    h, m, s: exactly so much time, whatever the clocks did in between
    1 week ago, -1d, in 2 months          days and longer: the same time of day in `tz`; 31 March less a month is 28
                                          February; of `-1d12h` the days go first
    yesterday, today, tomorrow            like the bare date: midnight
    yesterday 9am, 2 days ago at 21:30    that day at that time in `tz`

A relative time is exact to the microsecond and counts from `now`. It needs the extra `cli`.

Nothing is guessed. Refused, each with what to write instead, are:

- a time that the clocks of `tz` skip or show twice: the message holds both moments that it could mean;
- what two people may read in two ways: a number alone (an epoch, a year, `20260301`), `02/03/2026`, `2026-03`, an
  amount without a direction (`2h`), weekdays and names of months;
- other formats of ISO 8601: basic, week dates, a decimal comma, an hour or an offset without minutes, a zone in
  brackets;
- what no clock shows: a day that does not exist, the hour 24, the leap second `:60`;
- fractions (`1.5h ago`), a unit twice, and white space before or after.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from eventsourcing_kit.errors import InvalidMoment, InvalidOption
from eventsourcing_kit.moment import MAX_NS, MIN_NS, from_datetime, from_rfc3339, to_canonical, to_datetime

if TYPE_CHECKING:
    from whenever import ZonedDateTime

__all__ = ["check_zone", "resolve"]


def resolve(value: datetime | str, *, tz: str = "UTC", now: int | None = None) -> int:
    """Nanoseconds since the epoch of the moment that `value` names; the module's docstring is the grammar of text.

    `tz` is an IANA name, for text that brings no offset. `now` is what relative times count from, in nanoseconds; the
    clock where it is None. Raises InvalidMoment for text or a zone it does not take, and for a moment outside of the
    years 0001 to 9999 in UTC; TypeError for a naive datetime, which names no moment.
    """
    if isinstance(value, datetime):
        return _in_range(value.isoformat(), from_datetime(value))
    if not isinstance(value, str):
        raise TypeError(f"a moment is an aware datetime or text, not {type(value).__name__}")
    _check_zone(value, tz)
    if iso := _ISO.fullmatch(value):
        return _absolute(value, iso, tz)
    now = time.time_ns() if now is None else now
    if value.lower() == "now":
        return now
    if relative := _RELATIVE.fullmatch(value):
        return _relative(value, relative, tz, now)
    raise _refused(value, next((reason for shape, reason in _REFUSED if shape.fullmatch(value)), _UNKNOWN))


def check_zone(tz: str) -> None:
    """Raises InvalidOption for what names no time zone that is known here."""
    if tz == "UTC":  # works where the machine has no time zone database, and without loading one
        return
    from whenever import Instant

    try:
        Instant.from_utc(1970, 1, 1).to_tz(tz)
    except ValueError as error:  # TimeZoneNotFoundError, or a name that can be none
        expected = "an IANA name such as 'Europe/Berlin', and install 'tzdata' where the machine has no time zones"
        raise InvalidOption("tz", found=_shortened(tz), expected=expected) from error


_WRITE: Final = "write for example 2026-03-01T11:03:27Z, 2026-03-01, '2h ago' or 'yesterday 9am'"
_UNKNOWN: Final = f"it has none of the shapes that are taken; {_WRITE}"
_QUOTED: Final = 60  # characters; more than a moment needs

_ISO: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[T ](?P<clock>\d\d:\d\d)(?P<second>:\d\d(?:\.\d{1,9})?)?(?P<offset>Z|[+-]\d\d:\d\d)?)?",
    flags=re.ASCII | re.IGNORECASE,
)


def _amounts(*units: str) -> str:
    """A pattern for whole amounts in the order of `units`, each at most once: '1h30m', '1 hour and 30 minutes'."""
    return "".join(rf"(?:(?:\ and\ |\ )?(?:\d{{1,9}}\ ?|an?\ )(?:{unit})(?![a-z]))?" for unit in units)


# What dateparser is shown. By itself it passes over what it does not know: of 'yesterday 25:00' it reads 'yesterday',
# of '2h ago 2026-03-01' '2h ago', of '+1h30m' an hour on and half an hour back. So the whole shape is checked first.
_RELATIVE: Final = re.compile(
    rf"""
    (?: (?P<day> yesterday | today | tomorrow )
      | (?P<sign> [-+] | in\  )? (?=[\da])
        (?P<calendar> {_amounts("years?|y", "months?", "weeks?|w", "days?|d")})
        (?P<elapsed> {_amounts("hours?|hrs?|h", "minutes?|mins?|m", "seconds?|secs?|s")})
        (?P<ago> \ ago )?
    )
    (?P<clock> (?:\ at)?\  (?: (?:0?[1-9]|1[0-2]) (?: :[0-5]\d ){{0,2}} \ ?[ap]m
                             | (?:[01]?\d|2[0-3]) (?: :[0-5]\d ){{1,2}} ) )?
    """,
    flags=re.ASCII | re.IGNORECASE | re.VERBOSE,
)

_REFUSED: Final = tuple(
    (re.compile(shape, flags=re.ASCII | re.DOTALL), f"{reason}; {_WRITE}")
    for shape, reason in (
        (r"\s*", "it is empty"),
        (r"[-+]?\d+(\.\d*)?", "a number alone may be a year, a date, or an epoch in any unit"),
        (r"\d+([/.])\d+\1\d+.*", "day, month and year stand in another order in another country"),
        (r"\d{4}-\d\d", "it names no day"),
        (
            r"\d{4}-\d\d-\d\d.+",
            "after the date comes HH:MM or HH:MM:SS with at most nine decimals, then nothing, Z, +HH:MM or -HH:MM",
        ),
    )
)


def _absolute(text: str, iso: re.Match[str], tz: str) -> int:
    # One parser for events and for people: what a record's moment may not be, no one may ask for.
    day, clock, second, offset = iso.groups()
    try:
        ns = from_rfc3339(f"{day}T{clock or '00:00'}{second or ':00'}{offset or ''}")
    except ValueError as error:
        raise _refused(text, f"{error}; {_WRITE}") from error
    return ns if offset else _on_clocks_of(tz, ns, text)


def _relative(text: str, relative: re.Match[str], tz: str, now: int) -> int:
    day, sign, calendar, elapsed, ago, clock = relative.groups()
    if not day and bool(sign) == bool(ago):
        raise _refused(text, "an amount needs one direction; write '2h ago' or '-2h', 'in 2h' or '+2h'")
    if elapsed and clock:
        raise _refused(text, "it names a time of day and hours, minutes or seconds as well; write one of them")
    frame = "in {}" if sign and sign != "-" else "{} ago"
    if calendar or day:
        phrase = (day or frame.format(_spelled_out(calendar))) + (clock or (" 00:00" if day else ""))
        now = _on_clocks_of(tz, _read_relative(text, phrase, _clocks_of(tz, now)), text)
    if elapsed:
        now = _read_relative(text, frame.format(_spelled_out(elapsed)), now)
    return now


def _spelled_out(amounts: str) -> str:
    """`amounts` as every dateparser from 1.2 on takes them: '1h 30m' for '1h30m', and 'week' for 'w'."""
    amounts = re.sub(r"(?<=[a-z])(?=\d)", " ", amounts.strip().lower())
    return re.sub(r"(?<=[\d ])w(?![a-z])", " week", amounts)


def _read_relative(text: str, phrase: str, base: int) -> int:
    """Where dateparser's relative parser, and no other of its parsers, comes to from `base`: plain arithmetic."""
    try:
        import dateparser  # type: ignore[import-untyped]
    except ImportError as error:
        reason = "relative times need the library dateparser; install 'eventsourcing-kit[cli]', or write ISO 8601"
        raise _refused(text, f"{reason}, for example 2026-03-01T11:03:27Z") from error
    found: datetime | None = dateparser.parse(
        phrase,
        languages=["en"],
        settings={
            "PARSERS": ["relative-time"],
            "RELATIVE_BASE": to_datetime(base).replace(tzinfo=None),
            "TIMEZONE": "UTC",  # else it reads the machine's zone; base and answer are naive
        },
    )
    if found is None:  # the shape was checked, so it is the result that no datetime can hold
        raise _refused(text, f"it leads outside of the years 0001 to 9999; {_WRITE}")
    return from_datetime(found.replace(tzinfo=UTC))


def _check_zone(text: str, tz: str) -> None:
    try:
        check_zone(tz)
    except InvalidOption as error:
        reason = f"the time zone '{error.found}' is not known here; write {error.expected}"
        raise _refused(text, reason) from error.__cause__


def _clocks_of(tz: str, ns: int) -> int:
    """What the clocks of `tz` show at `ns`, as if they were UTC's."""
    if tz == "UTC":
        return ns
    from whenever import Instant

    local = Instant.from_timestamp(ns, unit="nanosecond").to_tz(tz).to_plain()
    return from_rfc3339(local.format_iso())


def _on_clocks_of(tz: str, shown: int, text: str) -> int:
    """The one moment at which the clocks of `tz` show `shown`; InvalidMoment where there is none, or a second one."""
    if tz == "UTC":
        return shown
    from whenever import PlainDateTime, RepeatedTime, SkippedTime

    local = PlainDateTime(to_canonical(shown)[:-1])
    try:
        return local.assume_tz(tz, disambiguation="raise").timestamp(unit="nanosecond")
    except (SkippedTime, RepeatedTime) as error:
        earlier, later = (_spelling(local.assume_tz(tz, disambiguation=side)) for side in ("earlier", "later"))
        happens = "happens twice" if isinstance(error, RepeatedTime) else "never happens"
        reason = f"{local.format_iso()} {happens} in {tz}: {earlier} or {later}; write one of them"
        raise _refused(text, reason) from error
    except ValueError as error:  # whenever's own end of time
        raise _refused(text, _OUTSIDE) from error


def _spelling(moment: ZonedDateTime) -> str:
    """`moment` with its offset, as this grammar takes it back: offsets with seconds, long ago, are not in it."""
    text = moment.to_fixed_offset().format_iso()
    return text if _ISO.fullmatch(text) else moment.to_instant().format_iso()


_OUTSIDE: Final = "outside of the years 0001 to 9999 in UTC; write a moment within them"


def _in_range(text: str, ns: int) -> int:
    if not MIN_NS <= ns <= MAX_NS:
        raise _refused(text, _OUTSIDE)
    return ns


def _refused(text: str, reason: str) -> InvalidMoment:
    return InvalidMoment(_shortened(text), reason)


def _shortened(text: str) -> str:
    return text if len(text) <= _QUOTED else text[: _QUOTED - 1] + "…"
