"""Doctor: go through everything that a store holds, and the projections over it, and say what is not as it should be.

All rows are read once, in every spelling of key; a stream with rows in the wrong place is read twice. Memory holds the
event types of the store, a few examples for each check, and two digests for each misplaced row of one stream. Messages
name streams, keys and types, and nothing of what events say.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, runtime_checkable

import msgspec

from eventsourcing_kit.errors import StoreDamaged, StoreError, StoreNotFound
from eventsourcing_kit.event import UNREADABLE
from eventsourcing_kit.moment import KEY_TIME_LENGTH, to_canonical
from eventsourcing_kit.record import (
    HEAD_KEY,
    MAX_ITEM,
    READ_COLUMNS,
    Head,
    content_digest,
    decode_head,
    has_canonical_key,
    plain_key,
    twin_key,
)
from eventsourcing_kit.stores.contract import Snapshotting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["Finding", "examine"]

_EXAMPLES: Final = 5


@dataclass(frozen=True)
class Finding:
    """What one check came to. Where it is not `ok`, something has to be done; else the message is for information."""

    check: str
    ok: bool
    message: str
    examples: tuple[str, ...] = ()  # the first few of what was found


def examine(
    store: BaseStore, projections: Sequence[Projection[Any, Any]] = (), import_problems: Sequence[object] = ()
) -> Iterator[Finding]:
    """One finding for each check, as soon as there is one. `import_problems` say themselves, as text, what they are.

    Streams without a live event are passed over. A store that can not be read is a finding, too, and raises nothing.
    """
    survey = _Survey(store)
    try:
        yield from _opening(store)
        survey.run()
    except StoreError as error:
        yield Finding("store", ok=False, message=str(error))
    else:
        yield from survey.findings()
        yield from _handlers(projections, survey.types)
    yield _imports(projections, import_problems)


@runtime_checkable
class _Checkable(Protocol):
    """A store that can look after its file."""

    def check(self) -> list[str]: ...


def _opening(store: BaseStore) -> Iterator[Finding]:
    opens = Finding("store", ok=True, message=f"'{store.url}' opens")
    if not isinstance(store, _Checkable):
        next(store.records("any stream"), None)
        yield opens
        return
    problems = store.check()
    yield opens
    if problems:
        message = "the integrity check finds damage; restore the file from a copy, or ingest its events anew"
        yield Finding("file", ok=False, message=message, examples=tuple(problems[:_EXAMPLES]))
    else:
        yield Finding("file", ok=True, message="the integrity check finds nothing")


class _Check(NamedTuple):
    """What is said where nothing was found, and behind which words the count stands."""

    sound: str
    found: str
    remedy: str


_CHECKS: Final = {
    "rows": _Check(
        "every row can be read",
        "streams that can not be read to their end",
        "restore the store from a copy, or ingest its events anew",
    ),
    "keys": _Check(
        "every key has the canonical spelling", "keys in another spelling of time", "'eskit migrate' rewrites them"
    ),
    "content": _Check(
        "every detail is a JSON object with a readable moment",
        "rows whose detail is no JSON object with a readable moment",
        "they can not be folded; ingest those events anew",
    ),
    "places": _Check(
        "every key belongs to the moment and type of its event",
        "rows whose key belongs to another moment or type than their event's",
        "'eskit migrate' moves them",
    ),
    "digests": _Check(
        "every digest matches the content that it stands beside",
        "rows that do not match their digest",
        "they were damaged or changed after they had been stored; compare them with a copy",
    ),
    "duplicates": _Check(
        "no event is stored twice in its stream",
        "events that are stored twice in their stream",
        "'eskit migrate' removes those whose key is not in its place",
    ),
    "beginnings": _Check(
        "every stream whose events expire knows its beginning",
        "streams whose events expire and that do not know their beginning, so that no rebuild sees when it is gone",
        "'eskit migrate' writes it",
    ),
    "snapshots": _Check(
        "every snapshot matches its checksum",
        "snapshots that do not match their checksum",
        "none of them is used; 'eskit rebuild --snapshots' puts others in their place",
    ),
}


class _Survey:
    """One way through all rows of a store, and what was seen on it."""

    def __init__(self, store: BaseStore) -> None:
        self.types: set[str] = set()
        self._store = store
        self._rows = 0
        self._without_record = 0  # rows of older writers
        self._largest = (0, "")
        self._count: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {check: [] for check in _CHECKS}

    def run(self) -> None:
        try:
            for stream in self._store.streams():
                try:
                    self._stream(stream)
                except StoreDamaged as error:
                    self._found("rows", f"stream '{stream}': {error.reason}")
        except StoreDamaged as error:
            self._found("rows", f"the list of streams: {error.reason}")

    def findings(self) -> Iterator[Finding]:
        for name, check in _CHECKS.items():
            if count := self._count[name]:
                message = f"{check.found}: {count:,}; {check.remedy}"
                yield Finding(name, ok=False, message=message, examples=tuple(self._examples[name]))
            else:
                yield Finding(name, ok=True, message=check.sound)
        if self._without_record:
            message = f"rows without digest or recordedAt: {self._without_record:,} of {self._rows:,}"
            yield Finding("older writers", ok=True, message=f"{message}; fine, an older writer left them")
        if self._rows:
            size, where = self._largest
            message = f"the largest of {self._rows:,} rows takes {size:,} bytes; the limit is {MAX_ITEM:,}"
            yield Finding("sizes", ok=True, message=message, examples=(where,))

    def _found(self, check: str, example: str) -> None:
        self._count[check] += 1
        if len(self._examples[check]) < _EXAMPLES:
            self._examples[check].append(example)

    def _stream(self, stream: str) -> None:
        strays: dict[str, str] = {}  # digest -> key of the rows that are not in their place
        neighbours: dict[str, str] = {}  # the same of those that are, and share the time of their key
        time = ""
        beginning = _Beginning()
        for event in self._store.records(stream):
            if event.key.startswith("#") and not event.id:  # bookkeeping; an older writer's event has an id
                if event.key == HEAD_KEY:
                    beginning.read(event)
                continue
            self._row(event)
            content = self._content(event)
            if content is None:
                continue
            beginning.note(event)
            if not self._is_in_place(event, content):
                self._note(event, {content, event.digest or content_digest(event, identity="id")}, strays)
                continue
            if event.key[:KEY_TIME_LENGTH] != time:
                time = event.key[:KEY_TIME_LENGTH]
                neighbours.clear()
            self._note(event, {event.digest or content}, neighbours)
        if strays:
            self._compare(stream, strays)
        self._snapshots(stream)
        if not beginning.is_known:
            self._found("beginnings", f"stream '{stream}'")

    def _snapshots(self, stream: str) -> None:
        if not isinstance(self._store, Snapshotting):
            return
        try:
            for snapshot in self._store.all_snapshots(stream):
                if not snapshot.is_sound:
                    self._found("snapshots", f"'{snapshot.sk}' in stream '{stream}'")
        except StoreNotFound:  # a table without one for snapshots
            return

    def _row(self, event: Event) -> None:
        """What can be said without reading the detail."""
        self._rows += 1
        self.types.add(event.type)
        self._without_record += event.digest is None or event.recorded_at_text is None
        size = _size(event)
        if size > self._largest[0]:
            self._largest = size, _name(event)
        if not has_canonical_key(event):
            self._found("keys", _name(event))

    def _content(self, event: Event) -> str | None:
        """The digest counted anew; None where the content can not be read."""
        try:
            content = content_digest(event)
            matches = event.digest in (None, content) or event.digest == content_digest(event, identity="id")
        except UNREADABLE:
            self._found("content", _name(event))
            return None
        if not matches:
            self._found("digests", _name(event))
        return content

    def _is_in_place(self, event: Event, content: str) -> bool:
        plain = plain_key(event)
        if event.key == plain or event.key == twin_key(plain, event.digest or content):
            return True
        if has_canonical_key(event):
            self._found("places", _name(event))
        return False

    def _note(self, event: Event, digests: set[str], seen: dict[str, str]) -> None:
        twice = next((seen[digest] for digest in digests if digest in seen), None)
        if twice is not None:
            self._found("duplicates", f"'{twice}' and {_name(event)}")
        seen |= dict.fromkeys(digests, event.key)

    def _compare(self, stream: str, strays: dict[str, str]) -> None:
        """The second reading: which rows in their place are events that were met in another place, too."""
        for event in self._store.records(stream):
            try:
                content = event.digest or content_digest(event)
                in_place = event.key in (plain_key(event), twin_key(plain_key(event), content))
            except UNREADABLE:
                continue
            if in_place and content in strays:
                self._found("duplicates", f"'{strays[content]}' and {_name(event)}")


class _Beginning:
    """What a stream's head remembers, beside what its rows say."""

    def __init__(self) -> None:
        self._head: Head | None = None
        self._implied: Head | None = None

    def read(self, event: Event) -> None:
        try:
            self._head = decode_head(event.detail_json)
        except UNREADABLE:
            self._head = None

    def note(self, event: Event) -> None:
        if event.expires is not None:
            mine = Head(first_moment=to_canonical(event.moment_ns), first_expires=int(event.expires))
            self._implied = mine if self._implied is None else self._implied.joined(mine)

    @property
    def is_known(self) -> bool:
        if self._implied is None:
            return True
        return self._head is not None and self._head.joined(self._implied) == self._head


def _name(event: Event) -> str:
    return f"'{event.key}' in stream '{event.stream}'"


def _size(event: Event) -> int:
    """As `record.size` of its record, but for the put token, which is not read."""
    total = len("primaryKey") + len(event.stream.encode())
    for column, value in zip(READ_COLUMNS, msgspec.structs.astuple(event), strict=False):
        name = column if isinstance(column, str) else column[isinstance(value, str)]  # packed, else text
        if isinstance(value, (str, bytes)):
            total += len(name) + len(value.encode() if isinstance(value, str) else value)
        elif value is not None:
            total += len(name) + 21
    return total


def _handlers(projections: Sequence[Projection[Any, Any]], stored: set[str]) -> Iterator[Finding]:
    if not projections or not stored:
        return
    unused: list[str] = []
    elsewhere: list[str] = []
    for projection in projections:
        missing = sorted(name for name in projection.types if stored.isdisjoint(projection.stored_types(name)))
        if missing and len(missing) == len(projection.types):
            elsewhere.append(f"'{projection.name}'")
        else:
            unused += [f"'{name}' in projection '{projection.name}'" for name in missing]
    if unused:
        message = f"handlers for types that never occur here: {len(unused):,}; is each name spelled as its producer's?"
        yield Finding("handlers", ok=False, message=message, examples=tuple(unused))
    else:
        yield Finding("handlers", ok=True, message="every handler has events")
    if elsewhere:
        message = f"projections without any event here: {len(elsewhere):,}; fine, if they are about another store"
        yield Finding("other projections", ok=True, message=message, examples=tuple(elsewhere))
    unhandled = sorted(name for name in stored if not any(projection.handles(name) for projection in projections))
    if unhandled:
        message = f"types that no projection handles: {len(unhandled):,}"
        yield Finding("types", ok=True, message=message, examples=tuple(f"'{name}'" for name in unhandled[:_EXAMPLES]))


def _imports(projections: Sequence[Projection[Any, Any]], problems: Sequence[object]) -> Finding:
    if problems:
        message = f"projections that can not be used: {len(problems):,}"
        return Finding("projections", ok=False, message=message, examples=tuple(map(str, problems)))
    return Finding("projections", ok=True, message=f"projections that can be used: {len(projections):,}")
