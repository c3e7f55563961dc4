"""The kit's speed, each figure a ratio of what ran in turns in one run: `make bench`.

    python -m benchmarks                      all groups: ten minutes on two idle cores
    python -m benchmarks sqlite appends       two of them
    python -m benchmarks --full               the sizes of the aims throughout, and more rounds: most of an hour
    python -m benchmarks --json FILE          the findings as JSON, too

Each case runs once in each round, round after round; what is printed is the median round beside the fastest and the
slowest, and ratios are taken inside of each round. Appends, and what waits for a network, are timed by the wall clock;
all else by the processor time of this process, since the work of other processes is not theirs. pyperf and
pytest-benchmark run all rounds of one case before they begin the next: on a machine with neighbours a ratio would then
compare two different minutes. And nothing here is so short that it needs their calibrated loops.

Alike on both sides of `eventsourcing`: the same movements with the same fields, a write-ahead log, a flush to the disk
at each commit, one connection that is warm, files on the same disk. Not alike: the kit also stores the envelope, a
digest and when it was recorded, and looks for duplicates and twins; at a rebuild it orders, checks expiry and late
events. `eventsourcing` numbers its events, checks the numbers, and changes its aggregate in place.

No speed is asserted; only that all sides come to the same state. At the end stands one table of what was found, beside
its aim.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import machine
from benchmarks.finding import show_findings, write_findings
from benchmarks.groups import GROUPS, measure
from benchmarks.measuring import note, say
from benchmarks.scale import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.finding import Finding

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints tables. A group that fails ends the run, behind a table of what was found until then."""
    options = _options(arguments)
    described = list(machine.description())
    for line in described:
        say(line)
    findings: list[Finding] = []
    try:
        for name in options.groups or GROUPS:
            note(f"{name}:")
            with tempfile.TemporaryDirectory(dir=options.directory) as directory:
                findings += measure(name, Scale(options.scale), Path(directory))
    finally:
        show_findings(findings)
        say(f"load average at the end: {machine.load()}")
        if options.json is not None:
            write_findings(options.json, findings, machine=described)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The kit's speed, as ratios.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"{', '.join(GROUPS)}; all of them")
    parser.add_argument("--scale", choices=[each.value for each in Scale], default=Scale.USUAL.value, help="how much")
    parser.add_argument("--full", dest="scale", action="store_const", const=Scale.FULL.value, help="--scale full")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the findings go as JSON, too")
    parser.add_argument("--directory", type=Path, help="where the stores' files go: a disk that is worth measuring")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.groups) - set(GROUPS))
    if unknown:
        parser.error(f"no group '{unknown[0]}'; there are {', '.join(GROUPS)}")
    return options


if __name__ == "__main__":
    main()
