"""What a question about a long stream costs, beside one rebuild of it in the same process.

The state has 2 KB, and each event changes it.

A history of every step serialises the state each time and compares it with the one before; blame serialises it, too; a
bisection only folds. Seconds are the processor time of this process; memory is what Python allocated at its peak, taken
in a run of its own over a tenth of the events and over all of them, as tracing slows everything down.
"""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from benchmarks.finding import Finding, over
from benchmarks.measuring import Case, Figures, note, say, show, take_turns
from benchmarks.workload import events, recording_clock
from eventsourcing_kit import Event, Projection, bisect, blame, diff, history, open_store, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.scale import Scale
    from eventsourcing_kit.stores.contract import Store

__all__ = ["measure"]

SHELVES: Final = 35  # about 2 KB of JSON


@dataclass(frozen=True)
class Warehouse:
    moved: int = 0
    shelves: dict[str, dict[str, int | float | str]] = field(
        default_factory=lambda: {
            f"shelf-{number:02}": {"units": 0, "value": 0.5, "operator": "nobody"} for number in range(SHELVES)
        }
    )


warehouse = Projection("warehouse", initial=Warehouse)


@warehouse.on()
def moved(state: Warehouse, event: Event) -> Warehouse:
    data = event.data
    shelf = f"shelf-{state.moved % SHELVES:02}"
    there = {"units": data["quantity"], "value": data["unitPrice"], "operator": data["operator"]}
    return replace(state, moved=state.moved + 1, shelves={**state.shelves, shelf: there})


def measure(scale: Scale, place: Path) -> Iterator[Finding]:
    """How many rebuilds each question takes. There is no aim: a difference of states is real work."""
    count = scale.pick(tiny=200, usual=10_000, full=100_000)
    with open_store(f"sqlite:///{place / 'kit.db'}", clock=recording_clock) as store:
        note(f"appending {count:,} events")
        store.append_many(events("long", count))
        size = len(warehouse.to_json(rebuild(warehouse, store, "long").state))
        say(f"one stream of {count:,} events, a state of {size:,} bytes of JSON")
        yield from _measure(store, count, scale.rounds)
        yield _measure_memory(store, count)


def _measure(store: Store, count: int, rounds: int) -> Iterator[Finding]:
    two_thirds = count * 2 // 3
    questions: list[tuple[str, Callable[[], object]]] = [
        ("rebuild", lambda: rebuild(warehouse, store, "long")),
        ("history: states and patches", lambda: _go_over(store)),
        ("history as a table", lambda: history(warehouse, store, "long").to_arrow()),
        ("blame of one place", lambda: blame(warehouse, store, "long", "/shelves/shelf-07/units")),
        ("bisect", lambda: bisect(warehouse, store, "long", lambda state: state.moved < two_thirds)),
        (
            "bisect, every flip",
            lambda: bisect(warehouse, store, "long", lambda state: state.moved < two_thirds, flips=True),
        ),
        ("diff of the first half", lambda: diff(warehouse, store, "long", "event:1", f"event:{count // 2}")),
    ]
    cases = [Case(Figures(name, clock=time.process_time), run, count) for name, run in questions]
    take_turns(cases, rounds=rounds)
    rebuilt, *asked = figures = [case.figures for case in cases]
    show("one question over the whole stream", figures, name="rebuild")
    for each in asked:
        yield Finding.of(f"{each.name}: over a rebuild", over(each, rebuilt))


def _go_over(store: Store, at: str | None = None) -> None:
    for step in history(warehouse, store, "long", at=at):
        assert step.patch
        assert step.state.moved == step.number


def _measure_memory(store: Store, count: int) -> Finding:
    peaks = []
    for part in (count // 10, count):
        tracemalloc.start()
        _go_over(store, at=f"event:{part}")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        say(f"history over {part:,} events: {peak / 1e6:.1f} MB at its peak")
        peaks.append(peak)
    return Finding.of("history: memory, all events over a tenth", [peaks[1] / peaks[0]])
