"""The embedded store: one SQLite file, readable with any SQLite tool.

Journal: WAL, because there a long read keeps no writer waiting, nor a writer a reader. WAL had a race that could damage
a file when two connections checkpointed at once, fixed in SQLite 3.51.3 (https://sqlite.org/wal.html#walresetbug), and
most Pythons link an older library; so the kit brings its own along in `apsw`, and refuses to open a file with another
that has the race. `synchronous=FULL` makes every commit reach the disk before it is answered.

While a store is open, look into its file from another process only: a second SQLite library inside of one process, such
as Python's own sqlite3, ends the locks of the first (https://sqlite.org/howtocorrupt.html, section 2.2.1).
"""

from __future__ import annotations

import os
import threading
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice, repeat, starmap
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import apsw
import msgspec

from eventsourcing_kit.blocks import in_blocks
from eventsourcing_kit.brief import Brief, Rest
from eventsourcing_kit.errors import StoreUnavailable
from eventsourcing_kit.event import Event
from eventsourcing_kit.record import BOOKKEEPING_END, COLUMNS, LATE_KEYS_END, READ_COLUMNS, Record
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.stores.columns import read_columns
from eventsourcing_kit.stores.reading import Window
from eventsourcing_kit.stores.sqlite_file import check_library, error_code, open_file, translated
from eventsourcing_kit.stores.sqlite_snapshots import SQLiteSnapshots

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime

    from eventsourcing_kit.stores.columns import Columns
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["SQLiteStore"]

_INSERT: Final = f"""
    INSERT INTO events ({", ".join(COLUMNS)}) VALUES ({", ".join("?" * len(COLUMNS))}) ON CONFLICT DO NOTHING
"""  # noqa: S608 - names of columns, no values
_SELECT_ONE: Final = f"SELECT {', '.join(COLUMNS)} FROM events WHERE pk = ? AND sk = ?"  # noqa: S608 - as above
_ABSENT: Final = {  # as `record.decode` reads a row without them
    "detailType": "substr(sk, instr(sk, '#') + 1)",
    "eventId": "''",
    "source": "''",
    "eventTime": "''",
    "eventDetail": "'{}'",
}


def _column(column: str | Sequence[str]) -> str:
    names = (column,) if isinstance(column, str) else column
    choices = [*names, *(_ABSENT[name] for name in names if name in _ABSENT)]
    return choices[0] if len(choices) == 1 else f"coalesce({', '.join(choices)})"


_EVENT: Final = ", ".join(map(_column, READ_COLUMNS[1:]))  # of a stream, whose name is known
_SELECT: Final = f"SELECT {_EVENT} FROM events WHERE pk = ? AND sk BETWEEN ? AND ? ORDER BY sk"  # noqa: S608 - as above
_SELECT_BEHIND: Final = f"SELECT {_EVENT} FROM events WHERE pk = ? AND sk > ? AND sk <= ? ORDER BY sk"  # noqa: S608
_BRIEF: Final = ("sk", "detailType", ("eventDetailZ", "eventDetail"), "recordedAt", "digest", "expireRecord")
_SELECT_BRIEF: Final = _SELECT_BEHIND.replace(_EVENT, ", ".join(map(_column, _BRIEF)))
_DETAIL: Final = READ_COLUMNS[1:].index(("eventDetailZ", "eventDetail"))
_FEW: Final = 32  # rows for which a second statement does not pay
_CORRELATED: Final = f"SELECT pk, {_EVENT} FROM events WHERE correlationId = ?"  # noqa: S608 - as above
_LIVE: Final = f"sk > '{BOOKKEEPING_END}' AND (expireRecord IS NULL OR expireRecord > ?)"
_CORRELATIONS: Final = f"""
    SELECT correlationId, pk, sk FROM events WHERE correlationId IS NOT NULL AND {_LIVE} ORDER BY correlationId
"""  # noqa: S608 - no values
# From one stream to the next by the index, whatever stands between; DISTINCT would pass over every row.
_STREAMS: Final = f"""
    WITH RECURSIVE found (stream) AS (
        SELECT min(pk) FROM events WHERE pk >= ?1 AND pk < ?2
        UNION ALL
        SELECT (SELECT min(pk) FROM events WHERE pk > stream AND pk < ?2) FROM found WHERE stream IS NOT NULL
    )
    SELECT stream FROM found
    WHERE EXISTS (SELECT 1 FROM events WHERE pk = stream AND {_LIVE.replace("?", "?3")}) LIMIT ?4
"""  # noqa: S608 - as above
_SURROGATES: Final = 0xD800  # the first of them; no text holds any
_first = itemgetter(0)
_LISTED: Final = 256  # streams by one statement


class SQLiteStore(BaseStore, SQLiteSnapshots):
    """`path` None keeps the events in memory, for one process and until it is closed.

    Threads may share a store; processes open the same file each for themselves. The file is made by the first append,
    or by `create_table`; reading where there is none raises StoreNotFound.
    """

    is_atomic = True

    def __init__(
        self,
        path: str | None,
        *,
        url: str,
        retention_days: int | None = None,
        legacy: bool = False,
        clock: Callable[[], int] | None = None,
        token: Callable[[], str] | None = None,
    ) -> None:
        super().__init__(url, retention_days=retention_days, legacy=legacy, clock=clock, token=token)
        check_library(url)
        self._path = None if path is None else str(Path(path).absolute())  # the working directory may change later
        self._writing = threading.RLock()
        self._writer: apsw.Connection | None = None
        self._idle: list[apsw.Connection] = []
        self._closed = False
        self._process: int | None = None  # which process opened the connections
        if path is None:
            self.create_table()

    def create_table(self) -> None:
        with self._batch():
            pass

    def streams(self, prefix: str = "") -> Iterator[str]:
        now = self._clock() // 1_000_000_000
        low, end = prefix, _behind_all(prefix)
        names: list[str] | None = None
        while names is None or len(names) == _LISTED:
            names = []
            with (
                self._reader() as connection,
                self._translated("listing streams"),
                closing(connection.cursor()) as rows,
            ):
                try:
                    names.extend(map(_first, rows.execute(_STREAMS, (low, end, now, _LISTED))))
                except (apsw.Error, UnicodeDecodeError):
                    yield from names
                    raise
            yield from names
            if names:
                low = names[-1] + "\0"  # no text lies between the two

    def read_columns(
        self, stream: str, *, start: datetime | str | None = None, at: datetime | str | None = None, at_once: int
    ) -> Iterator[Columns]:
        window, now = Window.resolve(start=start, at=at), self._clock()
        blocks = partial(self._blocks, at_once)
        return read_columns(blocks, stream, window, at_once=at_once, url=self.url, legacy=self.legacy, now=now)

    def ahead(
        self, streams: Iterable[str], *, start: datetime | str | None = None, at: datetime | str | None = None
    ) -> Generator[tuple[str, Readable]]:
        from eventsourcing_kit.stores.together import TOGETHER, read_together  # which few need

        window = Window.resolve(start=start, at=at)
        if window.start is not None:  # two ranges, one of them for the beginning
            return ((stream, self) for stream in streams)
        marks = ", ".join("?" * TOGETHER)
        select = f"SELECT pk, {_EVENT} FROM events WHERE pk IN ({marks}) AND sk BETWEEN ? AND ? ORDER BY pk, sk"  # noqa: S608

        def rows_of(names: Sequence[str]) -> Iterator[Any]:
            padding = repeat(names[-1], TOGETHER - len(names))
            return self._selected(select, (*names, *padding, window.low, window.high))

        return read_together(streams, self, rows_of, now=self._clock)

    def correlations(self) -> Iterator[tuple[str, str, str]]:
        yield from self._selected(_CORRELATIONS, (self._clock() // 1_000_000_000,))

    def check(self) -> list[str]:
        """What SQLite's own integrity check finds wrong with the file; empty where it is sound."""
        found: list[str] = []
        with self._reader() as connection, self._translated("checking"):
            try:
                # Not quick_check: keys out of their order, which hide events, are found by this one only.
                for (lines,) in connection.execute("PRAGMA integrity_check(20)"):
                    found += str(lines).splitlines()
            except apsw.CorruptError as error:  # so damaged that the check itself can not go on
                found.append(error_code(error))
        return [] if found == ["ok"] else found

    def close(self) -> None:
        with self._writing:
            self._closed = True
            if self._writer is not None:
                self._writer.close()
                self._writer = None
            self._close_idle()

    def _put(self, record: Record) -> Record | None:
        connection = self._connected()
        with self._translated("appending"):
            connection.execute(_INSERT, msgspec.structs.astuple(record))
            return None if connection.changes() else self._one(connection, record)

    def _swap(self, record: Record, *, expected: Record) -> Record | None:
        connection = self._connected()
        with self._translated("appending"):
            connection.execute(
                "UPDATE events SET eventDetail = ? WHERE pk = ? AND sk = ? AND eventDetail = ?",
                (record.event_detail, record.pk, record.sk, expected.event_detail),
            )
            return None if connection.changes() else self._one(connection, record)

    def _one(self, connection: apsw.Connection, record: Record) -> Record:
        (values,) = connection.execute(_SELECT_ONE, (record.pk, record.sk)).fetchall()
        return Record(*cast("tuple[Any, ...]", values))

    def _delete(self, stream: str, key: str) -> None:
        connection = self._connected()
        with self._translated("deleting"):
            connection.execute("DELETE FROM events WHERE pk = ? AND sk = ?", (stream, key))

    def _rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        return starmap(partial(Event, stream), self._selected(_SELECT, (stream, low, high)))

    def _blocks(self, most: int, stream: str, low: str, high: str) -> Iterator[list[Any]]:
        """As `_rows`, but each as the values alone, in blocks: without a step of Python's own for each row."""
        with self._reader() as connection, self._translated("reading"), closing(connection.cursor()) as cursor:
            yield from in_blocks(cursor.execute(_SELECT, (stream, low, high)), detail=itemgetter(_DETAIL), most=most)

    def _brief_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        return self._rows(stream, low, high) if self._path is None else self._many_rows(stream, low, high)

    def _many_rows(self, stream: str, low: str, high: str) -> Iterator[Event]:
        with self._reader() as connection, self._translated("reading"), closing(connection.cursor()) as first:
            rows = list(islice(first.execute(_SELECT, (stream, low, high)), _FEW))
            yield from starmap(partial(Event, stream), rows)
            if len(rows) == _FEW:  # this statement is not at its end, and holds the connection at what it saw
                behind = max(rows[-1][0], min(LATE_KEYS_END, high))  # whose rows hold nothing but their keys
                yield from self._behind(connection, stream, behind, high)

    def _behind(self, connection: apsw.Connection, stream: str, behind: str, high: str) -> Iterator[Event]:
        """Rows in brief, until somebody asks one for more."""
        rest = Rest(partial(self._rows, stream), high, url=self.url)
        with closing(connection.cursor()) as brief, closing(connection.cursor()) as whole:
            for row in brief.execute(_SELECT_BRIEF, (stream, behind, high)):
                behind, type_, detail, recorded, digest, expires = row
                yield Brief(stream, behind, type_, "", "", "", detail, recorded, digest, expires, rest=rest)
                if rest.was_asked:
                    yield from starmap(partial(Event, stream), whole.execute(_SELECT_BEHIND, (stream, behind, high)))
                    return

    def _correlated(self, correlation_id: str) -> Iterator[Event]:
        return starmap(Event, self._selected(_CORRELATED, (correlation_id,)))

    def _selected(self, query: str, values: tuple[Any, ...]) -> Iterator[Any]:
        with self._reader() as connection, self._translated("reading"):
            cursor = connection.cursor()
            try:
                yield from cursor.execute(query, values)
            finally:
                cursor.close()

    @contextmanager
    def _batch(self) -> Iterator[None]:
        with self._writing:
            with self._translated("opening"):
                connection = self._connected()
            self._marked.clear()  # which speak of one transaction only
            try:
                with self._translated("opening"):
                    connection.execute("BEGIN IMMEDIATE")
                yield
                with self._translated("committing"):
                    connection.execute("COMMIT")
            except BaseException:
                self._heads.clear()  # they may speak of puts that are undone here
                with self._translated("undoing"):
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reader(self) -> Iterator[apsw.Connection]:
        """A connection of its own for each reading, so that a snapshot is held for as long as that reading lasts."""
        if self._path is None:
            yield self._connected()
            return
        self._check_usable()
        with self._translated("opening"):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._open(create=False)
        try:
            yield connection
        finally:
            if connection.txn_state() == apsw.SQLITE_TXN_NONE:
                self._idle.append(connection)
            else:  # somebody holds a statement that is not at its end: who read next would see the file as it was
                connection.close(force=True)
            if self._closed:
                self._close_idle()

    def _close_idle(self) -> None:
        """Without the writer's lock, for which no reading waits: `pop` gives each connection to one caller only."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.close()

    def _connected(self) -> apsw.Connection:
        with self._writing:
            self._check_usable()
            if self._writer is None:
                self._writer = self._open(create=True)
            return self._writer

    def _check_usable(self) -> None:
        if self._closed:
            raise StoreUnavailable(self.url, code="closed", doing="opening")
        if self._process not in (None, os.getpid()):  # SQLite's connections do not outlive a fork
            raise StoreUnavailable(self.url, code="opened before this process was forked", doing="opening")

    def _open(self, *, create: bool) -> apsw.Connection:
        self._process = os.getpid()
        return open_file(self._path, url=self.url, create=create)

    def _translated(self, doing: str) -> AbstractContextManager[None]:
        return translated(self.url, doing)


def _behind_all(prefix: str) -> str | bytes:
    """The first text behind all that begin with `prefix`; where there is none, a blob, which is behind every text."""
    known = prefix.rstrip("\U0010ffff")
    if not known:
        return b""
    last = ord(known[-1]) + 1
    return known[:-1] + ("\ue000" if last == _SURROGATES else chr(last))
