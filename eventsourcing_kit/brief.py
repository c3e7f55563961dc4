"""Brief: an event as a fold reads it, without the attributes that hardly any handler asks for.

Half of what is stored of a small event stands around its detail. A store that leaves it out reads, sends and decodes
less; an event then fetches it, should somebody ask. Who asks is known beforehand, by `needs`: a projection of which one
can tell that it asks for nothing of this is read in brief. What is fetched later is what was left out at first, as
stored events never change.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import StoreDamaged
from eventsourcing_kit.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["KEPT", "Brief", "Rest", "whole"]

# What can be asked of an event in brief, without a way to keep the event itself.
KEPT: Final = frozenset(
    (
        *("stream", "key", "type", "moment", "moment_ns", "sequence", "detail", "detail_json", "data", "metadata"),
        *("digest", "expires", "recorded_at"),
    )
)
_LEFT_OUT: Final = (
    *("id", "source", "time", "correlation_id", "causation_id", "replay_name"),
    *("account", "region", "resources_json"),
)
_AT_ONCE: Final = 128  # events that are fetched together, as who asks one will ask the next


class Brief(Event, frozen=True, eq=False, gc=False):
    """An Event like any other, but that it asks its store when it is asked for what was left out.

    Raises StoreError then, where the store can not be read.
    """

    rest: Rest = None  # type: ignore[assignment]  # behind fields with defaults; every store gives it

    def whole(self) -> Event:
        """The event with all that was stored, nothing of it decoded."""
        return self.rest.of(self.key, alone=True)


def _fetched(name: str) -> property:
    return property(lambda self: getattr(self.rest.of(self.key), name))


for _name in _LEFT_OUT:  # over the fields of Event, which hold nothing here
    setattr(Brief, _name, _fetched(_name))


class Rest:
    """What was left out of one reading. `rows` gives whole events of its stream, from one key to another."""

    def __init__(self, rows: Callable[[str, str], Iterator[Event]], high: str, *, url: str) -> None:
        self._rows = rows
        self._high = high
        self._url = url
        self._found: dict[str, Event] = {}
        self.was_asked = False  # then it is cheaper to leave nothing out any more

    def of(self, key: str, *, alone: bool = False) -> Event:
        """The whole event, fetched with others behind it unless it is the only one that matters."""
        if key not in self._found:
            rows = self._rows(key, key if alone else self._high)
            self._found = {event.key: event for event in islice(rows, _AT_ONCE)}
            self.was_asked |= not alone
        try:
            return self._found[key]
        except KeyError:
            raise StoreDamaged(self._url, f"key '{key}' is not there any more, while its stream is read") from None


def whole(event: Any) -> Any:
    """An event, or None, that needs no store any more."""
    return event.whole() if isinstance(event, Brief) else event
