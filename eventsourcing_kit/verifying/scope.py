"""Which events are looked at: streams, and the moments up to which they count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Self

from eventsourcing_kit.span import Span, exact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Readable, Reading

__all__ = ["Scope", "names_of"]


class Scope(NamedTuple):
    """`at` and `known_at`, once for all streams in the canonical spelling, but for `event:...`, which each stream
    resolves; and what the clock said then, in nanoseconds."""

    now: int
    at: str | None
    known_at: str | None

    @classmethod
    def of(
        cls,
        *,
        at: datetime | str | None,
        known_at: datetime | str | None,
        tz: str,
        clock: Callable[[], int] | None,
    ) -> Self:
        """Raises InvalidMoment."""
        now = (clock or time.time_ns)()
        return cls(now, exact(at, tz=tz, now=now), exact(known_at, tz=tz, now=now))

    def read(self, store: Readable, stream: str) -> tuple[Reading, Iterable[Event]]:
        """A reading of the stream, and those of its events that are meant; one that does not say when it was recorded
        counts as known. Raises EventNotFound."""
        span = Span.of(store, stream, at=self.at, known_at=self.known_at, now=self.now)
        reading = span.read()
        return reading, span.known(span.cut(reading))


def names_of(store: Readable, streams: str | Iterable[str] | None) -> Iterable[str]:
    """All streams, those with a prefix, or those of a list, each once."""
    if streams is None or isinstance(streams, str):
        return store.streams(streams or "")
    return dict.fromkeys(streams)
