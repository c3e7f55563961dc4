"""Views: states as tables of an SQLite file, one for each projection, under its name, for any SQLite tool to read.

A build is one transaction: SQLite writes the new rows beside the old ones, which stay what every reader sees until all
of the new ones are there. A build that fails, or is killed, was never there. Readers are never kept waiting, and what
somebody has built upon a table, such as an index, stays. A second build in the same file waits for the first.

    SELECT stream, state ->> '$.status' FROM orders

`eskit_views` says what each table is: of which code, at which moment, known when, from which store.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import apsw
import msgspec

from eventsourcing_kit.errors import InvalidOption, InvalidStoreURL, StoreDamaged, StoreNotFound, StoreUnavailable
from eventsourcing_kit.jobs.view import View
from eventsourcing_kit.stores.sqlite import BUSY_TIMEOUT_MS, check_library, error_code
from eventsourcing_kit.stores.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.rebuilding import Rebuilt

__all__ = ["APPLICATION_ID", "Build", "build", "check_target", "reading"]

APPLICATION_ID: Final = int.from_bytes(b"eskv")  # PRAGMA application_id
_FORMAT: Final = 1
_RESERVED: Final = ("sqlite_", "eskit_")
_REGISTRY: Final = """
    CREATE TABLE eskit_views (
        projection TEXT PRIMARY KEY COLLATE NOCASE,
        version INTEGER NOT NULL, fingerprint TEXT, store TEXT NOT NULL, streams TEXT NOT NULL,
        at TEXT, known_at TEXT NOT NULL, start TEXT, began TEXT NOT NULL,
        allow_incomplete INTEGER NOT NULL, on_error TEXT NOT NULL, states INTEGER NOT NULL, events INTEGER NOT NULL
    ) STRICT
"""
_TABLE: Final = """
    CREATE TABLE IF NOT EXISTS {name} (
        stream TEXT PRIMARY KEY, state TEXT NOT NULL, events INTEGER NOT NULL,
        last_id TEXT, last_key TEXT, last_type TEXT, complete INTEGER NOT NULL, warnings TEXT NOT NULL
    ) STRICT, WITHOUT ROWID
"""


class Build:
    """New rows on their way. They are there for others when `publish` has been called and the transaction has ended."""

    def __init__(self, connection: apsw.Connection, url: str, projection: str) -> None:
        self._connection = connection
        self._url = url
        self._insert = f"INSERT INTO {_quoted(projection)} VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - quoted
        self.states = 0
        self.events = 0

    def add(self, projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> None:
        """Raises InvalidProjection for a state that JSON can not say."""
        last = rebuilt.last
        named = (None, None, None) if last is None else (last.id, last.key, last.type)
        warnings = json.dumps([warning.message for warning in rebuilt.warnings], ensure_ascii=False)
        row = (rebuilt.stream, projection.to_json(rebuilt.state).decode(), rebuilt.events, *named)
        with _translated(self._url):
            self._connection.execute(self._insert, (*row, int(rebuilt.complete), warnings))
        self.states += 1
        self.events += rebuilt.events

    def publish(self, view: View) -> View:
        """Says what the rows are."""
        view = msgspec.structs.replace(view, states=self.states, events=self.events)
        names, marks = ", ".join(View.__struct_fields__), ", ".join("?" * len(View.__struct_fields__))
        insert = f"INSERT OR REPLACE INTO eskit_views ({names}) VALUES ({marks})"  # noqa: S608 - names of columns
        with _translated(self._url):
            self._connection.execute(insert, msgspec.structs.astuple(view))
        return view


def check_target(url: str, projection: str, *, option: str) -> str:
    """The path of the file. Raises InvalidOption for a URL that names none, and a projection that no table can be named
    after."""
    try:
        place = parse_url(url)
    except InvalidStoreURL:
        place = None
    if place is None or place.scheme != "sqlite" or place.place is None or "?" in url:
        raise InvalidOption(option, found=url.partition("?")[0], expected="an SQLite file, such as sqlite:///views.db")
    if projection.lower().startswith(_RESERVED) or "\0" in projection:
        expected = f"a projection whose name begins with none of {', '.join(map(repr, _RESERVED))}"
        raise InvalidOption(option, found=projection, expected=expected)
    return str(Path(place.place).absolute())


@contextmanager
def build(url: str, projection: str) -> Iterator[Build]:
    """One transaction in which a table gets new rows. Raises StoreDamaged for a file of something else,
    StoreUnavailable, and InvalidOption."""
    with _opened(url, check_target(url, projection, option="into"), create=True) as connection:
        with _translated(url):
            connection.pragma("journal_mode", "WAL")
            connection.execute("BEGIN IMMEDIATE")
        try:
            with _translated(url):
                if not connection.pragma("application_id"):
                    connection.execute(_REGISTRY)
                    connection.pragma("user_version", _FORMAT)
                    connection.pragma("application_id", APPLICATION_ID)
                twin = "SELECT projection FROM eskit_views WHERE projection = ?1 AND projection <> ?1 COLLATE BINARY"
                other = connection.execute(twin, (projection,)).get
            if other:
                expected = f"a name that differs from '{other}', which is there, by more than its case"
                raise InvalidOption("into", found=projection, expected=expected)
            with _translated(url):
                connection.execute(_TABLE.format(name=_quoted(projection)))
                connection.execute(f"DELETE FROM {_quoted(projection)}")  # noqa: S608 - quoted
            yield Build(connection, url, projection)
            with _translated(url):
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def reading(url: str, projection: str) -> Iterator[tuple[View, Iterator[tuple[str, bytes]]]]:
    """A view, and its streams with their states, in the order of the streams' bytes: all of one build. Raises
    StoreNotFound where there is none."""
    with _opened(url, check_target(url, projection, option="against"), create=False) as connection:
        with _translated(url):
            connection.execute("BEGIN")
            names = ", ".join(View.__struct_fields__)
            found = f"SELECT {names} FROM eskit_views WHERE projection = ? COLLATE BINARY"  # noqa: S608 - as above
            rows = connection.execute(found, (projection,)).fetchall()
        if not rows:
            raise StoreNotFound(
                url, f"it has no view of '{projection}'; 'eskit rebuild {projection} --all --into' makes it"
            )
        view = msgspec.convert(dict(zip(View.__struct_fields__, rows[0], strict=True)), View, strict=False)
        yield view, _states(connection, url, projection)


def _states(connection: apsw.Connection, url: str, projection: str) -> Iterator[tuple[str, bytes]]:
    with _translated(url):
        select = f"SELECT stream, state FROM {_quoted(projection)} ORDER BY stream"  # noqa: S608 - quoted
        for stream, state in connection.execute(select):
            yield str(stream), str(state).encode()


@contextmanager
def _opened(url: str, path: str, *, create: bool) -> Iterator[apsw.Connection]:
    check_library(url)
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    if not create and not Path(path).exists():
        raise StoreNotFound(url, "'eskit rebuild NAME --all --into' makes it")
    with _translated(url):
        connection = apsw.Connection(path, flags=flags)
    try:
        with _translated(url):
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            found = connection.pragma("application_id")
            is_empty = not found and not connection.execute("SELECT 1 FROM sqlite_schema").get
            if is_empty and not create:
                raise StoreNotFound(url, "'eskit rebuild NAME --all --into' fills it")
            if found != APPLICATION_ID and not is_empty:
                raise StoreDamaged(url, "it is not a file of views, but an SQLite file of another application")
            if not is_empty and connection.pragma("user_version") != _FORMAT:
                raise StoreDamaged(url, f"its format is not {_FORMAT}, the one that this version of the kit reads")
            connection.pragma("synchronous", "FULL")
        yield connection
    finally:
        connection.close()


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreDamaged(url, f"SQLite can not read it ({error_code(error)})") from error
    except apsw.Error as error:
        raise StoreUnavailable(url, code=error_code(error), doing="working on its views") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
