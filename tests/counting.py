"""Projections for the tests of workers and jobs, which import them in other processes."""

from __future__ import annotations

import os
import select
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eventsourcing_kit import Event, Projection


@dataclass(frozen=True)
class Count:
    total: int = 0
    seen: tuple[str, ...] = ()


counting = Projection("counting", initial=Count, version=3)


@counting.on("Counted")
def count(state: Count, event: Event) -> Count:
    print("talk")
    return replace(state, total=state.total + event.data["number"], seen=(*state.seen, event.id))


@counting.on("Broken")
def broken(state: Count, event: Event) -> Count:
    raise KeyError(event.data["note"])


@counting.on("Crashing")
def crash(state: Count, event: Event) -> Count:
    os._exit(7)


@counting.on("Leaving")
def leave(state: Count, event: Event) -> Count:
    raise SystemExit(0)


@counting.on("Waiting")
def wait(state: Count, event: Event) -> Count:
    """Where that pipe is there: says that it is here, and comes to its end when nobody reads the pipe any more."""
    path = Path(event.data["pipe"])
    if path.exists():
        with path.open("wb", buffering=0) as pipe:
            pipe.write(b"here")
            gone = select.poll()
            gone.register(pipe, 0)
            gone.poll()
    return state


loose: Projection[dict[str, Any]] = Projection("loose", initial=dict)


@loose.on()
def gather(state: dict[str, Any], event: Event) -> dict[str, Any]:
    return {"types": {event.type}}
