"""A store's events into data frames, beside a list of dicts that goes into pandas.

    python -m benchmarks.frames                  100 streams of 1,000 events: half a minute
    python -m benchmarks.frames --streams 1000   a million events

Each case runs once in each round; figures are of the processor time of this process. The last column says how many
times as long as the reading alone each one takes. What all events together take beyond being read is the price of the
frame: the aim is at most 0.5 s for 100,000. The list of dicts is what people write by themselves: a dict for each event
with five of the frame's thirteen columns, a datetime, and the three values where they are asked for.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import pandas as pd  # type: ignore[import-untyped]

from benchmarks import machine
from benchmarks.measuring import Case, Figures, note, say, show, take_turns
from benchmarks.workload import DETAIL_BYTES, events, recording_clock, stream_names
from eventsourcing_kit import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["main"]

AIM: Final = 5.0  # microseconds an event beyond reading it
_CHOSEN: Final = {"quantity": "data.quantity", "unit_price": "data.unitPrice", "warehouse": "data.warehouse"}


def main() -> int:
    """Prints tables; 1 where a frame of Polars costs more than the aim beyond reading."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frames")
    parser.add_argument("--streams", type=int, default=100, help="how many streams (100)")
    parser.add_argument("--events", type=int, default=1_000, help="how many events each of them has (1,000)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each case is measured (5)")
    options = parser.parse_args()
    for line in machine.description():
        say(line)
    count = options.streams * options.events
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{Path(directory) / 'frames.db'}"
        with open_store(url, clock=recording_clock) as store:
            note(f"appending {count:,} events with details of {DETAIL_BYTES} bytes")
            for stream in stream_names(options.streams):
                store.append_many(events(stream, options.events))
            return _measure(store, count, options.rounds)


def _measure(store: BaseStore, count: int, rounds: int) -> int:
    runs: dict[str, Callable[[], object]] = {
        "for event in store.read(stream)": partial(_read, store),
        "events().to_polars()": lambda: store.events().to_polars(),
        "events(columns=three).to_polars()": lambda: store.events(columns=_CHOSEN).to_polars(),
        "events().to_pandas()": lambda: store.events().to_pandas(),
        "events(columns=three).to_pandas()": lambda: store.events(columns=_CHOSEN).to_pandas(),
        "list of dicts to pandas": partial(_dicts, store),
        "list of dicts to pandas, three values": partial(_dicts, store, chosen=True),
    }
    cases = {name: Case(Figures(name, clock=time.process_time), run, count) for name, run in runs.items()}
    for case in cases.values():  # libraries are loaded, pages are in memory
        case.run()
    take_turns(list(cases.values()), rounds=rounds)
    figures = {name: case.figures for name, case in cases.items()}
    show(f"{count:,} events into a frame", list(figures.values()), name="reading")
    reading = figures["for event in store.read(stream)"]
    over = False
    for frame, dicts in (
        ("events().to_polars()", "list of dicts to pandas"),
        ("events(columns=three).to_polars()", "list of dicts to pandas, three values"),
    ):
        beyond = [mine - read for mine, read in zip(figures[frame].seconds, reading.seconds, strict=True)]
        theirs = [other - read for other, read in zip(figures[dicts].seconds, reading.seconds, strict=True)]
        ratio = median(other / mine for mine, other in zip(beyond, theirs, strict=True))
        say(f"{frame}: {median(beyond) * count:.2f} s beyond reading, the list of dicts {ratio:.1f} times that")
        over |= median(beyond) * 1e6 > AIM
    say(f"the aim is at most {AIM * count / 1e6:.2f} s")
    return int(over)


def _read(store: BaseStore) -> None:
    for stream in store.streams():
        for _ in store.read(stream):
            pass


def _dicts(store: BaseStore, *, chosen: bool = False) -> Any:
    rows = []
    for stream in store.streams():
        for event in store.read(stream):
            row = {
                "stream": event.stream,
                "moment": event.moment,
                "type": event.type,
                "id": event.id,
                "detail": event.detail_json,
            }
            if chosen:
                data = event.data
                row |= {name: data.get(path.partition(".")[2]) for name, path in _CHOSEN.items()}
            rows.append(row)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    raise SystemExit(main())
