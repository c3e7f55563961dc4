"""Files of many events, in seconds: one day of events is made as the kit makes it, and then stands there day after day.

Each day has its own moments, everywhere that they stand; ids and digests are those of the first day, which no rebuild
looks at. All days lie in the past, and each event was recorded on its own day, so that none counts as late.
"""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import apsw
import msgspec

from benchmarks.workload import events
from eventsourcing_kit import open_store
from eventsourcing_kit.record import COLUMNS, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

__all__ = ["fill_stream", "fill_streams"]

_DAY: Final = 1_000  # events
_LAST_DAY: Final = date(2026, 3, 1)  # the day of `workload.events`
_RECORDED: Final = f"{_LAST_DAY}T23:59:59.000000Z"
_STREAM: Final = COLUMNS.index("pk")
_NAMES: Final = [COLUMNS.index(name) for name in ("pk", "primaryKey", "eventDetail")]
_TIMES: Final = [COLUMNS.index(name) for name in ("sk", "eventTime", "eventDetail", "recordedAt")]
_INSERT: Final = f"INSERT INTO events VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 - no values

Row = tuple[Any, ...]


def fill_stream(file: Path, stream: str, count: int) -> None:
    """One stream of `count` events, the last of them on the evening of 2026-03-01."""
    _insert(file, _days(stream, count))


def fill_streams(file: Path, streams: Sequence[str], count: int) -> None:
    """As many streams of `count` events each; the movements of all are alike. Names are given in ascending order."""
    first = list(_days(streams[0], count))
    _insert(file, (row for stream in streams for row in _renamed(first, stream)))


def _days(stream: str, count: int) -> Iterator[Row]:
    day = list(_day(stream, min(count, _DAY)))
    days = -(-count // len(day))
    rows = (
        _changed(row, _TIMES, str(_LAST_DAY), str(_LAST_DAY - timedelta(days=back)))
        for back in reversed(range(days))
        for row in day
    )
    return islice(rows, count)


def _day(stream: str, count: int) -> Iterator[Row]:
    keys: set[str] = set()
    for event in events(stream, count):
        twin = event.key in keys  # another one of its type in its millisecond
        keys.add(event.key)
        yield msgspec.structs.astuple(encode(event, recorded_at=_RECORDED, put_token="0" * 16, twin=twin))


def _renamed(day: list[Row], stream: str) -> Iterator[Row]:
    return (_changed(row, _NAMES, row[_STREAM], stream) for row in day)


def _changed(row: Row, places: list[int], old: str, new: str) -> Row:
    changed = list(row)
    for place in places:
        changed[place] = changed[place].replace(old, new)
    return tuple(changed)


def _insert(file: Path, rows: Iterable[Row]) -> None:
    with open_store(f"sqlite:///{file}") as store:
        store.create_table()
    with closing(apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)) as connection, connection:
        connection.executemany(_INSERT, rows)
