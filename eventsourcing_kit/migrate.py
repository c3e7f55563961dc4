"""Migrate: give the rows of older writers the keys that their content asks for.

For each row whose key is spelled in another way, or belongs to another moment or type than its content does, the same
event is put under its canonical key by the rules of an append (a twin's key where another event has the plain one), and
only then the old row is deleted. Whatever ends this in between leaves both rows, and running it again ends it. A row
that can not be moved stays where it is, and is told with the reason.

What a row says is kept: id, times, expiry (whole seconds, rounded up), and when it was recorded, also where it does not
say. It gains a digest.

Each 100 moves leave one marker of a late event at the beginning of time, so that no snapshot of what was there is used.

A reading that runs meanwhile may miss an event that is just being moved: read again when it is over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from eventsourcing_kit.errors import EventTooLarge
from eventsourcing_kit.event import UNREADABLE
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.record import (
    HEAD_KEY,
    MAX_ITEM,
    Head,
    Record,
    content_digest,
    decode,
    decode_head,
    encode,
    has_canonical_key,
    plain_key,
    size,
    twin_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["ALREADY_THERE", "BEGINNING_WRITTEN", "REWRITTEN", "Migrated", "migrate"]

REWRITTEN: Final = "rewritten"
ALREADY_THERE: Final = "already there"
BEGINNING_WRITTEN: Final = "beginning written"

_FIRST: Final = "0001-01-01T00:00:00.000Z#"  # a key below that of any event
_BATCH: Final = 100  # rows in one transaction, where the store has them


@dataclass(frozen=True)
class Migrated:
    """What became of one row: REWRITTEN, ALREADY_THERE (the same event was, so the old row is gone), or the reason for
    which it stays. BEGINNING_WRITTEN speaks of a stream's head, without which nobody can tell that events expired."""

    stream: str
    old_key: str
    new_key: str | None  # None where the row stays
    outcome: str

    @property
    def refused(self) -> bool:
        """Whether the row stays where it was."""
        return self.new_key is None


def migrate(store: BaseStore, *, dry_run: bool = True) -> Iterator[Migrated]:
    """What becomes of each row that has to move, when it is done; with `dry_run`, what would, and nothing is changed.

    Streams without a live event are left alone. Memory holds 100 rows, and in a dry run a digest and both keys of each
    row that would be moved in one stream. Raises a StoreError.
    """
    for stream in store.streams():
        yield from _Migration(store, stream, dry_run=dry_run).run()


class _Migration:
    """The way through one stream."""

    def __init__(self, store: BaseStore, stream: str, *, dry_run: bool) -> None:
        self._store = store
        self._stream = stream
        self._dry_run = dry_run
        self._planned: dict[str, _Fact | None] = {}  # by key: what a dry run would have put, or (None) deleted
        self._first: Head | None = None  # what the rows that expire imply
        self._head: Head | None = None  # what the store has
        self._head_is_damaged = False
        # Putting as it is and deleting are nobody's but an append's and this module's.
        self._rows, self._put_record, self._delete = store._rows, store._put, store._delete  # noqa: SLF001
        self._batch, self._token, self._remember = store._batch, store._token, store._remember_beginning  # noqa: SLF001
        self._mark_late = store._mark_late  # noqa: SLF001

    def run(self) -> Iterator[Migrated]:
        last = None
        while batch := self._next_strays(last):
            yield from self._move_all(batch)
            last = batch[-1].key
        if self._head_is_damaged:
            yield Migrated(self._stream, HEAD_KEY, None, "what it remembers can not be read")
        elif self._first is not None and (self._head is None or self._head.joined(self._first) != self._head):
            yield self._write_head(self._first)

    def _next_strays(self, last: str | None) -> list[Event]:
        """In several short readings, not one long one: SQLite's journal grows while a reading is open."""
        strays: list[Event] = []
        for event in self._store.records(self._stream) if last is None else self._store.records(self._stream, low=last):
            if event.key == HEAD_KEY:
                self._read_head(event)
            elif event.key != last and not _is_bookkeeping(event):
                self._note_first(event)
                if _is_stray(event):
                    strays.append(event)
                    if len(strays) == _BATCH:
                        break
        return strays

    def _read_head(self, event: Event) -> None:
        try:
            self._head = decode_head(event.detail_json)
        except UNREADABLE:
            self._head_is_damaged = True

    def _note_first(self, event: Event) -> None:
        if event.expires is not None:
            try:
                mine = Head(first_moment=to_canonical(event.moment_ns), first_expires=int(event.expires))
            except UNREADABLE:
                return
            self._first = mine if self._first is None else self._first.joined(mine)

    def _move_all(self, events: list[Event]) -> list[Migrated]:
        if self._dry_run:
            return [self._move(event) for event in events]
        with self._batch():
            self._mark_late(Record(self._stream, _FIRST, put_token=self._token()), self._store.now())
            return [self._move(event) for event in events]

    def _move(self, event: Event) -> Migrated:
        try:
            new_key, outcome = self._place(event)
        except _Stays as stays:
            return Migrated(self._stream, event.key, None, str(stays))
        if self._dry_run:
            self._planned[event.key] = None
        else:
            self._delete(self._stream, event.key)
        return Migrated(self._stream, event.key, new_key, outcome)

    def _place(self, event: Event) -> tuple[str, str]:
        """Puts the event where it belongs, and answers where that is. Raises _Stays."""
        fact = _Fact.of(event)
        if fact.is_damaged:
            raise _Stays("its content does not match its digest")
        for twin in (False, True):
            record = _moved(event, self._token(), twin=twin)
            there = self._put(record, fact)
            if there is None:
                return record.sk, REWRITTEN
            if there.is_same(fact):
                if there.expires < fact.expires:
                    raise _Stays(f"the same event stands at '{record.sk}', but expires earlier there")
                return record.sk, ALREADY_THERE
            if there.id == fact.id:
                raise _Stays(f"at '{record.sk}' stands the same id with other content")
        raise _Stays(f"at '{record.sk}', its twin's key, stands another event")

    def _put(self, record: Record, fact: _Fact) -> _Fact | None:
        """Puts the record and answers None, in a dry run only on paper; else answers what is there."""
        if not self._dry_run:
            old = self._put_record(record)
            return None if old is None or old.put_token == record.put_token else _Fact.of(decode(old))
        if record.sk in self._planned:
            there = self._planned[record.sk]
        else:
            there = next(map(_Fact.of, self._rows(record.pk, record.sk, record.sk)), None)
        if there is None:
            self._planned[record.sk] = fact
        return there

    def _write_head(self, first: Head) -> Migrated:
        if not self._dry_run:
            with self._batch():
                # A record of which nothing is asked but its moment and its expiry.
                self._remember(
                    Record(self._stream, HEAD_KEY, event_time=first.first_moment, expire_record=first.first_expires)
                )
        return Migrated(self._stream, HEAD_KEY, HEAD_KEY, BEGINNING_WRITTEN)


class _Stays(Exception):
    """A row can not be moved; the text is the reason."""


class _Fact(NamedTuple):
    """What decides whether two rows are the same event."""

    id: str
    content: str  # the digest of its content, counted anew
    by_id: bool  # whether it was stored so that every id is an event of its own
    is_damaged: bool  # whether the stored digest is neither of the two
    expires: float

    @classmethod
    def of(cls, event: Event) -> _Fact:
        try:
            content = content_digest(event)
            by_id = event.digest == content_digest(event, identity="id")
        except UNREADABLE:
            raise _Stays(f"'{event.key}' has no detail that is a JSON object with a readable moment") from None
        is_damaged = not by_id and event.digest not in (None, content)
        return cls(event.id, content, by_id, is_damaged, math.inf if event.expires is None else event.expires)

    def is_same(self, other: _Fact) -> bool:
        return self.content == other.content and (self.id == other.id or not (self.by_id or other.by_id))


def _moved(event: Event, token: str, *, twin: bool) -> Record:
    try:
        record = encode(event, recorded_at="", put_token=token, twin=twin)
    except EventTooLarge as error:
        raise _Stays(str(error)) from None
    record.recorded_at = event.recorded_at_text
    record.expire_record = None if event.expires is None else math.ceil(event.expires)
    if size(record) > MAX_ITEM:
        raise _Stays(str(EventTooLarge("the item", size=size(record), limit=MAX_ITEM, event_id=event.id)))
    return record


def _is_stray(event: Event) -> bool:
    """Whether a row lies elsewhere than its content asks for. One that can not be read and has a key in the canonical
    spelling is none: there is no better place for it."""
    try:
        plain = plain_key(event)
        return event.key != plain and event.key != twin_key(plain, event.digest or content_digest(event))
    except UNREADABLE:
        return not has_canonical_key(event)


def _is_bookkeeping(event: Event) -> bool:
    """An older writer's event without a time may have a key that begins as bookkeeping does, but it has an id."""
    return event.key.startswith("#") and not event.id
