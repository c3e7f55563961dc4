"""Snapshots in an SQLite file: a second table beside the events, made by the first snapshot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventsourcing_kit.snapshot import SNAPSHOT_COLUMNS, Snapshot, key_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    import apsw

__all__ = ["FORMAT_WITH_SNAPSHOTS", "SQLiteSnapshots"]

# PRAGMA user_version of a file with snapshots. Versions of the kit from before them would add late events to it without
# a marker, behind the back of a snapshot; they know format 1 only, and refuse to open it.
FORMAT_WITH_SNAPSHOTS: Final = 2

_TYPES: Final = {"version": "INTEGER", "stateZ": "BLOB", "expireRecord": "INTEGER"}
_SCHEMA: Final = f"""
    CREATE TABLE IF NOT EXISTS snapshots (
        {", ".join(f"{name} {_TYPES.get(name, 'TEXT')}" for name in SNAPSHOT_COLUMNS)},
        PRIMARY KEY (pk, sk)
    ) STRICT, WITHOUT ROWID
"""
_IS_THERE: Final = "SELECT 1 FROM sqlite_schema WHERE name = 'snapshots'"
_PUT: Final = f"""
    INSERT OR REPLACE INTO snapshots ({", ".join(SNAPSHOT_COLUMNS)}) VALUES ({", ".join("?" * len(SNAPSHOT_COLUMNS))})
"""  # noqa: S608 - names of columns, no values
_DELETE: Final = "DELETE FROM snapshots WHERE pk = ? AND sk = ?"
_NEWEST_FIRST: Final = f"""
    SELECT {", ".join(SNAPSHOT_COLUMNS)} FROM snapshots
    WHERE pk = ? AND sk BETWEEN ? AND ? AND (expireRecord IS NULL OR expireRecord > ?) ORDER BY sk DESC
"""  # noqa: S608 - as above


class SQLiteSnapshots(ABC):
    """See `stores.contract.Snapshotting`."""

    def create_snapshots_table(self) -> None:
        with self._batch(), self._translated("making room for snapshots"):
            self._make_table()

    def put_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        with self._batch(), self._translated("saving a snapshot"):
            self._make_table()
            for snapshot in snapshots:
                self._connected().execute(_PUT, msgspec.structs.astuple(snapshot))

    def snapshots(self, stream: str, identity: str, *, before: int | None = None) -> Iterator[Snapshot]:
        return self._snapshots(stream, *key_range(identity, before))

    def all_snapshots(self, stream: str) -> Iterator[Snapshot]:
        return self._snapshots(stream, "", "~")

    def delete_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        if any(self._selected(_IS_THERE, ())):
            with self._batch(), self._translated("deleting snapshots"):
                for snapshot in snapshots:
                    self._connected().execute(_DELETE, (snapshot.pk, snapshot.sk))

    def _snapshots(self, stream: str, low: str, high: str) -> Iterator[Snapshot]:
        if any(self._selected(_IS_THERE, ())):
            values = stream, low, high, self.now() // 1_000_000_000
            yield from (Snapshot(*row) for row in self._selected(_NEWEST_FIRST, values))

    def _make_table(self) -> None:
        connection = self._connected()
        if not connection.execute(_IS_THERE).get:
            connection.execute(_SCHEMA)
            connection.pragma("user_version", FORMAT_WITH_SNAPSHOTS)

    # What the store on SQLite has

    @abstractmethod
    def now(self) -> int: ...

    @abstractmethod
    def _batch(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _connected(self) -> apsw.Connection: ...

    @abstractmethod
    def _selected(self, query: str, values: tuple[Any, ...]) -> Iterator[Any]: ...

    @abstractmethod
    def _translated(self, doing: str) -> AbstractContextManager[None]: ...
