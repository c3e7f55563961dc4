"""Does the time an event takes depend on how many there are? One stream of a million; ten thousand streams over one."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from benchmarks.filling import fill_stream, fill_streams
from benchmarks.finding import Finding, over
from benchmarks.measuring import Case, Figures, note, show, take_turns
from benchmarks.workload import stream_names, typed_units
from eventsourcing_kit import open_store, rebuild, rebuild_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.scale import Scale

__all__ = ["measure"]

LONGER: Final = 1.25
MANY: Final = 1.5


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """Processor time of this process."""
    short = scale.pick(tiny=100, usual=100_000, full=100_000)
    long, streams = 10 * short, stream_names(short // 10)
    note(f"filling streams of {short:,} and {long:,} events, and {len(streams):,} streams of 10")
    for name, count in (("short", short), ("long", long)):
        fill_stream(place / "kit.db", name, count)
    fill_streams(place / "kit.db", streams, 10)
    with open_store(f"sqlite:///{place / 'kit.db'}") as store:
        cases = [
            Case(_figures(f"one stream of {short:,}"), lambda: rebuild(typed_units, store, "short"), short),
            Case(_figures(f"one stream of {long:,}"), lambda: rebuild(typed_units, store, "long"), long),
            Case(
                _figures(f"{len(streams):,} streams of 10"),
                lambda: deque(rebuild_all(typed_units, store, streams=streams), maxlen=0),
                short,
            ),
        ]
        take_turns(cases, rounds=scale.rounds)
    one, longer, many = figures = [case.figures for case in cases]
    show("rebuild, typed payload", figures, name="one stream")
    yield Finding.of(f"time an event, {long:,} over {short:,} in one stream", over(longer, one), at_most=LONGER)
    yield Finding.of(f"time an event, {len(streams):,} streams over one", over(many, one), at_most=MANY)


def _figures(name: str) -> Figures:
    return Figures(name, clock=time.process_time)
