"""What every store keeps to. `eventsourcing_kit.testing` has the suite that holds an adapter to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from eventsourcing_kit.errors import EventRefused
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.snapshot import Snapshot
    from eventsourcing_kit.stores.columns import Columns

__all__ = [
    *("Ahead", "Bookkeeping", "Columnar", "Correlated", "Counts", "Measured", "Outcome", "Readable", "Reading"),
    *("Scanning", "ScannedPage", "Snapshotting", "Store", "TableSize", "Unread"),
]


class Outcome(str):
    """`"stored"` or `"duplicate"`: there is no third outcome, only exceptions."""

    __slots__ = ("other_id", "twin")
    twin: bool  # stored beside a different event that has the plain key
    other_id: str | None  # of a duplicate: the id of the stored event, where that is another one

    def __new__(cls, outcome: str, *, twin: bool = False, other_id: str | None = None) -> Self:
        self = super().__new__(cls, outcome)
        self.twin = twin
        self.other_id = other_id
        return self


@dataclass(frozen=True)
class Counts:
    """How many events of an `append_many` had which outcome."""

    stored: int = 0
    duplicate: int = 0
    other_id: int = 0  # duplicates that came under another id than the stored event's
    twins: int = 0  # stored events whose plain key another event has

    def plus(self, outcome: Outcome) -> Counts:
        stored = outcome == "stored"
        return Counts(
            stored=self.stored + stored,
            duplicate=self.duplicate + (not stored),
            other_id=self.other_id + (outcome.other_id is not None),
            twins=self.twins + outcome.twin,
        )


class Bookkeeping(NamedTuple):
    """What a stream remembers beside its events."""

    first_expires: int | None  # epoch seconds; None where its events are kept for ever
    late: Iterator[Event]  # the markers of late events, as rows: `record.encode_late` says what they hold


class Reading(Protocol):
    """The events of one stream in order, and, once they are exhausted, whether earlier ones are gone.

    One that has them in lists may give these, too, as the iterator `blocks()`: a rebuild then takes that.
    """

    @property
    def expired_since(self) -> str | None:
        """The moment of the first event that this reading should have had and that has expired; else None."""
        ...

    def __iter__(self) -> Iterator[Event]: ...

    def __next__(self) -> Event: ...


@runtime_checkable
class Readable(Protocol):
    """What a rebuild needs of a store."""

    @property
    def url(self) -> str: ...

    def read(
        self,
        stream: str,
        *,
        start: datetime | str | None = None,
        at: datetime | str | None = None,
        types: Iterable[str] = (),
    ) -> Reading:
        """The events of `stream` from `start` up to `at`, both inclusive, in order; all, where they are None.

        The order is (moment, `metaData.sequence`, type, digest), whatever the order of arrival. Lazy: memory does not
        grow with the stream. Events stored while this runs may or may not be in it. Raises ForeignKey, StoreNotFound,
        StoreUnavailable, StoreDamaged and InvalidMoment, the last one before anything is read.
        """
        ...

    def streams(self, prefix: str = "") -> Iterator[str]:
        """Each stream that has a live event and begins with `prefix`, once, in the order of its UTF-8 bytes."""
        ...


class Unread(NamedTuple):
    """A stream that a page has rows of, none of which could be read from there."""

    stream: str
    is_live: bool  # whether one of them is a live event


class ScannedPage(NamedTuple):
    """Rows of several streams as they lie there, expired ones and bookkeeping too; or, where one of them can not be
    read, only whose they are."""

    events: Sequence[Event]
    unread: Sequence[Unread] = ()


@runtime_checkable
class Scanning(Readable, Protocol):
    """What it takes to read all streams in one pass instead of one by one; for engines where that costs less."""

    legacy: bool

    def now(self) -> int:
        """What the clock shows, in nanoseconds since 1970: what counts as expired."""
        ...

    def scanned(self, segment: int, *, of: int, prefix: str = "") -> Iterator[ScannedPage]:
        """All rows of the streams that begin with `prefix` and lie in this segment; each lies in one of so many.

        The rows of a stream are expected to stand together, in one segment, by ascending key; who calls has to see
        whether they do. Raises StoreNotFound and StoreUnavailable.
        """
        ...


class TableSize(NamedTuple):
    """How large a table is said to be, and whether each read unit is paid for."""

    items: int
    bytes: int
    on_demand: bool


@runtime_checkable
class Measured(Readable, Protocol):
    """A store that charges for what is read, and can say how large it is without reading it."""

    def measured(self) -> TableSize:
        """Raises StoreNotFound and StoreUnavailable."""
        ...


@runtime_checkable
class Ahead(Readable, Protocol):
    """A store from which several streams come sooner than one after another."""

    legacy: bool

    def ahead(
        self, streams: Iterable[str], *, start: datetime | str | None = None, at: datetime | str | None = None
    ) -> Generator[tuple[str, Readable]]:
        """Each stream with a store that has its reading of that window under way, and those of some streams behind it.

        That store reads only this stream, until the next one is asked for, and once. What goes wrong is raised when its
        turn comes, by the reading. Closing the iterator ends all that is under way.
        """
        ...


@runtime_checkable
class Columnar(Readable, Protocol):
    """A store that has its events as columns sooner than as objects."""

    def read_columns(
        self, stream: str, *, start: datetime | str | None = None, at: datetime | str | None = None, at_once: int
    ) -> Iterator[Columns]:
        """The events that `read` gives, in its order, about `at_once` together; raises what `read` raises."""
        ...


@runtime_checkable
class Correlated(Readable, Protocol):
    """What a trail needs of a store. Both answer by the stored attribute `correlationId`, without reading streams."""

    def correlated(self, correlation_id: str) -> Iterator[Event]:
        """Each live event with this correlation id, of whichever stream, once; in no promised order.

        On DynamoDB the index runs behind the table by some milliseconds, so an event that was stored just now may be
        missing. Keys in other spellings of time do no harm here. Raises IndexNotFound, StoreNotFound,
        StoreUnavailable and StoreDamaged.
        """
        ...

    def correlations(self) -> Iterator[tuple[str, str, str]]:
        """(correlation id, stream, key) of each event that has a correlation id, in the order of the bytes of that id.

        Keys alone are read: they have the time and the type (`record.split_key`), and cost the least. Where an engine
        can not tell by them what has expired, that is among them until it is deleted: on DynamoDB, for some days.
        There, too, all keys are held until they are in order. Raises as `correlated`.
        """
        ...


@runtime_checkable
class Snapshotting(Readable, Protocol):
    """What a rebuild that starts from a snapshot needs of a store; a store without snapshots has none of it.

    Snapshots are a help and no truth: whatever becomes of them, the events are there. Raises StoreNotFound where there
    is no place for them, StoreUnavailable and StoreDamaged.
    """

    is_atomic: bool  # whether the marker of a late event and the event itself come to light at one instant
    legacy: bool

    def now(self) -> int:
        """What the clock shows that stamps `recordedAt`, in nanoseconds since 1970."""
        ...

    def bookkeeping(self, stream: str, *, late_since: str) -> Bookkeeping:
        """What the stream remembers; with markers recorded from `late_since` on, spelled as `recordedAt` is. Each
        marker was there before its event, and every reader sees it from then on."""
        ...

    def create_snapshots_table(self) -> None:
        """Makes the place for snapshots, where it is missing."""
        ...

    def put_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Keeps each of them durably, in the place of one with the same stream and key."""
        ...

    def snapshots(self, stream: str, identity: str, *, before: int | None = None) -> Iterator[Snapshot]:
        """Those of one `Identity.digest` that stand at or before a moment in nanoseconds, newest moment first; none of
        which an event has expired. Damaged ones are among them."""
        ...

    def all_snapshots(self, stream: str) -> Iterator[Snapshot]:
        """Those of all projections, for who looks after a store."""
        ...

    def delete_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Away with them. One that is gone already is no error."""
        ...


@runtime_checkable
class Store(Correlated, Protocol):
    """A durable, append-only set of streams."""

    def create_table(self) -> None:
        """Makes the table or file where it is missing; leaves one that is there as it is."""
        ...

    def append(self, event: Event) -> Outcome:
        """Stores an event durably, once. Raises EventTooLarge, EventConflict, EventExpired or a StoreError."""
        ...

    def append_each(self, events: Iterable[Event]) -> Iterator[Outcome | EventRefused]:
        """The outcome or refusal of each event, in their order; durable when it is yielded. Raises StoreError."""
        ...

    def append_many(self, events: Iterable[Event]) -> Counts:
        """Stores all events; raises the first refusal. What stands before it is stored; what stands behind may be."""
        ...

    def close(self) -> None:
        """Lets go of files and connections. Twice is fine."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
