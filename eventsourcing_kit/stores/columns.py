"""Reading one stream in its order as columns, without an object for each event: for who wants all of them as a table.

Which rows are events, and in which order these stand, is `stores.reading`'s to say. Here the usual answer is given for
a whole block of rows at once: all of them are events that have not expired, under keys in the one spelling, and within
the window. Where that can not be told, the block goes the ordinary way, as events through a `StreamReading`: so there
is one reading, and one set of its errors. A block never ends inside of a millisecond, and what a reading makes of a row
follows from the others of its millisecond alone; so in parts it comes to the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain, compress, starmap
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from eventsourcing_kit.blocks import in_blocks
from eventsourcing_kit.event import UNREADABLE, Event
from eventsourcing_kit.record import order
from eventsourcing_kit.stores.reading import FIRST_TIME, TIME_LENGTH, StreamReading, are_live, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.stores.reading import Window

__all__ = ["Columns", "RowsOf", "gathered", "in_columns", "read_columns"]

Row = tuple[Any, ...]  # what `Event(*row)` makes an event of

_KEY: Final = 1  # its place in a row
_DETAIL: Final = 6


class Columns(NamedTuple):
    """Some events in their order: of each field that an `Event` has from its row, the values."""

    streams: Sequence[str]
    keys: Sequence[str]
    types: Sequence[str]
    ids: Sequence[str]
    sources: Sequence[str]
    times: Sequence[str]
    details: Sequence[str | bytes]
    recorded: Sequence[str | None]
    digests: Sequence[str | None]
    expiries: Sequence[float | None]
    correlation_ids: Sequence[str | None]
    causation_ids: Sequence[str | None]
    replay_names: Sequence[str | None]
    accounts: Sequence[str | None]
    regions: Sequence[str | None]
    resources: Sequence[str | None]

    def chosen(self, which: Sequence[bool]) -> Columns:
        """Those of the events for which `which` has True."""
        if all(which):
            return self
        some: list[Any] = [[*compress(values, which)] for values in self]
        return Columns(*some)


_FIELDS: Final = [*map(attrgetter, Event.__struct_fields__[: len(Columns._fields)])]


class RowsOf(Protocol):
    """As `stores.reading.Rows`, but each row as the fields of an Event."""

    def __call__(self, stream: str, low: str, high: str) -> Iterator[Row]: ...


def in_columns(events: Iterable[Event], at_once: int) -> Iterator[Columns]:
    """The same events, at most so many at once."""
    for block in in_blocks(events, most=at_once):
        yield Columns(*([*map(field, block)] for field in _FIELDS))


def gathered(some: Iterable[Columns], at_once: int) -> Iterator[Columns]:
    """The same events: what is short, as in each of many streams, together, until it is half of `at_once`."""
    waiting: list[Columns] = []
    count = 0
    for columns in some:
        waiting.append(columns)
        count += len(columns.keys)
        if 2 * count >= at_once:
            yield _joined(waiting)
            waiting, count = [], 0
    if count:
        yield _joined(waiting)


def _joined(parts: list[Columns]) -> Columns:
    return (
        parts[0] if len(parts) == 1 else Columns(*([*chain.from_iterable(each)] for each in zip(*parts, strict=True)))
    )


def read_columns(
    rows: RowsOf, stream: str, window: Window, *, at_once: int, url: str, legacy: bool, now: int
) -> Iterator[Columns]:
    """The events of a `StreamReading` with these arguments, in its order, about `at_once` together. Raises what it
    does."""

    def ordinary(some: RowsOf) -> Iterator[Columns]:
        def events(stream: str, low: str, high: str) -> Iterator[Event]:
            return starmap(Event, some(stream, low, high))

        return in_columns(StreamReading(events, stream, window, frozenset(), url=url, legacy=legacy, now=now), at_once)

    def among(block: list[Row]) -> RowsOf:
        return lambda _, low, high: (row for row in block if low <= row[_KEY] <= high)

    if legacy:  # its order is made of all rows together
        yield from ordinary(rows)
        return
    first, last = window.times
    all_rows = chain.from_iterable(rows(stream, low, high) for low, high in window.ranges())
    for block in _whole_milliseconds(all_rows, at_once):
        times = [row[_KEY][:TIME_LENGTH] for row in block]
        # Keys below the first time are bookkeeping, or foreign; at the ends of the window full moments decide.
        begin = bisect_right(times, max(first, FIRST_TIME))
        end = max(begin, bisect_left(times, last))
        if begin:
            yield from ordinary(among(block[:begin]))
        if begin < end:
            inside = block[begin:end]
            usual = _usual(inside, times[begin:end], now)
            yield from ordinary(among(inside)) if usual is None else (usual,)
        if end < len(block):
            yield from ordinary(among(block[end:]))


def _whole_milliseconds(rows: Iterator[Row], at_once: int) -> Iterator[list[Row]]:
    """The same rows in blocks: each waits for the next one, in case that begins in the middle of a millisecond."""
    waiting: list[Row] = []
    for block in in_blocks(rows, detail=itemgetter(_DETAIL), most=at_once):
        time = block[0][_KEY][:TIME_LENGTH]
        whole = len(waiting)
        while whole and waiting[whole - 1][_KEY].startswith(time):
            whole -= 1
        block[:0] = waiting[whole:]
        del waiting[whole:]
        if waiting:
            yield waiting
        waiting = block
    if waiting:
        yield waiting


def _usual(rows: list[Row], times: list[str], now: int) -> Columns | None:
    """These rows as events in their order, or None where one of them may be none, or can not be read."""
    if len({*times}) < len(times):  # some share their millisecond
        try:
            for begin, end in runs(times):
                rows[begin:end] = sorted(rows[begin:end], key=_place)
        except UNREADABLE:
            return None
    columns = Columns(*zip(*rows, strict=True))
    return columns if are_live({*columns.expiries}, times, now) else None


def _place(row: Row) -> tuple[object, ...]:
    return order(Event(*row))
