"""`eskit`: the same verbs as in Python, as commands. stdout is data, stderr is talk."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Final

__all__ = ["main"]

_EXTRA: Final = ("typer", "rich", "click")


def main() -> None:
    """The console script. Ends the process with an exit code; `eskit --help` lists them."""
    _prepare_streams()
    try:
        from eventsourcing_kit.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.exit(_without_extra(str(error.name)))
    except KeyboardInterrupt:
        sys.exit(130)
    app()


def _prepare_streams() -> None:
    """What goes to a closed stream goes nowhere, and what a stream has no character for is shown as its escape."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _without_extra(library: str) -> int:
    command = "pip install 'eventsourcing-kit[cli]'"
    print(f"eskit: the command line needs the library '{library}': {command}", file=sys.stderr)
    return 2
