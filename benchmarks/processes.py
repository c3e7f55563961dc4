"""Two processes over one: what a rebuild of many streams gains, as a share of what two processors give just then.

On a shared machine two processors are seldom worth two. So each round also runs a bare loop of Python, once by one
process and once, half and half, by two; the gain of the rebuild is divided by the gain of that loop.
"""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.filling import fill_streams
from benchmarks.finding import Finding, over
from benchmarks.measuring import Case, Figures, note, say, show, take_turns
from benchmarks.workload import stream_names, units
from eventsourcing_kit import open_store, rebuild_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.scale import Scale

__all__ = ["measure"]

AIM: Final = 0.70
_LOOP: Final = "for number in range({}): number * number"


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """By the wall clock."""
    streams = stream_names(scale.pick(tiny=20, usual=3_000, full=10_000))
    each = scale.pick(tiny=10, usual=250, full=250)
    count, turns = len(streams) * each, scale.pick(tiny=10_000, usual=40_000_000, full=120_000_000)
    note(f"filling {len(streams):,} streams of {each:,} events")
    fill_streams(place / "kit.db", streams, each)
    with open_store(f"sqlite:///{place / 'kit.db'}") as store:

        def rebuilt(workers: int) -> None:
            deque(rebuild_all(units, store, streams=streams, workers=workers), maxlen=0)

        cases = [
            Case(Figures("rebuild_all, one process"), lambda: rebuilt(1), count),
            Case(Figures("rebuild_all, workers=2"), lambda: rebuilt(2), count),
            Case(Figures("bare loop, one process"), lambda: _spin(1, turns), turns),
            Case(Figures("bare loop, two processes"), lambda: _spin(2, turns), turns),
        ]
        take_turns(cases, rounds=scale.pick(tiny=1, usual=9, full=11))  # neighbours disturb it most
    one, two, bare, bare_two = (case.figures for case in cases)
    show(f"{len(streams):,} streams of {each:,}", [two, one], name="two processes")
    gained, there = over(one, two), over(bare, bare_two)
    say(f"two processes over one: rebuild {median(gained):.2f}, bare loop {median(there):.2f}")
    shares = [mine / most for mine, most in zip(gained, there, strict=True)]
    yield Finding.of("two processes over one: share of a bare loop's gain", shares, at_least=AIM)


def _spin(processes: int, turns: int) -> None:
    running = [subprocess.Popen([sys.executable, "-c", _LOOP.format(turns // processes)]) for _ in range(processes)]
    for process in running:
        process.wait()
