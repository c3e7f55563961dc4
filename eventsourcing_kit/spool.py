"""Spool: answers that are held in a file until all of them are known to be good, then given in order.

SQLite keeps the file, and sorts it; memory stays flat. Without a path it has no name, and is gone whenever this process
is.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import apsw
import msgspec

from eventsourcing_kit.errors import StoreUnavailable
from eventsourcing_kit.stores.sqlite_file import error_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

__all__ = ["Held", "Spool"]

_SET_UP: Final = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA locking_mode = EXCLUSIVE;
    CREATE TABLE answers (stream BLOB PRIMARY KEY, is_live INTEGER NOT NULL, frame BLOB) STRICT, WITHOUT ROWID;
    BEGIN;
"""
_PUT: Final = """
    INSERT INTO answers VALUES (?, ?, ?)
    ON CONFLICT DO UPDATE SET frame = NULL, is_live = is_live OR excluded.is_live
"""
_LIVE: Final = "SELECT stream, frame FROM answers WHERE is_live ORDER BY stream"
_AGAIN: Final = "SELECT stream FROM answers WHERE is_live AND frame IS NULL ORDER BY stream"
_STREAMS: Final = "SELECT stream FROM answers WHERE is_live ORDER BY stream"
_FRAME: Final = "SELECT frame FROM answers WHERE stream = ?"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Held:
    """The answers that `Spool.keep` left in a file, to be read. Raises StoreUnavailable, of the store at `url`, for
    what goes wrong with the file."""

    def __init__(self, url: str, path: Path) -> None:
        self._url = url
        with self._translated():
            self._connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)

    def frames(self) -> Iterator[list[Any] | None]:
        """In the order of the streams' bytes; None for one of `again`."""
        with self._translated():
            for _, packed in self._connection.execute(_LIVE):
                yield None if packed is None else _decode(packed)

    def again(self) -> Iterator[str]:
        """The streams to be asked for again, in their order."""
        return self._streams(_AGAIN)

    def streams(self) -> Iterator[str]:
        """All of them, in their order."""
        return self._streams(_STREAMS)

    def frame(self, stream: str) -> list[Any] | None:
        """That of one stream; None where it has to be asked for again."""
        with self._translated():
            packed = self._connection.execute(_FRAME, (stream.encode(),)).get
        return None if packed is None else _decode(packed)

    def close(self) -> None:
        self._connection.close(True)  # noqa: FBT003 - also while somebody reads: nothing is lost

    def _streams(self, select: str) -> Iterator[str]:
        with self._translated():
            for (stream,) in self._connection.execute(select):
                yield stream.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise StoreUnavailable(self._url, code=error_code(error), doing="keeping answers in a file") from error


class Spool(Held):
    """A frame for each stream, on disk where they get many. A file at `path` is made anew."""

    def __init__(self, url: str, path: Path | None = None) -> None:
        self._url = url
        self._path = path
        if path is not None:
            path.unlink(missing_ok=True)
        with self._translated():
            self._connection = apsw.Connection("" if path is None else str(path))
            self._connection.execute(_SET_UP).fetchall()  # else it would wait behind the first answer

    def put(self, stream: str, frame: list[Any] | None, *, is_live: bool) -> None:
        """None: it has to be asked for again. So has a stream that is put a second time. One that is at no time live
        is left out at the end."""
        packed = None if frame is None else _encode(frame)
        with self._translated():
            self._connection.execute(_PUT, (stream.encode(), is_live, packed))

    def keep(self, place: Path) -> None:
        """Moves the file to where `Held` is to find it: it is there whole, or not at all. Ends the spool."""
        if self._path is None:
            raise ValueError("a spool without a name is not kept")
        with self._translated():
            self._connection.execute("COMMIT")
        self.close()
        with self._path.open("rb+") as file:
            os.fsync(file.fileno())
        self._path.replace(place)
