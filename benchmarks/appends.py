"""Appending: one event and one flush at a time, and a whole stream in one transaction; both sides flush each commit."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.finding import Finding, over
from benchmarks.measuring import Figures, note, show
from benchmarks.peer import Applied, Peer
from benchmarks.workload import events, movements, recording_clock, stream_names
from eventsourcing_kit import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from benchmarks.scale import Scale
    from eventsourcing_kit.stores.contract import Store

__all__ = ["measure"]

AIMS: Final = {"bulk": 3, "single": 1.2}


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """By the wall clock. Events are made before the clock runs, on both sides."""
    with (
        open_store(f"sqlite:///{place / 'kit.db'}", clock=recording_clock) as store,
        Peer(place / "peer.db") as peer,
    ):
        peer.flush_every_commit()
        note(f"journal and synchronous: kit WAL, FULL; eventsourcing {peer.journal()}, {peer.synchronous()}")
        yield _bulk(store, peer, count=scale.pick(tiny=20, usual=1_000, full=1_000), rounds=scale.rounds * 4)
        yield _single(store, peer, count=scale.pick(tiny=5, usual=400, full=1_000), rounds=scale.rounds)


def _bulk(store: Store, peer: Peer, *, count: int, rounds: int) -> Finding:
    ours, theirs = Figures("kit: store.append_many"), Figures("eventsourcing: events.put")
    for stream in stream_names(rounds):
        mine = list(events(stream, count))
        domain = Peer.events(Applied, stream, movements(stream, count))
        ours.measure(partial(store.append_many, mine), len(mine))
        theirs.measure(partial(peer.append, domain), len(domain))
    show(f"append, {count:,} events in one transaction", [ours, theirs], name="append_many")
    return Finding.of("bulk append: over eventsourcing", over(theirs, ours), at_least=AIMS["bulk"])


def _single(store: Store, peer: Peer, *, count: int, rounds: int) -> Finding:
    """Each event is on the disk before the next one begins."""
    ours, theirs = Figures("kit: store.append"), Figures("eventsourcing: events.put")
    for stream in [f"single-{number}" for number in range(rounds)]:
        mine = list(events(stream, count))
        domain = Peer.events(Applied, stream, movements(stream, count - 1))
        ours.measure(partial(_each, store.append, mine), len(mine))
        theirs.measure(partial(_each, peer.append_one, domain), len(domain))
    show(f"append, one at a time, each flushed to the disk ({count} a round)", [ours, theirs], name="append")
    return Finding.of("single durable append: over eventsourcing", over(theirs, ours), at_least=AIMS["single"])


def _each(append: Callable[[Any], object], batch: Iterable[Any]) -> None:
    for event in batch:
        append(event)
