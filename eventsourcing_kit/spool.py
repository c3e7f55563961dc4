"""Spool: answers that are held in a temporary file until all of them are known to be good, then given in order.

SQLite keeps the file, and sorts it. It has no name, so it is gone whenever this process is; memory stays flat.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import apsw
import msgspec

from eventsourcing_kit.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["Spool"]

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

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Spool:
    """A frame for each stream. Raises StoreUnavailable, of the store at `url`, where the disk has no place for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        with self._translated():
            self._connection = apsw.Connection("")  # a file without a name, on disk where it gets large
            self._connection.execute(_SET_UP).fetchall()  # else it would wait behind the first answer

    def put(self, stream: str, frame: list[Any] | None, *, is_live: bool) -> None:
        """None: it has to be asked for again. So has a stream that is put a second time. One that is at no time live
        is left out at the end."""
        packed = None if frame is None else _encode(frame)
        with self._translated():
            self._connection.execute(_PUT, (stream.encode(), is_live, packed))

    def frames(self) -> Iterator[list[Any] | None]:
        """In the order of the streams' bytes; None for one of `again`."""
        with self._translated():
            for _, packed in self._connection.execute(_LIVE):
                yield None if packed is None else _decode(packed)

    def again(self) -> Iterator[str]:
        """The streams to be asked for again, in their order."""
        with self._translated():
            for (stream,) in self._connection.execute(_AGAIN):
                yield stream.decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close(True)  # noqa: FBT003 - also while somebody reads: nothing is lost

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            codes: Any = apsw.mapping_extended_result_codes | apsw.mapping_result_codes
            code = str(codes.get(getattr(error, "extendedresult", None), None) or type(error).__name__)
            raise StoreUnavailable(self._url, code=code, doing="keeping answers in a temporary file") from error
