"""Reading and rebuilding every stream, beside the peer and beside loops that are written by hand."""

from __future__ import annotations

import gc
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import apsw

from benchmarks.bare import fold_decoded, read_and_fold
from benchmarks.measuring import Case, Figures, note, show, take_turns
from benchmarks.peer import Applied, Decorated, Peer
from benchmarks.workload import HANDLERS, UNITS_HANDLERS, Stock, stock, typed_units, units
from eventsourcing_kit import rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from eventsourcing_kit import Event
    from eventsourcing_kit.stores.contract import Store

__all__ = ["measure"]

IN_MEMORY: Final = 50  # streams, at most, whose decoded events are held in memory


def measure(store: Store, peer: Peer, file: Path, streams: Sequence[str], count: int, *, rounds: int) -> None:
    """Reads and rebuilds all streams of a file, each of which has `count` events."""
    note("reading into memory what the loop over decoded events needs")
    decoded = [_decoded(store, stream) for stream in streams[:IN_MEMORY]]
    gc.freeze()  # these stay: no collection has to look at them again and again
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        _compare(store, peer, connection, decoded[0], streams[0])
        _measure(store, peer, connection, decoded, streams, count, rounds)
    finally:
        connection.close()
        gc.unfreeze()


def _measure(
    store: Store,
    peer: Peer,
    connection: apsw.Connection,
    decoded: list[list[Event]],
    streams: Sequence[str],
    count: int,
    rounds: int,
) -> None:
    def over(name: str, run: Callable[[str], object], *, events: int = count) -> Case:
        return Case(
            Figures(name, clock=time.process_time), lambda: deque(map(run, streams), maxlen=0), len(streams) * events
        )

    def in_memory(name: str, run: Callable[[list[Event]], object]) -> Case:
        return Case(
            Figures(name, clock=time.process_time), lambda: deque(map(run, decoded), maxlen=0), len(decoded) * count
        )

    reads = [
        over("kit: store.read, with event.data", lambda stream: deque(map(_data, store.read(stream)), maxlen=0)),
        over("kit: store.read, nothing decoded", lambda stream: deque(store.read(stream), maxlen=0)),
        over("eventsourcing: events.get", lambda stream: peer.read(Applied, stream), events=count + 1),
    ]
    frozen = [
        over("kit: rebuild", lambda stream: rebuild(stock, store, stream)),
        over("eventsourcing: repository.get, apply", lambda stream: peer.get(Applied, stream), events=count + 1),
        over("eventsourcing: repository.get, @event", lambda stream: peer.get(Decorated, stream), events=count + 1),
        over("bare loop reading", lambda stream: read_and_fold(connection, stream, HANDLERS, Stock())),
        in_memory("bare loop over decoded events", lambda events: fold_decoded(events, HANDLERS, Stock())),
    ]
    light = [
        over("kit: rebuild, typed payload", lambda stream: rebuild(typed_units, store, stream)),
        over("kit: rebuild, untyped payload", lambda stream: rebuild(units, store, stream)),
        over("eventsourcing: repository.get, apply", lambda stream: peer.get(Applied, stream), events=count + 1),
        over("bare loop reading", lambda stream: read_and_fold(connection, stream, UNITS_HANDLERS, 0)),
        in_memory("bare loop over decoded events", lambda events: fold_decoded(events, UNITS_HANDLERS, 0)),
    ]
    note("reading and rebuilding")
    take_turns([*reads, *frozen, *light], rounds=rounds)
    show("read", [case.figures for case in reads], name="read")
    show("rebuild: handlers that replace a frozen state", [case.figures for case in frozen], name="rebuild")
    show("rebuild: a handler that adds one number", [case.figures for case in light], name="rebuild")


def _decoded(store: Store, stream: str) -> list[Event]:
    events = list(store.read(stream))
    deque(map(_data, events), maxlen=0)
    return events


def _data(event: Event) -> Any:
    return event.data


def _compare(store: Store, peer: Peer, connection: apsw.Connection, decoded: list[Event], stream: str) -> None:
    """Figures of sides that do not do the same would be worth nothing."""
    expected = rebuild(stock, store, stream).state
    states = [
        read_and_fold(connection, stream, HANDLERS, Stock()),
        fold_decoded(decoded, HANDLERS, Stock()),
        *(_state(peer.get(style, stream)) for style in (Applied, Decorated)),
    ]
    if any(state != expected for state in states):
        raise SystemExit(f"the sides do not come to the same state of '{stream}': {expected} and {states}")


def _state(article: Any) -> Stock:
    return Stock(article.on_hand, article.reserved, article.shipped, article.value)
