"""A stream of ten events, one for each of the first ten hours of March, which snapshots may cover by the fifth."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from eventsourcing_kit import Event, Projection, open_store
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.testing import event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.testing import Clock

__all__ = ["NOW", "fill", "happened", "hour", "numbers", "table_with_snapshots"]

NOW = "2026-03-05T00:00:00Z"


def hour(number: int, behind: str = "00:00") -> str:
    return f"2026-03-01T{number:02d}:{behind}Z"


def happened(time: str, number: int, type: str = "Added") -> Event:  # noqa: A002 - the kit's word
    return event(type, stream="s", id=f"e{number}", time=time, n=number)


def fill(store: Any, clock: Clock, count: int = 10) -> None:
    """The events of so many hours, recorded on their day; it is the fifth then."""
    for number in range(count):
        store.append(happened(hour(number), number))
    clock.set(NOW)


def numbers() -> Projection[dict[str, Any]]:
    """Of the events `Added`, in their order."""
    projection: Projection[dict[str, Any]] = Projection("numbers", initial=dict)

    @projection.on("Added")
    def added(state: dict[str, Any], event: Event) -> dict[str, Any]:
        return {**state, "seen": [*state.get("seen", []), event.data["n"]]}

    return projection


@contextmanager
def table_with_snapshots(url: str, client: Any, clock: Clock) -> Iterator[DynamoDBStore]:
    """A table and that of its snapshots, which is away afterwards."""
    with open_store(url, clock=clock) as store:
        assert isinstance(store, DynamoDBStore)
        store.create_table()
        store.create_snapshots_table()
        yield store
    client.delete_table(TableName=store.snapshots_table)
