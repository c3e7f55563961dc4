"""Other processes of this Python: how one is started, and frames, in which it is told things and answers.

A process started here finds the modules that this one finds. It runs a `main` of the kit, and is told by frames, on a
pipe or in a file, what to do; nothing that could run code goes that way.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

__all__ = ["command", "frames", "how_it_ended", "write_frame"]

_OWN_ROOT: Final = str(Path(__file__).parents[1])
_LENGTH: Final = 4  # bytes in front of each frame
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder()


def command(module: str, argument: str) -> list[str]:
    """What starts `main()` of `module` with this process's path of modules; `argument` is its last one."""
    start = f"import sys; sys.path[:] = sys.argv[1:-1]; from {module} import main; main()"
    path = [str(Path.cwd() / entry) for entry in sys.path]
    return [sys.executable, "-P", "-c", start, *path, _OWN_ROOT, argument]


def how_it_ended(code: int) -> str:
    """A return code in words."""
    return f"it ended by {signal.Signals(-code).name}" if code < 0 else f"it ended with exit code {code}"


def write_frame(file: IO[bytes], content: object) -> None:
    encoded = _ENCODER.encode(content)
    file.write(len(encoded).to_bytes(_LENGTH) + encoded)


def frames(file: IO[bytes]) -> Iterator[list[Any]]:
    """Each frame that is whole: a process may have died while it was writing the last one."""
    while len(head := file.read(_LENGTH)) == _LENGTH:
        size = int.from_bytes(head)
        content = file.read(size)
        if len(content) < size:
            return
        yield _DECODER.decode(content)
