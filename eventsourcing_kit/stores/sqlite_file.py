"""An SQLite file of events: whose it is, its layout, how a connection to it is opened, and what its errors mean."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import apsw

from eventsourcing_kit.errors import StoreDamaged, StoreNotFound, StoreUnavailable
from eventsourcing_kit.record import COLUMNS
from eventsourcing_kit.stores.sqlite_snapshots import FORMAT_WITH_SNAPSHOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["APPLICATION_ID", "BUSY_TIMEOUT_MS", "FORMAT", "check_library", "error_code", "open_file", "translated"]

APPLICATION_ID: Final = int.from_bytes(b"eskt")  # PRAGMA application_id: whose file it is
FORMAT: Final = 1  # PRAGMA user_version: the layout of its tables, until there are snapshots
BUSY_TIMEOUT_MS: Final = 30_000
_HINT: Final = "the first append makes it"

_TYPES: Final = {"eventDetailZ": "BLOB", "expireRecord": "INTEGER"}
_SCHEMA: Final = f"""
    CREATE TABLE events (
        {", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in COLUMNS)},
        PRIMARY KEY (pk, sk)
    ) STRICT, WITHOUT ROWID
"""
# What a trail is found by. It holds the expiry, so that `correlations` reads nothing else. No table changes by it, so
# the format stays the same: an older version of the kit reads and writes such a file, and SQLite itself keeps it true.
_INDEX: Final = "events_by_correlation"
_CREATE_INDEX: Final = f"""
    CREATE INDEX IF NOT EXISTS {_INDEX} ON events (correlationId, expireRecord) WHERE correlationId IS NOT NULL
"""


def open_file(path: str | None, *, url: str, create: bool) -> apsw.Connection:
    """A connection to the events at `path`, or in memory; with `create`, to write, and the file is made if need be.
    Only one with `create` may be used by two threads at once.

    Raises StoreNotFound, StoreDamaged for a file of somebody else, and what apsw raises.
    """
    # A reader's connection is in one generator's hands at a time, and no two threads can be in one generator: so it
    # needs no lock of its own, which would be taken three times for each value (https://sqlite.org/threadsafe.html).
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else apsw.SQLITE_OPEN_NOMUTEX)
    try:
        connection = apsw.Connection(path or ":memory:", flags=flags)
    except apsw.CantOpenError:
        if create or not _is_missing(path):
            raise
        raise StoreNotFound(url, _HINT) from None
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        # Until it is known whose file this is: closing the last connection would write a journal back into it.
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, int(Path(f"{path}-wal").exists()))
        if _is_empty(connection):
            if not create:
                raise StoreNotFound(url, _HINT)
            _initialise(connection)
        _check_format(connection, url)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        if create:  # else a copy made by VACUUM INTO, which is no WAL file, would stay so
            _retry_busy(lambda: connection.execute("PRAGMA journal_mode = WAL").get)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # on macOS, where a plain fsync does not reach the disk
        if create:
            _index(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_missing(path: str | None) -> bool:
    try:
        return not Path(path or "").exists()
    except OSError:  # not allowed to look
        return False


def _is_empty(connection: apsw.Connection) -> bool:
    return connection.pragma("application_id") == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").get


def _initialise(connection: apsw.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        if _is_empty(connection):  # another process may have been here meanwhile
            connection.execute(_SCHEMA)
            connection.execute(_CREATE_INDEX)
            connection.pragma("user_version", FORMAT)
            connection.pragma("application_id", APPLICATION_ID)
    connection.execute("COMMIT")


def _index(connection: apsw.Connection) -> None:
    """Files that were made before there was an index get it from the first one who writes; readers do without."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (_INDEX,)).get:
        connection.execute(_CREATE_INDEX)


def _check_format(connection: apsw.Connection, url: str) -> None:
    if connection.pragma("application_id") != APPLICATION_ID:
        raise StoreDamaged(url, "it is an SQLite file of another application")
    found = connection.pragma("user_version")
    if found not in (FORMAT, FORMAT_WITH_SNAPSHOTS):
        known = f"formats {FORMAT} and {FORMAT_WITH_SNAPSHOTS}"
        raise StoreDamaged(url, f"it has format {found}, and this version of the kit reads {known}")


def _retry_busy(call: Callable[[], object]) -> None:
    """SQLite does not wait its busy timeout where two connections turn a new file into a WAL file at once."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1_000
    while True:
        try:
            call()
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def check_library(url: str) -> None:
    """Raises StoreUnavailable where the SQLite that is linked here can damage a file."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version >= (3, 51, 3) or (version[:2] in ((3, 50), (3, 44)) and version[2] >= {50: 7, 44: 6}[version[1]]):
        return
    code = f"apsw is linked to SQLite {apsw.sqlite_lib_version()}, which can damage a file in WAL mode"
    raise StoreUnavailable(url, code=f"{code}; install apsw from PyPI, which carries a newer one", doing="opening")


@contextmanager
def translated(url: str, doing: str) -> Iterator[None]:
    """Raises a StoreError in the place of apsw's."""
    try:
        yield
    except apsw.NotADBError as error:
        raise StoreDamaged(url, "it is not an SQLite file") from error
    except apsw.CorruptError as error:
        raise StoreDamaged(url, f"SQLite found damage while {doing} ({error_code(error)})") from error
    except UnicodeDecodeError:  # it would quote the text
        raise StoreDamaged(url, f"SQLite gave a text that is no UTF-8 while {doing}") from None
    except (apsw.CantOpenError, apsw.ReadOnlyError) as error:
        doing = f"{doing} (its directory has to be there and to let you write, also for reading)"
        raise StoreUnavailable(url, code=error_code(error), doing=doing) from error
    except apsw.Error as error:
        raise StoreUnavailable(url, code=error_code(error), doing=doing) from error


def error_code(error: apsw.Error) -> str:
    """SQLite's own name of it, such as SQLITE_BUSY."""
    codes: Any = apsw.mapping_extended_result_codes | apsw.mapping_result_codes
    return str(codes.get(getattr(error, "extendedresult", None), None) or type(error).__name__)
