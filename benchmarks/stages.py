"""Where the time goes: the stages of a rebuild, of a start from a snapshot and of an append.

These are times, not ratios, and mean something only beside each other. Most stages contain the one above them.
"""

from __future__ import annotations

import time
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from benchmarks.bare import typed
from benchmarks.filling import fill_stream, fill_streams
from benchmarks.finding import Finding
from benchmarks.measuring import Case, Figures, note, say, take_turns
from benchmarks.workload import events, recording_clock, stream_names, typed_units
from eventsourcing_kit import open_store, rebuild, rebuild_all
from eventsourcing_kit.moment import from_rfc3339, to_canonical, to_microseconds
from eventsourcing_kit.record import content_digest, encode
from eventsourcing_kit.resuming import identity_of
from eventsourcing_kit.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.scale import Scale
    from eventsourcing_kit import Event, Rebuilt
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["measure"]

_LATER: Final = from_rfc3339("2026-03-08T00:00:00Z")  # when snapshots can cover all of it
_EACH: Final = 10
_STATES: Final = 40  # in one round
_HIGHEST: Final = "\U0010ffff"


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """Processor time of this process."""
    long = scale.pick(tiny=2_100, usual=100_000, full=100_000)
    streams = stream_names(scale.pick(tiny=20, usual=5_000, full=5_000))
    appended = list(events("appended", scale.pick(tiny=20, usual=1_000, full=1_000)))
    note("filling the files")
    fill_stream(place / "long.db", "long", long)
    fill_streams(place / "short.db", streams, _EACH)
    with (
        open_store(f"sqlite:///{place / 'long.db'}", clock=lambda: _LATER) as store,
        open_store(f"sqlite:///{place / 'short.db'}", clock=lambda: _LATER) as short,
    ):
        yield from _told("an event of one long stream", _of_one(store), long, scale.rounds)
        yield from _told(f"a stream of {_EACH}", _of_many(short, streams), len(streams), scale.rounds)
        yield from _told("a state from a snapshot", _of_a_state(store, long), _STATES, scale.rounds)
    yield from _told("an appended event", _of_appending(place, appended), len(appended), scale.rounds)


Stages = dict[str, "Callable[[], Iterable[object]]"]


def _of_one(store: BaseStore) -> Stages:
    details = [event.detail_json for event in store.read("long")]
    return {
        "decoding its detail": lambda: map(typed, details),
        "its row as an event": lambda: store._brief_rows("long", "", _HIGHEST),  # noqa: SLF001 - as a reading does
        "the same in order, and not expired": lambda: store.read_in_brief("long"),
        "the same, looked at for warnings": lambda: _watched(store.read_in_brief("long")),
        "rebuild": lambda: [rebuild(typed_units, store, "long")],
    }


def _of_many(store: Any, streams: Sequence[str]) -> Stages:
    def read() -> Iterator[Iterable[Event]]:
        return (source.read(stream) for stream, source in store.ahead(streams))

    return {
        "its rows": lambda: store.ahead(streams),
        "the same in order, and not expired": lambda: chain.from_iterable(read()),
        "the same, looked at for warnings": lambda: chain.from_iterable(map(_watched, read())),
        "rebuild_all": lambda: rebuild_all(typed_units, store, streams=streams),
    }


def _of_a_state(store: BaseStore, count: int) -> Stages:
    """As far behind a snapshot as they lie on average."""
    rebuild(typed_units, store, "long", snapshots=1_000, clock=lambda: _LATER)
    at = next(event for number, event in enumerate(store.read("long"), 1) if number == count // 1_000 * 1_000 - 499)

    def state(moment: str) -> Rebuilt[int]:
        return rebuild(typed_units, store, "long", at=moment, snapshots=1_000, clock=lambda: _LATER)

    def often(stage: Callable[[], object]) -> Callable[[], Iterator[object]]:
        return lambda: (stage() for _ in range(_STATES))

    end = to_canonical(at.moment_ns)
    used = state(end).snapshot
    assert used is not None
    start = to_canonical(used.moment_ns)
    return {
        "the fingerprint of the code": often(lambda: identity_of(typed_units)),
        "the state at the snapshot itself": often(lambda: state(start)),
        "the events behind it alone": often(lambda: rebuild(typed_units, store, "long", start=start, at=end)),
        "rebuild with snapshots": often(lambda: state(end)),
    }


def _of_appending(place: Path, made: list[Event]) -> Stages:
    recorded, files = to_microseconds(recording_clock()), iter(range(1_000))

    def append() -> list[object]:
        with open_store(f"sqlite:///{place / f'appended-{next(files)}.db'}", clock=recording_clock) as store:
            return [store.append_many(made)]

    return {
        "its digest": lambda: map(content_digest, made),
        "its record": lambda: (encode(event, recorded_at=recorded, put_token="0" * 16) for event in made),
        "append_many, into a file of its own": append,
    }


def _watched(events: Iterable[Event]) -> Iterator[Event]:
    return Watch(typed_units, None, _LATER).over(events)


def _told(what: str, stages: Stages, count: int, rounds: int) -> Iterator[Finding]:
    def case(name: str, stage: Callable[[], Iterable[object]]) -> Case:
        return Case(Figures(name, clock=time.process_time), lambda: deque(stage(), maxlen=0), count)

    cases = [case(name, stage) for name, stage in stages.items()]
    take_turns(cases, rounds=rounds)
    say(f"microseconds for {what}")
    for each in cases:
        finding = Finding.of(f"{what}: {each.figures.name}", [s * 1e6 for s in each.figures.seconds], unit="us")
        say(f"  {finding.found:10.2f}  {each.figures.name}")
        yield finding
