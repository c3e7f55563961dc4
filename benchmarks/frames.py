"""A store's events into data frames, beside what people write by themselves: a list of dicts that goes into pandas.

Each case runs once in each round; figures are of the processor time of this process, and of whole cases: from the file
to the frame. The list of dicts has nothing of the kit in it. It reads the same rows by Python's own sqlite3, as
`[dict(row) for row in cursor]`, and then does one of two things:

normalised   `json.loads` for each detail, and `pandas.json_normalize` over all: what a search for "nested JSON to data
             frame" finds first. Each member of a detail becomes a column, so it serves for chosen columns, too.
picked       `json.loads` for each detail, from which the moment (and, where they are asked for, the three values) are
             picked by hand; the detail stays text; `pandas.DataFrame` over all: the least that somebody can write.

Both make datetimes of the moment and of when it was recorded. Neither puts events of one millisecond in order, asks for
expiry or for keys of another spelling, unpacks what is compressed, or takes care that a value's type is kept: all that
is in the kit's figures. The file that they read is a copy: a second SQLite library has no business in the kit's own.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pandas as pd  # type: ignore[import-untyped]

from benchmarks.finding import Finding, over
from benchmarks.measuring import Case, Figures, note, show, take_turns
from benchmarks.workload import DETAIL_BYTES, events, recording_clock, stream_names
from eventsourcing_kit import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.scale import Scale
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["measure"]

RAW: Final = 20  # times as fast as the normalised list of dicts
TYPED: Final = 7
_CHOSEN: Final = {"quantity": "data.quantity", "unit_price": "data.unitPrice", "warehouse": "data.warehouse"}


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """Streams of 1,000 events, 100,000 in all."""
    each = scale.pick(tiny=20, usual=1_000, full=1_000)
    streams = stream_names(scale.pick(tiny=2, usual=100, full=100))
    count = len(streams) * each
    file, copy = place / "kit.db", place / "copy.db"
    with open_store(f"sqlite:///{file}", clock=recording_clock) as store:
        note(f"appending {count:,} events with details of {DETAIL_BYTES} bytes")
        for stream in streams:
            store.append_many(events(stream, each))
    shutil.copy(file, copy)
    with open_store(f"sqlite:///{file}", clock=recording_clock) as store:
        yield from _measure(store, copy, count, scale.rounds)


def _measure(store: BaseStore, copy: Path, count: int, rounds: int) -> Iterator[Finding]:
    runs: dict[str, Callable[[], object]] = {
        "for event in store.read(stream)": partial(_read, store),
        "events().to_polars()": lambda: store.events().to_polars(),
        "events().to_arrow()": lambda: store.events().to_arrow(),
        "events().to_pandas()": lambda: store.events().to_pandas(),
        "dicts, normalised": partial(_normalised, copy),
        "dicts, picked": partial(_picked, copy, chosen={}),
        "events(columns=three).to_polars()": lambda: store.events(columns=_CHOSEN).to_polars(),
        "events(columns=three).to_arrow()": lambda: store.events(columns=_CHOSEN).to_arrow(),
        "events(columns=three).to_pandas()": lambda: store.events(columns=_CHOSEN).to_pandas(),
        "dicts, picked, three values": partial(_picked, copy, chosen=_CHOSEN),
    }
    cases = {name: Case(Figures(name, clock=time.process_time), run, count) for name, run in runs.items()}
    for case in cases.values():  # libraries are loaded, pages are in memory
        case.run()
    take_turns(list(cases.values()), rounds=rounds)
    figures = {name: case.figures for name, case in cases.items()}
    show(f"{count:,} events into a frame", list(figures.values()), name="reading")
    name = f"{count:,} events into a frame"
    for kind, mine, theirs, aim in (
        ("raw: over normalised dicts", "events().to_polars()", "dicts, normalised", RAW),
        ("raw: over dicts picked by hand", "events().to_polars()", "dicts, picked", None),
        (
            "typed: over normalised dicts",
            "events(columns=three).to_polars()",
            "dicts, normalised",
            TYPED,
        ),
        (
            "typed: over dicts picked by hand",
            "events(columns=three).to_polars()",
            "dicts, picked, three values",
            None,
        ),
    ):
        yield Finding.of(f"{name}, {kind}", over(figures[theirs], figures[mine]), at_least=aim)


def _read(store: BaseStore) -> None:
    for stream in store.streams():
        for _ in store.read(stream):
            pass


def _rows(file: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(file)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM events ORDER BY pk, sk")]
    finally:
        connection.close()


def _normalised(file: Path) -> Any:
    rows = _rows(file)
    for row in rows:
        row["detail"] = json.loads(row.pop("eventDetail"))
    frame = pd.json_normalize(rows)
    frame["moment"] = pd.to_datetime(frame["detail.metaData.time"], utc=True, format="ISO8601")
    frame["recordedAt"] = pd.to_datetime(frame["recordedAt"], utc=True, format="ISO8601")
    return frame


def _picked(file: Path, *, chosen: dict[str, str]) -> Any:
    rows = _rows(file)
    for row in rows:
        detail = json.loads(row["eventDetail"])
        row["moment"] = detail["metaData"]["time"]
        for name, path in chosen.items():
            row[name] = detail["data"].get(path.partition(".")[2])
    frame = pd.DataFrame(rows)
    for name in ("moment", "recordedAt"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame
