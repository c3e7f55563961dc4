"""The same movements in the PyPI package `eventsourcing`: its SQLite recorder, its aggregates, its repository.

It is given both of the styles that its users write, and it changes its aggregates in place, which costs less than the
frozen states of `workload.stock`. It writes with Python's own sqlite3, the kit with the SQLite that apsw carries.

`Summed` does what `workload.units` does, and as little beside it; its first movement makes the aggregate, so that it
has as many events as the kit. Its repository can be given a leaner projector than its own, which asks of each event
whether it keeps to a protocol, at run time.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import NAMESPACE_URL, UUID, uuid5

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.sqlite import SQLiteFactory

from eventsourcing_kit.moment import to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

    from benchmarks.workload import Movement

__all__ = ["Applied", "Decorated", "Peer", "Summed", "lean"]

_SYNCHRONOUS: Final = {0: "OFF", 1: "NORMAL", 2: "FULL", 3: "EXTRA"}


class _Article(Aggregate):
    def __init__(self) -> None:
        self.on_hand = 0
        self.reserved = 0
        self.shipped = 0
        self.value = 0.0

    class Moved(Aggregate.Event):
        event_id: str
        correlation_id: str
        causation_id: str
        producer: str
        quantity: int
        unit_price: float
        warehouse: str
        reference: str
        operator: str
        note: str


class Applied(_Article):
    """The faster style: each event has an `apply`."""

    class StockReceived(_Article.Moved):
        def apply(self, aggregate: Any) -> None:
            aggregate.on_hand += self.quantity
            aggregate.value += self.quantity * self.unit_price

    class StockReserved(_Article.Moved):
        def apply(self, aggregate: Any) -> None:
            aggregate.on_hand -= self.quantity
            aggregate.reserved += self.quantity

    class StockShipped(_Article.Moved):
        def apply(self, aggregate: Any) -> None:
            aggregate.reserved -= self.quantity
            aggregate.shipped += self.quantity

    class StockCounted(_Article.Moved):
        def apply(self, aggregate: Any) -> None:
            aggregate.on_hand = self.quantity
            aggregate.value = self.quantity * self.unit_price


class Decorated(_Article):
    """The style of its tutorials: methods under `@event`."""

    class StockReceived(_Article.Moved):
        pass

    class StockReserved(_Article.Moved):
        pass

    class StockShipped(_Article.Moved):
        pass

    class StockCounted(_Article.Moved):
        pass

    @event(StockReceived)
    def receive(self, quantity: int, unit_price: float) -> None:
        self.on_hand += quantity
        self.value += quantity * unit_price

    @event(StockReserved)
    def reserve(self, quantity: int) -> None:
        self.on_hand -= quantity
        self.reserved += quantity

    @event(StockShipped)
    def ship(self, quantity: int) -> None:
        self.reserved -= quantity
        self.shipped += quantity

    @event(StockCounted)
    def count(self, quantity: int, unit_price: float) -> None:
        self.on_hand = quantity
        self.value = quantity * unit_price


class Summed(Aggregate):
    """One field, one addition."""

    class Created(Aggregate.Created):
        event_id: str
        correlation_id: str
        causation_id: str
        producer: str
        quantity: int
        unit_price: float
        warehouse: str
        reference: str
        operator: str
        note: str

    def __init__(self, quantity: int) -> None:
        self.units = quantity

    class Moved(_Article.Moved):
        def apply(self, aggregate: Any) -> None:
            aggregate.units += self.quantity

    class StockReceived(Moved):
        pass

    class StockReserved(Moved):
        pass

    class StockShipped(Moved):
        pass

    class StockCounted(Moved):
        pass


def lean(aggregate: Any, events: Iterable[Any]) -> Any:
    """Its own projector without the check of each event."""
    for each in events:
        aggregate = each.mutate(aggregate)
    return aggregate


class Peer:
    """One application over one SQLite file, closed at the end of its `with`."""

    def __init__(self, path: Path, *, snapshots: bool = False) -> None:
        settings = {"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)}
        if snapshots:
            settings["IS_SNAPSHOTTING_ENABLED"] = "y"
        self._application: Application[UUID] = Application(env=settings)

    @staticmethod
    def events(style: type[_Article], stream: str, movements: Iterable[Movement]) -> list[Any]:
        """Its domain events of a stream: one that creates the aggregate, then one for each movement."""
        made: list[Any] = []
        for version, movement in enumerate(movements, start=2):
            if not made:
                made.append(style.Created(**_created(style, stream, movement)))
            made.append(getattr(style, movement.type)(**_moved(style, stream, version, movement)))
        return made

    @staticmethod
    def sums(stream: str, movements: Iterable[Movement]) -> Iterator[Any]:
        """Its domain events of a stream as `Summed` has them: one for each movement, of which the first creates it."""
        for version, movement in enumerate(movements, start=1):
            fields = _moved(Summed, stream, version, movement)
            if version == 1:
                yield Summed.Created(**{**_created(Summed, stream, movement), **fields})
            else:
                yield getattr(Summed, movement.type)(**fields)

    def append(self, events: list[Any]) -> None:
        """In one transaction."""
        self._application.events.put(events)

    def append_one(self, event: Any) -> None:
        self.append([event])

    def read(self, style: type[_Article], stream: str) -> None:
        """Every event of a stream, decoded."""
        deque(self._application.events.get(_id(style, stream)), maxlen=0)

    def get(self, style: type[_Article], stream: str) -> _Article:
        """The aggregate as its repository rebuilds it from all of its events: no snapshot, no cache."""
        article: _Article = self._application.repository.get(_id(style, stream))
        return article

    def units(self, stream: str, *, version: int | None = None) -> int:
        """What `Summed` comes to, behind all events or behind so many; from a snapshot, where there is one."""
        summed: Summed = self._application.repository.get(_id(Summed, stream), version=version)
        return summed.units

    def units_lean(self, stream: str) -> int:
        """The same with the leaner projector."""
        summed: Summed = self._application.repository.get(_id(Summed, stream), projector_func=lean)
        return summed.units

    def take_snapshot(self, stream: str, version: int) -> None:
        """Of a `Summed`, behind so many events."""
        self._application.take_snapshot(_id(Summed, stream), version=version)

    def synchronous(self) -> str:
        """Which setting of `synchronous` its connection has: what it was opened with, or `flush_every_commit` set."""
        return _SYNCHRONOUS[self._pragma("synchronous")]

    def flush_every_commit(self) -> None:
        """As the kit does. Its pool has one connection here, since nothing runs at the same time."""
        self._pragma("synchronous = FULL")

    def journal(self) -> str:
        return str(self._pragma("journal_mode")).upper()

    def _pragma(self, pragma: str) -> Any:
        factory = self._application.factory
        assert isinstance(factory, SQLiteFactory)
        with factory.datastore.get_connection(commit=True) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA {pragma}")
            row = cursor.fetchone()
        return row and row[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._application.close()


def _created(style: type[Aggregate], stream: str, movement: Movement) -> dict[str, Any]:
    return {
        "originator_topic": f"{style.__module__}:{style.__qualname__}",
        "originator_id": _id(style, stream),
        "originator_version": 1,
        "timestamp": to_datetime(movement.moment_ns),
    }


def _moved(style: type[Aggregate], stream: str, version: int, movement: Movement) -> dict[str, Any]:
    return {
        "originator_id": _id(style, stream),
        "originator_version": version,
        "timestamp": to_datetime(movement.moment_ns),
        "event_id": movement.id,
        "correlation_id": movement.correlation_id,
        "causation_id": movement.causation_id,
        "producer": movement.producer,
        "quantity": movement.quantity,
        "unit_price": movement.unit_price,
        "warehouse": movement.warehouse,
        "reference": movement.reference,
        "operator": movement.operator,
        "note": movement.note,
    }


def _id(style: type[Aggregate], stream: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"{style.__name__}/{stream}")
