"""A clock that stands still until it is told otherwise."""

from __future__ import annotations

from eventsourcing_kit.moment import from_rfc3339

__all__ = ["Clock"]


class Clock:
    """What a store takes as `clock`: nanoseconds since 1970, the same at each call."""

    def __init__(self, now: str = "2026-03-02T00:00:00Z") -> None:
        self._now = from_rfc3339(now)

    def __call__(self) -> int:
        return self._now

    def set(self, now: str) -> None:
        """It is `now` (RFC 3339) from here on."""
        self._now = from_rfc3339(now)
