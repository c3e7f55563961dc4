"""The kit's speed on SQLite files, beside the PyPI package `eventsourcing` and beside loops written by hand.

    python -m benchmarks                      100 streams of 1,000 events: some five minutes on two idle cores
    python -m benchmarks --streams 1000       a million events: most of an hour, 3 GB of disk
    python -m benchmarks --long 0             without the long stream, which takes half of the five minutes

Each case runs once in each round, round after round; what is printed is the median round beside the fastest and the
slowest, and ratios are taken inside of each round. Appends are timed by the wall clock, since waiting for the disk is
what they do; reads and rebuilds by the processor time of this process, since their pages are in memory and the work of
other processes is not theirs. pyperf and pytest-benchmark run all rounds of one case before they begin the next: on a
machine with neighbours a ratio would then compare two different minutes. And nothing here is so short that it needs
their calibrated loops.

Alike on both sides: the same movements with the same fields, a write-ahead log, a flush to the disk at each commit, one
connection that is warm, files on the same disk. Not alike: the kit also stores the envelope, a digest and when it was
recorded, and looks for duplicates and twins; its handlers replace a frozen state; at a rebuild it orders, checks
expiry and late events. `eventsourcing` numbers its events, checks the numbers, and changes its aggregate in place.

No speed is asserted; only that all sides come to the same state.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import appends, long_stream, machine, reads
from benchmarks.measuring import say
from benchmarks.peer import Peer
from benchmarks.workload import DETAIL_BYTES, recording_clock, stream_names
from eventsourcing_kit import open_store


def main() -> None:
    """Measures, and prints tables."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        place = Path(directory)
        for line in machine.description():
            say(line)
        say(f"{options.streams:,} streams of {options.events:,} events with details of {DETAIL_BYTES} bytes")
        streams, file = stream_names(options.streams), place / "kit.db"
        with open_store(f"sqlite:///{file}", clock=recording_clock) as store, Peer(place / "peer.db") as peer:
            say(f"journal and synchronous: kit WAL, FULL; eventsourcing {peer.journal()}, {peer.synchronous()}")
            appends.measure_single(store, peer, place, rounds=options.rounds)
            appends.fill(store, peer, streams, options.events)
            reads.measure(store, peer, file, streams, options.events, rounds=options.rounds)
        if options.long:
            long_stream.measure(f"sqlite:///{place / 'long.db'}", options.long)
    say(f"load average at the end: {machine.load()}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The kit's speed on SQLite files.")
    parser.add_argument("--streams", type=_positive, default=100, help="how many streams (100)")
    parser.add_argument("--events", type=_positive, default=1_000, help="how many events each of them has (1,000)")
    parser.add_argument("--rounds", type=_positive, default=5, help="how often each case is measured (5)")
    parser.add_argument("--long", type=int, default=1_000_000, help="events of the long stream (1,000,000; 0: none)")
    parser.add_argument("--directory", type=Path, help="where the files go: a disk that is worth measuring")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"found '{text}', expected a whole number from 1")
    return int(text)


if __name__ == "__main__":
    main()
