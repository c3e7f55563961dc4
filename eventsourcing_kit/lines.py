"""Lines of envelopes, from files, compressed files and stdin, one at a time."""

from __future__ import annotations

import gzip
import sys
import zlib
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from eventsourcing_kit.errors import EventSourcingError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_LINE", "STDIN", "Line", "Source", "Unreadable"]

MAX_LINE: Final = 64 * 1024 * 1024  # bytes; a longer one is passed over without being held
STDIN: Final = "-"

_GZIP: Final = b"\x1f\x8b"
_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


class Line(NamedTuple):
    """One line that is not blank. `content` is None where it is longer than MAX_LINE."""

    file: str
    number: int
    content: bytes | None


class Unreadable(EventSourcingError):
    """`file` could not be read beyond line `after`, for `reason`."""

    def __init__(self, file: str, *, after: int, reason: str) -> None:
        where = f" behind line {after:,}" if after else ""
        super().__init__(f"'{file}' can not be read{where}: {reason}")
        self.file = file
        self.after = after
        self.reason = reason


class Source:
    """A file, or stdin for `-`. Whether it is compressed is seen by its first bytes, not by its name."""

    def __init__(self, name: str) -> None:
        self.name = "stdin" if name == STDIN else name
        self._path = None if name == STDIN else Path(name)
        self._raw: BinaryIO | None = None

    @property
    def size(self) -> int:
        """Bytes on the disk; 0 where that is not known."""
        return self._path.stat().st_size if self._path is not None and self._path.is_file() else 0

    @property
    def position(self) -> int:
        """How many of these bytes were read."""
        return self._raw.tell() if self._raw is not None and self.size else 0

    def lines(self) -> Iterator[Line]:
        """The lines that are not blank. Raises Unreadable; all that was read before has been given by then."""
        number = 0
        try:
            with self._opened() as file:
                while content := file.readline(MAX_LINE):
                    number += 1
                    if len(content) == MAX_LINE and not content.endswith(b"\n"):
                        _skip_line(file)
                        yield Line(self.name, number, None)
                        continue
                    if number == 1:
                        content = content.removeprefix(_UTF8_MARK)
                    if content := content.strip():
                        yield Line(self.name, number, content)
        except EOFError:
            raise Unreadable(self.name, after=number, reason="the compressed data ends too early") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise Unreadable(self.name, after=number, reason=f"the compressed data is damaged: {error}") from None
        except OSError as error:
            raise Unreadable(self.name, after=number, reason=error.strerror or type(error).__name__) from error

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with nullcontext(_stdin()) if self._path is None else self._path.open("rb") as raw:
            self._raw = raw
            head = raw.peek(2)[:2]  # type: ignore[attr-defined]  # both are BufferedReaders
            if head in _UTF16_MARKS:
                raise Unreadable(self.name, after=0, reason="it is text in UTF-16, expected UTF-8")
            if head == _GZIP:
                with gzip.GzipFile(fileobj=raw) as unpacked:
                    yield unpacked  # type: ignore[misc]  # reads as a BinaryIO does
            else:
                yield raw


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise Unreadable("stdin", after=0, reason="it is closed")
    return sys.stdin.buffer


def _skip_line(file: BinaryIO) -> None:
    while (part := file.readline(MAX_LINE)) and not part.endswith(b"\n"):
        pass
