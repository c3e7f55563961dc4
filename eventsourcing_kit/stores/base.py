"""The half of a store that is the same everywhere: what an append decides, and the order of a reading.

An adapter subclasses `BaseStore` and brings the eight primitives below its line.
"""

from __future__ import annotations

import logging
import secrets
import time
from abc import ABC, abstractmethod
from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final, Self

from eventsourcing_kit.errors import EventConflict, EventExpired, EventRefused, StoreDamaged
from eventsourcing_kit.event import UNREADABLE
from eventsourcing_kit.moment import to_microseconds
from eventsourcing_kit.record import (
    HEAD_KEY,
    LATE_AFTER,
    MAX_CORRELATION,
    MAX_KEY,
    content_digest,
    decode,
    decode_head,
    digest,
    encode,
    encode_head,
    encode_late,
    has_canonical_key,
    head_of,
    late_keys,
)
from eventsourcing_kit.stores.contract import Bookkeeping, Counts, Outcome
from eventsourcing_kit.stores.reading import StreamReading, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime
    from types import TracebackType

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.frames import Events
    from eventsourcing_kit.record import Head, Record
    from eventsourcing_kit.stores.reading import Rows

__all__ = ["BaseStore"]

_log = logging.getLogger("eventsourcing_kit.stores")
_BATCH: Final = 1_000
_STORED: Final = Outcome("stored")
_KNOWN_HEADS: Final = 10_000
_NS: Final = 1_000_000_000
_LATE: Final = int(LATE_AFTER.total_seconds()) * _NS
_DAY: Final = 86_400
_LOWEST: Final = "\0"  # an empty key is none in DynamoDB
_HIGHEST: Final = "\U0010ffff" * (MAX_KEY // 4)


class BaseStore(ABC):
    """A store over eight primitives. `clock` gives nanoseconds since 1970; `token` a new random text at each call."""

    is_atomic = False  # whether all that one `_batch` puts can be seen at one instant, and not before

    def __init__(
        self,
        url: str,
        *,
        retention_days: int | None = None,
        legacy: bool = False,
        clock: Callable[[], int] | None = None,
        token: Callable[[], str] | None = None,
    ) -> None:
        self.url = url
        self.retention_days = retention_days
        self.legacy = legacy
        self._clock = clock or (lambda: time.time_ns())  # looked up at each call, so that a frozen clock is seen
        self._token = token or (lambda: secrets.token_hex(8))
        self._heads: OrderedDict[str, Head] = OrderedDict()
        self._marked: dict[str, str] = {}  # where `is_atomic`: the lowest key marked as late in this batch, by stream

    # Appending

    def append(self, event: Event) -> Outcome:
        with self._batch():
            return self._append(event)

    def append_each(self, events: Iterable[Event]) -> Iterator[Outcome | EventRefused]:
        remaining = iter(events)
        while batch := list(islice(remaining, _BATCH)):
            yield from self._append_batch(batch)

    def append_many(self, events: Iterable[Event]) -> Counts:
        stored = 0
        counts = Counts()
        for outcome in self.append_each(events):
            if outcome is _STORED:  # most of them
                stored += 1
            elif isinstance(outcome, EventRefused):
                raise outcome
            else:
                counts = counts.plus(outcome)
        return replace(counts, stored=counts.stored + stored)

    def _append_batch(self, events: list[Event]) -> list[Outcome | EventRefused]:
        with self._batch():
            return [self._append_or_refuse(event) for event in events]

    def _append_or_refuse(self, event: Event) -> Outcome | EventRefused:
        try:
            return self._append(event)
        except EventRefused as refused:
            return refused

    def _append(self, event: Event) -> Outcome:
        now = self._clock()
        recorded_at, token = to_microseconds(now), self._token()
        record = encode(event, recorded_at=recorded_at, put_token=token, retention_days=self.retention_days)
        if record.expire_record is not None:
            self._check_expiry(event, record, now)
            self._remember_beginning(record)
        if now - event.moment_ns > _LATE:
            self._mark_late(record, now)
        old = self._put(record)
        if old is None or old.put_token == token:
            return _STORED
        if self._same(old, event):
            return self._duplicate(event, old, now)
        if old.event_id == event.id:
            raise EventConflict("the same id, other content", stream=event.stream, key=record.sk, event_id=event.id)
        twin = encode(event, recorded_at=recorded_at, put_token=token, retention_days=self.retention_days, twin=True)
        old = self._put(twin)
        if old is None or old.put_token == token:
            _log.info("event %s is a twin, stored as %s", event.id, twin.sk)
            return Outcome("stored", twin=True)
        if self._same(old, event):
            return self._duplicate(event, old, now)
        raise EventConflict("its twin's key is another event's", stream=event.stream, key=twin.sk, event_id=event.id)

    def _same(self, old: Record, event: Event) -> bool:
        try:
            fingerprint = old.digest or content_digest(decode(old), identity=event.identity)
        except UNREADABLE:
            raise self._damaged(old, "an event that can not be read") from None
        return fingerprint == digest(event)

    def _duplicate(self, event: Event, old: Record, now: int) -> Outcome:
        if old.expire_record is not None and old.expire_record * _NS <= now:
            # No reader sees it any more, so this event would not be kept, whatever this store's own retention is.
            days = round((old.expire_record - event.moment_ns / _NS) / _DAY)
            raise EventExpired(stream=event.stream, key=old.sk, event_id=event.id, retention_days=days)
        if old.event_id == event.id:
            return Outcome("duplicate")
        _log.info("event %s has the content of %s, stored as %s", event.id, old.event_id, old.sk)
        return Outcome("duplicate", other_id=old.event_id)

    def _check_expiry(self, event: Event, record: Record, now: int) -> None:
        if record.expire_record is not None and record.expire_record * _NS <= now:
            days = self.retention_days or 0
            raise EventExpired(stream=event.stream, key=record.sk, event_id=event.id, retention_days=days)

    def _remember_beginning(self, record: Record) -> None:
        """Before the event itself: a head too early is a needless warning, one too late would hide a loss."""
        mine = head_of(record)
        known = self._heads.get(record.pk)
        if known is not None and known.joined(mine) == known:
            return
        old = self._put(encode_head(record.pk, mine))
        known = mine
        while old is not None:
            try:
                stored = decode_head(old.event_detail or "")
            except UNREADABLE:
                raise self._damaged(old, "a beginning that can not be read") from None
            known = stored.joined(mine)
            if known == stored:
                break
            old = self._swap(encode_head(record.pk, known), expected=old)
        self._heads[record.pk] = known
        if len(self._heads) > _KNOWN_HEADS:
            self._heads.popitem(last=False)

    def _mark_late(self, record: Record, now: int) -> None:
        """Before the event itself: a marker too many costs nothing, one too few would hide it from a snapshot."""
        if self.is_atomic and self._marked.get(record.pk, _HIGHEST) <= record.sk:
            return  # what is marked already comes to light at the same instant, and lies at or before this event
        marker = encode_late(record, recorded_at=to_microseconds(now), with_digest=not self.is_atomic)
        while (old := self._put(marker)) is not None and old.put_token != record.put_token:
            now += 1_000  # somebody else's: who knows that one has to see that there is another
            marker = encode_late(record, recorded_at=to_microseconds(now), with_digest=not self.is_atomic)
        self._marked |= {record.pk: record.sk} if self.is_atomic else {}

    def _damaged(self, record: Record, what: str) -> StoreDamaged:
        return StoreDamaged(self.url, f"key '{record.sk}' in stream '{record.pk}' holds {what}")

    # Reading

    def read(
        self,
        stream: str,
        *,
        start: datetime | str | None = None,
        at: datetime | str | None = None,
        types: Iterable[str] = (),
    ) -> StreamReading:
        if isinstance(types, str):
            raise TypeError("types is one text; give a list of types, or every letter would be taken for one")
        return self._reading(self._event_rows, stream, Window.resolve(start=start, at=at), frozenset(types))

    def read_in_brief(
        self, stream: str, *, start: datetime | str | None = None, at: datetime | str | None = None
    ) -> StreamReading:
        """As `read`, for a fold that asks for little: most of the events are `brief` ones, where that is cheaper."""
        return self._reading(self._brief_rows, stream, Window.resolve(start=start, at=at), frozenset())

    def _reading(self, rows: Rows, stream: str, window: Window, types: frozenset[str]) -> StreamReading:
        now = self._clock()
        return StreamReading(rows, stream, window, types, url=self.url, legacy=self.legacy, now=now)

    def events(
        self,
        stream: str | Iterable[str] | None = None,
        *,
        prefix: str = "",
        start: datetime | str | None = None,
        at: datetime | str | None = None,
        known_at: datetime | str | None = None,
        types: Iterable[str] = (),
        columns: Mapping[str, str] | None = None,
        tz: str = "UTC",
    ) -> Events:
        """The events of one stream, of several, of all with a prefix, or of the whole store, to iterate or as a table.

            store.events("order-17")                                                   in a notebook: what happened
            store.events(prefix="order-", columns={"amount": "data.amount"}).to_polars()

        From `start` up to `at`, both inclusive; `known_at` leaves out what was recorded later. `columns` are JMESPaths
        into the detail, each a typed column. `tz` is the zone of times that name none. Nothing is read before it is
        asked for. Raises InvalidMoment and InvalidOption at once, and what `read` raises when it is iterated.
        """
        from eventsourcing_kit.frames import Events  # which a function that only appends never loads

        return Events(
            self,
            streams=stream,
            prefix=prefix,
            start=start,
            at=at,
            known_at=known_at,
            types=types,
            columns=columns,
            tz=tz,
            now=self._clock(),
        )

    def records(self, stream: str, *, low: str = _LOWEST) -> Iterator[Event]:
        """Each row of a stream as it lies there, from the key `low` on, in ascending bytes of the key: expired rows,
        bookkeeping and keys in other spellings, too. For those who look after a store; others `read`."""
        return self._rows(stream, low, _HIGHEST)

    def now(self) -> int:
        """What this store's clock shows, in nanoseconds since 1970."""
        return self._clock()

    def bookkeeping(self, stream: str, *, late_since: str) -> Bookkeeping:
        """What a stream remembers beside its events: when the first of them expires, and the markers of those that were
        late, recorded from `late_since` on (spelled as `recordedAt` is)."""
        first_expires = None
        for row in self._rows(stream, HEAD_KEY, HEAD_KEY):
            try:
                first_expires = decode_head(row.detail_json).first_expires
            except UNREADABLE:
                reason = f"key '{row.key}' in stream '{stream}' holds a beginning that can not be read"
                raise StoreDamaged(self.url, reason) from None
        return Bookkeeping(first_expires, self._rows(stream, *late_keys(late_since)))

    def correlated(self, correlation_id: str) -> Iterator[Event]:
        if not _can_be_stored(correlation_id):
            return
        now = self._clock()
        others: list[Event] = []
        known: set[tuple[str, str]] = set()
        for event in self._correlated(correlation_id):
            if event.key[:1] == "#" and not event.id:  # bookkeeping, as a reading tells it
                continue
            if event.expires is not None and event.expires * _NS <= now:
                continue
            if not has_canonical_key(event):
                others.append(event)
                continue
            if event.digest is not None:
                known.add((event.stream, event.digest))
            yield event
        # A replay may have stored under its canonical key what an older writer has under another one.
        for event in others:
            fact = event.stream, self._fingerprint(event)
            if fact not in known:
                known.add(fact)
                yield event

    def _fingerprint(self, event: Event) -> str:
        try:
            return digest(event)
        except UNREADABLE:
            reason = f"key '{event.key}' in stream '{event.stream}' holds an event that can not be read"
            raise StoreDamaged(self.url, reason) from None

    def close(self) -> None:  # noqa: B027 - an adapter without anything to close is fine
        """Nothing to let go of, unless an adapter says otherwise."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url!r}>"

    def _repr_html_(self) -> str:
        from eventsourcing_kit.frames.showing import store_html

        kind = type(self).__name__.removesuffix("Store")
        return store_html(kind, self.url, retention_days=self.retention_days, glimpse=self._glimpse)

    def _glimpse(self, limit: int) -> tuple[list[str], bool]:
        """At most `limit` streams, and whether there may be more, at little cost whatever the store's size."""
        names = list(islice(self.streams(), limit + 1))
        return names[:limit], len(names) > limit

    # What an adapter brings

    @abstractmethod
    def create_table(self) -> None: ...

    @abstractmethod
    def streams(self, prefix: str = "") -> Iterator[str]: ...

    @abstractmethod
    def correlations(self) -> Iterator[tuple[str, str, str]]: ...

    @abstractmethod
    def _correlated(self, correlation_id: str) -> Iterator[Event]:
        """Each row with this `correlationId`, which has 1 to 2,048 bytes, in any order; expired ones may be among
        them."""

    @abstractmethod
    def _put(self, record: Record) -> Record | None:
        """Stores the record if nothing has its pk and sk, and answers None; else answers what is there."""

    @abstractmethod
    def _swap(self, record: Record, *, expected: Record) -> Record | None:
        """Replaces `expected` (told by its `eventDetail`) and answers None; else answers what is there."""

    @abstractmethod
    def _delete(self, stream: str, key: str) -> None:
        """Removes one record. Only `migrate` does, once the same event is stored under its canonical key."""

    @abstractmethod
    def _rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        """What has a key from `low` to `high`, both inclusive, in ascending bytes of the key."""

    def _event_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        """As `_rows`, for a reading of events: an adapter may leave out the markers of late ones."""
        return self._rows(stream, low, high)

    def _brief_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        """As `_event_rows`; an adapter may leave out what `brief.Brief` fetches, too."""
        return self._event_rows(stream, low, high)

    def _batch(self) -> AbstractContextManager[None]:
        """Inside of it puts may be deferred; they are durable when it ends well, and undone when it does not."""
        return nullcontext()


def _can_be_stored(correlation_id: str) -> bool:
    try:
        return 1 <= len(correlation_id.encode()) <= MAX_CORRELATION
    except UnicodeEncodeError:
        return False
