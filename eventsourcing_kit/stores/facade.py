"""Facade: what a reader sees in a store's place, where the rows of a stream come from somewhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventsourcing_kit.stores.reading import StreamReading, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.stores.reading import Rows

    Ends = tuple[datetime | str | None, datetime | str | None]

__all__ = ["Facade"]


class Facade:
    """Reads `rows` as the store at `url` would, which is not one with `legacy`; `now` is that store's clock. `brief`
    rows are for folds that ask for little, where they are cheaper."""

    def __init__(self, rows: Rows, *, url: str, now: Callable[[], int], brief: Rows | None = None) -> None:
        self.url = url
        self._rows = rows
        self._brief = brief or rows
        self._now = now
        self._windows: dict[Ends, Window] = {}  # of many streams, nearly always the same one

    def read(
        self,
        stream: str,
        *,
        start: datetime | str | None = None,
        at: datetime | str | None = None,
        types: Iterable[str] = (),
    ) -> StreamReading:
        return self._reading(self._rows, stream, (start, at), frozenset(types))

    def read_in_brief(
        self, stream: str, *, start: datetime | str | None = None, at: datetime | str | None = None
    ) -> StreamReading:
        return self._reading(self._brief, stream, (start, at), frozenset())

    def streams(self, prefix: str = "") -> Iterator[str]:
        raise NotImplementedError("a facade reads the streams that it is given")

    def _reading(self, rows: Rows, stream: str, ends: Ends, types: frozenset[str]) -> StreamReading:
        window = self._windows.get(ends)
        if window is None:
            window = self._windows[ends] = Window.resolve(start=ends[0], at=ends[1])
        return StreamReading(rows, stream, window, types, url=self.url, legacy=False, now=self._now())
