"""Markers: what a stream remembers of the events that came late. `resuming` says what for."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Final

from eventsourcing_kit.moment import KEY_TIME_LENGTH
from eventsourcing_kit.record import LATE_KEY
from eventsourcing_kit.snapshot import Seen

if TYPE_CHECKING:
    from eventsourcing_kit.stores.contract import Snapshotting

__all__ = ["Markers"]

_MOST: Final = 10_000  # beyond that the events themselves are as cheap to read


class Markers:
    """Markers of late events, as they were at one instant, in the order of their events' moments. `now` is what counts
    as expired."""

    def __init__(self, store: Snapshotting, stream: str, since: str, *, now: int) -> None:
        first_expires, late = store.bookkeeping(stream, late_since=since)
        rows = list(islice(late, _MOST + 1))
        self.are_too_many = len(rows) > _MOST
        self.is_expired = first_expires is not None and first_expires * 1_000_000_000 <= now
        found = sorted((_time_of(row.key), row.key, row.digest or "") for row in rows)
        self.times = [time for time, _, _ in found]
        self.digests = {digest: time for time, _, digest in found}
        self._sums: list[str] = []
        total = hashlib.sha256()
        for _, key, _ in found:
            total.update(key.encode() + b"\0")
            self._sums.append(total.hexdigest())

    def up_to(self, time: str) -> Seen:
        """Those whose events lie at or before a time, spelled as in a key: how many, and a digest over their keys."""
        count = bisect_right(self.times, time)
        return Seen(count, (self._sums[count - 1],)) if count else Seen()


def _time_of(key: str) -> str:
    """The time of the event that a marker is for."""
    return key[len(LATE_KEY) :].partition("#")[2][:KEY_TIME_LENGTH]
