"""Where trails are looked for: in the index of correlation ids, or, by a scan, in every event of every stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eventsourcing_kit import places
from eventsourcing_kit.errors import InvalidEnvelope
from eventsourcing_kit.event import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Correlated

__all__ = ["Finding"]


@dataclass(frozen=True)
class Finding:
    """One way of looking, so that a trail and those it is compared with are found in the same one.

    An id is what the path leads to, else the attribute that the store has of it, else what the event's own metadata
    says in one of the usual spellings: rows of older writers may lack the attribute. Paths are JMESPaths into the
    envelope, as those of `parse`; where a path leads to no text, or fails, there is nothing for it in that event.
    """

    scan: bool = False
    correlation_path: str | None = None
    causation_path: str | None = None

    @classmethod
    def of(cls, *, scan: bool, correlation_path: str | None, causation_path: str | None) -> Finding:
        """Another place of the correlation id is in no index, so it means a scan. Raises InvalidOption."""
        for option, path in (("correlation_path", correlation_path), ("causation_path", causation_path)):
            if path is not None:
                places.check_path(path, option=option)
        return cls(scan or correlation_path is not None, correlation_path, causation_path)

    def events(self, store: Correlated, correlation_id: str) -> Iterator[Event]:
        """The live events of one trail, in no order."""
        if not self.scan:
            return store.correlated(correlation_id)
        return (event for found, event in self._scanned(store) if found == correlation_id)

    def keys(self, store: Correlated) -> Iterator[tuple[str, str]]:
        """(correlation id, key) of each live event of any trail, by correlation id. A scan holds them until then."""
        if not self.scan:
            return ((correlation_id, key) for correlation_id, _, key in store.correlations())
        return iter(sorted((found, event.key) for found, event in self._scanned(store) if found is not None))

    def cause_of(self, event: Event) -> str | None:
        """The id that an event names as its cause."""
        return _linked(event, event.causation_id, self.causation_path, places.causation_id)

    def _scanned(self, store: Correlated) -> Iterator[tuple[str | None, Event]]:
        for stream in store.streams():
            for event in store.read(stream):
                yield _linked(event, event.correlation_id, self.correlation_path, places.correlation_id), event


def _linked(event: Event, stored: str | None, path: str | None, usual: Callable[..., str | None]) -> str | None:
    if path is None and stored is not None:
        return stored
    try:
        envelope = places.as_envelope(event)
        found = None if path is None else places.search(path, envelope, option="path")
        if isinstance(found, str) and found:
            return found
        return stored or usual(envelope)
    except (InvalidEnvelope, *UNREADABLE):
        return stored
