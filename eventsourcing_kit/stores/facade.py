"""Facade: what a reader sees in a store's place, where the rows of a stream come from somewhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.stores.reading import StreamReading, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.stores.reading import Rows

__all__ = ["Facade"]


class Facade:
    """Reads `rows` as the store at `url` would, which is not one with `legacy`; `now` is that store's clock."""

    def __init__(self, rows: Rows, *, url: str, now: Callable[[], int]) -> None:
        self.url = url
        self._rows = rows
        self._now = now
        self._windows: dict[object, Window] = {}  # of many streams, nearly always the same one

    def read(
        self,
        stream: str,
        *,
        start: datetime | str | None = None,
        at: datetime | str | None = None,
        types: Iterable[str] = (),
    ) -> StreamReading:
        window = self._windows.get((start, at))
        if window is None:
            window = self._windows[start, at] = Window.resolve(start=start, at=at)
        return StreamReading(self._rows, stream, window, frozenset(types), url=self.url, legacy=False, now=self._now())

    def streams(self, prefix: str = "") -> Iterator[str]:
        raise NotImplementedError("a facade reads the streams that it is given")
