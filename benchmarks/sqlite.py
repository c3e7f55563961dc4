"""Rebuilding from an SQLite file, beside the peer and beside loops that are written by hand.

Twice: one long stream, and many short ones. Figures are of the processor time of this process, as the pages of the file
are in memory. The hand-written loops have a copy of the file to themselves: two SQLite libraries must not share one.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections import deque
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.bare import fold_decoded, read_and_fold, typed, untyped
from benchmarks.finding import Finding, over
from benchmarks.measuring import Case, Figures, note, show, take_turns
from benchmarks.peer import Applied, Decorated, Peer, Summed
from benchmarks.workload import (
    HANDLERS,
    TYPED_HANDLERS,
    UNITS_HANDLERS,
    Stock,
    events,
    movements,
    recording_clock,
    stock,
    stream_names,
    typed_units,
    units,
)
from eventsourcing_kit import open_store, rebuild, rebuild_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.scale import Scale
    from eventsourcing_kit import Rebuilt
    from eventsourcing_kit.stores.base import BaseStore

    Run = Callable[[Sequence[str]], Iterator[object]]  # the states of streams

__all__ = ["measure"]

AIMS = {"untyped": (9, 4.8), "typed": (13, 7)}  # beside repository.get, and beside the same with a lean projector
SHARE = 0.87  # of a hand-written loop


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """One stream of 100,000 events, 5,000 streams of 10, and the handlers that people write."""
    long = scale.pick(tiny=200, usual=100_000, full=100_000)
    many = scale.pick(tiny=20, usual=5_000, full=5_000)
    with _sides(place / "one", ["sku-00000"], long) as sides:
        yield from _summed(sides, f"one stream of {long:,}", rounds=scale.rounds)
    with _sides(place / "many", stream_names(many), 10) as sides:
        yield from _summed(sides, f"{many:,} streams of 10", rounds=scale.rounds)
    some = scale.pick(tiny=2, usual=20, full=100)
    with _sides(place / "frozen", stream_names(some), 1_000, styles=(Applied, Decorated)) as sides:
        yield from _frozen(sides, rounds=scale.rounds)


class _Sides(NamedTuple):
    """The same streams on both sides, and in the file of the hand-written loops."""

    store: BaseStore
    peer: Peer
    plain: sqlite3.Connection
    streams: Sequence[str]
    each: int  # events of one of them

    def case(self, name: str, run: Run, *, more: int = 0) -> Case:
        """Over all streams, each of which has `each` events and `more`."""
        over_all: Callable[[], object] = lambda: deque(run(self.streams), maxlen=0)  # noqa: E731 - typed
        return Case(Figures(name, clock=time.process_time), over_all, len(self.streams) * (self.each + more))


@contextmanager
def _sides(place: Path, streams: Sequence[str], count: int, *, styles: Sequence[Any] = (Summed,)) -> Iterator[_Sides]:
    note(f"appending {len(streams):,} streams of {count:,} events on both sides")
    place.mkdir()
    with open_store(f"sqlite:///{place / 'kit.db'}", clock=recording_clock) as store:
        store.append_many(event for stream in streams for event in events(stream, count))
    shutil.copy(place / "kit.db", place / "bare.db")
    with (
        open_store(f"sqlite:///{place / 'kit.db'}", clock=recording_clock) as store,
        Peer(place / "peer.db") as peer,
        closing(sqlite3.connect(place / "bare.db")) as plain,
    ):
        for stream in streams:
            for style in styles:
                made = movements(stream, count)
                peer.append(list(Peer.sums(stream, made)) if style is Summed else Peer.events(style, stream, made))
        yield _Sides(store, peer, plain, streams, count)


def _summed(sides: _Sides, what: str, *, rounds: int) -> Iterator[Finding]:
    """A handler that adds one number, so that little is measured but what stands around it."""
    store, peer, plain = sides.store, sides.peer, sides.plain
    by_hand = partial(read_and_fold, plain)
    runs: dict[str, Run] = {
        "kit: rebuild_all, untyped": lambda streams: _states(rebuild_all(units, store, streams=streams)),
        "kit: rebuild_all, typed": lambda streams: _states(rebuild_all(typed_units, store, streams=streams)),
        "eventsourcing: repository.get": _one_by_one(peer.units),
        "eventsourcing: repository.get, lean projector": _one_by_one(peer.units_lean),
        "by hand: sqlite3, msgspec, untyped": _one_by_one(lambda stream: by_hand(stream, UNITS_HANDLERS, 0, untyped)),
        "by hand: sqlite3, msgspec, typed": _one_by_one(lambda stream: by_hand(stream, TYPED_HANDLERS, 0, typed)),
        "kit: one rebuild after another, typed": _one_by_one(lambda stream: rebuild(typed_units, store, stream).state),
    }
    _compare(list(runs.values()), sides.streams)
    cases = [sides.case(name, run) for name, run in runs.items()]
    take_turns(cases, rounds=rounds)
    figures = [case.figures for case in cases]
    show(f"rebuild {what}: a handler that adds one number", figures, name="untyped")
    dicts, structs, default, lean, bare_dicts, bare_structs, _ = figures
    for kind, ours, bare in (("untyped", dicts, bare_dicts), ("typed", structs, bare_structs)):
        aim, lean_aim = AIMS[kind]
        name = f"SQLite, {what}, {kind}"
        yield Finding.of(f"{name}: over eventsourcing", over(default, ours), at_least=aim)
        yield Finding.of(f"{name}: over eventsourcing, lean", over(lean, ours), at_least=lean_aim)
        yield Finding.of(f"{name}: share of a loop by hand", over(bare, ours), at_least=SHARE)


def _frozen(sides: _Sides, *, rounds: int) -> Iterator[Finding]:
    """Handlers as STYLE asks for them, that replace a frozen state. No aim: most of the time is theirs."""
    store, peer = sides.store, sides.peer
    decoded = {stream: list(store.read(stream)) for stream in sides.streams}
    deque((event.data for events in decoded.values() for event in events), maxlen=0)
    plain = partial(read_and_fold, sides.plain)
    runs: dict[str, Run] = {
        "kit: rebuild_all": lambda streams: _states(rebuild_all(stock, store, streams=streams)),
        "by hand: sqlite3, msgspec": _one_by_one(lambda stream: plain(stream, HANDLERS, Stock(), untyped)),
        "by hand: events in memory": _one_by_one(lambda stream: fold_decoded(decoded[stream], HANDLERS, Stock())),
        "eventsourcing: repository.get, apply": _one_by_one(lambda stream: _stock(peer.get(Applied, stream))),
        "eventsourcing: repository.get, @event": _one_by_one(lambda stream: _stock(peer.get(Decorated, stream))),
    }
    _compare(list(runs.values()), sides.streams)
    # Its creating event is one more.
    cases = [sides.case(name, run, more=int(name.startswith("eventsourcing"))) for name, run in runs.items()]
    take_turns(cases, rounds=rounds)
    figures = [case.figures for case in cases]
    ours, by_hand, _, applied, decorated = figures
    show("rebuild: handlers that replace a frozen state", figures, name="rebuild")
    name = "SQLite, frozen states"
    yield Finding.of(f"{name}: share of a loop by hand", over(by_hand, ours))
    yield Finding.of(f"{name}: over eventsourcing", over(applied, ours))
    yield Finding.of(f"{name}: over eventsourcing with @event", over(decorated, ours))


def _one_by_one(run: Callable[[str], object]) -> Run:
    return partial(map, run)


def _states(answers: Iterator[Rebuilt[Any]]) -> Iterator[object]:
    return (answer.state for answer in answers)


def _compare(runs: Sequence[Run], streams: Sequence[str]) -> None:
    """Figures of sides that do not do the same would be worth nothing."""
    for stream, *states in zip(streams, *(run(streams) for run in runs), strict=True):
        if any(state != states[0] for state in states):
            raise SystemExit(f"the sides do not come to the same state of '{stream}': {states}")


def _stock(article: Any) -> Stock:
    return Stock(article.on_hand, article.reserved, article.shipped, article.value)
