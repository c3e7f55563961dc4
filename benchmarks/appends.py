"""Appending: one event and one flush at a time, and a whole stream in one transaction."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.measuring import Figures, note, show
from benchmarks.peer import Applied, Decorated, Peer
from benchmarks.workload import events, movements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from eventsourcing_kit.stores.contract import Store

__all__ = ["fill", "measure_single"]

SINGLE: Final = 200  # in one round


def measure_single(store: Store, peer: Peer, place: Path, *, rounds: int) -> None:
    """Each event is on the disk before the next one begins. Events are made before the clock runs, on both sides."""
    note("single appends")
    sides = [
        (Figures("kit: store.append (FULL)"), store.append, _ours),
        (Figures(f"eventsourcing: events.put ({peer.synchronous()}, as it comes)"), peer.append_one, _theirs),
    ]
    with Peer(place / "flushed.db") as flushing:
        if peer.synchronous() != "FULL":
            flushing.flush_every_commit()
            sides.append((Figures("eventsourcing: events.put (set to FULL)"), flushing.append_one, _theirs))
        for number in range(rounds):
            for figures, append, make in sides:
                figures.measure(partial(_each, append, make(f"single-{number}")), SINGLE)
    show(
        f"append, one at a time, each flushed to the disk ({SINGLE} a round)",
        [figures for figures, _, _ in sides],
        name="append",
    )


def fill(store: Store, peer: Peer, streams: Sequence[str], count: int) -> None:
    """Stores all streams on both sides, and measures that: a round is one stream, in one transaction."""
    note(f"appending {len(streams):,} streams of {count:,} events")
    ours, theirs = Figures("kit: store.append_many"), Figures("eventsourcing: events.put")
    for stream in streams:
        mine = list(events(stream, count))
        domain = Peer.events(Applied, stream, movements(stream, count))
        ours.measure(partial(store.append_many, mine), len(mine))
        theirs.measure(partial(peer.append, domain), len(domain))
        peer.append(Peer.events(Decorated, stream, movements(stream, count)))
    show(f"append, {count:,} events in one transaction", [ours, theirs], name="append_many")


def _ours(stream: str) -> list[Any]:
    return list(events(stream, SINGLE))


def _theirs(stream: str) -> list[Any]:
    return Peer.events(Applied, stream, movements(stream, SINGLE - 1))


def _each(append: Callable[[Any], object], batch: Iterable[Any]) -> None:
    for event in batch:
        append(event)
