"""A file that is written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file that takes the name `path` when all went well, and leaves no trace when it did not."""
    path = Path(path).resolve()  # through a link, so that the link stays one
    hidden = path.with_name(f".{path.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        with hidden.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the new name durable, too."""
    if os.name == "nt":  # where a folder can not be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
