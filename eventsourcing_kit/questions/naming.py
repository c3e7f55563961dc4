"""How answers name an event: by the same columns in each, so that one answer leads to the next question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.event import moment_or_none
from eventsourcing_kit.frames import Column

if TYPE_CHECKING:
    from eventsourcing_kit.event import Event

__all__ = ["EVENT_COLUMNS", "event_cells", "event_label"]

EVENT_COLUMNS: Final = (
    Column("stream", "text"),
    Column("number", "int"),  # its place in the stream, counted from 1
    Column("key", "text"),
    Column("moment", "moment"),
    Column("type", "text"),
    Column("id", "text"),
    Column("correlation_id", "text"),
)


def event_cells(number: int, event: Event) -> tuple[Any, ...]:
    """The cells of `EVENT_COLUMNS`. The moment is None where an older writer left one that can not be read."""
    return event.stream, number, event.key, moment_or_none(event), event.type, event.id, event.correlation_id


def event_label(number: int, event: Event) -> str:
    """An event in a line of text."""
    return f"event {number:,} {event.type!r} at '{event.key}', id '{event.id}'"
