"""Span: which events of one stream a question is about. Wherever a moment may stand, `event:...` may, too.

    event:5                                          the fifth event of the stream, counted from its beginning
    event:69ae516f-a42f-54b4-8e8b-f9664d2606ef       the event of that id
    event:2026-03-19T07:36:49.749Z#PaymentRefunded   the event of that key

As `at` such an event is the last one, although others may share its moment; as `start` it is the first one; as
`known_at` it stands for the moment at which it was recorded.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeGuard

from eventsourcing_kit.errors import EventNotFound, IncompleteStream
from eventsourcing_kit.moment import from_rfc3339, to_canonical, to_microseconds
from eventsourcing_kit.record import order
from eventsourcing_kit.times import resolve
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Readable, Reading

__all__ = ["EVENT", "Point", "Span", "exact", "find_event", "names_event", "recorded_ns"]

EVENT: Final = "event:"
_SHOWN: Final = 3  # keys of events that share an id
_LAST: Final = sys.maxsize  # behind every event of a moment


@dataclass(frozen=True, order=True)
class Point:
    """An end of a span: a moment with all its events, or one event of it. Points sort as the events do."""

    ns: int
    number: int = _LAST  # the event's place in its stream
    key: str | None = None  # the event's
    order: tuple[object, ...] | None = field(default=None, compare=False)  # its place among those of its moment

    @property
    def moment(self) -> str:
        return to_canonical(self.ns)


@dataclass(frozen=True)
class Span:
    """Events of `stream` from `start` up to `at`, both inclusive, as known at `known_at_ns`; None is open."""

    store: Readable
    stream: str
    start: Point | None = None
    at: Point | None = None
    known_at_ns: int | None = None

    @classmethod
    def of(
        cls,
        store: Readable,
        stream: str,
        *,
        start: datetime | str | None = None,
        at: datetime | str | None = None,
        known_at: datetime | str | None = None,
        tz: str = "UTC",
        now: int | None = None,
    ) -> Span:
        """What was asked for, resolved. Raises InvalidMoment and EventNotFound, and reads only for `event:...`."""
        now = time.time_ns() if now is None else now

        def point(value: datetime | str) -> Point:
            if not names_event(value):
                return Point(resolve(value, tz=tz, now=now))
            number, event = find_event(store, stream, value)
            return Point(event.moment_ns, number, event.key, order(event))

        return cls(
            store,
            stream,
            None if start is None else point(start),
            None if at is None else point(at),
            None if known_at is None else _known(store, stream, known_at, tz, now),
        )

    @property
    def at_ns(self) -> int | None:
        return None if self.at is None else self.at.ns

    def read(self, *, in_brief: bool = False) -> Reading:
        """The reading that the span lies in; `cut` takes off what events named as its ends leave out. In brief: of
        events that fetch what is hardly ever asked for, where the store has them."""
        start, at = self.start, self.at
        read = getattr(self.store, "read_in_brief", self.store.read) if in_brief else self.store.read
        reading: Reading = read(
            self.stream, start=None if start is None else start.moment, at=None if at is None else at.moment
        )
        return reading

    @property
    def names_events(self) -> bool:
        """Whether an event, and not a moment, is one of its ends: then `cut` has to be asked."""
        return any(end is not None and end.key is not None for end in (self.start, self.at))

    def cut(self, events: Iterable[Event]) -> Iterable[Event]:
        """Without what comes before the event that is `start`, and behind the one that is `at`."""
        first = None if self.start is None else self.start.key
        last = None if self.at is None else self.at.key
        return events if first is None and last is None else _between(events, first, last)

    def known(self, events: Iterable[Event]) -> Iterable[Event]:
        """Without what was recorded later than `known_at_ns`; rows that do not say when count as known."""
        return events if self.known_at_ns is None else filter(self._was_known(), events)

    def has_begun(self, event: Event) -> bool:
        """Whether an event lies at or behind `start`. Not told by numbers, which late events move."""
        start = self.start
        if start is None or event.moment_ns != start.ns:
            return start is None or event.moment_ns > start.ns
        return start.order is None or order(event) >= start.order

    def numbered(
        self, behind: tuple[int, Event] | None = None, *, allow_incomplete: bool, asked_by: str
    ) -> Iterator[tuple[int, Event]]:
        """Each event up to `at` that was known, with its place in the whole stream: also those before `start`, as a
        true state needs them; or those behind an event that had been given.

        Raises IncompleteStream, as soon as it is seen, where the beginning has expired, unless `allow_incomplete`.
        """
        count, before = behind or (0, None)
        start = None if before is None else Point(before.moment_ns)
        reading = replace(self, start=start).read()
        if before is None:
            events = self.whole(reading, allow_incomplete=allow_incomplete, asked_by=asked_by)
        else:
            # Where that event has expired since, others that come behind it may have done so, too.
            gone = partial(self._check, reading, asked_by, allow_incomplete=allow_incomplete)
            events = _behind(replace(self, start=None).cut(reading), before, gone)
        was_known = self._was_known()
        for number, event in enumerate(events, start=count + 1):
            if was_known(event):
                yield number, event

    def whole(self, reading: Reading, *, allow_incomplete: bool, asked_by: str) -> Iterator[Event]:
        """The events of a reading up to `at`: also those before `start`. Raises as `numbered`."""
        first = True
        for event in replace(self, start=None).cut(reading):
            if first:
                self._check(reading, asked_by, allow_incomplete=allow_incomplete)
                first = False
            yield event
        self._check(reading, asked_by, allow_incomplete=allow_incomplete)

    def _was_known(self) -> Callable[[Event], bool]:
        was_recorded = self.was_recorded()
        return lambda event: was_recorded(event.recorded_at_text)

    def was_recorded(self) -> Callable[[str | None], bool]:
        """Whether an event that says this of when it was recorded counts as known."""
        if self.known_at_ns is None:
            return lambda _: True
        known = to_microseconds(self.known_at_ns)  # UTC in fixed width, like what it is compared with
        return lambda recorded: recorded is None or recorded <= known

    def _check(self, reading: Reading, asked_by: str, *, allow_incomplete: bool) -> None:
        if reading.expired_since is not None and not allow_incomplete:
            raise IncompleteStream(stream=self.stream, projection=asked_by, since=reading.expired_since)


def names_event(value: datetime | str) -> TypeGuard[str]:
    """Whether a moment is named by an event."""
    return isinstance(value, str) and value.startswith(EVENT)


def exact(value: datetime | str | None, *, tz: str, now: int | None = None) -> str | None:
    """A moment in its canonical spelling, so that every stream has the same one; `event:...`, which each stream
    resolves for itself, as it is. Raises InvalidMoment."""
    return value if value is None or names_event(value) else to_canonical(resolve(value, tz=tz, now=now))


def recorded_ns(event: Event) -> int:
    """When an event was recorded, in nanoseconds: what it means as `known_at`. Raises EventNotFound where its row does
    not say so."""
    if event.recorded_at_text is None:
        reason = "it does not say when it was recorded"
        raise EventNotFound(where=f"stream '{event.stream}'", wanted=event.id, reason=reason)
    return from_rfc3339(event.recorded_at_text)


def find_event(store: Readable, stream: str, text: str) -> tuple[int, Event]:
    """The event that `event:N`, `event:ID` or `event:KEY` names, and its place in the stream, counted from 1.

    Reads the stream up to a number, or the whole of it for an id or a key. Raises EventNotFound, also where several
    events have that id.
    """
    wanted = text.removeprefix(EVENT)
    numbered = enumerate(store.read(stream), start=1)
    count = 0
    if wanted.isascii() and wanted.isdigit():
        number = wanted.lstrip("0")  # as text: Python makes no int of more digits than some thousands
        for count, event in numbered:
            if str(count) == number:
                return count, event
        reason = f"it has {many(count, 'event')}, counted from 1"
        raise EventNotFound(where=f"stream '{stream}'", wanted=wanted, reason=reason)
    found = [(number, event) for number, event in numbered if wanted in (event.id, event.key)]
    if len(found) == 1:
        return found[0]
    keys = ", ".join(f"'{event.key}'" for _, event in found[:_SHOWN])
    reason = f"{len(found):,} events have that id; name one by its key: {keys}" if found else "none has that id or key"
    raise EventNotFound(where=f"stream '{stream}'", wanted=wanted, reason=reason)


def _known(store: Readable, stream: str, value: datetime | str, tz: str, now: int) -> int:
    if not names_event(value):
        return resolve(value, tz=tz, now=now)
    return recorded_ns(find_event(store, stream, value)[1])


def _behind(events: Iterable[Event], before: Event, gone: Callable[[], None]) -> Iterator[Event]:
    """Those behind an event, from its moment on; `gone` is called where it is not among them any more."""
    remaining = iter(events)
    for event in remaining:
        if event.key == before.key:
            break
        if event.moment_ns > before.moment_ns:
            gone()
            yield event
            break
    else:
        gone()
    yield from remaining


def _between(events: Iterable[Event], first: str | None, last: str | None) -> Iterator[Event]:
    inside = first is None
    for event in events:
        inside = inside or event.key == first
        if inside:
            yield event
        if event.key == last:
            return
