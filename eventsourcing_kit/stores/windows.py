"""A long stream on DynamoDB: several windows of its time are on their way at once, and read strictly in order.

A Query gives one page after another, each of which waits for the one before. What is behind the first few pages is
therefore asked for as ranges of keys of its own, each about as wide in time as a page was. The ranges lie side by side,
as text, from the last key that was read to the highest one of the reading: so whatever keys there are, and however the
events are spread over time, each is read once and in its place. A window that holds more than a page is read on, page
by page; after one that was too wide or too narrow, the next are made narrower or wider.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from eventsourcing_kit.moment import KEY_TIME_LENGTH, from_rfc3339, is_key_time, to_key_time
from eventsourcing_kit.stores.pages import Sending, key_at_end, pages_from, size_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.pages import Answer, Key, Page

    Range = tuple[str, str]  # of keys, both inclusive

__all__ = ["Ask", "pages_in_windows"]

_ALONE: Final = 3  # pages that are read one after another: who reads no further has paid for one too many at most
_MS: Final = 1_000_000


class Ask(Protocol):
    """Brings the page of a range, or of all that is read, that begins behind a key or at the beginning."""

    def __call__(self, key: Key | None, among: Range | None = None) -> Answer: ...


def pages_in_windows(
    ask: Ask, read: Callable[[Answer], Page], whole: Range, last_key: Callable[[Range], str | None], *, in_flight: int
) -> Iterator[Iterable[Event]]:
    """The events of each page, in order. `last_key` finds the last key in a range.

    At most `in_flight` windows are on their way at once, in threads that live as long as this iteration. What goes
    wrong with one is raised when its turn comes. Raises what `ask`, `read` and `last_key` do.
    """
    with Sending(in_flight + 1) as sending:  # and the next page of the window that is read
        yield from _Reading(ask, read, whole, last_key, in_flight, sending).pages()


class _Reading:
    """Pages one after another, and then windows."""

    def __init__(
        self,
        ask: Ask,
        read: Callable[[Answer], Page],
        whole: Range,
        last_key: Callable[[Range], str | None],
        in_flight: int,
        sending: Sending,
    ) -> None:
        self._ask = ask
        self._read = read
        self._low, self._high = whole
        self._last_key = last_key
        self._in_flight = in_flight
        self._sending = sending
        self._may_cut = in_flight > 1
        self._behind: Key | None = None  # what was not asked for lies behind it, where there is one, and from `low` on
        self._begin = self._end = self._step = 0  # in nanoseconds: the same as a time, and what a page takes of it
        self._full = 0  # bytes of a full page
        self._waiting: deque[tuple[Range, Future[Answer]]] = deque()

    def pages(self) -> Iterator[Iterable[Event]]:
        answer, before, number = self._ask(None), None, 1
        while True:
            end = key_at_end(answer)
            is_cut = number >= _ALONE and self._cut(before, end, answer)
            ahead = None if is_cut or end is None else self._sending.send(self._ask, end)
            events, key = self._read(answer)
            yield events
            if key is None:
                return
            if is_cut and key == end:
                yield from self._windows()
                return
            # The end of a page is found without decoding it, and may be mistaken.
            answer = ahead.result() if ahead is not None and key == end else self._ask(key)
            before, number = end, number + 1

    def _cut(self, before: Key | None, end: Key | None, answer: Answer) -> bool:
        """Whether what is behind a page is read in windows, the first of which are on their way now. It is not where
        hardly anything is left, or where keys do not say how much time a page takes."""
        if not self._may_cut or before is None or end is None:
            return False
        first, begin = _time_of(before["sk"]["S"]), _time_of(end["sk"]["S"])
        if first is None or begin is None or first == begin:
            return False
        self._may_cut = False  # as it is found out now, once
        last = _time_of(self._last_key((end["sk"]["S"], self._high)) or "")
        self._begin, self._step = begin, max(_MS, (begin - first) * 9 // 10)
        if last is None or last < begin + 2 * self._step:
            return False
        self._end, self._behind, self._full = last, end, size_of(answer)
        self._send()
        return True

    def _send(self) -> None:
        while len(self._waiting) < self._in_flight and self._begin < self._end:
            self._begin += self._step
            low, high = self._low, self._high if self._begin >= self._end else to_key_time(self._begin)
            self._waiting.append(((low, high), self._sending.send(self._ask, self._behind, (low, high))))
            self._low, self._behind = high + "\0", None  # which is the next text

    def _windows(self) -> Iterator[Iterable[Event]]:
        while self._waiting:
            window, under_way = self._waiting.popleft()
            answer = under_way.result()
            if key_at_end(answer) is not None:
                self._step = max(_MS, self._step * 3 // 4)
            elif 2 * size_of(answer) < self._full:
                self._step *= 2
            self._send()
            yield from pages_from(answer, partial(self._ask, among=window), self._read, self._sending)


def _time_of(key: str) -> int | None:
    """The time that a key begins with, in nanoseconds since 1970; None where it is not in the canonical spelling."""
    time = key[:KEY_TIME_LENGTH]
    try:
        return from_rfc3339(time) if is_key_time(time) else None
    except ValueError:  # no such day
        return None
