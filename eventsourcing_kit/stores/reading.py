"""Reading one stream in its order: which range of keys, which events of it, and what has expired."""

from __future__ import annotations

import re
from itertools import chain, compress, count, islice
from operator import eq
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from eventsourcing_kit.blocks import in_blocks
from eventsourcing_kit.errors import ForeignKey, StoreDamaged
from eventsourcing_kit.event import UNREADABLE
from eventsourcing_kit.moment import KEY_TIME_LENGTH, MAX_NS, MIN_NS, from_rfc3339, to_canonical, to_key_time
from eventsourcing_kit.record import HEAD_KEY, decode_head, digest, order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.record import Head

__all__ = ["BOOKKEEPING", "FIRST_TIME", "TIME_LENGTH", "Rows", "StreamReading", "Window", "are_live", "runs"]

_NS: Final = 1_000_000_000
_DAY: Final = 86_400 * _NS
_HIGHEST: Final = "\U0010ffff"
BOOKKEEPING: Final = "#"  # what keys of bookkeeping begin with
FIRST_TIME: Final = "0"  # above all of them
_AFTER_TIMES: Final = ":"  # above every digit
TIME_LENGTH: Final = KEY_TIME_LENGTH + 1  # with the # behind it
_SECOND_LENGTH: Final = 19  # YYYY-MM-DDTHH:MM:SS
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_SHAPE: Final = b"0000-00-00T00:00:00.000Z#"
_NEVER: Final = {None}  # the expiries of events that are kept for ever
_canonical = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z#", flags=re.ASCII).match


class Window(NamedTuple):
    """Moments from `start` to `at`, both inclusive, in nanoseconds; None is open."""

    start: int | None = None
    at: int | None = None

    @classmethod
    def resolve(cls, *, start: datetime | str | None, at: datetime | str | None) -> Window:
        from eventsourcing_kit.times import resolve  # which a function that only appends never loads

        return cls(None if start is None else resolve(start), None if at is None else resolve(at))

    @property
    def low(self) -> str:
        """The lowest key. From a stream's beginning it takes in the head; else it begins with a whole second, so that
        other spellings of that second are met, not missed."""
        return BOOKKEEPING if self.start is None else to_key_time(self.start)[:_SECOND_LENGTH]

    @property
    def high(self) -> str:
        """The highest key: above every `#type` of the second of `at`, or the events at `at` itself would be missing."""
        return _HIGHEST if self.at is None else to_key_time(self.at)[:_SECOND_LENGTH] + _HIGHEST

    @property
    def times(self) -> tuple[str, str]:
        """The first and the last time that a key may begin with; inside of these two the full moments decide."""
        first = "" if self.start is None else to_key_time(self.start) + "#"
        return first, _HIGHEST if self.at is None else to_key_time(self.at) + "#"

    def ranges(self, *, legacy: bool = False) -> Iterator[tuple[str, str]]:
        """The ranges of keys, in ascending order, of its events and of what tells of the stream's beginning."""
        if self.start is not None:
            yield BOOKKEEPING, FIRST_TIME if legacy else HEAD_KEY
        if self.low <= self.high:  # DynamoDB refuses a range that ends before it begins
            yield self.low, self.high
        if legacy and self.at is not None:
            # Keys that do not begin with a digit, as `undefined#Type`: their moment stands only in the event.
            yield max(_AFTER_TIMES, self.high), _HIGHEST

    def has(self, ns: int) -> bool:
        return (self.start is None or self.start <= ns) and (self.at is None or ns <= self.at)

    def widened(self) -> Window:
        """A day more on each side: no spelling of a moment is further from the canonical one."""
        return Window(
            None if self.start is None else max(MIN_NS, self.start - _DAY),
            None if self.at is None else min(MAX_NS, self.at + _DAY),
        )


class Rows(Protocol):
    """What has a key from `low` to `high` in a stream, both inclusive, in ascending bytes of the key. A list, of which
    the caller may do as it likes, where all of it is there already."""

    def __call__(self, stream: str, low: str, high: str) -> Iterable[Event]: ...


class StreamReading:
    """One pass over a stream's events in order. See `stores.contract.Reading`."""

    def __init__(
        self, rows: Rows, stream: str, window: Window, types: frozenset[str], *, url: str, legacy: bool, now: int
    ) -> None:
        # Apart from this object, which holds the iterator: in a circle of the two, a reading that is dropped half way
        # would keep its connection until somebody collects garbage.
        self._pass = _Pass(rows, stream, window, url=url, legacy=legacy, now=now)
        blocks = self._pass.legacy_blocks() if legacy else self._pass.blocks()
        if types:
            blocks = ([event for event in block if event.type in types] for block in blocks)
        self._blocks = filter(None, blocks)
        self._iterator: Iterator[Event] | None = None

    def __iter__(self) -> Iterator[Event]:
        if self._iterator is None:
            self._iterator = chain.from_iterable(self._blocks)
        return self._iterator

    def __next__(self) -> Event:
        return next(iter(self))

    def blocks(self) -> Iterator[list[Event]]:
        """What is left of the events, in the lists that they were read in."""
        return self._blocks if self._iterator is None else in_blocks(self._iterator)

    @property
    def expired_since(self) -> str | None:
        """The moment of the first event that this reading should have had and that has expired; else None."""
        return self._pass.expired_since


class _Pass:
    """The rows of a stream, and what those that are no live event tell of its beginning."""

    def __init__(self, rows: Rows, stream: str, window: Window, *, url: str, legacy: bool, now: int) -> None:
        self._keyed = rows
        self._stream = stream
        self._window = window
        self._times = window.times
        self._url = url
        self._legacy = legacy
        self._now = now
        self._head: Head | None = None
        self._expired: str | None = None

    @property
    def expired_since(self) -> str | None:
        if self._head is None:
            return self._expired
        expires = self._head.first_expires * _NS
        began = from_rfc3339(self._head.first_moment)
        gone_before = self._now - (expires - began)  # moments up to here have outlived the retention of the first one
        out_of_window = (self._window.at is not None and self._window.at < began) or (
            self._window.start is not None and self._window.start > gone_before
        )
        return self._expired if expires > self._now or out_of_window else self._head.first_moment

    def blocks(self) -> Iterator[list[Event]]:
        """All events, in order. Every rebuild of every event passes here, so that what is usual is told of a whole
        block at once. The last millisecond of a block waits for the next one, which may have more of it."""
        rows = self._rows()
        if isinstance(rows, list):
            yield from self._alone(rows)
            return
        waiting: list[Event] = []
        times: list[str] = []
        for events, behind in self._live_blocks(rows):
            if waiting:
                events[:0] = waiting
                behind[:0] = times
            whole = len(behind) - 1
            while whole and behind[whole - 1] == behind[-1]:
                whole -= 1
            waiting, times = events[whole:], behind[whole:]
            del events[whole:], behind[whole:]
            if events:
                yield self._in_order(events, behind)
        if waiting:
            yield self._in_order(waiting, times)

    def _alone(self, rows: list[Event]) -> Iterator[list[Event]]:
        """The one block of a short stream."""
        times = _times(rows)
        if rows and not are_live({row.expires for row in rows}, times, self._now):
            rows = list(filter(self._is_live, rows))
            times = _times(rows)
        if rows:
            yield self._in_order(rows, times)

    def _live_blocks(self, remaining: Iterable[Event]) -> Iterator[tuple[list[Event], list[str]]]:
        """Events, and the times that their keys begin with."""
        for rows in in_blocks(remaining):
            times = _times(rows)
            if are_live({row.expires for row in rows}, times, self._now):
                yield rows, times
            else:
                for events in in_blocks(filter(self._is_live, rows)):
                    yield events, _times(events)

    def _in_order(self, events: list[Event], times: list[str]) -> list[Event]:
        """Events of whole milliseconds, given in the order of these, in their order: without those outside of the
        window."""
        first, last = self._times
        is_inside = first < times[0] and times[-1] < last
        if not is_inside:
            events = [event for event, time in zip(events, times, strict=True) if first <= time <= last]
            times = _times(events)
        for begin, end in runs(times):
            events[begin:end] = sorted(events[begin:end], key=self._place)
        if is_inside:
            return events
        borders = zip(events, times, strict=True)
        return [event for event, time in borders if first < time < last or self._window.has(self._moment(event))]

    def _is_live(self, event: Event) -> bool:
        """Whether a row is an event that has not expired. What the others tell of the beginning is noted."""
        key = event.key
        if _canonical(key) is None:
            if key[:1] == "#" and not event.id:  # else an event whose writer had an empty text for its time
                self._note_head(event)
                return False
            if not self._legacy:
                raise ForeignKey(self._url, stream=self._stream, key=key)
        if event.expires is not None and event.expires * _NS <= self._now:
            self._note_expired(event)
            return False
        return True

    def _rows(self) -> Iterable[Event]:
        window = self._window.widened() if self._legacy else self._window
        ranges = [*window.ranges(legacy=self._legacy)]
        if len(ranges) == 1:
            return self._keyed(self._stream, *ranges[0])
        return chain.from_iterable(self._keyed(self._stream, low, high) for low, high in ranges)

    def legacy_blocks(self) -> Iterator[list[Event]]:
        yield from in_blocks(self._legacy_events())

    def _legacy_events(self) -> Iterator[Event]:
        live = filter(self._is_live, self._rows())
        events = [event for event in live if self._window.has(self._moment(event))]
        events.sort(key=self._place)
        previous = None
        for event in events:
            fingerprint = digest(event)
            if fingerprint != previous:  # a replay may have stored the same event under its canonical key, too
                yield event
            previous = fingerprint

    def _moment(self, event: Event) -> int:
        try:
            return event.moment_ns
        except UNREADABLE:
            raise self._damaged(event, "an event without a readable moment") from None

    def _place(self, event: Event) -> tuple[object, ...]:
        try:
            return order(event)
        except UNREADABLE:
            raise self._damaged(event, "an event that can not be read") from None

    def _note_head(self, event: Event) -> None:
        if event.key == HEAD_KEY:
            try:
                self._head = decode_head(event.detail_json)
            except UNREADABLE:
                raise self._damaged(event, "a beginning that can not be read") from None

    def _damaged(self, event: Event, what: str) -> StoreDamaged:
        return StoreDamaged(self._url, f"key '{event.key}' in stream '{self._stream}' holds {what}")

    def _note_expired(self, event: Event) -> None:
        ns = self._moment(event)
        if self._window.has(ns):  # the range of keys is a little wider than the window
            moment = to_canonical(ns)
            self._expired = moment if self._expired is None else min(self._expired, moment)


def are_live(expiries: set[float | None], times: list[str], now: int) -> bool:
    """Whether each of some rows is an event that has not expired, under a key in the one spelling: told by the expiries
    of all, and by the times that their keys begin with. Where this says no, each row is looked at by itself."""
    if expiries != _NEVER and (None in expiries or min(expiries) * _NS <= now):  # type: ignore[type-var, operator]
        return False
    # Cheaper than a regular expression, and exact: a canonical time with each digit made a 0. None of the pieces is
    # longer than the shape, so that none can make up for another one.
    return "".join(times).encode("utf-8", "replace").translate(_DIGITS) == _SHAPE * len(times)


def _times(events: list[Event]) -> list[str]:
    """The times that their keys begin with, and the # behind these."""
    return [event.key[:TIME_LENGTH] for event in events]


def runs(times: Sequence[str]) -> Iterator[tuple[int, int]]:
    """From where up to where equal times stand beside each other. Of times in their order."""
    if len({*times}) == len(times):  # as in most blocks: told sooner than by looking at each pair
        return
    end = 0
    for place in compress(count(), map(eq, times, islice(times, 1, None))):
        if place < end:
            continue
        end = place + 2
        while end < len(times) and times[end] == times[place]:
            end += 1
        yield place, end
