"""Costs: what a rebuild of many streams will read, and what that costs, before anything is read.

DynamoDB counts a read unit for each 4 KB that it reads consistently, as the kit always does, and rounds up once for
each page of at most 1 MB; what a filter or a projection leaves out counts, too.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/capacity-mode.html
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final, Literal

from eventsourcing_kit.errors import InvalidOption, InvalidStoreURL
from eventsourcing_kit.resuming import check_saving
from eventsourcing_kit.scanning import Way, can_scan, listed, segments_for
from eventsourcing_kit.span import exact, names_event
from eventsourcing_kit.stores.contract import Measured
from eventsourcing_kit.stores.url import parse_url
from eventsourcing_kit.workers import Question, check_workers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from eventsourcing_kit.resuming import Saving
    from eventsourcing_kit.stores.contract import Readable, TableSize

__all__ = ["USD_PER_MILLION", "Estimate", "estimate"]

USD_PER_MILLION: Final = 0.125
"""Dollars for a million read units on demand, of the standard table class in US East (N. Virginia), since 2024-11-01:
https://aws.amazon.com/dynamodb/pricing/on-demand/. Other regions ask for up to twice as much."""

_UNIT: Final = 4_096  # bytes, read consistently
_PAGE: Final = 1_048_576
_MILLION: Final = 1_000_000
_STALE: Final = "DynamoDB tells a table's size as it was up to six hours ago; what was written since is not counted"
_PROVISIONED: Final = "the table has provisioned capacity: read units use it up, and are not paid for one by one"
_LOOKED_UP: Final = "to find an event, a stream is read once more"
_SNAPSHOTS: Final = "what is read and written of snapshots comes on top; the most is read where none of them fits"


@dataclass(frozen=True)
class Estimate:
    """What a rebuild will read. Where the sizes of single streams are not known, read units lie between two bounds."""

    way: Literal["scan", "query"]  # all streams in one pass, or stream by stream
    streams: int | None  # None: that would have to be read
    items: int | None  # in the whole table, bookkeeping too; None for a store that does not say
    bytes: int | None
    read_units: int  # 0 for a store that does not charge
    read_units_at_most: int
    usd: float
    usd_at_most: float
    notes: tuple[str, ...] = ()


def estimate(
    store: Readable,
    *,
    streams: str | Iterable[str] | None = None,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    start: datetime | str | None = None,
    tz: str = "UTC",
    workers: int = 1,
    snapshots: Saving = None,
    way: Way = "auto",
    usd_per_million: float = USD_PER_MILLION,
) -> Estimate:
    """What the same question to `rebuild_all` would read and cost. Of a DynamoDB table it reads nothing, but asks how
    large that is (`dynamodb:DescribeTable`); of an SQLite file it lists the streams, where they are not listed already.

    With `snapshots` it is not known which of them will fit: `read_units_at_most` is what is read where none does.
    `usd_per_million` is what a million read units cost; `USD_PER_MILLION` unless given. Raises as `rebuild_all` does
    where it begins, InvalidOption for a price below 0, StoreNotFound and StoreUnavailable.
    """
    check_workers(workers)
    if snapshots is not None:
        check_saving(store, snapshots)
    if not usd_per_million >= 0:
        raise InvalidOption("usd_per_million", found=str(usd_per_million), expected="a number from 0")
    now = time.time_ns()
    moments = [exact(each, tz=tz, now=now) for each in (at, known_at, start)]
    asked = Question(now, at=moments[0], known_at=moments[1], start=moments[2], snapshots=snapshots)
    names = streams if streams is None or isinstance(streams, str) else list(streams)
    scan = can_scan(way, store, names, asked)
    if not isinstance(store, Measured):
        count = sum(1 for _ in listed(store, names))
        return Estimate("query", count, None, None, 0, 0, 0.0, 0.0, (_no_charge(store),))
    size = store.measured()
    known = len(names) if isinstance(names, list) else None
    least, most = _of_a_pass(size, segments_for(workers)) if scan else _of_queries(size, known, asked, every=not names)
    price = usd_per_million / _MILLION if size.on_demand else 0.0
    notes = [_STALE]
    if not size.on_demand:
        notes.append(_PROVISIONED)
    if not scan and any(moment is not None and names_event(moment) for moment in moments):
        notes.append(_LOOKED_UP)
    if snapshots is not None:
        notes.append(_SNAPSHOTS)
    return Estimate(
        way="scan" if scan else "query",
        streams=known,
        items=size.items,
        bytes=size.bytes,
        read_units=least,
        read_units_at_most=most,
        usd=least * price,
        usd_at_most=most * price,
        notes=tuple(notes),
    )


def _of_a_pass(size: TableSize, segments: int) -> tuple[int, int]:
    """Each segment has at least one page, which takes at least one unit; others are rounded up by half a unit each."""
    share = size.bytes / segments
    rounded_up = max(1, ceil(share / _PAGE)) / 2
    units = ceil(segments * (share / _UNIT + rounded_up if share > _UNIT else 1))
    return units, units


def _of_queries(size: TableSize, listed: int | None, asked: Question, *, every: bool) -> tuple[int, int]:
    """A Query takes one unit at least. What lies in which stream is not known: nothing of it, or all. Where the streams
    have to be listed, that is a pass of its own."""
    everything = ceil(size.bytes / _UNIT + size.bytes / _PAGE)
    ranges = 1 if asked.start is None else 2  # the stream's bookkeeping is a range of its own then
    streams = size.items if listed is None else listed
    listing = _of_a_pass(size, 1)[0] if listed is None else 0
    all_of_it = every and listed is None and asked.at is None and asked.start is None and asked.snapshots is None
    known = size.bytes // _UNIT if all_of_it else ranges * (listed or 0)
    return listing + known, listing + everything + ranges * streams


def _no_charge(store: Readable) -> str:
    try:
        parse_url(store.url)
    except InvalidStoreURL:  # an adapter of somebody's own
        return "what this store charges is not known"
    return "nothing is charged for reading an SQLite file"
