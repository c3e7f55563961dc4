"""rich's console for stdout, as `eskit` needs it: data is data, whatever it looks like."""

from __future__ import annotations

import os
from typing import IO, Final

from rich.console import Console

__all__ = ["DataConsole"]

_WIDTH_OF_FILES: Final = 200  # of a table that does not go to a terminal


class DataConsole(Console):
    """No markup, no emoji codes, no highlighting; and a reader that went away is a BrokenPipeError as anywhere else."""

    def __init__(self, file: IO[str]) -> None:
        width = None if file.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_FILES
        super().__init__(file=file, width=width, markup=False, highlight=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """rich calls this while it handles the error, and would end the process itself."""
        raise
