"""Short streams read together: one statement for many, as one of its own costs a short stream more than its rows do."""

from __future__ import annotations

from itertools import groupby, islice, starmap
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import StoreError
from eventsourcing_kit.event import Event
from eventsourcing_kit.record import READ_COLUMNS
from eventsourcing_kit.stores.facade import Facade

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from eventsourcing_kit.stores.contract import Readable

    Row = tuple[Any, ...]  # of `record.READ_COLUMNS`
    RowsOf = Callable[[Sequence[str]], Iterator[Row]]

__all__ = ["SHORT", "TOGETHER", "read_together"]

TOGETHER: Final = 64  # streams
SHORT: Final = 32  # rows of a stream, at most
_BYTES: Final = 1_000_000  # of details held at once; one stream more may be in hand

_detail = itemgetter(READ_COLUMNS.index(("eventDetailZ", "eventDetail")))
_stream = itemgetter(READ_COLUMNS.index("pk"))


def read_together(
    streams: Iterable[str], store: Readable, rows_of: RowsOf, *, now: Callable[[], int]
) -> Generator[tuple[str, Readable]]:
    """Each stream, with what reads it: see `stores.contract.Ahead`.

    `rows_of` gives all rows of some streams that are asked for, which are in ascending order, and so are the rows, by
    stream and key. It is asked for those of short streams; a long one is read from `store`, and so is every stream for
    which it raises a StoreError: that is then raised for the one that is to blame, and hides no other.
    """
    found: dict[str, list[Row]] = {}
    facade = Facade(
        lambda stream, low, high: list(starmap(Event, found.get(stream, ()))),  # noqa: ARG005 - of one window
        url=store.url,
        now=now,
    )
    alone = 1  # streams read by themselves behind a long one: twice as many each time, where there are only such
    for names in _ascending(streams):
        place = 0
        while place < len(names):
            found, end = _read(rows_of, names[place:])
            for stream in names[place : place + end]:
                yield stream, facade
            place += end
            if place < len(names):
                alone = 1 if end else min(2 * alone, TOGETHER)
                for stream in names[place : place + alone]:
                    yield stream, store
                place += alone


def _read(rows_of: RowsOf, names: Sequence[str]) -> tuple[dict[str, list[Row]], int]:
    """The rows of the first of some streams, and how many streams these are: up to one that is long, too much to hold,
    or can not be read."""
    found: dict[str, list[Row]] = {}
    size = 0
    try:
        for stream, rows in groupby(rows_of(names), key=_stream):
            these = list(islice(rows, SHORT + 1))
            size += sum(map(len, map(_detail, these)))
            if len(these) > SHORT or size > _BYTES:
                return found, names.index(stream)
            found[stream] = these
    except (StoreError, UnicodeEncodeError):  # the second for a name that no row can have
        return found, names.index(next(reversed(found))) + 1 if found else 0
    return found, len(names)


def _ascending(streams: Iterable[str]) -> Iterator[list[str]]:
    """The streams as they come, in lists of which each is in ascending order."""
    names: list[str] = []
    for stream in streams:
        if names and (len(names) == TOGETHER or stream <= names[-1]):
            yield names
            names = []
        names.append(stream)
    if names:
        yield names
