"""Queries in flight: where many streams are read one after another, the next ones are on their way already."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from eventsourcing_kit.stores.facade import Facade

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from concurrent.futures import Future

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.pages import Answer, Ask
    from eventsourcing_kit.stores.reading import Rows, Window

    Asking = Callable[[str, str, str], Ask]  # of a stream and a range of keys
    RowsFrom = Callable[[str, str, str, Future[Answer] | None], Iterator[Event]]  # the first page may be on its way

__all__ = ["IN_FLIGHT", "in_flight"]

IN_FLIGHT: Final = 16  # streams, each with one page of at most 1 MB


class _Begun(NamedTuple):
    stream: str
    first: dict[tuple[str, str], Future[Answer]]  # by range of keys


def in_flight(
    streams: Iterable[str],
    asking: Asking,
    whole: RowsFrom,
    brief: RowsFrom,
    window: Window,
    *,
    url: str,
    now: Callable[[], int],
) -> Generator[tuple[str, Facade]]:
    """Each stream, with what reads it: see `stores.contract.Ahead`. Not more than `IN_FLIGHT` are asked for ahead."""
    current: _Begun | None = None

    def rows_of(read: RowsFrom) -> Rows:
        def rows(stream: str, low: str, high: str) -> Iterator[Event]:
            first = current.first.get((low, high)) if current is not None and current.stream == stream else None
            return read(stream, low, high, first)

        return rows

    facade = Facade(rows_of(whole), url=url, now=now, brief=rows_of(brief))
    ranges = list(window.ranges())
    remaining = iter(streams)
    waiting: deque[_Begun] = deque()
    with _Crew(IN_FLIGHT) as pool:

        def begin(count: int) -> None:
            for stream in islice(remaining, count):
                asked = {each: pool.submit(asking(stream, *each), None) for each in ranges}  # in brief the same
                waiting.append(_Begun(stream, asked))

        begin(IN_FLIGHT)
        while waiting:
            current = waiting.popleft()
            begin(1)
            yield current.stream, facade


class _Crew(ThreadPoolExecutor):
    """Threads that are let go without the requests that wait for one."""

    def __init__(self, count: int) -> None:
        super().__init__(count, thread_name_prefix="eventsourcing_kit query")

    def __exit__(self, *_: object) -> None:
        self.shutdown(cancel_futures=True)
