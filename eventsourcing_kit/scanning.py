"""Scanning: all streams of a table in one pass, each folded as it goes by.

To list the streams of a DynamoDB table is to scan it, so that to read them one by one, too, costs more than twice the
read units of one pass that takes the events along. That pass rests on an order which DynamoDB keeps and does not
promise: the rows of a stream stand together, by ascending key. Every row is checked, and whether a stream came up a
second time is known at the very end. So answers wait in a spool until then; streams of which something was odd, in
whatever way, are asked for again by themselves, which has the last word on them.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import chain, groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.span import names_event
from eventsourcing_kit.stores.contract import Ahead, Scanning
from eventsourcing_kit.stores.facade import Facade
from eventsourcing_kit.stores.segments import is_live

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.spool import Spool
    from eventsourcing_kit.stores.contract import Readable, ScannedPage, Unread
    from eventsourcing_kit.workers import Question

__all__ = [
    "SEGMENTS",
    "Passed",
    "Way",
    "can_scan",
    "events_named",
    "in_order",
    "listed",
    "passing",
    "read_ahead",
    "segments_for",
]

SEGMENTS: Final = 4  # read in turns by one process: while one is folded, a page of each other one is on its way
_SHARES: Final = 2  # of so many segments for each of several workers, as some take longer than others

Way = Literal["auto", "scan", "query"]
Frame = list[Any]
Outcome = TypeVar("Outcome")

_stream = attrgetter("stream")


class Passed(NamedTuple):
    """A stream that has gone by, and what became of it; None: it has to be asked for again."""

    stream: str
    is_live: bool
    frame: Frame | None


def can_scan(way: Way, store: Readable, streams: str | Iterable[str] | None, asked: Question) -> bool:
    """Whether to take the one pass. Wherever it can be taken it costs the least, as the streams have to be listed.

    Raises InvalidOption for a `way` that there is not, or that this question can not take.
    """
    if way not in ("auto", "scan", "query"):
        raise InvalidOption("way", found=str(way), expected="'auto', 'scan' or 'query'")
    if way == "query":
        return False
    reason = _why_not(store, streams, asked)
    if reason is not None and way == "scan":
        raise InvalidOption("way", found="scan", expected=f"'auto' or 'query', {reason}")
    return reason is None


def _why_not(store: Readable, streams: str | Iterable[str] | None, asked: Question) -> str | None:
    if not isinstance(store, Scanning):
        return "as this store reads one stream after another anyway"
    if store.legacy:
        return "as a store with legacy=1 reads keys in an order of their own"
    if streams is not None and not isinstance(streams, str):
        return "as the streams are listed already"
    if asked.snapshots is not None:
        return "as snapshots spare the reading of events"
    if events_named(asked):
        return "as an event has to be looked up in each stream"
    return None


def events_named(asked: Question) -> bool:
    """Whether an event has to be looked up in each stream."""
    return any(moment is not None and names_event(moment) for moment in (asked.at, asked.known_at, asked.start))


def listed(store: Readable, streams: str | Iterable[str] | None) -> Iterable[str]:
    """The streams that are asked for: all, those with a prefix, or the very ones."""
    return store.streams(streams or "") if streams is None or isinstance(streams, str) else streams


def segments_for(workers: int) -> int:
    """Of how many segments the one pass is."""
    return SEGMENTS * (1 if workers == 1 else _SHARES * workers)


def read_ahead(store: Readable, names: Iterable[str], asked: Question) -> Generator[tuple[str, Readable]]:
    """Each stream with the store to read it from, once: where it is far away, with several of them on their way."""
    plain = asked.snapshots is None and not events_named(asked)
    if plain and isinstance(store, Ahead) and not store.legacy:
        with closing(store.ahead(names, start=asked.start, at=asked.at)) as streams:
            yield from streams
    else:
        for stream in names:
            yield stream, store


def in_order(
    spool: Spool, made: Callable[[Frame], Outcome], again: Callable[[Iterable[str]], Generator[Outcome]]
) -> Generator[Outcome]:
    """What the frames are made into, in the order of the streams; `again` gives the outcomes of those without one."""
    with closing(again(spool.again())) as repeated:
        for frame in spool.frames():
            yield next(repeated) if frame is None else made(frame)


def passing(
    store: Scanning,
    fold: Callable[[Readable, str], Frame | None],
    *,
    segments: Sequence[int],
    of: int,
    prefix: str,
) -> Generator[Passed]:
    """Each stream as it goes by. `fold` reads it from the store that it is given, once, and may answer None.

    The segments take turns by pages, so that each has its next page on the way while the others are folded. Raises
    what `fold` and the store's `scanned` do.
    """
    now = store.now()
    folding = _Folding(store, fold, now)
    with ExitStack() as opened:
        pages = [store.scanned(segment, of=of, prefix=prefix) for segment in segments]
        for each in pages:
            opened.callback(_close, each)
        with ThreadPoolExecutor(len(pages), thread_name_prefix="eventsourcing_kit segment") as pool:
            begun = zip(pool.map(lambda each: [*_first(each)], pages), pages, strict=True)
            turns = deque(_Segment(chain(first, rest)) for first, rest in begun)
        while turns:
            segment = turns.popleft()
            page = segment.page
            for stream, rows in segment.runs:
                yield folding.passed(stream, rows)
                if segment.page > page:
                    turns.append(segment)
                    break
            while segment.unread:
                unread = segment.unread.pop()
                yield Passed(unread.stream, unread.is_live, None)


def _first(pages: Iterator[ScannedPage]) -> Iterator[ScannedPage]:
    for page in pages:
        yield page
        return


def _close(pages: Iterator[ScannedPage]) -> None:
    close = getattr(pages, "close", None)  # a generator has a thread to let go of
    if close is not None:
        close()


class _Segment:
    """Where one segment is: `runs` are its streams, each with its rows; `page` counts."""

    def __init__(self, pages: Iterable[ScannedPage]) -> None:
        self.page = 0
        self.unread: list[Unread] = []
        self.runs = groupby(self._rows(pages), key=_stream)

    def _rows(self, pages: Iterable[ScannedPage]) -> Iterator[Event]:
        for page in pages:
            self.page += 1
            self.unread += page.unread
            yield from page.events
            del page  # or there would be two at a time, while the next one is decoded


class _Folding:
    def __init__(self, store: Scanning, fold: Callable[[Readable, str], Frame | None], now: int) -> None:
        self._fold = fold
        self._now = now
        self._run = _Run(iter(()), now)
        # The stream is the one that is going by.
        self._facade = Facade(lambda stream, low, high: self._run.between(low, high), url=store.url, now=store.now)  # noqa: ARG005

    def passed(self, stream: str, rows: Iterator[Event]) -> Passed:
        run = self._run = _Run(rows, self._now)
        try:
            frame = self._fold(self._facade, stream)
            run.see_the_rest()
        except _OutOfOrderError:
            frame = None
            run.see_the_rest()
        return Passed(stream, run.is_live, frame)


class _OutOfOrderError(Exception):
    """Rows of a stream that do not come by ascending key."""


class _Run:
    """The rows of one stream, one after another, each looked at once."""

    def __init__(self, rows: Iterator[Event], now: int) -> None:
        self.is_live = False
        self._now = now
        self._rows = self._checked(rows)
        self._waiting: Event | None = None  # it lies behind the range that was asked for last

    def between(self, low: str, high: str) -> Iterator[Event]:
        """The rows of a range of keys; ranges come in ascending order."""
        waiting, self._waiting = self._waiting, None
        for event in self._rows if waiting is None else chain((waiting,), self._rows):
            if event.key > high:
                self._waiting = event
                return
            if event.key >= low:
                yield event

    def see_the_rest(self) -> None:
        """What lies behind `at` counts, too, for whether the stream is listed, and for the order."""
        for _ in self._rows:
            pass

    def _checked(self, rows: Iterator[Event]) -> Iterator[Event]:
        last = ""
        for event in rows:
            key = event.key
            if key <= last:
                self.is_live = self.is_live or any(is_live(each, self._now) for each in chain((event,), rows))
                raise _OutOfOrderError
            last = key
            if not self.is_live:
                self.is_live = is_live(event, self._now)
            yield event
