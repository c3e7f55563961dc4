"""Walk: a projection over a span, one event at a time, from the beginning or from where an earlier walk stood."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple

from typing_extensions import TypeVar

from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.progress import watched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection
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
    """`projection` over `span`. Each walk reads and folds anew; memory does not grow with the stream."""

    projection: Projection[Any, Result]
    span: Span
    allow_incomplete: bool = False

    def turns(self, since: Place[Result] | None = None, *, until: int | None = None) -> Iterator[Turn[Result]]:
        """A turn for each event of the span behind `since`, up to the event number `until`.

        Those before the span's `start` are among them, as a true state needs them. Raises FoldFailed, which holds the
        event, its number and the state before it; IncompleteStream; and a StoreError.
        """
        place = self.beginning() if since is None else since
        behind = None if place.event is None else (place.number, place.event)
        state = copy.deepcopy(place.state)
        numbered = self.span.numbered(behind, allow_incomplete=self.allow_incomplete, asked_by=self.projection.name)
        for number, event in numbered:
            if until is not None and number > until:
                return
            try:
                folded = self.projection.fold_counted((event.fresh(),), state)  # a handler may change what it decodes
            except FoldFailed as failed:
                failed.number = number
                # Not what the handler was given, which it may have spoilt.
                failed.event = event
                failed.state = self.to_the_end(since, until=number - 1).state
                raise
            state = folded.state
            yield Turn(number, event, state, bool(folded.events))

    def written(self, since: Place[Result] | None = None, *, until: int | None = None) -> Iterator[Written[Result]]:
        """As `turns`, each with the state's JSON before and after the event, which no handler can change any more."""
        place = self.beginning() if since is None else since
        before = self.projection.to_json(place.state)
        for turn in self.turns(place, until=until):
            after = self.projection.to_json(turn.state) if turn.folded else before
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

    def document(self, state: Result) -> Any:
        """The state as JSON has it: a value that nobody else holds."""
        return decode_json(self.projection.to_json(state))
