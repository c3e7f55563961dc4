"""Approach: how a walk comes to the start of its span with the help of snapshots, and saves others on its way.

A step that was given can not be taken back. So whether the snapshot is fit is settled when the events behind it are
being read, and before the first step is given, or an error: an event that was stored before that is among those that
count, and one that comes later may be or not, as in any reading. Behind the first step nothing fails because of
saving. `resuming` has the argument.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from eventsourcing_kit.course import Unfit, course_to_start
from eventsourcing_kit.errors import FoldFailed, IncompleteStream, InvalidOption
from eventsourcing_kit.projection import Folded
from eventsourcing_kit.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.questions.walk import Turn, Walk
    from eventsourcing_kit.resuming import Resuming

__all__ = ["Approach"]

Result = TypeVar("Result", default=Any)


class Approach(Generic[Result]):
    """One walk over a span, along the snapshots of its projection."""

    def __init__(self, walk: Walk[Result], resuming: Resuming[Result]) -> None:
        self._walk = walk
        self._now = resuming.now
        self._course = course_to_start(resuming, walk.span)

    def to_start(self) -> tuple[Result, Iterator[tuple[int, Event]]]:
        """The state before the first event of the span; and from that one on each event with its number.

        Raises FoldFailed, IncompleteStream and StoreError; and InvalidOption behind the first step, where an older
        writer turns out to have put an event behind the snapshot.
        """
        while True:
            try:
                folded, events = self._checked_to_start()
                self._course.settle()
            except Unfit:
                self._course.from_the_beginning()
            else:
                self._folded = folded
                return folded.state, self._numbered(events)

    def passed(self, turn: Turn[Result]) -> None:
        """What came of an event, which is saved where it is time to."""
        last = turn.event if turn.folded else self._folded.last
        self._folded = Folded(turn.state, self._folded.events + turn.folded, last)
        with suppress(Unfit):  # an event came late since the first step: then it is not saved, and that is all
            self._course.arrive(self._folded, self._watch)

    def _checked_to_start(self) -> tuple[Folded[Result], Iterable[Event]]:
        try:
            return self._to_start()
        except (FoldFailed, IncompleteStream):
            self._course.check()
            raise

    def _to_start(self) -> tuple[Folded[Result], Iterable[Event]]:
        walk = self._walk
        self._watch = Watch(walk.projection, walk.span.known_at_ns, self._now)
        folded, reading = self._course.begin(self._watch)
        whole = walk.span.whole(reading, allow_incomplete=walk.allow_incomplete, asked_by=walk.projection.name)
        for has_begun, events in groupby(whole, walk.span.has_begun):
            if has_begun:
                return folded, events
            folded = self._course.advance(events, folded, self._watch)
        return folded, ()

    def _numbered(self, events: Iterable[Event]) -> Iterator[tuple[int, Event]]:
        try:
            for event in self._course.over(events):
                if self._watch.lets_by(event):
                    yield self._course.number, event
        except Unfit:
            yield from self._without_it()
        else:
            with suppress(Unfit):  # as above
                self._course.save()

    def _without_it(self) -> Iterator[tuple[int, Event]]:
        """The rest from a reading of the whole stream, where that has the same events up to here: numbers tell."""
        walk, here = self._walk, (self._course.number, self._course.key)
        everything = replace(walk.span, known_at_ns=None)
        numbered = everything.numbered(allow_incomplete=walk.allow_incomplete, asked_by=walk.projection.name)
        if not any((number, event.key) == here for number, event in numbered):
            found = f"a stream into which an older writer has put an event behind a snapshot, '{walk.span.stream}'"
            raise InvalidOption("snapshots", found=found, expected="none, so that it is folded from its beginning")
        was_recorded = walk.span.was_recorded()
        yield from (each for each in numbered if was_recorded(each[1].recorded_at_text))
