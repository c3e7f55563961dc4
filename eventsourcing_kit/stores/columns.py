"""Reading one stream in its order as columns, without an object for each event: for who wants all of them as a table.

Which rows are events, and in which order these stand, is `stores.reading`'s to say. Here the usual answer is given for
a whole block of rows at once: all of them are events that have not expired, under keys in the one spelling, and within
the window. Where that can not be told, the block goes the ordinary way, as events through a `StreamReading`: so there
is one reading, and one set of its errors. A block never ends inside of a millisecond, and what a reading makes of a row
follows from the others of its millisecond alone; so in parts it comes to the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from functools import partial
from itertools import chain, compress, starmap
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from eventsourcing_kit.blocks import in_blocks
from eventsourcing_kit.event import UNREADABLE, Event
from eventsourcing_kit.record import order
from eventsourcing_kit.stores.reading import FIRST_TIME, TIME_LENGTH, StreamReading, are_live, runs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.stores.reading import Window

__all__ = ["BlocksOf", "Columns", "gathered", "in_columns", "read_columns"]

Row = tuple[Any, ...]  # what `Event(stream, *row)` makes an event of

_KEY: Final = 0  # its place in a row


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


class BlocksOf(Protocol):
    """As `stores.reading.Rows`, but each row as the fields of an Event behind its stream, and in blocks."""

    def __call__(self, stream: str, low: str, high: str) -> Iterator[list[Row]]: ...


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
    blocks: BlocksOf, stream: str, window: Window, *, at_once: int, url: str, legacy: bool, now: int
) -> Iterator[Columns]:
    """The events of a `StreamReading` with these arguments, in its order, about `at_once` together. Raises what it
    does."""

    def ordinary(some: BlocksOf) -> Iterator[Columns]:
        def events(stream: str, low: str, high: str) -> Iterator[Event]:
            return starmap(partial(Event, stream), chain.from_iterable(some(stream, low, high)))

        return in_columns(StreamReading(events, stream, window, frozenset(), url=url, legacy=legacy, now=now), at_once)

    def among(block: list[Row]) -> BlocksOf:
        return lambda _, low, high: iter([[row for row in block if low <= row[_KEY] <= high]])

    if legacy:  # its order is made of all rows together
        yield from ordinary(blocks)
        return
    first, last = window.times
    all_blocks = chain.from_iterable(blocks(stream, low, high) for low, high in window.ranges())
    for block in _whole_milliseconds(all_blocks):
        times = [row[_KEY][:TIME_LENGTH] for row in block]
        # Keys below the first time are bookkeeping, or foreign; at the ends of the window full moments decide.
        begin = bisect_right(times, max(first, FIRST_TIME))
        end = max(begin, bisect_left(times, last))
        if begin:
            yield from ordinary(among(block[:begin]))
        if begin < end:
            inside, within = (block, times) if end - begin == len(block) else (block[begin:end], times[begin:end])
            usual = _usual(stream, inside, within, now)
            yield from ordinary(among(inside)) if usual is None else (usual,)
        if end < len(block):
            yield from ordinary(among(block[end:]))


def _whole_milliseconds(blocks: Iterator[list[Row]]) -> Iterator[list[Row]]:
    """The same rows in blocks: each waits for the next one, in case that begins in the middle of a millisecond, or is
    much longer, as behind the first one of a reading."""
    waiting: list[Row] = []
    for block in blocks:
        if 2 * len(waiting) < len(block):
            waiting += block
            continue
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


def _usual(stream: str, rows: list[Row], times: list[str], now: int) -> Columns | None:
    """These rows as events in their order, or None where one of them may be none, or can not be read."""
    try:
        for begin, end in runs(times):
            rows[begin:end] = sorted(rows[begin:end], key=lambda row: order(Event(stream, *row)))
    except UNREADABLE:
        return None
    columns = Columns([stream] * len(rows), *zip(*rows, strict=True))
    return columns if are_live({*columns.expiries}, times, now) else None
