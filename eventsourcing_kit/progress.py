"""How far a long answer is, for a person who waits: a bar in a notebook, a line on a terminal, nothing anywhere else.

Nothing shows within the first second. The commands of `eskit` show their progress on a terminal's stderr. The library
shows its own only in a notebook's kernel (`watched`): a script that somebody runs on a terminal says what its author
wrote, and no more. `TQDM_DISABLE=1` in the environment, which is tqdm's own, switches the bars in notebooks off.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["Progress", "in_kernel", "watched"]

Item = TypeVar("Item")

_AFTER_SECONDS: Final = 1.0
_EVERY: Final = 500  # items of a loop; looking at the clock for each one would cost as much as a cheap handler


class Progress:
    """Shows `doing`, how much of `total` is done, a note and the time, until it is closed. In a pipe: nothing."""

    def __init__(self, doing: str, *, total: int | None = None) -> None:
        self.done = 0
        self._face: _Face = _Nothing()
        if in_kernel():
            if find_spec("tqdm") is not None:  # of the extra "notebook"; no answer fails for want of a bar
                self._face = _Kernel(doing, total)
        elif sys.stderr.isatty():
            self._face = _Terminal(doing, total)

    def update(self, *, done: int, note: str = "") -> None:
        self.done = done
        self._face.update(done, note)

    def close(self) -> None:
        """Takes it away, with every thread that it had. Twice is fine."""
        self._face.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def watched(items: Iterable[Item], doing: str, *, total: int | None = None, every: int = _EVERY) -> Iterable[Item]:
    """The same items; in a notebook's kernel with progress, told after `every` of them. Elsewhere `items` itself."""
    return _watched(items, doing, total, every) if in_kernel() else items


def _watched(items: Iterable[Item], doing: str, total: int | None, every: int) -> Iterator[Item]:
    with Progress(doing, total=total) as progress:
        for done, item in enumerate(items, start=1):
            yield item
            if not done % every:
                progress.update(done=done)


def in_kernel() -> bool:
    """Whether this process is the kernel of a notebook. Loads nothing: where there is one, IPython is loaded."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


class _Face(Protocol):
    def update(self, done: int, note: str) -> None: ...

    def close(self) -> None: ...


class _Nothing:
    def update(self, done: int, note: str) -> None:
        pass

    def close(self) -> None:
        pass


class _Kernel:
    """A bar of tqdm's. It comes with an update: what another thread displays would not be in the cell that waits."""

    def __init__(self, doing: str, total: int | None) -> None:
        self._doing = doing
        self._total = total
        self._since = time.monotonic()
        self._bar: Any = None
        self._closed = False

    def update(self, done: int, note: str) -> None:
        if self._bar is None:
            if self._closed or time.monotonic() - self._since < _AFTER_SECONDS:
                return
            self._bar = _bar(self._doing, self._total)
        if note:
            self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._closed = True
        if self._bar is not None:
            self._bar.close()


def _bar(doing: str, total: int | None) -> Any:
    from tqdm.auto import tqdm  # type: ignore[import-untyped]

    quiet = type("Bar", (tqdm,), {"monitor_interval": 0})  # without tqdm's own thread, which would outlive the bar
    return quiet(desc=doing, total=total, leave=False, unit="")


class _Terminal:
    """A line of rich's on stderr. A thread brings it, as some work tells nothing until it is done."""

    def __init__(self, doing: str, total: int | None) -> None:
        self._doing = doing
        self._total = total
        self._done, self._note = 0, ""
        self._lock = Lock()
        self._closed = False
        self._shown: tuple[RichProgress, TaskID] | None = None
        self._timer = Timer(_AFTER_SECONDS, self._show)
        self._timer.daemon = True
        self._timer.start()

    def update(self, done: int, note: str) -> None:
        self._done, self._note = done, note
        if self._shown is not None:
            progress, task = self._shown
            progress.update(task, completed=done, note=note)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._timer.cancel()
            if self._shown is not None:
                self._shown[0].stop()
                self._shown = None
        self._timer.join()

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
            task = progress.add_task(self._doing, total=self._total, completed=self._done, note=self._note)
            progress.start()
            self._shown = progress, task
