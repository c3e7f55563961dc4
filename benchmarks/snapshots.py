"""What a state at a moment costs with snapshots every 1,000 events: does the length of the history still matter?

Each round asks for the states at many moments, spread over all of the history but its first tenth. The peer is asked
for the same events: it has no moments, so that each is asked for by its number. Processor time of this process.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Final

from benchmarks.filling import fill_stream
from benchmarks.finding import Finding, over
from benchmarks.measuring import Case, Figures, note, show, take_turns
from benchmarks.peer import Peer
from benchmarks.workload import movements, typed_units, units
from eventsourcing_kit import open_store, rebuild
from eventsourcing_kit.moment import from_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.scale import Scale
    from eventsourcing_kit import Projection
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["measure"]

LONGER: Final = 1.5
PEER: Final = 9
LATER: Final = from_rfc3339("2026-03-08T00:00:00Z")  # when all of that history can be covered
_EVERY: Final = 1_000
_MOMENTS: Final = 40  # in one round
_PUT: Final = 10_000  # events of the peer in one transaction


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    short = scale.pick(tiny=2_000, usual=10_000, full=10_000)
    long = scale.pick(tiny=4_000, usual=500_000, full=500_000)
    theirs = scale.pick(tiny=2_000, usual=100_000, full=500_000)
    url = f"sqlite:///{place / 'kit.db'}"
    for count in (short, long):
        note(f"filling a stream of {count:,} events")
        fill_stream(place / "kit.db", f"{count} long", count)
    with open_store(url, clock=lambda: LATER) as store, Peer(place / "peer.db", snapshots=True) as peer:
        for count in (short, long):
            note("folding it, and saving snapshots")
            for projection in (units, typed_units):
                rebuild(projection, store, f"{count} long", snapshots=_EVERY, clock=lambda: LATER)
        _fill_peer(peer, theirs)
        numbers = {count: _numbers(count) for count in (short, long, theirs)}
        moments = {count: _moments(store, f"{count} long", numbers[count]) for count in (short, long)}

        def at_moments(projection: Projection[int], count: int) -> Callable[[], object]:
            def run() -> None:
                for at in moments[count]:
                    found = rebuild(projection, store, f"{count} long", at=at, snapshots=_EVERY, clock=lambda: LATER)
                    assert found.snapshot is not None

            return run

        cases = [
            Case(_figures(f"kit: {long:,} events, untyped"), at_moments(units, long), _MOMENTS),
            Case(_figures(f"kit: {short:,} events, untyped"), at_moments(units, short), _MOMENTS),
            Case(_figures(f"kit: {long:,} events, typed"), at_moments(typed_units, long), _MOMENTS),
            Case(
                _figures(f"eventsourcing: {theirs:,} events"),
                lambda: deque((peer.units("long", version=number) for number in numbers[theirs]), maxlen=0),
                _MOMENTS,
            ),
        ]
        take_turns(cases, rounds=scale.rounds)
    longer, shorter, typed, others = figures = [case.figures for case in cases]
    show("a state at a moment, snapshots every 1,000 events", figures, name="long history", each_is="state")
    name = f"state with snapshots, {long:,} events"
    yield Finding.of(f"{name}: over {short:,} events", over(longer, shorter), at_most=LONGER)
    yield Finding.of(f"{name}, untyped: over eventsourcing", over(others, longer), at_least=PEER)
    yield Finding.of(f"{name}, typed: over eventsourcing", over(others, typed), at_least=PEER)


def _numbers(count: int) -> list[int]:
    """Of events, spread over a history, at all distances behind a snapshot, which the next one begins anew."""
    chance = Random(count)  # noqa: S311 - no secret
    steps = [_EVERY * number // _MOMENTS for number in range(_MOMENTS)]  # behind a snapshot: on average half-way
    chance.shuffle(steps)
    return [chance.randrange(1, count // _EVERY) * _EVERY + step + 1 for step in steps]


def _moments(store: BaseStore, stream: str, numbers: Sequence[int]) -> list[str]:
    wanted = set(numbers)
    found = {
        number: event.key.partition("#")[0]
        for number, event in enumerate(store.read(stream), start=1)
        if number in wanted
    }
    return [found[number] for number in numbers]


def _fill_peer(peer: Peer, count: int) -> None:
    note(f"appending {count:,} events on the other side, with snapshots")
    made = Peer.sums("long", movements("long", count))
    while batch := list(islice(made, _PUT)):
        peer.append(batch)
    for version in range(_EVERY, count + 1, _EVERY):
        peer.take_snapshot("long", version)


def _figures(name: str) -> Figures:
    return Figures(name, clock=time.process_time)
