"""`eskit`: the same verbs as in Python, as commands. stdout is data, stderr is talk."""

from __future__ import annotations

import sys
from typing import Final

__all__ = ["main"]

_EXTRA: Final = ("typer", "rich", "click")


def main() -> None:
    """The console script. Ends the process with an exit code, which `eskit --help` lists."""
    try:
        from eventsourcing_kit.cli.app import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        sys.exit(_without_extra(str(error.name)))
    except KeyboardInterrupt:
        sys.exit(130)
    app()


def _without_extra(library: str) -> int:
    command = "pip install 'eventsourcing-kit[cli]'"
    print(f"eskit: the command line needs the library '{library}': {command}", file=sys.stderr)
    return 2
