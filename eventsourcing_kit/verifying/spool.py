"""A copy of the events of some streams, in their order, in one temporary file: what every world folds.

So all worlds have the same events, however many arrive meanwhile; a table is read once; a store in memory and anybody's
adapter can be verified; and no process that folds needs credentials, or a clock that a server would believe.
"""

from __future__ import annotations

from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from eventsourcing_kit.event import Event, stored_fields
from eventsourcing_kit.processes import frames, write_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from eventsourcing_kit.stores.contract import Readable
    from eventsourcing_kit.verifying.scope import Scope

__all__ = ["Section", "Spool"]

_ENCODER: Final = msgspec.msgpack.Encoder()


class Section(NamedTuple):
    """Where one stream's events lie in the file, and how many they are."""

    stream: str
    begin: int
    events: int


class Spool:
    """The streams that have events, by number, in the order in which they were read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections: list[Section] = []
        self.empty: list[str] = []  # streams that were asked for and have no event
        self.incomplete: list[str] = []  # streams whose beginning has expired

    @classmethod
    def write(cls, path: Path, store: Readable, streams: Iterable[str], scope: Scope) -> Spool:
        """Reads each stream once. Raises what the store raises."""
        spool = cls(path)
        with path.open("wb") as file:
            for stream in streams:
                spool._add(file, store, stream, scope)
        path.with_suffix(".index").write_bytes(_ENCODER.encode(spool.sections))
        return spool

    @classmethod
    def open(cls, path: Path) -> Spool:
        """The one that another process has written."""
        spool = cls(path)
        found = msgspec.msgpack.decode(path.with_suffix(".index").read_bytes(), type=list[tuple[str, int, int]])
        spool.sections = [Section(*section) for section in found]
        return spool

    def _add(self, file: BinaryIO, store: Readable, stream: str, scope: Scope) -> None:
        begin, count = file.tell(), 0
        reading, events = scope.read(store, stream)
        for event in events:
            write_frame(file, stored_fields(event))
            count += 1
        if count:
            self.sections.append(Section(stream, begin, count))
        else:
            self.empty.append(stream)
        if reading.expired_since is not None:
            self.incomplete.append(stream)

    def number_of(self, stream: str) -> int | None:
        """Its number; None where it has no events here."""
        return next((number for number, section in enumerate(self.sections) if section.stream == stream), None)

    def has_same(self, other: Spool, stream: str) -> bool:
        """Whether a stream has the same events under the same keys in both."""
        mine, theirs = (spool.number_of(stream) for spool in (self, other))
        if mine is None or theirs is None:
            return mine is theirs
        pairs = zip_longest(self.events(mine), other.events(theirs))
        return all(one is not None and one == two and one.key == two.key for one, two in pairs)

    def events(self, number: int) -> Iterator[Event]:
        """The events of one stream, nothing of them decoded yet."""
        section = self.sections[number]
        with self.path.open("rb") as file:
            file.seek(section.begin)
            for fields in islice(frames(file), section.events):
                yield Event(*fields)
