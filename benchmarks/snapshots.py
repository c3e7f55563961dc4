"""What a state at a moment costs with snapshots: does the length of the history behind it still matter?

    python -m benchmarks.snapshots                              10,000 and 100,000 events
    python -m benchmarks.snapshots --short 10000 --long 500000  the figures of the README

Each round rebuilds the state at another hour of either stream, from snapshots every 1,000 events. Seconds are the
processor time of this process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks import machine
from benchmarks.measuring import note, say
from benchmarks.workload import events, recording_clock, stock
from eventsourcing_kit import open_store, rebuild
from eventsourcing_kit.moment import from_rfc3339

LATER = from_rfc3339("2026-03-08T00:00:00Z")  # when all of that day can be covered


def main() -> None:
    """Measures, and prints a line for each stream and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots", description=__doc__)
    parser.add_argument("--short", type=int, default=10_000)
    parser.add_argument("--long", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=21)
    options = parser.parse_args()
    for line in machine.description():
        say(line)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'kit.db'}"
        with open_store(url, clock=recording_clock) as store:
            for count in (options.short, options.long):
                note(f"appending {count:,} events")
                store.append_many(events(f"{count} long", count))
        with open_store(url, clock=lambda: LATER) as store:
            figures: dict[int, list[float]] = {options.short: [], options.long: []}
            for count in figures:
                note(f"folding {count:,} events, and saving snapshots")
                full = rebuild(stock, store, f"{count} long", snapshots=1_000, clock=lambda: LATER)
                assert full.snapshot is None
            for number in range(options.rounds):
                at = f"2026-03-01T{10 + number % 11}:37:00Z"
                for count, seconds in figures.items():
                    began = time.process_time()
                    found = rebuild(stock, store, f"{count} long", at=at, snapshots=1_000, clock=lambda: LATER)
                    seconds.append(time.process_time() - began)
                    assert found.snapshot is not None
    for count, seconds in figures.items():
        say(f"{count:>9,} events: {median(seconds) * 1_000:.2f} ms")
    say(f"ratio: {median(figures[options.long]) / median(figures[options.short]):.2f}")


if __name__ == "__main__":
    main()
