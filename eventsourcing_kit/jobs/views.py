"""Views in a file: states as tables of SQLite, one for each projection, under its name, for any SQLite tool to read.

    SELECT stream, state ->> '$.status' FROM orders

The rows of a build gather in a table of their own, `eskit_build_N`, and come into the projection's table in one
transaction, when all of them are there; until then its old rows are what every reader sees. What somebody has built
upon that table, such as an index, stays. Readers are never kept waiting.

`eskit_views` says what each table is of: of which code, at which moment, known when, from which store. `eskit_builds`
lists the builds that are not finished.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw
import msgspec

from eventsourcing_kit.errors import InvalidOption, StoreDamaged, StoreNotFound, StoreUnavailable, ViewReplaced
from eventsourcing_kit.jobs.view import Begun, Row, View
from eventsourcing_kit.stores.sqlite_file import BUSY_TIMEOUT_MS, check_library, error_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["APPLICATION_ID", "ViewFile"]

APPLICATION_ID: Final = int.from_bytes(b"eskv")  # PRAGMA application_id
_FORMAT: Final = 1
_PAGE: Final = 1_000
_REGISTRY: Final = """
    CREATE TABLE eskit_views (
        projection TEXT PRIMARY KEY COLLATE NOCASE,
        version INTEGER NOT NULL, fingerprint TEXT, store TEXT NOT NULL, streams TEXT NOT NULL,
        at TEXT, known_at TEXT NOT NULL, start TEXT, began TEXT NOT NULL,
        allow_incomplete INTEGER NOT NULL, on_error TEXT NOT NULL, states INTEGER NOT NULL, events INTEGER NOT NULL
    ) STRICT
"""
# AUTOINCREMENT, so that the number of a build that is gone is never given again.
_BUILDS: Final = """
    CREATE TABLE IF NOT EXISTS eskit_builds (
        build INTEGER PRIMARY KEY AUTOINCREMENT, projection TEXT NOT NULL, question TEXT NOT NULL
    ) STRICT
"""
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS {name} (
        stream TEXT PRIMARY KEY, state TEXT NOT NULL, events INTEGER NOT NULL,
        last_id TEXT, last_key TEXT, last_type TEXT, complete INTEGER NOT NULL, warnings TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
"""


class ViewFile:
    """The views of one projection in an SQLite file. See `jobs.view.Target`."""

    def __init__(self, path: str, *, url: str, projection: str) -> None:
        self.url = url
        self._path = path
        self._projection = projection
        self._connection: apsw.Connection | None = None

    def create(self) -> None:
        """The first view makes it."""

    def unfinished(self) -> list[tuple[str, Begun]]:
        if not Path(self._path).exists():
            return []
        connection = self._opened()
        with self._translated():
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'eskit_builds'").get:
                return []
            found = "SELECT build, question FROM eskit_builds WHERE projection = ? ORDER BY build"
            rows = connection.execute(found, (self._projection,)).fetchall()
        return [(str(build), msgspec.json.decode(str(question), type=Begun)) for build, question in rows]

    def begin(self, begun: Begun) -> str:
        connection = self._opened(create=True)
        with self._transaction():
            if not connection.pragma("application_id"):
                connection.execute(_REGISTRY)
                connection.pragma("user_version", _FORMAT)
                connection.pragma("application_id", APPLICATION_ID)
            self._check_name()
            connection.execute(_BUILDS)
            insert = "INSERT INTO eskit_builds (projection, question) VALUES (?, ?) RETURNING build"
            question = msgspec.json.encode(begun).decode()
            build = str(connection.execute(insert, (self._projection, question)).get)
            connection.execute(_TABLE.format(name=_table(build)))
        return build

    def written(self, build: str) -> Iterator[tuple[str, int]]:
        """Page by page, so that no reading stands open while rows are written."""
        select = f"SELECT stream, events FROM {_table(build)} WHERE stream > ? ORDER BY stream LIMIT {_PAGE}"  # noqa: S608
        last = ""  # no stream is empty
        while True:
            with self._translated():
                page = self._opened().execute(select, (last,)).fetchall()
            for stream, events in page:
                yield str(stream), int(str(events))
            if len(page) < _PAGE:
                return
            last = str(page[-1][0])

    def write(self, build: str, rows: Sequence[Row]) -> None:
        insert = f"INSERT OR REPLACE INTO {_table(build)} VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - a number
        # A crash of the machine may take the last rows along, which a resumed build makes again.
        with self._transaction(synchronous="NORMAL"):
            self._check_there(build)
            self._opened().executemany(insert, [(*row[:1], row.state.decode(), *row[2:]) for row in rows])

    def switch(self, build: str, view: View) -> None:
        names, marks = ", ".join(View.__struct_fields__), ", ".join("?" * len(View.__struct_fields__))
        insert = f"INSERT OR REPLACE INTO eskit_views ({names}) VALUES ({marks})"  # noqa: S608 - names of columns
        table = _quoted(self._projection)
        with self._transaction():
            connection = self._opened()
            self._check_there(build)
            self._check_name()
            connection.execute(_TABLE.format(name=table))
            connection.execute(f"DELETE FROM {table}")  # noqa: S608 - quoted
            connection.execute(f"INSERT INTO {table} SELECT * FROM {_table(build)}")  # noqa: S608 - as above
            connection.execute(insert, msgspec.structs.astuple(view))
            before = "DELETE FROM eskit_builds WHERE projection = ? AND build <= ? RETURNING build"
            for (number,) in connection.execute(before, (self._projection, int(build))).fetchall():
                connection.execute(f"DROP TABLE IF EXISTS {_table(str(number))}")

    def give_up(self, build: str) -> None:
        with self._transaction():
            self._opened().execute("DELETE FROM eskit_builds WHERE build = ?", (int(build),))
            self._opened().execute(f"DROP TABLE IF EXISTS {_table(build)}")

    @contextmanager
    def reading(self) -> Iterator[_Shown]:
        if not Path(self._path).exists():
            raise StoreNotFound(self.url, "'eskit rebuild NAME --all --into' makes it")
        connection = self._opened()
        with self._translated():
            if not connection.execute("SELECT 1 FROM sqlite_schema").get:
                raise StoreNotFound(self.url, "'eskit rebuild NAME --all --into' fills it")
            connection.execute("BEGIN")
        try:
            names = ", ".join(View.__struct_fields__)
            found = f"SELECT {names} FROM eskit_views WHERE projection = ? COLLATE BINARY"  # noqa: S608 - as above
            with self._translated():
                rows = connection.execute(found, (self._projection,)).fetchall()
            if not rows:
                hint = f"'eskit rebuild {self._projection} --all --into' makes it"
                raise StoreNotFound(self.url, f"it has no view of '{self._projection}'; {hint}")
            view = msgspec.convert(dict(zip(View.__struct_fields__, rows[0], strict=True)), View, strict=False)
            yield _Shown(self, view)
        finally:
            connection.execute("ROLLBACK")

    def states(self, stream: str | None) -> Iterator[tuple[str, bytes]]:
        """Of all streams in order, or of one, as the transaction that is open sees them."""
        one = "" if stream is None else "WHERE stream = ?"
        select = f"SELECT stream, state FROM {_quoted(self._projection)} {one} ORDER BY stream"  # noqa: S608 - quoted
        with self._translated():
            for name, state in self._opened().execute(select, () if stream is None else (stream,)):
                yield str(name), str(state).encode()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _check_name(self) -> None:
        twin = "SELECT projection FROM eskit_views WHERE projection = ?1 AND projection <> ?1 COLLATE BINARY"
        other = self._opened().execute(twin, (self._projection,)).get
        if other:
            expected = f"a name that differs from '{other}', which is there, by more than its case"
            raise InvalidOption("into", found=self._projection, expected=expected)

    def _check_there(self, build: str) -> None:
        if not self._opened().execute("SELECT 1 FROM eskit_builds WHERE build = ?", (int(build),)).get:
            raise ViewReplaced(self.url, projection=self._projection, doing="building")

    def _opened(self, *, create: bool = False) -> apsw.Connection:
        if self._connection is None:
            check_library(self.url)
            flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
            with self._translated():
                self._connection = apsw.Connection(self._path, flags=flags)
                self._connection.set_busy_timeout(BUSY_TIMEOUT_MS)
                self._check_file(self._connection)
        if create:
            with self._translated():
                self._connection.pragma("journal_mode", "WAL")
        return self._connection

    def _check_file(self, connection: apsw.Connection) -> None:
        found = connection.pragma("application_id")
        if not found and not connection.execute("SELECT 1 FROM sqlite_schema").get:
            return
        if found != APPLICATION_ID:
            raise StoreDamaged(self.url, "it is not a file of views, but an SQLite file of another application")
        if connection.pragma("user_version") != _FORMAT:
            raise StoreDamaged(self.url, f"its format is not {_FORMAT}, the one that this version of the kit reads")

    @contextmanager
    def _transaction(self, *, synchronous: str = "FULL") -> Iterator[None]:
        connection = self._opened()
        with self._translated():
            connection.pragma("synchronous", synchronous)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise StoreDamaged(self.url, f"SQLite can not read it ({error_code(error)})") from error
        except apsw.Error as error:
            raise StoreUnavailable(self.url, code=error_code(error), doing="working on its views") from error


class _Shown:
    """See `jobs.view.Shown`: one transaction, so that nothing is replaced."""

    def __init__(self, file: ViewFile, view: View) -> None:
        self._file = file
        self.view = view

    def rows(self) -> Iterator[tuple[str, bytes]]:
        return self._file.states(None)

    def row(self, stream: str) -> bytes | None:
        return next((state for _, state in self._file.states(stream)), None)


def _table(build: str) -> str:
    """Where a build's rows gather."""
    return f"eskit_build_{int(build)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
