"""Walk: a projection over a span, one event at a time, from the beginning or from where an earlier walk stood."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple

from typing_extensions import TypeVar

from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.progress import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.questions.approach import Approach
    from eventsourcing_kit.resuming import Resuming
    from eventsourcing_kit.span import Span

__all__ = ["FOLDING", "Place", "Turn", "Walk", "Written"]

Result = TypeVar("Result", default=Any)
FOLDING: Final = "folding events"


class Turn(NamedTuple, Generic[Result]):
    """The state after an event. It is the walk's own and changes with the next turn: copy what is to last."""

    number: int  # of the event in its stream, counted from 1
    event: Event
    state: Result
    folded: bool  # False where the event went into no state


class Written(NamedTuple, Generic[Result]):
    """A turn with the state's JSON text before and after its event."""

    turn: Turn[Result]
    before: bytes
    after: bytes


@dataclass(frozen=True)
class Place(Generic[Result]):
    """Where a walk stood: behind the event `number`, or at the beginning. Another walk may go on from there."""

    state: Result
    number: int = 0
    event: Event | None = None


@dataclass(frozen=True)
class Walk(Generic[Result]):
    """`projection` over `span`. Each walk reads and folds anew; memory does not grow with the stream.

    `saved` makes the snapshots that `from_start` may begin at: anew for each walk, as code may change in between.
    """

    projection: Projection[Any, Result]
    span: Span
    allow_incomplete: bool = False
    saved: Callable[[], Resuming[Result] | None] | None = None

    def turns(self, since: Place[Result] | None = None, *, until: int | None = None) -> Iterator[Turn[Result]]:
        """A turn for each event of the span behind `since`, up to the event number `until`.

        Those before the span's `start` are among them, as a true state needs them. Raises FoldFailed, which holds the
        event, its number and the state before it; IncompleteStream; and a StoreError.
        """
        place = self.beginning() if since is None else since
        behind = None if place.event is None else (place.number, place.event)
        state = copy.deepcopy(place.state)
        for number, event in self._numbered(behind):
            if until is not None and number > until:
                return
            turn = self._turn(number, event, state, since)
            state = turn.state
            yield turn

    def written(self, since: Place[Result] | None = None, *, until: int | None = None) -> Iterator[Written[Result]]:
        """As `turns`, each with the state's JSON before and after the event, which no handler can change any more."""
        place = self.beginning() if since is None else since
        before = self.projection.to_json(place.state)
        for turn in self.turns(place, until=until):
            after = self.projection.to_json(turn.state) if turn.folded else before
            yield Written(turn, before, after)
            before = after

    def from_start(self) -> Iterator[Written[Result]]:
        """As `written`, without the events before the span's `start`: these are folded at one go, and nothing is
        written of them. Begins at a snapshot before `start` where one fits. Raises as `turns`."""
        approach = self._approach()
        try:
            state, numbered = self._to_start() if approach is None else approach.to_start()
        except FoldFailed as failed:
            self._tell_where(failed)
            raise
        before: bytes | None = None
        for number, event in numbered:
            before = self.projection.to_json(state) if before is None else before
            turn = self._turn(number, event, state)
            state = turn.state
            after = self.projection.to_json(state) if turn.folded else before
            if approach is not None:
                approach.passed(turn)
            yield Written(turn, before, after)
            before = after

    def to_the_end(self, since: Place[Result] | None = None, *, until: int | None = None) -> Place[Result]:
        """The place behind the last event."""
        turn = None
        for turn in watched(self.turns(since, until=until), FOLDING):  # noqa: B007 - the last one counts
            pass
        if turn is None:
            return self.beginning() if since is None else since
        return Place(turn.state, turn.number, turn.event)

    def beginning(self) -> Place[Result]:
        """The place before the first event."""
        return Place(self.projection.initial())

    def _approach(self) -> Approach[Result] | None:
        resuming = None if self.saved is None else self.saved()
        if resuming is None:
            return None
        from eventsourcing_kit.questions.approach import Approach  # which a walk without snapshots never loads

        return Approach(self, resuming)

    def _to_start(self) -> tuple[Result, Iterator[tuple[int, Event]]]:
        """The state before the first event of the span; and from that one on each event with its number."""
        state = self.projection.initial()
        for has_begun, events in groupby(self._numbered(), key=lambda each: self.span.has_begun(each[1])):
            if has_begun:
                return state, events
            state = self.projection.fold_counted((event for _, event in events), state).state
        return state, iter(())

    def _numbered(self, behind: tuple[int, Event] | None = None) -> Iterator[tuple[int, Event]]:
        return self.span.numbered(behind, allow_incomplete=self.allow_incomplete, asked_by=self.projection.name)

    def _turn(self, number: int, event: Event, state: Result, since: Place[Result] | None = None) -> Turn[Result]:
        try:
            folded = self.projection.fold_counted((event.fresh(),), state)  # a handler may change what it decodes
        except FoldFailed as failed:
            self._tell(failed, number, event, since)
            raise
        return Turn(number, event, folded.state, bool(folded.events))

    def _tell(self, failed: FoldFailed, number: int, event: Event, since: Place[Result] | None) -> None:
        failed.number = number
        # Not what the handler was given, which it may have spoilt.
        failed.event = event
        failed.state = self.to_the_end(since, until=number - 1).state

    def _tell_where(self, failed: FoldFailed) -> None:
        """As `_tell`, of an event that is one of many which were folded at one go."""
        found = next((each for each in self._numbered() if each[1].key == failed.key), None)
        if found is not None:
            self._tell(failed, *found, since=None)

    def document(self, state: Result) -> Any:
        """The state as JSON has it: a value that nobody else holds."""
        return decode_json(self.projection.to_json(state))
