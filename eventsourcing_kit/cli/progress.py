"""A line on stderr that moves, for what takes longer than a second, and only where a person looks at it."""

from __future__ import annotations

import sys
from threading import Lock, Timer
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["Progress"]

_AFTER_SECONDS: Final = 1.0


class Progress:
    """Shows `doing`, how much of `total` is done, a note and the time, until it is closed. In a pipe: nothing."""

    def __init__(self, doing: str, *, total: int | None = None) -> None:
        self._doing = doing
        self._total = total
        self.done = 0
        self._note = ""
        self._lock = Lock()
        self._closed = False
        self._shown: tuple[RichProgress, TaskID] | None = None
        self._timer = Timer(_AFTER_SECONDS, self._show) if sys.stderr.isatty() else None
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()

    def update(self, *, done: int, note: str = "") -> None:
        self.done, self._note = done, note
        if self._shown is not None:
            progress, task = self._shown
            progress.update(task, completed=done, note=note)

    def close(self) -> None:
        """Takes the line away. Twice is fine."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            if self._shown is not None:
                self._shown[0].stop()
                self._shown = None

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        bar = [BarColumn()] if self._total else []
        doing, note = (TextColumn(f"{{task.{name}}}", markup=False) for name in ("description", "fields[note]"))
        columns = (SpinnerColumn(), doing, *bar, note, TimeElapsedColumn())
        progress = Progress(*columns, console=Console(stderr=True), transient=True)
        with self._lock:
            if self._closed:
                return
            task = progress.add_task(self._doing, total=self._total, completed=self.done, note=self._note)
            progress.start()
            self._shown = progress, task

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
