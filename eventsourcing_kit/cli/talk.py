"""What `eskit` says to people, on stderr: one line each, with nothing in it that a terminal would obey."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from eventsourcing_kit.inert import visible
from eventsourcing_kit.words import many

__all__ = ["many", "say", "silence"]


def say(text: str) -> None:
    """One line of talk. A reader of stderr that went away does not stop the work."""
    try:
        print(f"eskit: {visible(text)}", file=sys.stderr, flush=True)
    except BrokenPipeError:
        silence(sys.stderr)


def silence(stream: TextIO) -> None:
    """What is still buffered, and all that follows, goes nowhere: the interpreter flushes it once more at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
