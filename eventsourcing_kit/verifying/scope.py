"""Which events are looked at: streams, and the moments up to which they count."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Self

from eventsourcing_kit.moment import to_canonical, to_microseconds
from eventsourcing_kit.times import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Scope", "names_of"]


class Scope(NamedTuple):
    """`at` and `known_at`, resolved once for all streams, and what the clock said then; in nanoseconds."""

    now: int
    at_ns: int | None
    known_at_ns: int | None

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
        return cls(now, *(None if text is None else resolve(text, tz=tz, now=now) for text in (at, known_at)))

    @property
    def at(self) -> str | None:
        return None if self.at_ns is None else to_canonical(self.at_ns)

    def known(self, events: Iterable[Event]) -> Iterator[Event]:
        """Without what was recorded later than `known_at`; an event that does not say when counts as known."""
        known = None if self.known_at_ns is None else to_microseconds(self.known_at_ns)
        for event in events:
            recorded = event.recorded_at_text
            if known is None or recorded is None or recorded <= known:
                yield event


def names_of(store: Readable, streams: str | Iterable[str] | None) -> Iterable[str]:
    """All streams, those with a prefix, or those of a list, each once."""
    if streams is None or isinstance(streams, str):
        return store.streams(streams or "")
    return dict.fromkeys(streams)
