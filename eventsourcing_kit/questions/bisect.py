"""Bisect: the first event after which a state is wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple

from typing_extensions import TypeVar

from eventsourcing_kit.checks import json_check, why
from eventsourcing_kit.errors import CheckFailed, EndsAgree, FoldFailed, InvalidOption, InvalidProjection
from eventsourcing_kit.frames import Column, Tabular
from eventsourcing_kit.progress import watched
from eventsourcing_kit.questions.naming import EVENT_COLUMNS, event_cells, event_label
from eventsourcing_kit.questions.pages import bisection_html
from eventsourcing_kit.questions.walk import FOLDING, Place, Walk
from eventsourcing_kit.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Bisection", "Flip", "bisect"]

Result = TypeVar("Result", default=Any)
_COLUMNS: Final = (
    *EVENT_COLUMNS,
    Column("passes", "bool"),
    Column("before", "json"),
    Column("after", "json"),
    Column("folds", "int"),
)


class Flip(NamedTuple):
    """An event after which the check says something else than before it."""

    number: int  # of the event in its stream, counted from 1
    event: Event
    passes: bool  # the check, at the state after it


@dataclass(frozen=True, repr=False)
class Bisection(Tabular, Generic[Result]):
    """`event` is the first one after which the check fails; `before` and `after` are the states on its two sides.

    `number` is its place in the stream, counted from 1. `folds` says how often the fold was begun, each time from the
    last good state; `flips` has, where they were asked for, every event at which the check changed its answer.

    As a table: a row for each flip, or for the event alone; the states, as JSON, stand in the row of `event`.
    """

    projection: Projection[Any, Result]
    stream: str
    number: int
    event: Event
    before: Result
    after: Result
    folds: int
    flips: tuple[Flip, ...] = ()

    def _columns(self) -> tuple[Column, ...]:
        return _COLUMNS

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        before, after = (self.projection.to_json(state).decode() for state in (self.before, self.after))
        for flip in self.flips or (Flip(self.number, self.event, passes=False),):
            found = flip.number == self.number
            states = (before, after) if found else (None, None)
            yield *event_cells(flip.number, flip.event), flip.passes, *states, self.folds

    def _repr_html_(self) -> str:
        named = f"Bisection of {self.stream!r} by projection {self.projection.name!r}"
        return bisection_html(self, title=f"{named}: the first event after which the check fails")

    def __repr__(self) -> str:
        found = event_label(self.number, self.event)
        return f"<Bisection of {self.stream!r} by projection {self.projection.name!r}: {found}>"


def bisect(
    projection: Projection[Any, Result],
    store: Readable,
    stream: str,
    check: Callable[[Result], object] | str,
    *,
    good: datetime | str | None = None,
    bad: datetime | str | None = None,
    flips: bool = False,
    known_at: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
) -> Bisection[Result]:
    """The first event between `good` and `bad` after which `check` fails.

    `check` is a function of a state, which it leaves as it is, or a JMESPath over the state as JSON (`balance >= `0``);
    what it answers counts as Python's truth, or as JMESPath's: false, null and what is empty fail. It has to pass at
    `good` (the initial state, where None) and to fail at `bad` (the end). Over n events it folds at most
    ceil(log2 n) + 1 times: once to the end, and then on from the last good state, which it keeps, so that it never
    begins at zero again; together less than two rebuilds. Where the check goes to and fro, that is one event at which
    it begins to fail. With `flips` one pass finds the very first, and lists them all.

    Raises EndsAgree where the ends do not differ in this way; CheckFailed where the check raises; InvalidOption where
    it is no JMESPath; InvalidProjection where it is one and JSON can not say a state; FoldFailed, whose `answer` is the
    bisection of what lies before that event, where something is wrong there; IncompleteStream, unless
    `allow_incomplete`; InvalidMoment; EventNotFound; and StoreError.
    """
    now = time.time_ns()
    spans = [Span.of(store, stream, at=at, known_at=known_at, tz=tz, now=now) for at in (good, bad)]
    if good is not None and spans[1].at is not None and spans[1].at < (spans[0].at or spans[1].at):
        raise InvalidOption("good", found=str(good), expected=f"a moment before the bad one, {bad}")
    walk = Walk(projection, spans[1], allow_incomplete)
    asked = _Asked(walk, check)
    low = walk.beginning() if good is None else Walk(projection, spans[0], allow_incomplete).to_the_end()
    if not asked(low):
        raise EndsAgree(projection=projection.name, stream=stream, passes=False)
    return _every_flip(walk, asked, low) if flips else _search(walk, asked, low)


class _Asked(Generic[Result]):
    """The check, at places of a walk."""

    def __init__(self, walk: Walk[Result], check: Callable[[Result], object] | str) -> None:
        self._walk = walk
        self._check = _over_json(walk, check) if isinstance(check, str) else check

    def __call__(self, place: Place[Result]) -> bool:
        try:
            return bool(self._check(place.state))
        except InvalidProjection:  # a state that JSON can not say, so no JMESPath was asked yet
            raise
        except Exception as error:  # whatever a user's check raises
            raise CheckFailed(
                projection=self._walk.projection.name,
                stream=self._walk.span.stream,
                key=None if place.event is None else place.event.key,
                event_id=None if place.event is None else place.event.id,
                reason=why(error),
            ) from error


def _over_json(walk: Walk[Result], expression: str) -> Callable[[Result], bool]:
    passes = json_check(expression)
    return lambda state: passes(walk.document(state))


def _search(walk: Walk[Result], asked: _Asked[Result], low: Place[Result]) -> Bisection[Result]:
    try:
        high = walk.to_the_end(low)
    except FoldFailed as failed:
        reached = walk.to_the_end(low, until=(failed.number or 1) - 1)
        if not asked(reached):
            failed.answer = _halved(walk, asked, low, reached)
        raise
    if asked(high):
        raise EndsAgree(projection=walk.projection.name, stream=walk.span.stream, passes=True)
    return _halved(walk, asked, low, high)


def _halved(walk: Walk[Result], asked: _Asked[Result], low: Place[Result], high: Place[Result]) -> Bisection[Result]:
    folds = 1
    passing, failing = low.number, high.number  # of numbers in between some may be of events that were not known
    while failing - passing > 1:
        folds += 1
        middle = (passing + failing) // 2
        reached = walk.to_the_end(low, until=middle)
        if asked(reached):
            low, passing = reached, middle
        else:
            high, failing = reached, reached.number
    return _found(walk, low, high, folds)


def _every_flip(walk: Walk[Result], asked: _Asked[Result], low: Place[Result]) -> Bisection[Result]:
    flips: list[Flip] = []
    passes = True

    def found() -> Bisection[Result] | None:
        first = next((flip for flip in flips if not flip.passes), None)
        if first is None:
            return None
        before = walk.to_the_end(low, until=first.number - 1)
        return _found(walk, before, walk.to_the_end(before, until=first.number), 3, tuple(flips))

    try:
        for number, event, state, folded in watched(walk.turns(low), FOLDING):
            if folded and asked(Place(state, number, event)) is not passes:
                passes = not passes
                flips.append(Flip(number, event, passes))
    except FoldFailed as failed:
        failed.answer = found()
        raise
    bisection = found()
    if bisection is None:
        raise EndsAgree(projection=walk.projection.name, stream=walk.span.stream, passes=True)
    return bisection


def _found(
    walk: Walk[Result], low: Place[Result], high: Place[Result], folds: int, flips: tuple[Flip, ...] = ()
) -> Bisection[Result]:
    if high.event is None:  # the check fails at the initial state, which it had passed: it is no function of a state
        raise EndsAgree(projection=walk.projection.name, stream=walk.span.stream, passes=False)
    return Bisection(
        projection=walk.projection,
        stream=walk.span.stream,
        number=high.number,
        event=high.event,
        before=low.state,
        after=high.state,
        folds=folds,
        flips=flips,
    )
