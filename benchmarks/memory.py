"""One very long stream: the memory that its rebuild takes, and how long a rebuild and an append hold each other up.

Each figure comes from a process of its own, which is this module run as a program: so nobody else's memory is counted,
and nobody waits for Python's own lock. Each prints its figures as one line of JSON.

    python -m benchmarks.memory rebuild URL STREAM     one rebuild
    python -m benchmarks.memory append URL             one append after another, until stdin ends
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final, NamedTuple

from benchmarks.filling import fill_stream
from benchmarks.finding import Finding
from benchmarks.measuring import note, say
from benchmarks.workload import events, recording_clock
from eventsourcing_kit import Event, Projection, open_store, rebuild

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.scale import Scale

__all__ = ["measure"]

PEAK: Final = 48.0  # MB of the whole process
GROWTH: Final = 4.0  # MB beside a stream of 10,000

_BATCH: Final = 100  # single appends to one stream
_STATUS: Final = Path("/proc/self/status")


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """Fills two streams, and says what their rebuilds take."""
    short = scale.pick(tiny=100, usual=10_000, full=10_000)
    long = 100 * short
    url = f"sqlite:///{place / 'kit.db'}"
    for name, count in (("short", short), ("long", long)):
        note(f"filling a stream of {count:,} events")
        fill_stream(place / "kit.db", name, count)
    peaks, growth = [], []
    for number in range(scale.rounds):
        note(f"  round {number + 1} of {scale.rounds}")
        less, alone = _rebuild_elsewhere(url, "short"), _rebuild_elsewhere(url, "long")
        peaks.append(alone.peak_mb)
        growth.append(alone.peak_mb - less.peak_mb)
    _disturb(url, alone, seconds=scale.pick(tiny=0, usual=5, full=5))
    name = f"peak memory, {long:,} events in one stream"
    yield Finding.of(name, peaks, at_most=PEAK, unit="MB")
    yield Finding.of(f"{name}: growth over {short:,}", growth, at_most=GROWTH, unit="MB")


def _disturb(url: str, alone: _Folded, *, seconds: float) -> None:
    with _appending(url) as undisturbed:
        time.sleep(seconds)
    with _appending(url) as disturbed:
        meanwhile = _rebuild_elsewhere(url, "long")
    say(f"one stream of {alone.events:,} events: rebuilt in {alone.seconds:.1f} s")
    for when, appended in (("alone", undisturbed[0]), ("during a rebuild of it", disturbed[0])):
        median_and_longest = f"median {appended.median_ms:.2f} ms, longest {appended.longest_ms:.1f} ms"
        say(f"single appends of another process, {when}: {appended.events:,}, {median_and_longest}")
    for when, folded in (("alone", alone), ("during such appends", meanwhile)):
        pause = f"{folded.longest_pause_ms:.1f} ms in {folded.seconds:.1f} s"
        say(f"longest wait of its handler for an event, {when}: {pause}")


class _Folded(NamedTuple):
    """What a rebuild took. The pause is the longest wait of a handler for its next event."""

    events: int
    seconds: float
    peak_mb: float
    longest_pause_ms: float


class _Appended(NamedTuple):
    """What single appends took."""

    events: int
    median_ms: float
    longest_ms: float


def _rebuild_elsewhere(url: str, stream: str) -> _Folded:
    """One rebuild in another process."""
    done = subprocess.run(_command("rebuild", url, stream), stdout=subprocess.PIPE, text=True, check=True)
    return _Folded(**json.loads(done.stdout))


@contextmanager
def _appending(url: str) -> Iterator[list[_Appended]]:
    """Inside of it another process appends to the same file; when it has ended, the list holds what that took."""
    figures: list[_Appended] = []
    pipe = subprocess.PIPE
    with subprocess.Popen(_command("append", url), stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        try:
            yield figures
        finally:
            output, _ = process.communicate()
        figures.append(_Appended(**json.loads(output)))


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "benchmarks.memory", *arguments]


@dataclass
class _Pace:
    last: float = field(default_factory=time.perf_counter)
    longest: float = 0.0
    quantity: int = 0


_pace = Projection("pace", initial=_Pace)


@_pace.on()
def _tick(state: _Pace, event: Event) -> _Pace:
    """Looks at the clock and changes its state in place: fit to measure with, and for nothing else."""
    now = time.perf_counter()
    state.longest = max(state.longest, now - state.last)
    state.last = now
    state.quantity += event.data["quantity"]
    return state


def _rebuild(url: str, stream: str) -> _Folded:
    with open_store(url) as store:
        began = time.perf_counter()
        done = rebuild(_pace, store, stream)
        seconds = time.perf_counter() - began
    return _Folded(done.events, seconds, _peak_mb(), done.state.longest * 1_000)


def _peak_mb() -> float:
    if _STATUS.exists():
        # Linux hands ru_maxrss on from the process that started this one; the high-water mark begins anew.
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1_024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1_024 / (1_024 if sys.platform == "darwin" else 1)


def _append(url: str) -> _Appended:
    ending = threading.Thread(target=sys.stdin.read, daemon=True)
    ending.start()
    times: list[float] = []
    with open_store(url, clock=recording_clock) as store:
        while ending.is_alive():
            for event in events(f"appended by {os.getpid()} behind {len(times)}", _BATCH):
                began = time.perf_counter()
                store.append(event)
                times.append(time.perf_counter() - began)
            if len(times) == _BATCH:
                print("begun", flush=True)
    return _Appended(len(times), median(times) * 1_000, max(times[1:]) * 1_000)  # the first one opens the file


def main() -> None:
    """Runs one of the two, as the docstring of this module says."""
    verb, *arguments = sys.argv[1:]
    figures: _Folded | _Appended = _rebuild(*arguments) if verb == "rebuild" else _append(*arguments)
    print(json.dumps(figures._asdict()))


if __name__ == "__main__":
    main()
