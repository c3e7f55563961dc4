"""Ties: events of one moment, of which nobody said in which order they happened.

A moment's declared order (see `record.order`) is made of what the producer said, `metaData.sequence`, and of type and
digest, which say nothing about time. So every order is allowed that keeps ascending sequences ascending: events of the
same sequence, and those without any, may stand anywhere.
"""

from __future__ import annotations

import random
from collections import Counter
from itertools import groupby, islice
from math import factorial, prod
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eventsourcing_kit.errors import FoldFailed, InvalidOption, InvalidProjection
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.patches import same

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection

__all__ = ["ORDERS", "Attempt", "Tally", "Tie", "check_limit", "count_orders", "in_moments", "other_orders", "ties_of"]

ORDERS: Final = 720  # of one moment, up to which all are tried: those of six events

_SEED: Final = 20  # of the sample, so that a second run tries the same orders


class Attempt(NamedTuple):
    """A state behind some events, and its JSON; or the reason for which there is none."""

    state: Any
    json: bytes | None
    reason: str | None = None


class Tie(NamedTuple):
    """A moment whose state depends on the order of its events: the declared one, and one that makes another state."""

    declared: tuple[Event, ...]
    other: tuple[Event, ...]
    before: Attempt  # the declared order's
    after: Attempt


class Tally:
    """How much was looked at."""

    def __init__(self) -> None:
        self.moments = 0  # with more than one allowed order
        self.orders = 0  # that were tried, the declared ones not counted
        self.sampled = 0  # moments of which not all orders were tried
        self.unsteady = 0  # moments at which even the declared order did not make the same state twice


def check_limit(orders: int) -> None:
    """Raises InvalidOption for a number of orders that can not be meant."""
    if orders < 1:
        raise InvalidOption("orders", found=str(orders), expected="a whole number from 1")


def in_moments(events: Iterable[Event]) -> Iterator[list[Event]]:
    """Events in their order, those of one moment together."""
    for _, group in groupby(events, key=lambda event: event.moment_ns):
        yield list(group)


def count_orders(group: Sequence[Event]) -> int:
    """How many orders of one moment's events are allowed."""
    sequences = Counter(event.sequence for event in group if event.sequence is not None)
    return factorial(len(group)) // factorial(sequences.total()) * prod(map(factorial, sequences.values()))


def other_orders(group: Sequence[Event], *, limit: int = ORDERS) -> Iterator[list[Event]]:
    """Allowed orders of one moment's events, beside the one given: all, where there are not more than `limit`; else
    as many, those first that most tell: the reverse, each event at the end and at the front, then a sample."""
    declared = list(group)
    if count_orders(declared) <= limit:
        yield from islice(_all_orders([], declared), 1, None)  # the first one is the one given
        return
    seen = {tuple(map(id, declared))}
    for order in islice(_telling_orders(declared), limit):
        key = tuple(map(id, order))
        if key not in seen:
            seen.add(key)
            yield order


def _all_orders(begun: list[Event], rest: list[Event]) -> Iterator[list[Event]]:
    if not rest:
        yield begun
    first = min((event.sequence for event in rest if event.sequence is not None), default=None)
    for place, event in enumerate(rest):
        if event.sequence is None or event.sequence == first:
            yield from _all_orders([*begun, event], rest[:place] + rest[place + 1 :])


def _telling_orders(declared: list[Event]) -> Iterator[list[Event]]:
    yield _allowed(declared[::-1])
    for place, event in enumerate(declared):
        others = declared[:place] + declared[place + 1 :]
        yield _allowed([*others, event])
        yield _allowed([event, *others])
    chance = random.Random(_SEED)  # noqa: S311 - which orders are tried is no secret
    while True:
        yield _allowed(chance.sample(declared, len(declared)))


def _allowed(order: list[Event]) -> list[Event]:
    """The same order, but for events with a sequence: these take the same places in ascending order."""
    ascending = iter(
        sorted((event for event in order if event.sequence is not None), key=lambda event: event.sequence or 0)
    )
    return [event if event.sequence is None else next(ascending) for event in order]


def ties_of(
    projection: Projection[Any, Any], events: Iterable[Event], tally: Tally, *, limit: int = ORDERS
) -> Iterator[Tie]:
    """Each moment behind which another allowed order leaves another state, with the first such order. The order of an
    object's members is none, as it is no change to any question: a dict is filled in the order of events.

    Every order is folded from a copy of the state before its moment. Raises FoldFailed and InvalidProjection where the
    declared order does.
    """
    state: Any = None  # from which a fold begins at the initial state
    for group in in_moments(events):
        tied = [event for event in group if projection.handles(event.type)]
        allowed = count_orders(tied)
        if allowed > 1:
            tally.moments += 1
            tally.sampled += allowed > limit
            tie = _tie(projection, tied, state, tally, limit)
            if tie is not None:
                yield tie
        state = projection.fold_counted((event.fresh() for event in group), state).state


def _tie(projection: Projection[Any, Any], tied: list[Event], state: Any, tally: Tally, limit: int) -> Tie | None:
    declared = _attempt(projection, tied, state)
    if declared.reason is not None:
        return None  # the fold goes on to raise it
    for order in other_orders(tied, limit=limit):
        tally.orders += 1
        attempt = _attempt(projection, order, state)
        if _is_same(attempt.json, declared.json):
            continue
        if _attempt(projection, tied, state).json != declared.json:
            tally.unsteady += 1
            return None
        return Tie(tuple(tied), tuple(order), declared, attempt)
    return None


def _is_same(one: bytes | None, other: bytes | None) -> bool:
    return one == other or (one is not None and other is not None and same(decode_json(one), decode_json(other)))


def _attempt(projection: Projection[Any, Any], events: Iterable[Event], start: Any) -> Attempt:
    try:
        state = projection.fold(events, start)
        return Attempt(state, projection.to_json(state))
    except (FoldFailed, InvalidProjection) as error:
        return Attempt(None, None, error.reason)
