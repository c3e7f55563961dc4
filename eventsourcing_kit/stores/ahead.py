"""Queries in flight: where many streams are read one after another, the next ones are on their way already."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from eventsourcing_kit.stores.facade import Facade
from eventsourcing_kit.stores.pages import size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.pages import Answer, Ask
    from eventsourcing_kit.stores.reading import Rows, Window

    Asking = Callable[[str, str, str], Ask]  # of a stream and a range of keys
    Sending = Callable[[str, str, str], "Unanswered | None"]
    RowsFrom = Callable[[str, str, str, "Awaited | None"], Iterator[Event]]  # the first page may be on its way

__all__ = ["IN_FLIGHT", "Awaited", "Unanswered", "in_flight"]

IN_FLIGHT: Final = 16  # streams, each with one page of at most 1 MB
_SHORT: Final = 65_536  # bytes of a page that lies ready in a socket, whoever is busy meanwhile


class Awaited(Protocol):
    """An answer that is on its way."""

    def result(self) -> Answer: ...

    def cancel(self) -> object: ...


class Unanswered(NamedTuple):
    """A question for which no thread waits: its answer is read when `result` is called, once."""

    result: Callable[[], Answer]
    cancel: Callable[[], object]


class _AtItsTurn:
    """What became of a question that was sent, as a Future tells it: the same each time."""

    def __init__(self, sent: Unanswered, note: Callable[[Answer], None]) -> None:
        self._sent = sent
        self._note = note
        self._outcome: Future[Answer] = Future()

    def result(self) -> Answer:
        if not self._outcome.done():
            try:
                answer = self._sent.result()
            except Exception as error:  # noqa: BLE001 - it is raised just below
                self._outcome.set_exception(error)
            else:
                self._note(answer)
                self._outcome.set_result(answer)
        return self._outcome.result()

    def cancel(self) -> None:
        if not self._outcome.done():
            self._sent.cancel()


class _Begun(NamedTuple):
    stream: str
    first: dict[tuple[str, str], Awaited]  # by range of keys

    def cancel(self) -> None:
        for each in self.first.values():
            each.cancel()


def in_flight(
    streams: Iterable[str],
    asking: Asking,
    whole: RowsFrom,
    brief: RowsFrom,
    window: Window,
    *,
    url: str,
    now: Callable[[], int],
    send: Sending | None = None,
) -> Generator[tuple[str, Facade]]:
    """Each stream, with what reads it: see `stores.contract.Ahead`. Not more than `IN_FLIGHT` are asked for ahead.

    Threads wait for the answers; or none does, which costs less, where `send` can ask without any and as long as all
    answers are short.
    """
    current: _Begun | None = None
    are_short = True

    def rows_of(read: RowsFrom) -> Rows:
        def rows(stream: str, low: str, high: str) -> Iterator[Event]:
            first = current.first.get((low, high)) if current is not None and current.stream == stream else None
            return read(stream, low, high, first)

        return rows

    facade = Facade(rows_of(whole), url=url, now=now, brief=rows_of(brief))
    ranges = list(window.ranges())
    remaining = iter(streams)
    waiting: deque[_Begun] = deque()

    def note(answer: Answer) -> None:
        nonlocal are_short
        are_short = are_short and size_of(answer) <= _SHORT

    with _Crew(IN_FLIGHT) as pool:

        def first(stream: str, low: str, high: str) -> Awaited:
            sent = send(stream, low, high) if send is not None and are_short else None
            # In brief it would be asked for in the same way.
            return pool.submit(asking(stream, low, high), None) if sent is None else _AtItsTurn(sent, note)

        def begin(count: int) -> None:
            for stream in islice(remaining, count):
                waiting.append(_Begun(stream, {each: first(stream, *each) for each in ranges}))

        try:
            begin(IN_FLIGHT)
            while waiting:
                current = waiting.popleft()
                begin(1)
                yield current.stream, facade
                current.cancel()
        finally:
            for each in (*waiting, *(() if current is None else (current,))):
                each.cancel()


class _Crew(ThreadPoolExecutor):
    """Threads that are let go without the requests that wait for one."""

    def __init__(self, count: int) -> None:
        super().__init__(count, thread_name_prefix="eventsourcing_kit query")

    def __exit__(self, *_: object) -> None:
        self.shutdown(cancel_futures=True)
